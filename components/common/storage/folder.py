"""What lies below a URI of an object store, by names relative to it."""

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
    make_room,
)
from kfp_tabular.components.common.storage.store_factory import open_store


class Folder:
    """All objects below a URI; nothing is connected before the first request.

    Args:
        uri: `gs://`, `s3://` or `minio://`; no pattern.

    Raises:
        UserError: Here for an unknown scheme; from the methods where access is denied or there is
            no such bucket.
        ValueError: For a local path.
    """

    def __init__(self, uri: str) -> None:
        self._location = parse(uri)
        if self._location.is_local:
            raise ValueError(f"{uri} is not in an object store")

    def __str__(self) -> str:
        return str(self._location)

    def folder(self, name: str) -> "Folder":
        """Gives a folder inside this one."""
        return Folder(self._location.uri(self._key(name)))

    def list(self) -> dict[str, StoredObject]:
        """Gives the objects by name, sorted; folders made by consoles are left out."""
        root = f"{self._location.key}/" if self._location.key else ""
        found = self._store.list(root)
        return {
            stored.key.removeprefix(root): stored
            for stored in found
            if not stored.key.endswith("/")
        }

    def download(self, wanted: Mapping[str, StoredObject], into: Path) -> None:
        """Fetches objects into files of the same names below a directory."""
        pairs = []
        for name, stored in wanted.items():
            path = into / inside(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            pairs.append((stored, path))
        self._store.download(pairs)

    def make_room(self, wanted: Mapping[str, StoredObject], into: Path) -> None:
        """Makes files of the objects' sizes, all holes, for `download_parts` to fill."""
        for name, stored in wanted.items():
            path = into / inside(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            make_room(path, stored.size)

    def download_parts(self, parts: Sequence[Part]) -> None:
        """Fetches parts of objects into files that are there already."""
        self._store.download_parts(parts)

    def upload(self, files: Mapping[str, Path]) -> None:
        """Stores files under names, side by side; each appears whole or not at all."""
        self._store.upload([(path, self._key(name)) for name, path in files.items()])

    def write_text(self, name: str, text: str) -> None:
        """Stores a UTF-8 text."""
        with tempfile.TemporaryDirectory(prefix="kfp-tabular-") as scratch:
            path = Path(scratch) / "text"
            path.write_text(text, encoding="utf-8")
            self.upload({name: path})

    def read_text(self, name: str) -> str | None:
        """Gives an object's text, or None where there is none of that name."""
        stored = self._store.stat(self._key(name))
        if stored is None:
            return None
        with tempfile.TemporaryDirectory(prefix="kfp-tabular-") as scratch:
            path = Path(scratch) / "text"
            try:
                self._store.download([(stored, path)])
            except MissingError:
                # Removed since it was seen.
                return None
            return path.read_text(encoding="utf-8")

    def remove(self, names: Iterable[str]) -> None:
        """Removes objects; one that is not there is no error."""
        self._store.delete([self._key(name) for name in names])

    @cached_property
    def _store(self) -> Store:
        return open_store(self._location)

    def _key(self, name: str) -> str:
        return str(PurePosixPath(self._location.key) / name)


def inside(name: str) -> PurePosixPath:
    """Gives an object's name as a relative path.

    Raises:
        UserError: Where it holds '..', which would lead out of the directory.
    """
    relative = PurePosixPath(name)
    if ".." in relative.parts:
        raise UserError(f"{name}: an object's name may not hold '..'; rename it.")
    return relative
