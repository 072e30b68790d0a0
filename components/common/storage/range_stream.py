"""A stream of a file in an object store: blocks of bytes, fetched ahead of their reader."""

import io
from bisect import bisect_right
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import accumulate
from typing import TYPE_CHECKING, BinaryIO, cast

from kfp_tabular.components.common.storage.remote_file import FetchRange

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_BLOCK_BYTES = 2 << 20
_DOUBLINGS = 5
_AHEAD = 4
_KEPT_BEHIND = 1
_BUFFER_BYTES = 128 << 10


def open_range(
    fetch: FetchRange, size: int, start: int = 0, stop: int | None = None, block: int = _BLOCK_BYTES
) -> BinaryIO:
    """Open a file in a store for reading, positioned at `start`.

    Reading in order is fast: blocks are fetched ahead by several requests at once. Reading
    elsewhere works, with a request for each buffer. Memory is bounded by some blocks.

    Args:
        fetch: Fetches a range. It is called by several threads.
        size: The size of the file, in bytes.
        start: The first byte that is going to be read.
        stop: The end of what is read; None where that is not known: blocks begin small then, for
            readers that only look at the start. Bytes beyond it can be read, but are not fetched
            ahead.
        block: The size of a block, in bytes.

    Example:
        >>> content = b"0123456789"
        >>> with open_range(lambda start, end: content[start:end], 10, start=2, stop=6) as stream:
        ...     stream.read(3), stream.seek(8), stream.read()
        (b'234', 8, b'89')
    """
    raw = RangeStream(fetch, size, start, stop, block)
    return cast(BinaryIO, io.BufferedReader(raw, _BUFFER_BYTES))


class RangeStream(io.RawIOBase):
    """The unbuffered stream; see `open_range`.

    Args:
        fetch: Fetches a range.
        size: The size of the file.
        start: The first byte that is going to be read.
        stop: The end of what is read; None for the whole file, perhaps only its start.
        block: The size of a block, in bytes.
    """

    def __init__(
        self, fetch: FetchRange, size: int, start: int, stop: int | None, block: int
    ) -> None:
        super().__init__()
        self._fetch = fetch
        self._size = size
        self._start = min(start, size)
        self._stop = size if stop is None else min(stop, size)
        self._block = block
        sizes = [max(block >> left, 1) for left in range(_DOUBLINGS, 0, -1)] if stop is None else []
        self._small = list(accumulate(sizes, initial=0))
        self._position = self._start
        self._last = 0
        self._in_order = stop is not None
        self._held: dict[int, Future[bytes]] = {}
        self._threads: ThreadPoolExecutor | None = None

    def readable(self) -> bool:
        """Return that the file can be read."""
        return True

    def seekable(self) -> bool:
        """Return that the position can be set."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the position, from the start of the file, from the position or from the end."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Read into a buffer, at most to the end of a block; return the number of bytes."""
        with memoryview(buffer).cast("B") as view:
            at, wanted = self._position, min(len(view), self._size - self._position)
            if wanted <= 0:
                return 0
            if self._start <= at < self._stop:
                number = self._number(at)
                first, _ = self._bounds(number)
                data = self._at(number)[at - first : at - first + wanted]
            else:
                end = at + wanted
                data = self._fetch(at, min(end, self._start) if at < self._start else end)
            view[: len(data)] = data
            self._position += len(data)
            return len(data)

    def close(self) -> None:
        """Drop what was fetched, and fetch nothing more."""
        if not self.closed:
            self._held.clear()
            if self._threads is not None:
                self._threads.shutdown(wait=False, cancel_futures=True)
        super().close()

    def _number(self, at: int) -> int:
        after = at - self._start
        if after < self._small[-1]:
            return bisect_right(self._small, after) - 1
        return len(self._small) - 1 + (after - self._small[-1]) // self._block

    def _bounds(self, number: int) -> tuple[int, int]:
        large = number - len(self._small) + 1
        if large < 0:
            first, end = self._small[number : number + 2]
        else:
            first = self._small[-1] + large * self._block
            end = first + self._block
        return self._start + first, min(self._start + end, self._stop)

    def _at(self, number: int) -> bytes:
        """Return a block; where blocks are read in order, fetch the next ones meanwhile."""
        if number != self._last:
            self._in_order = abs(number - self._last) == 1
        self._last = number
        for other in list(self._held):
            if not number - _KEPT_BEHIND <= other <= number + _AHEAD:
                self._held.pop(other).cancel()
        ahead = 0
        if self._in_order:
            ahead = _AHEAD if number >= len(self._small) - 1 else 1
        for wanted in range(number, number + ahead + 1):
            first, end = self._bounds(wanted)
            if wanted not in self._held and first < end:
                self._held[wanted] = self._fetched(first, end)
        return self._held[number].result()

    def _fetched(self, first: int, end: int) -> "Future[bytes]":
        if not self._in_order:
            found: Future[bytes] = Future()
            found.set_result(self._fetch(first, end))
            return found
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_AHEAD + 1, thread_name_prefix="range-stream")
        return self._threads.submit(self._fetch, first, end)
