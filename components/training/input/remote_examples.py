"""Transformed examples in an object store, of which a process fetches only what it reads.

A Parquet footer records where the row groups are. Every file is created at its full size as a
sparse file with only its footer, and the row groups that a process reads are fetched into place.
So each worker of a job fetches its share only, even from a single file.
"""

import logging
import struct
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import Folder
from kfp_tabular.components.common.storage.object_store import Part, StoredObject
from kfp_tabular.components.training.input.parquet_reader import Piece

_WHOLE_BYTES = 1 << 20
_TAIL_BYTES = 64 << 10
_END_BYTES = 8
_MAGIC = b"PAR1"

_logger = logging.getLogger(__name__)


class RemoteExamples:
    """A local copy of remote examples, filled on demand; thread-safe.

    Args:
        folder: The folder in the store.
        into: An existing, empty directory.

    Raises:
        UserError: If the folder is empty, access is denied, or a file is not Parquet.
    """

    def __init__(self, folder: Folder, into: Path) -> None:
        self._folder = folder
        self._into = into
        self._lock = threading.Lock()
        self._filled: set[tuple[Path, int]] = set()
        self._partial: dict[Path, StoredObject] = {}
        found = folder.list()
        if not found:
            raise UserError(f"{folder}: not found, or it holds no files; check the path.")
        # Without a recorded digest it must be computed, from all of the bytes.
        whole = lineage.FILE_NAME not in found
        partial = {
            name: stored
            for name, stored in found.items()
            if not whole and name.endswith(".parquet") and stored.size > _WHOLE_BYTES
        }
        folder.download({name: found[name] for name in found if name not in partial}, into)
        folder.make_room(partial, into)
        self._partial = {into / name: stored for name, stored in partial.items()}
        self._fetch_ends()
        size = sum(stored.size for stored in found.values())
        _logger.info("%s: %d files, %.1f MB", folder, len(found), size / 1e6)

    def ensure(self, pieces: Sequence[Piece]) -> None:
        """Fetch the row groups of these pieces that are still missing."""
        with self._lock:
            wanted = [
                (piece.file, piece.group)
                for piece in pieces
                if piece.file in self._partial and (piece.file, piece.group) not in self._filled
            ]
            wanted = list(dict.fromkeys(wanted))
            if not wanted:
                return
            started = time.monotonic()
            parts = _joined(self._parts(wanted))
            self._folder.download_parts(parts)
            self._filled.update(wanted)
            size = sum(part.end - part.start for part in parts)
            _logger.info(
                "fetched %d row groups, %.1f MB, in %.1f s",
                len(wanted),
                size / 1e6,
                time.monotonic() - started,
            )

    def _fetch_ends(self) -> None:
        tails = [
            Part(stored, path, max(0, stored.size - _TAIL_BYTES), stored.size)
            for path, stored in self._partial.items()
        ]
        self._folder.download_parts(tails)
        longer = []
        for part in tails:
            start = part.end - _END_BYTES - self._metadata_bytes(part)
            if start < part.start:
                longer.append(Part(part.stored, part.path, start, part.start))
        self._folder.download_parts(longer)

    def _metadata_bytes(self, part: Part) -> int:
        with part.path.open("rb") as stream:
            stream.seek(part.end - _END_BYTES)
            length, magic = struct.unpack("<I4s", stream.read(_END_BYTES))
        if magic != _MAGIC or length > part.stored.size - _END_BYTES:
            raise UserError(f"{part.path}: not a Parquet file.")
        return int(length)

    def _parts(self, wanted: Sequence[tuple[Path, int]]) -> list[Part]:
        metadata: dict[Path, Any] = {}
        parts = []
        for path, group in wanted:
            if path not in metadata:
                try:
                    metadata[path] = pq.read_metadata(path)
                except pa.ArrowException as error:
                    raise UserError(f"{path}: not a Parquet file: {error}") from error
            start, end = extent(metadata[path].row_group(group))
            parts.append(Part(self._partial[path], path, start, end))
        return parts


def extent(row_group: Any) -> tuple[int, int]:
    """Return where a row group's bytes start and end in its file.

    Args:
        row_group: A `pyarrow.parquet.RowGroupMetaData`.

    Example:
        >>> import io
        >>> stream = io.BytesIO()
        >>> pq.write_table(pa.table({"fare": [4.5, 7.0]}), stream)
        >>> start, end = extent(pq.read_metadata(stream).row_group(0))
        >>> stream.getvalue()[:start], end < len(stream.getvalue())
        (b'PAR1', True)
    """
    starts, ends = [], []
    for index in range(row_group.num_columns):
        column = row_group.column(index)
        start = column.data_page_offset
        if column.dictionary_page_offset is not None:
            start = min(start, column.dictionary_page_offset)
        starts.append(start)
        ends.append(start + column.total_compressed_size)
    return (min(starts), max(ends)) if starts else (0, 0)


def _joined(parts: Sequence[Part]) -> list[Part]:
    """Join adjacent parts, so that adjacent row groups take one request."""
    joined: list[Part] = []
    for part in sorted(parts, key=lambda part: (str(part.path), part.start)):
        last = joined[-1] if joined else None
        if last is not None and last.path == part.path and part.start <= last.end:
            joined[-1] = Part(last.stored, last.path, last.start, max(last.end, part.end))
        else:
            joined.append(part)
    return joined
