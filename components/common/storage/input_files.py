"""Files that are read: on this machine, or in an object store, by ranges."""

import hashlib
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol

from kfp_tabular.components.common.storage.location import parse
from kfp_tabular.components.common.storage.object_store import StoredObject
from kfp_tabular.components.common.storage.range_stream import open_range
from kfp_tabular.components.common.storage.store_factory import shared_store

_CHUNK_BYTES = 1 << 20


class InputFile(Protocol):
    """A file to read. It can be sent to other processes, and serves as a key."""

    @property
    def uri(self) -> str:
        """The name of the file for the user."""

    @property
    def place(self) -> str:
        """Where another process finds it: a path, or a URI."""

    @property
    def size(self) -> int:
        """The size in bytes."""

    def open(self, start: int = 0, stop: int | None = None) -> BinaryIO:
        """Open the file, positioned at `start`.

        Args:
            start: The first byte that is going to be read.
            stop: The end of what is going to be read; None where that is not known. A file in a
                store is fetched ahead so far; other bytes can be read, too.
        """

    def digest(self) -> str:
        """Return what identifies the content.

        Of a file in a store the checksum that the store has, so that nothing is read for it.
        """


@dataclass(frozen=True)
class LocalFile:
    """A local file and its origin.

    Attributes:
        uri: The name of the file for the user.
        path: The path on this machine.
        checksum: The checksum of the object that it is a copy of; empty for none.
    """

    uri: str
    path: Path
    checksum: str = field(default="", compare=False)

    @property
    def place(self) -> str:
        """The path."""
        return str(self.path)

    @property
    def size(self) -> int:
        """The size in bytes."""
        return self.path.stat().st_size

    def open(self, start: int = 0, stop: int | None = None) -> BinaryIO:  # noqa: ARG002
        """Open the file, positioned at `start`."""
        stream = self.path.open("rb")
        stream.seek(start)
        return stream

    def digest(self) -> str:
        """Return the SHA-256 of the content, or the checksum of what it is a copy of."""
        return self.checksum or _sha256(self)


@dataclass(frozen=True)
class StoredFile:
    """A file in an object store.

    Attributes:
        uri: Its URI.
        stored: The object, as it was listed. If it changes, reading it fails.
    """

    uri: str
    stored: StoredObject

    @property
    def place(self) -> str:
        """The URI."""
        return self.uri

    @property
    def size(self) -> int:
        """The size in bytes."""
        return self.stored.size

    def open(self, start: int = 0, stop: int | None = None) -> BinaryIO:
        """Open the file, positioned at `start`; see `InputFile`."""
        return open_range(self.read, self.size, start, stop)

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` to before `end`."""
        return shared_store(parse(self.uri)).read(self.stored, start, end)

    def digest(self) -> str:
        """Return the store's checksum; the SHA-256 where it has none."""
        return self.stored.checksum or _sha256(self)


def _sha256(file: InputFile) -> str:
    whole = hashlib.sha256()
    with file.open() as stream:
        for chunk in iter(partial(stream.read, _CHUNK_BYTES), b""):
            whole.update(chunk)
    return f"sha256:{whole.hexdigest()}"
