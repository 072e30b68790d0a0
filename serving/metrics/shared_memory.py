"""The memory in which worker processes keep their metrics, so that each can add up all of them.

Anonymous memory (`memfd_create`), not files: a full, removed or read-only directory changes
nothing, no file outlives its server, and the memory is allocated before any process maps it. A page
of a sparse file for which the disk has no room kills the process that touches it (SIGBUS).

Each worker has a region for its totals (counters and histograms) and one for its gauges. An entry
is a key, which never moves, and a double behind it.
"""

import fcntl
import mmap
import os
import struct
from collections.abc import Iterator

TOTALS_BYTES = 3 * 2**20
GAUGES_BYTES = 2**20
WORKER_BYTES = TOTALS_BYTES + GAUGES_BYTES
"""Room for about 15,000 values of a worker; a model with 100 classes and 100 features has 3,000."""

_HEADER = struct.Struct("<q")
_LENGTH = struct.Struct("<i")
_VALUE = struct.Struct("<d")
_ALIGNMENT = 8


def allocate(workers: int) -> int:
    """Return a file descriptor of memory for workers, allocated and of fixed size.

    Raises:
        OSError: If the system has no such memory or not enough of it.
    """
    descriptor = os.memfd_create("kfp-tabular-metrics", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.posix_fallocate(descriptor, 0, workers * WORKER_BYTES)
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


class Region:
    """A part of the memory that one process writes.

    Args:
        descriptor: What `allocate` returned.
        offset: Where the region begins.
        size: How many bytes it has.

    Example:
        >>> descriptor = allocate(1)
        >>> region = Region(descriptor, 0, TOTALS_BYTES)
        >>> region.write(region.place("requests"), 2.0)
        >>> list(Region(descriptor, 0, TOTALS_BYTES).entries())
        [('requests', 2.0)]
        >>> os.close(descriptor)
    """

    def __init__(self, descriptor: int, offset: int, size: int) -> None:
        self._descriptor = descriptor
        self._offset = offset
        self._size = size
        self._places: dict[str, int] | None = None
        self._used = _HEADER.size

    def clear(self) -> None:
        """Remove all entries."""
        self._places, self._used = {}, _HEADER.size
        os.pwrite(self._descriptor, _HEADER.pack(0), self._offset)

    def entries(self) -> Iterator[tuple[str, float]]:
        """Yield the keys and values, up to the first entry that is damaged."""
        for key, value, _ in self._scan():
            yield key, value

    def place(self, key: str) -> int | None:
        """Return the place of a key's value; None if there is no room for a new one."""
        if self._places is None:
            self._places = {}
            for known, _, position in self._scan():
                self._places[known] = position
                self._used = position + _VALUE.size
        if key not in self._places:
            encoded = key.encode("utf-8")
            padded = -(-(_LENGTH.size + len(encoded)) // _ALIGNMENT) * _ALIGNMENT
            end = self._used + padded + _VALUE.size
            if end > self._size:
                return None
            entry = _LENGTH.pack(len(encoded)) + encoded
            os.pwrite(
                self._descriptor,
                entry.ljust(padded, b"\0") + _VALUE.pack(0.0),
                self._offset + self._used,
            )
            # Written last: before that, nobody reads the entry.
            os.pwrite(self._descriptor, _HEADER.pack(end), self._offset)
            self._used = end
            self._places[key] = end - _VALUE.size
        return self._places[key]

    def read(self, place: int) -> float:
        """Return the value at a place."""
        content = os.pread(self._descriptor, _VALUE.size, self._offset + place)
        return float(_VALUE.unpack(content)[0])

    def write(self, place: int | None, value: float) -> None:
        """Write a value; nothing without a place."""
        if place is not None:
            os.pwrite(self._descriptor, _VALUE.pack(value), self._offset + place)

    def _scan(self) -> Iterator[tuple[str, float, int]]:
        (used,) = _HEADER.unpack(os.pread(self._descriptor, _HEADER.size, self._offset))
        if not _HEADER.size < used <= self._size:
            return
        content = os.pread(self._descriptor, used, self._offset)
        position = _HEADER.size
        while position + _LENGTH.size <= used:
            (length,) = _LENGTH.unpack_from(content, position)
            value_at = position + -(-(_LENGTH.size + length) // _ALIGNMENT) * _ALIGNMENT
            if length <= 0 or value_at + _VALUE.size > used:
                return
            start = position + _LENGTH.size
            try:
                key = content[start : start + length].decode("utf-8")
            except UnicodeDecodeError:
                return
            yield key, _VALUE.unpack_from(content, value_at)[0], value_at
            position = value_at + _VALUE.size


class MappedRegion(Region):
    """A region whose values are written without a system call. Only workers use it.

    Args:
        descriptor: What `allocate` returned.
        offset: Where the region begins; a multiple of the page size.
        size: How many bytes it has.
    """

    def __init__(self, descriptor: int, offset: int, size: int) -> None:
        super().__init__(descriptor, offset, size)
        self._values = memoryview(mmap.mmap(descriptor, size, offset=offset)).cast("d")

    def write(self, place: int | None, value: float) -> None:
        """Write a value; nothing without a place."""
        if place is not None:
            # One store of eight bytes, which a reader sees whole.
            self._values[place // _VALUE.size] = value


def totals(descriptor: int, worker: int) -> Region:
    """Return the region of a worker's counters and histograms."""
    return Region(descriptor, worker * WORKER_BYTES, TOTALS_BYTES)


def gauges(descriptor: int, worker: int) -> Region:
    """Return the region of a worker's gauges."""
    return Region(descriptor, worker * WORKER_BYTES + TOTALS_BYTES, GAUGES_BYTES)


def mapped(region: Region) -> MappedRegion:
    """Return the same region, mapped."""
    return MappedRegion(region._descriptor, region._offset, region._size)
