"""The row order of training: an endless stream of shuffled rows, read ahead in the background.

Row groups are read in a seeded random order into a buffer of up to a million rows. Rows leave the
buffer in a random order, many at a time, while the next buffer is read. The order depends only on
seed, pass, worker and buffer, so a resumed training finds its position without reading again.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

import numpy as np

from kfp_tabular.components.common.artifacts.examples import RowRange
from kfp_tabular.components.training.input.packed_rows import PackedRows
from kfp_tabular.components.training.input.parquet_reader import Reader

_BUFFER_ROWS = 1 << 20
_BUFFER_BYTES = 256 << 20
_WIDE_ROW_BYTES = 1 << 10  # With vectors, evaluation needs much memory, too.


class TrainingInput:
    """An endless, shuffled stream of a worker's rows; every pass holds each row once.

    Args:
        reader: Reads the row ranges.
        share: The worker's row ranges, with at least one row.
        seed: Seed of the order.
        worker: Index of the worker.
        start: Rows of the stream to skip, for a resumed training.
        buffer_rows: Rows that are shuffled together; 0 for as many as fit in 256 MiB, or half
            of that if rows are wide, at most 1,048,576.
        row_bytes: Size of a packed row.
    """

    def __init__(
        self,
        reader: Reader,
        share: Sequence[RowRange],
        *,
        seed: int,
        worker: int = 0,
        start: int = 0,
        buffer_rows: int = 0,
        row_bytes: int = 128,
    ) -> None:
        self._reader = reader
        self._share = list(share)
        self._seed = seed
        self._worker = worker
        buffer_bytes = _BUFFER_BYTES // (2 if row_bytes > _WIDE_ROW_BYTES else 1)
        self._buffer_rows = buffer_rows or min(_BUFFER_ROWS, buffer_bytes // row_bytes)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="training-input")
        self._whole: PackedRows | None = None
        self._counts: dict[RowRange, int] = {}
        self._blocks = self._stream(start)
        self._block, self._order = next(self._blocks)
        self._position = 0

    def take(self, rows: int) -> PackedRows:
        """Return the next rows of the stream."""
        parts = []
        while rows:
            if self._position == len(self._order):
                self._block, self._order = next(self._blocks)
                self._position = 0
            index = self._order[self._position : self._position + rows]
            parts.append(self._block.take(index))
            self._position += len(index)
            rows -= len(index)
        return PackedRows.concatenate(parts)

    def __enter__(self) -> "TrainingInput":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _stream(self, start: int) -> Iterator[tuple[PackedRows, "np.ndarray[Any, Any]"]]:
        plan = self._plan(start)
        ahead = self._submit(next(plan))
        while True:
            block, order = ahead.result()
            ahead = self._submit(next(plan))
            yield block, order
            # Keeps only two blocks in memory: the one in use and the one being read.
            del block, order

    def _submit(
        self, planned: tuple[int, int, list[RowRange], int]
    ) -> "Future[tuple[PackedRows, np.ndarray[Any, Any]]]":
        return self._pool.submit(self._load, *planned)

    def _load(
        self, turn: int, number: int, share: list[RowRange], skip: int
    ) -> tuple[PackedRows, "np.ndarray[Any, Any]"]:
        if self._whole is not None:
            block = self._whole
        else:
            block = self._reader.read(share)
            if len(share) == len(self._share):
                # Rows are read in file order, so a single block is the same in every pass.
                self._whole = block
        order = self._random(turn, number + 1).permutation(len(block))
        return block, order[skip:]

    def _plan(self, start: int) -> Iterator[tuple[int, int, list[RowRange], int]]:
        turn, skip = divmod(start, self._rows(self._share)) if start else (0, 0)
        while True:
            for number, share in enumerate(self._blocks_of(turn)):
                if skip and skip >= (rows := self._rows(share)):
                    skip -= rows
                    continue
                yield turn, number, share, skip
                skip = 0
            turn += 1

    def _blocks_of(self, turn: int) -> Iterator[list[RowRange]]:
        order = self._random(turn, 0).permutation(len(self._share))
        block: list[int] = []
        rows = 0
        for index in order:
            block.append(int(index))
            rows += self._share[index].rows
            if rows >= self._buffer_rows:
                yield [self._share[index] for index in sorted(block)]
                block, rows = [], 0
        if block:
            yield [self._share[index] for index in sorted(block)]

    def _rows(self, share: Sequence[RowRange]) -> int:
        """Return how many rows ranges have; those of which only some are kept are read once."""
        if self._reader.reads_all:
            return sum(row_range.rows for row_range in share)
        for row_range in share:
            if row_range not in self._counts:
                self._counts[row_range] = len(self._reader.read([row_range]))
        return sum(self._counts[row_range] for row_range in share)

    def _random(self, turn: int, number: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, turn, self._worker, number])
