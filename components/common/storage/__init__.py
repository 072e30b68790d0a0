"""Local files and object stores behind one interface.

A component names data by URI: a local path, `file://`, `gs://`, `s3://` or `minio://`. Local data
is used in place. Remote data is read by ranges (`stored_files`), or downloaded into a temporary
directory, in parallel ranges, for readers that need a plain file (`local_files`, `local_copy`).
"""

import logging
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from kfp_tabular.components.common import files
from kfp_tabular.components.common.errors import UserError, shown
from kfp_tabular.components.common.storage import local_listing
from kfp_tabular.components.common.storage.folder import Folder, inside
from kfp_tabular.components.common.storage.input_files import InputFile, LocalFile, StoredFile
from kfp_tabular.components.common.storage.location import Location, matcher, parse
from kfp_tabular.components.common.storage.object_store import Store, StoredObject
from kfp_tabular.components.common.storage.store_factory import open_store, shared_store

__all__ = [
    "Folder",
    "InputFile",
    "LocalFile",
    "StoredFile",
    "is_remote",
    "local_copy",
    "local_files",
    "stored_files",
    "upload",
]

_logger = logging.getLogger(__name__)

_MISSING = "{}: not found or without files. Check the bucket and the path."


def is_remote(uri: str) -> bool:
    """Whether a URI points into an object store.

    Raises:
        UserError: The scheme is unknown.

    Example:
        >>> is_remote("gs://bucket/data.csv"), is_remote("/data/data.csv")
        (True, False)
    """
    return not parse(uri).is_local


@contextmanager
def local_copy(uri: str) -> Iterator[Path]:
    """Make a file or a directory available as a local path.

    Args:
        uri: A local path, `file://`, `gs://`, `s3://` or `minio://`; no pattern.

    Yields:
        The path itself if it is local, else a copy that is removed afterwards. Do not write to it.

    Raises:
        UserError: Nothing is found, access is denied, or the scheme is unknown.

    Example:
        >>> with tempfile.NamedTemporaryFile() as file, local_copy(f"file://{file.name}") as path:
        ...     str(path) == file.name
        True
        >>> with local_copy("/missing/data.csv"):
        ...     pass
        Traceback (most recent call last):
        ...
        kfp_tabular.components.common.errors.UserError: /missing/data.csv: not found.
    """
    location = parse(uri)
    if location.is_local:
        if local_listing.mode_of(location) is None:
            raise UserError(local_listing.missing(location))
        yield location.path
        return
    with _temporary_directory() as folder:
        target = folder / (PurePosixPath(location.key).name or location.bucket)
        store = open_store(location)
        exact = store.stat(location.key)
        if exact is not None:
            _download(store, location, [(exact, target)])
        else:
            target.mkdir()
            found = _below(store, location)
            _download(store, location, _into(target, location.key, found))
        yield target


@contextmanager
def local_files(uri: str) -> Iterator[list[LocalFile]]:
    """Make the files that a URI names available as local files.

    Args:
        uri: A file, a directory (all files below it, at any depth), or a glob (`*` and `?` stop
            at a slash, `**` does not). Local, `file://`, `gs://`, `s3://` or `minio://`. If a file
            has exactly this name, wildcards are taken literally. Names that start with `_` or `.`
            are bookkeeping and are ignored, unless the glob has such a name.

    Yields:
        The files, sorted by name; at least one. Copies are removed afterwards.

    Raises:
        UserError: Nothing is found, access is denied, or the scheme is unknown.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("a.csv", "b.csv", "_lineage.json"):
        ...         _ = (Path(folder) / name).write_text("x")
        ...     with local_files(folder) as found:
        ...         [file.path.name for file in found]
        ['a.csv', 'b.csv']
    """
    location = parse(uri)
    if location.is_local:
        yield [LocalFile(shown(path), path) for path in local_listing.find(location)]
        return
    store = open_store(location)
    found, root = _remote(store, location)
    with _temporary_directory() as folder:
        wanted = _into(folder, root, found)
        _download(store, location, wanted)
        yield [
            LocalFile(location.uri(stored.key), path, stored.checksum) for stored, path in wanted
        ]


