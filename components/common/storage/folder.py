"""The objects below a URI of an object store, by names relative to it."""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage.location import parse
from kfp_tabular.components.common.storage.object_store import (
    MissingError,
    Part,
    Store,
    StoredObject,
    UnfinishedUpload,
    make_room,
)
from kfp_tabular.components.common.storage.store_factory import shared_store


class Folder:
    """All objects below a URI. The connection is made on the first request.

    Args:
        uri: `gs://`, `s3://` or `minio://`; no pattern.

    Raises:
        UserError: The scheme is unknown. Methods raise it if access is denied or the bucket does
            not exist.
        ValueError: The path is local.
    """

    def __init__(self, uri: str) -> None:
        self._location = parse(uri)
        if self._location.is_local:
            raise ValueError(f"{uri} is not in an object store")

    def __str__(self) -> str:
        return str(self._location)

    def __reduce__(self) -> tuple[type["Folder"], tuple[str]]:
        # Another process makes a connection of its own.
        return Folder, (str(self._location),)

    def folder(self, name: str) -> "Folder":
        """Return a folder inside this one."""
        return Folder(self._location.uri(self._key(name)))

    def list(self) -> dict[str, StoredObject]:
        """Return the objects by name, sorted, without the folder objects that consoles create."""
        root = f"{self._location.key}/" if self._location.key else ""
        found = self._store.list(root)
        return {
            stored.key.removeprefix(root): stored
            for stored in found
            if not stored.key.endswith("/")
        }

    def stat(self, name: str) -> StoredObject | None:
        """Return the object of a name, or None."""
        return self._store.stat(self._key(name))

    def read(self, stored: StoredObject, start: int, end: int) -> bytes:
        """Return the bytes of an object from `start` to before `end`."""
        return self._store.read(stored, start, end)

    def download(self, wanted: Mapping[str, StoredObject], into: Path) -> None:
        """Download objects into files of the same names below a directory."""
        pairs = []
        for name, stored in wanted.items():
            path = into / inside(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            pairs.append((stored, path))
        self._store.download(pairs)

    def make_room(self, wanted: Mapping[str, StoredObject], into: Path) -> None:
        """Create sparse files of the objects' sizes, for `download_parts` to fill."""
        for name, stored in wanted.items():
            path = into / inside(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            make_room(path, stored.size)

    def download_parts(self, parts: Sequence[Part]) -> None:
        """Download parts of objects into existing files."""
        self._store.download_parts(parts)

    def upload(self, files: Mapping[str, Path]) -> None:
        """Upload files under names, in parallel. Each object appears whole or not at all."""
        self._store.upload([(path, self._key(name)) for name, path in files.items()])

    def write_text(self, name: str, text: str) -> None:
        """Upload a text as UTF-8."""
        with tempfile.TemporaryDirectory(prefix="kfp-tabular-") as scratch:
            path = Path(scratch) / "text"
            path.write_text(text, encoding="utf-8")
            self.upload({name: path})

    def read_text(self, name: str, largest: int | None = None) -> str | None:
        """Return the text of an object, or None if it does not exist.

        Args:
            name: The object's name.
            largest: The largest size that is read, in bytes; None for any.

        Raises:
            UserError: The object is larger.
        """
        stored = self.stat(name)
        if stored is None:
            return None
        if largest is not None and stored.size > largest:
            raise UserError(
                f"{self}/{name}: it has {stored.size} bytes, more than the {largest} that such a "
                "file may have."
            )
        with tempfile.TemporaryDirectory(prefix="kfp-tabular-") as scratch:
            path = Path(scratch) / "text"
            try:
                self._store.download([(stored, path)])
            except MissingError:
                # Deleted since `stat`.
                return None
            return path.read_text(encoding="utf-8")

    def remove(self, names: Iterable[str]) -> None:
        """Delete objects; missing ones are ignored."""
        self._store.delete([self._key(name) for name in names])

    def unfinished_uploads(self) -> Mapping[str, UnfinishedUpload]:
        """Return uploads whose parts the store keeps, by the name that the object would have."""
        root = f"{self._location.key}/" if self._location.key else ""
        found = self._store.unfinished_uploads(root)
        return {upload.key.removeprefix(root): upload for upload in found}

    def abort(self, uploads: Mapping[str, UnfinishedUpload]) -> None:
        """Delete the parts of uploads."""
        self._store.abort(list(uploads.values()))

    @cached_property
    def _store(self) -> Store:
        return shared_store(self._location)

    def _key(self, name: str) -> str:
        return str(PurePosixPath(self._location.key) / name)


def inside(name: str) -> PurePosixPath:
    """Return the name of an object as a relative path.

    Raises:
        UserError: The name has a segment '..', which would lead out of the directory.

    Example:
        >>> inside("split=train/part-00000.parquet")
        PurePosixPath('split=train/part-00000.parquet')
    """
    relative = PurePosixPath(name)
    if ".." in relative.parts:
        raise UserError(f"{name}: a name of an object must not contain '..'. Rename the object.")
    return relative
