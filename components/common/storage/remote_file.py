"""A file of an object store that is read in place: by ranges, ahead of its reader."""

import io
import threading
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Protocol

_PIECE_BYTES = 8 << 20
"""Longer ranges are fetched by several requests at once."""

Range = tuple[int, int]
"""The first byte, and the one after the last."""


class FetchRange(Protocol):
    """Fetches a range of the file."""

    def __call__(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` to before `end`."""


@dataclass
class _Group:
    """Ranges that are read together, cut into pieces."""

    pieces: list[Range]
    fetched: list["Future[bytes]"]

    @property
    def size(self) -> int:
        return sum(end - start for start, end in self.pieces)


class RemoteFile(io.RawIOBase):
    """A file for reading, of which announced ranges are fetched ahead.

    Reading elsewhere works too, with a request of its own. Memory is bounded: announced ranges are
    fetched while less than `window` bytes are held, at least one group; groups that were read are
    dropped.

    Args:
        fetch: Fetches a range. It is called by several threads.
        size: The size of the file, in bytes.
        threads: Run the fetches.
        window: Bytes to hold.

    Example:
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> content = b"0123456789"
        >>> with ThreadPoolExecutor(2) as threads:
        ...     file = RemoteFile(lambda start, end: content[start:end], 10, threads)
        ...     file.announce([[(2, 4)], [(6, 9)]])
        ...     file.seek(6), file.read(2)
        (6, b'67')
    """

    def __init__(
        self, fetch: FetchRange, size: int, threads: Executor, window: int = 64 << 20
    ) -> None:
        super().__init__()
        self._fetch = fetch
        self._size = size
        self._threads = threads
        self._window = window
        self._position = 0
        self._groups: list[_Group] = []
        self._first = 0
        self._next = 0
        self._lock = threading.Lock()

    def announce(self, groups: Sequence[Sequence[Range]]) -> None:
        """Announce which ranges are read, in groups that are read one after the other.

        Ranges of a group that touch are fetched by one request, long ones by several.
        """
        with self._lock:
            self._drop(len(self._groups))
            self._groups = [_Group(_pieces(ranges), []) for ranges in groups]
            self._first = self._next = 0
            self._fetch_ahead()

    def readable(self) -> bool:
        """Return that the file can be read."""
        return True

    def seekable(self) -> bool:
        """Return that the position can be set."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def size(self) -> int:
        """Return the size of the file, in bytes."""
        return self._size

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the position, from the start, from the position or from the end."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = base + offset
        return self._position

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes, all that are left by default."""
        start = min(self._position, self._size)
        end = self._size if size is None or size < 0 else min(start + size, self._size)
        self._position = end
        if start == end:
            return b""
        with self._lock:
            needed = self._announced(start, end)
        if needed is None:
            return self._fetch(start, end)
        parts = [
            fetched.result()[max(start - first, 0) : end - first] for (first, _), fetched in needed
        ]
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Drop what was fetched, and fetch nothing more."""
        if not self.closed:
            with self._lock:
                self._drop(len(self._groups))
        super().close()

    def _announced(self, start: int, end: int) -> list[tuple[Range, "Future[bytes]"]] | None:
        """Return the pieces that cover a range, from one group that is fetched or held."""
        for number in range(self._first, len(self._groups)):
            group = self._groups[number]
            covering = [
                index
                for index, (first, after) in enumerate(group.pieces)
                if first < end and start < after
            ]
            if covering and _cover([group.pieces[index] for index in covering], start, end):
                # The one before may still be decoded: column by column.
                self._drop(number - 1)
                self._fetch_ahead(at_least=number)
                return [(group.pieces[index], group.fetched[index]) for index in covering]
        return None

    def _drop(self, number: int) -> None:
        """Drop the groups before one."""
        for group in self._groups[self._first : max(number, self._first)]:
            for waiting in group.fetched:
                waiting.cancel()
            group.fetched = []
        self._first = max(number, self._first)

    def _fetch_ahead(self, at_least: int = 0) -> None:
        held = sum(group.size for group in self._groups[self._first : self._next])
        self._next = max(self._next, self._first)
        while self._next < len(self._groups):
            group = self._groups[self._next]
            if self._next > at_least and held + group.size > self._window:
                return
            group.fetched = [self._threads.submit(self._fetch, *piece) for piece in group.pieces]
            held += group.size
            self._next += 1


def _pieces(ranges: Sequence[Range]) -> list[Range]:
    joined: list[Range] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        elif end > start:
            joined.append((start, end))
    return [
        (first, min(first + _PIECE_BYTES, end))
        for start, end in joined
        for first in range(start, end, _PIECE_BYTES)
    ]


def _cover(pieces: Sequence[Range], start: int, end: int) -> bool:
    for first, after in pieces:
        if first > start:
            return False
        start = max(start, after)
    return start >= end