def stored_files(uri: str) -> list[StoredFile]:
    """Return the files that a URI of an object store names, to be read by ranges.

    Args:
        uri: As in `local_files`; remote.

    Raises:
        UserError: Nothing is found, or access is denied.
    """
    location = parse(uri)
    found, _ = _remote(shared_store(location), location)
    return [StoredFile(location.uri(stored.key), stored) for stored in found]


def upload(path: Path, uri: str) -> None:
    """Copy a file or a directory to a URI.

    Args:
        path: An existing local file or directory.
        uri: The target: a local path, `file://`, `gs://`, `s3://` or `minio://`. Files of a
            directory keep their relative names below it. A local target is replaced as a whole;
            in a store, objects of the same names are replaced and others stay.

    Raises:
        UserError: Access is denied, or the scheme is unknown.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     source, target = Path(folder) / "model", Path(folder) / "published" / "1"
        ...     files.write_text(source / "model.json", "{}")
        ...     upload(source, f"file://{target}")
        ...     (target / "model.json").read_text()
        '{}'
    """
    location = parse(uri)
    if location.is_local:
        _copy_local(path, location.path)
        return
    store = open_store(location)
    if path.is_file():
        pairs = [(path, location.key)]
    else:
        pairs = [
            (file, str(PurePosixPath(location.key) / file.relative_to(path).as_posix()))
            for file in sorted(path.rglob("*"))
            if file.is_file()
        ]
    store.upload(pairs)
    _logger.info("Uploaded %d files to %s", len(pairs), location)


def _remote(store: Store, location: Location) -> tuple[list[StoredObject], str]:
    """Return the objects that a location names, and the prefix that their keys share."""
    exact = store.stat(location.key)
    if exact is not None:
        return [exact], str(PurePosixPath(location.key).parent).removeprefix(".")
    if not location.is_pattern:
        found = [
            stored
            for stored in _below(store, location)
            if not local_listing.is_bookkeeping(_relative(stored, location))
        ]
        if not found:
            raise UserError(_MISSING.format(location))
        return found, location.key
    matches = matcher(location.key).fullmatch
    found = [
        stored
        for stored in store.list(location.fixed_prefix)
        if matches(stored.key) and not local_listing.is_left_out(location, stored.key)
    ]
    if not found:
        raise UserError(_MISSING.format(location))
    return found, location.fixed_prefix.rpartition("/")[0]


def _relative(stored: StoredObject, location: Location) -> PurePosixPath:
    return PurePosixPath(stored.key.removeprefix(f"{location.key}/"))


def _below(store: Store, location: Location) -> list[StoredObject]:
    prefix = f"{location.key}/" if location.key else ""
    # Consoles create an empty object with a trailing slash for a folder.
    found = [stored for stored in store.list(prefix) if not stored.key.endswith("/")]
    if not found:
        raise UserError(_MISSING.format(location))
    return found


def _into(folder: Path, root: str, found: list[StoredObject]) -> list[tuple[StoredObject, Path]]:
    """Return a file below a folder for each object, and create the directories in between."""
    wanted = []
    for stored in found:
        path = folder / inside(stored.key.removeprefix(root).lstrip("/"))
        path.parent.mkdir(parents=True, exist_ok=True)
        wanted.append((stored, path))
    return wanted


def _download(store: Store, location: Location, wanted: list[tuple[StoredObject, Path]]) -> None:
    size = sum(stored.size for stored, _ in wanted)
    _logger.info("Downloading %d files, %.1f MB, from %s", len(wanted), size / 1e6, location)
    start = time.monotonic()
    store.download(wanted)
    _logger.info("Downloaded in %.1f s", time.monotonic() - start)


@contextmanager
def _temporary_directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kfp-tabular-") as folder:
        yield Path(folder)


def _copy_local(path: Path, target: Path) -> None:
    if path.is_dir():
        with files.atomic_directory(target) as partial:
            shutil.copytree(path, partial, dirs_exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial_file = target.with_name(f".{target.name}.partial")
    try:
        shutil.copyfile(path, partial_file)
        partial_file.replace(target)
    finally:
        partial_file.unlink(missing_ok=True)
