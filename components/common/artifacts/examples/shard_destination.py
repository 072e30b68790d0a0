"""Where the shards of an artifact are written: its own directory, or a folder elsewhere."""

import os
import re
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kfp_tabular.components.common import files
from kfp_tabular.components.common.storage import Folder, is_remote
from kfp_tabular.components.common.storage.location import parse

_ATTEMPT = re.compile(r"attempt-(\d{8}T\d{6}Z)-[0-9a-f]{8}")
_TIME = "%Y%m%dT%H%M%SZ"


def attempt_time(name: str) -> datetime | None:
    """Return when an attempt began, by the name of its folder; None for other names.

    Example:
        >>> attempt_time("attempt-20261130T141500Z-5f0c9a2e").isoformat()
        '2026-11-30T14:15:00+00:00'
    """
    match = _ATTEMPT.fullmatch(name)
    try:
        return match and datetime.strptime(match[1], _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None


@dataclass(frozen=True)
class ShardDestination:
    """A folder that belongs to one attempt to write an artifact. It can be sent to other processes.

    A shard appears whole or not at all, and replaces one of the same path, so a piece that is
    written again, or by two processes at once, is there once.

    Attributes:
        root: A local directory, or a URI.
        shards_uri: What the manifest names as the place of the shards; empty if that is the
            artifact's directory.

    Example:
        >>> there = ShardDestination.attempt_below("s3://bucket/taxi/examples")
        >>> there.root.startswith("s3://bucket/taxi/examples/attempt-20")
        True
    """

    root: str
    shards_uri: str = ""

    @classmethod
    def of(cls, directory: str | os.PathLike[str]) -> "ShardDestination":
        """Return the directory of an artifact, which belongs to one attempt."""
        return cls(os.fspath(directory))

    @classmethod
    def attempt_below(cls, uri: str) -> "ShardDestination":
        """Return the folder of a new attempt. Its name has the time, see `attempt_time`.

        Args:
            uri: A URI, or the absolute path of a file system that all processes share.

        Raises:
            UserError: The scheme is unknown.
        """
        location = parse(uri)
        base = str(location.path.absolute()) if location.is_local else str(location)
        root = f"{base}/attempt-{datetime.now(UTC):{_TIME}}-{uuid.uuid4().hex[:8]}"
        return cls(root, root)

    @classmethod
    @contextmanager
    def opened(
        cls, directory: str | os.PathLike[str], shards_uri: str = ""
    ) -> Iterator["ShardDestination"]:
        """Yield where to write; if the block raises, remove what was written elsewhere.

        Args:
            directory: The directory of the artifact, which belongs to one attempt.
            shards_uri: The URI below which a folder for the attempt is made; empty for the
                directory.
        """
        destination = cls.attempt_below(shards_uri) if shards_uri else cls.of(directory)
        with destination.removed_on_failure():
            yield destination

    @contextmanager
    def file(self) -> Iterator[Path]:
        """Yield a path for a shard that is being written; what is not `put` is removed."""
        if is_remote(self.root):
            with tempfile.TemporaryDirectory(prefix="kfp-tabular-shard-") as folder:
                yield Path(folder) / "shard"
            return
        # Beside the others, to be renamed. Readers skip names that start with a dot.
        path = Path(self.root) / f".shard-{uuid.uuid4().hex[:12]}.partial"
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def put(self, file: Path, path: str) -> None:
        """Put a complete file of `file` in its place.

        Args:
            file: The file.
            path: The shard's path below the root.

        Raises:
            UserError: Access is denied.
        """
        if is_remote(self.root):
            Folder(self.root).upload({path: file})
            return
        target = Path(self.root) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        file.replace(target)

    def remove(self) -> None:
        """Remove the folder with all that is in it, such as after a failure."""
        if is_remote(self.root):
            folder = Folder(self.root)
            folder.remove(folder.list())
            folder.abort(folder.unfinished_uploads())
        else:
            files.remove(Path(self.root))

    def clear(self) -> None:
        """Remove what was written so far; the folder stays, to be written again."""
        if is_remote(self.root):
            self.remove()
            return
        for entry in Path(self.root).glob("*"):
            files.remove(entry)

    def discard(self, paths: Iterable[str]) -> None:
        """Remove files by their paths below the root; missing ones are ignored."""
        if is_remote(self.root):
            Folder(self.root).remove(paths)
            return
        for path in paths:
            (Path(self.root) / path).unlink(missing_ok=True)

    @contextmanager
    def removed_on_failure(self) -> Iterator[None]:
        """If the block raises, remove what the attempt wrote elsewhere.

        The directory of an artifact is left to who made it.
        """
        try:
            yield
        except BaseException:
            if self.shards_uri:
                self.remove()
            raise
