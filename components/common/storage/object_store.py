"""The interface that every object store implements, and the types that it works with."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from kfp_tabular.components.common.errors import UserError

CHUNK_BYTES = 32 << 20
"""Larger objects are downloaded in parallel ranges of this size, in bytes."""

CONNECTIONS = 8
"""Parallel requests. One stream of an object store reaches 50-100 MB/s; eight fill a NIC."""


class MissingError(UserError):
    """The object does not exist; it may have been deleted since it was listed."""


class ChangedError(OSError):
    """The object changed while it was read, or the store sent less than it announced."""


@dataclass(frozen=True)
class StoredObject:
    """An object in a bucket.

    Attributes:
        key: The key, without the bucket.
        size: The size in bytes.
        version: An identifier that changes with the content (S3: the ETag); may be empty.
        checksum: What identifies the content for the user, such as `md5:<hex>`; may be empty.
        modified: When it was written, in seconds since 1970; None where the store does not tell.
    """

    key: str
    size: int
    version: str = ""
    checksum: str = ""
    modified: float | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Part:
    """A byte range of an object, and the file that receives it at the same offset.

    Attributes:
        stored: The object.
        path: The file; it exists and has the size of the object.
        start: The first byte.
        end: The byte after the last one.
    """

    stored: StoredObject
    path: Path
    start: int
    end: int


@dataclass(frozen=True)
class UnfinishedUpload:
    """An upload in parts that was not completed, such as of a process that was killed.

    Attributes:
        key: The key that the object would have had.
        identifier: The store's name of the upload.
        started: When it began, in seconds since 1970; None where the store does not tell.
    """

    key: str
    identifier: str
    started: float | None = None


class Store(Protocol):
    """One bucket of an object store.

    Failures that the user can fix (no such bucket, no permission, no credentials) are raised as
    `UserError`. Failures that may pass (network, server) are raised as in the client library.
    """

    def stat(self, key: str) -> StoredObject | None:
        """Return the object with this key, or None."""

    def list(self, prefix: str) -> list[StoredObject]:
        """Return all objects whose key starts with `prefix`, sorted by key."""

    def download(self, wanted: Sequence[tuple[StoredObject, Path]]) -> None:
        """Download objects into files whose parents exist."""

    def download_parts(self, parts: Sequence[Part]) -> None:
        """Download parts of objects into files made by `make_room`."""

    def read(self, stored: StoredObject, start: int, end: int) -> bytes:
        """Return the bytes of an object from `start` to before `end`."""

    def upload(self, files: Sequence[tuple[Path, str]]) -> None:
        """Upload files under keys, replacing existing objects; each whole or not at all."""

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; missing ones are ignored."""

    def unfinished_uploads(self, prefix: str) -> "Sequence[UnfinishedUpload]":
        """Return uploads whose parts the store keeps, of keys that start with `prefix`."""

    def abort(self, uploads: "Sequence[UnfinishedUpload]") -> None:
        """Delete the parts of uploads; those that are completed meanwhile are ignored."""

    def probe_write(self, key: str) -> None:
        """Check that an object may be written under a key; leave no object, and no version of one.

        Raises:
            UserError: If it may not.
        """


def make_room(path: Path, size: int) -> None:
    """Create a sparse file of `size` bytes.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     make_room(Path(directory) / "data.csv", 4096)
        ...     (Path(directory) / "data.csv").stat().st_size
        4096
    """
    with path.open("wb") as empty:
        empty.truncate(size)


def cut(parts: Sequence[Part], most: int) -> Iterator[Part]:
    """Yield parts cut into ones of at most `most` bytes.

    Example:
        >>> whole = Part(StoredObject("data.csv", size=100), Path("data.csv"), start=0, end=100)
        >>> [(part.start, part.end) for part in cut([whole], most=40)]
        [(0, 40), (40, 80), (80, 100)]
    """
    for part in parts:
        for start in range(part.start, part.end, most):
            yield Part(part.stored, part.path, start, min(start + most, part.end))
