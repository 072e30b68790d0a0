"""The interface that every object store implements, and the types that it works with."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kfp_tabular.components.common.errors import UserError

CHUNK_BYTES = 32 << 20
"""Larger objects are fetched in ranges of this size, at the same time."""

CONNECTIONS = 8
"""Requests in flight. One stream of an object store gives some 50-100 MB/s; eight fill a NIC."""


class MissingError(UserError):
    """There is no such object; somebody may have removed it since it was seen."""


@dataclass(frozen=True)
class StoredObject:
    """An object in a bucket.

    Attributes:
        key: Its key, without the bucket.
        size: Its size in bytes.
        version: What changes with its content, where the store says it (S3: the ETag).
    """

    key: str
    size: int
    version: str = ""


@dataclass(frozen=True)
class Part:
    """Some bytes of an object, and the file that takes them at the same place.

    Attributes:
        stored: The object.
        path: The file; it exists and is as large as the object.
        start: The first byte.
        end: The byte after the last one.
    """

    stored: StoredObject
    path: Path
    start: int
    end: int


class Store(Protocol):
    """One bucket of an object store.

    Failures that the user can mend (no such bucket, no permission, no credentials) are raised as
    `UserError`; what may pass (network, server) goes through as the client library raises it.
    """

    def stat(self, key: str) -> StoredObject | None:
        """Gives the object with this key, or None."""

    def list(self, prefix: str) -> list[StoredObject]:
        """Gives all objects whose key starts with `prefix`, sorted by key."""

    def download(self, wanted: Sequence[tuple[StoredObject, Path]]) -> None:
        """Fetches objects into files whose parents exist."""

    def download_parts(self, parts: Sequence[Part]) -> None:
        """Fetches parts of objects into files made by `make_room`."""

    def upload(self, files: Sequence[tuple[Path, str]]) -> None:
        """Stores files under keys, replacing objects of that key; each whole or not at all."""

    def delete(self, keys: Sequence[str]) -> None:
        """Removes objects; one that is not there is no error."""


def make_room(path: Path, size: int) -> None:
    """Makes a file of so many bytes, all holes."""
    with path.open("wb") as empty:
        empty.truncate(size)


def cut(parts: Sequence[Part], most: int) -> Iterator[Part]:
    """Cuts parts into ones of at most `most` bytes."""
    for part in parts:
        for start in range(part.start, part.end, most):
            yield Part(part.stored, part.path, start, min(start + most, part.end))
