"""Where predictions are written until they are complete, so that another attempt finds them.

What is written depends on the model, the data, the options and the pieces. All of that is in the
name of the folder, so an attempt goes on only with what it would have written itself.
"""

import fcntl
import hashlib
import itertools
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts import lineage, manifest
from kfp_tabular.components.common.artifacts.examples import ShardDestination
from kfp_tabular.components.common.errors import UserError, shown
from kfp_tabular.components.common.processing.pieces import Piece
from kfp_tabular.components.common.storage import Folder, InputFile, is_remote
from kfp_tabular.components.common.storage.location import parse

VERSION = 1
"""Of the files of an attempt. Another version does not go on with them."""

_LOCK = ".lock"
_FOLDER = re.compile(r"predictions-[0-9a-f]{16}-[1-9][0-9]*")


def is_attempt(name: str) -> bool:
    """Return whether a folder below a `shards_uri` is of an attempt, by its name.

    Example:
        >>> is_attempt("predictions-0123456789abcdef-1"), is_attempt("predictions-2026-1")
        (True, False)
    """
    return _FOLDER.fullmatch(name) is not None


def source_facts(found: Sequence[InputFile]) -> list[dict[str, Any]]:
    """Return what tells files from others: of a local one its time, else the store's checksum."""
    return [
        {
            "uri": file.uri,
            "bytes": file.size,
            "version": file.digest()
            if is_remote(file.uri)
            else Path(file.place).stat().st_mtime_ns,
        }
        for file in found
    ]


def identity(
    model: Mapping[str, Any],
    sources: Sequence[Mapping[str, Any]],
    settings: Mapping[str, Any],
    pieces: Sequence[Piece],
) -> str:
    """Return a name for what is written: the same for the same model, data and options.

    Example:
        >>> identity({"digest": "a"}, [], {}, []) == identity({"digest": "b"}, [], {}, [])
        False
    """
    document = {
        "version": VERSION,
        "software": lineage.versions(["pyarrow"]),
        "model": model,
        "sources": sources,
        "settings": settings,
        "pieces": [asdict(piece) for piece in pieces],
    }
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextmanager
def opened(output: Path, name: str, shards_uri: str) -> Iterator[ShardDestination]:
    """Yield where an attempt writes; what an earlier one with the same name wrote is there.

    Args:
        output: The final directory.
        name: What `identity` returned.
        shards_uri: Below which the shards stay; empty for the final directory.

    Raises:
        UserError: Another process writes there.
    """
    if shards_uri:
        location = parse(shards_uri)
        base = str(location.path.absolute()) if location.is_local else str(location)
        root = next(
            root
            for number in itertools.count(1)
            if not _is_finished(root := f"{base.rstrip('/')}/predictions-{name}-{number}")
        )
        yield ShardDestination(root, root)
        return
    folder = _unfinished(output).with_name(f"{_unfinished(output).name}-{name}")
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder, output):
        yield ShardDestination.of(folder.absolute())


def _is_finished(root: str) -> bool:
    """Return whether a folder elsewhere belongs to an artifact, whose shards must stay."""
    if is_remote(root):
        return Folder(root).stat(manifest.FILE_NAME) is not None
    return Path(root, manifest.FILE_NAME).exists()


def complete(destination: ShardDestination, output: Path) -> None:
    """Put a complete directory in its place, and remove what attempts left behind."""
    if destination.shards_uri:
        return
    folder = Path(destination.root)
    files.remove(folder / _LOCK)
    files.remove(output)
    folder.rename(output)
    for left in output.parent.glob(f"{_unfinished(output).name}-*"):
        files.remove(left)


def _unfinished(output: Path) -> Path:
    """Return how the folders of attempts begin. Readers skip names that start with a dot."""
    return output.with_name(f".{output.name}.unfinished")


@contextmanager
def _locked(folder: Path, output: Path) -> Iterator[None]:
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                f"{shown(output)}: another process writes the same predictions there. Wait for it, "
                "or give another output."
            ) from error
        yield
    finally:
        os.close(descriptor)
