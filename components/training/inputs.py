"""Transformed Parquet as shuffled, packed rows, without a line of Python per row.

Row groups are read in a seeded random order into a buffer of up to a million rows; rows leave the
buffer in the order of one random permutation, whole batches at a time, while the next buffer is
read in the background. The order is a function of (seed, pass, worker, buffer) alone, so that a
resumed run finds its place without reading what it has seen.
"""

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.examples import Examples
from kfp_tabular.components.common.task import Task
from kfp_tabular.components.training.layout import Layout, Rows

TRAIN_SPLIT = "train"
EVAL_SPLIT = "eval"

_BUFFER_ROWS = 1 << 20
_BUFFER_BYTES = 256 << 20
_READ_ROWS = 1 << 16

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Piece:
    """Some consecutive rows of a row group.

    Attributes:
        file: The Parquet file.
        group: Index of the row group in the file.
        start: The first row, counted in the row group.
        rows: How many rows.
    """

    file: Path
    group: int
    start: int
    rows: int


def pieces(files: Sequence[Path], worker: int = 0, workers: int = 1) -> list[Piece]:
    """Gives a worker's share of a split: one run of rows, equal to every other's to within a row.

    Args:
        files: The split's Parquet files, in order.
        worker: Index of the worker.
        workers: Number of workers.

    Returns:
        Row groups, whole or in part, in the order they were written; empty ones are left out.
    """
    groups: list[tuple[Path, int, int]] = []
    for file in files:
        metadata = pq.read_metadata(file)
        groups.extend(
            (file, index, metadata.row_group(index).num_rows)
            for index in range(metadata.num_row_groups)
        )
    total = sum(rows for _, _, rows in groups)
    first, end = total * worker // workers, total * (worker + 1) // workers
    share, position = [], 0
    for file, index, rows in groups:
        start, stop = max(first - position, 0), min(end - position, rows)
        if stop > start:
            share.append(Piece(file, index, start, stop - start))
        position += rows
    return share


class Reader:
    """Reads pieces as packed rows, and checks what the transform promised.

    Args:
        layout: The columns to read.
        task: The task; its kind decides the label's type.
        target_mean: Taken off a regression label.
        target_scale: A regression label is divided by this.
    """

    def __init__(
        self, layout: Layout, task: Task, target_mean: float = 0.0, target_scale: float = 1.0
    ) -> None:
        self._layout = layout
        self._task = task
        self._mean = target_mean
        self._scale = target_scale

    def read(self, share: Sequence[Piece]) -> Rows:
        """Reads pieces, grouped by file, into one block.

        Raises:
            UserError: Where a column is missing or holds nulls, or an id or a class index is out
                of its range.
        """
        regression = self._task.kind == "regression"
        rows = Rows.empty(
            self._layout, sum(piece.rows for piece in share), regression=regression
        )
        position = 0
        for file in dict.fromkeys(piece.file for piece in share):
            for batch in self._batches(file, [piece for piece in share if piece.file == file]):
                self._pack(batch, rows, position, file)
                position += batch.num_rows
        return rows

    def _batches(self, file: Path, share: Sequence[Piece]) -> Iterator[pa.RecordBatch]:
        columns = self._layout.columns
        with pq.ParquetFile(file, memory_map=True) as parquet:
            missing = [name for name in columns if name not in parquet.schema_arrow.names]
            if missing:
                raise UserError(
                    f"{file}: no column {missing[0]!r}, which the transform graph writes. Give "
                    "the transformed examples and the transform graph of the same "
                    "transform_features task."
                )
            whole = {
                piece.group: piece.rows == parquet.metadata.row_group(piece.group).num_rows
                for piece in share
            }
            groups = [piece.group for piece in share if whole[piece.group]]
            if groups:
                yield from parquet.iter_batches(
                    batch_size=_READ_ROWS, row_groups=groups, columns=columns
                )
            for piece in share:
                if not whole[piece.group]:
                    table = parquet.read_row_group(piece.group, columns=columns)
                    yield from table.slice(piece.start, piece.rows).to_batches(_READ_ROWS)

    def _pack(self, batch: pa.RecordBatch, rows: Rows, position: int, file: Path) -> None:
        here = slice(position, position + batch.num_rows)
        for index, name in enumerate(self._layout.numeric):
            rows.numeric[here, index] = _dense(batch, name, file)
        for index, column in enumerate(self._layout.categorical):
            ids = _dense(batch, column.name, file)
            _require_range(
                ids,
                column.minimum,
                column.minimum + column.size,
                f"{file}: column {column.name!r}",
                "the transform graph's vocabulary. Give the transformed examples and the "
                "transform graph of the same transform_features task.",
            )
            rows.categorical[here, index] = ids - column.minimum if column.minimum else ids
        label = _dense(batch, self._layout.label, file)
        if self._task.kind == "regression":
            rows.label[here] = (label.astype(np.float64) - self._mean) / self._scale
            return
        _require_range(
            label,
            0,
            len(self._task.classes),
            f"{file}: label {self._layout.label!r}",
            f"the {len(self._task.classes)} classes of task.json. The preprocessing function must "
            "return the label as class indices from 0.",
        )
        rows.label[here] = label


def _dense(batch: pa.RecordBatch, name: str, file: Path) -> "np.ndarray[Any, Any]":
    column = batch.column(name)
    if column.null_count:
        raise UserError(
            f"{file}: column {name!r} has {column.null_count} missing values. Transformed columns "
            "hold none: fill them in the preprocessing function."
        )
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise UserError(
            f"{file}: column {name!r} is {column.type}, not a number. Encode it in the "
            "preprocessing function."
        )
    return np.asarray(column.to_numpy(zero_copy_only=False))


def _require_range(
    values: "np.ndarray[Any, Any]", low: int, high: int, where: str, remedy: str
) -> None:
    if not len(values):
        return
    smallest, largest = values.min(), values.max()
    if smallest < low or largest >= high or smallest != smallest:  # noqa: PLR0124 - NaN
        found = largest if largest >= high else smallest
        raise UserError(f"{where} holds {found}, outside {low} to {high - 1}, {remedy}")


class TrainingInput:
    """An endless, shuffled stream of a worker's rows; every pass holds every row once.

    Args:
        reader: Reads the pieces.
        share: The worker's pieces; at least one row.
        seed: Seed of the order.
        worker: Index of the worker.
        start: Rows of the stream to skip, as a resumed run does.
        buffer_rows: Rows that are shuffled together; 0 takes as many as fit 256 MiB, at most
            1,048,576.
        row_bytes: Size of a packed row.
    """

    def __init__(
        self,
        reader: Reader,
        share: Sequence[Piece],
        *,
        seed: int,
        worker: int = 0,
        start: int = 0,
        buffer_rows: int = 0,
        row_bytes: int = 128,
    ) -> None:
        self.rows = sum(piece.rows for piece in share)
        self._reader = reader
        self._share = list(share)
        self._seed = seed
        self._worker = worker
        self._buffer_rows = buffer_rows or min(_BUFFER_ROWS, _BUFFER_BYTES // row_bytes)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="training-input")
        self._whole: Rows | None = None
        self._blocks = self._stream(start)
        self._block, self._order = next(self._blocks)
        self._position = 0

    def take(self, rows: int) -> Rows:
        """Gives the next rows of the stream."""
        parts = []
        while rows:
            if self._position == len(self._order):
                self._block, self._order = next(self._blocks)
                self._position = 0
            index = self._order[self._position : self._position + rows]
            parts.append(self._block.take(index))
            self._position += len(index)
            rows -= len(index)
        return Rows.concatenate(parts)

    def close(self) -> None:
        """Stops reading ahead."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _stream(self, start: int) -> Iterator[tuple[Rows, "np.ndarray[Any, Any]"]]:
        plan = self._plan(start)
        ahead = self._submit(next(plan))
        while True:
            block, order = ahead.result()
            ahead = self._submit(next(plan))
            yield block, order
            # Two blocks at a time are enough: the one in use and the one being read.
            del block, order

    def _submit(
        self, planned: tuple[int, int, list[Piece], int]
    ) -> "Future[tuple[Rows, np.ndarray[Any, Any]]]":
        return self._pool.submit(self._load, *planned)

    def _load(
        self, turn: int, number: int, share: list[Piece], skip: int
    ) -> tuple[Rows, "np.ndarray[Any, Any]"]:
        if self._whole is not None:
            block = self._whole
        else:
            block = self._reader.read(share)
            if len(block) == self.rows:
                # Rows are read in file order, so the one block is the same on every pass.
                self._whole = block
        order = self._random(turn, number + 1).permutation(len(block))
        return block, order[skip:]

    def _plan(self, start: int) -> Iterator[tuple[int, int, list[Piece], int]]:
        turn, skip = divmod(start, self.rows)
        while True:
            for number, share in enumerate(self._blocks_of(turn)):
                rows = sum(piece.rows for piece in share)
                if skip >= rows:
                    skip -= rows
                    continue
                yield turn, number, share, skip
                skip = 0
            turn += 1

    def _blocks_of(self, turn: int) -> Iterator[list[Piece]]:
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

    def _random(self, turn: int, number: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, turn, self._worker, number])


def sample(reader: Reader, files: Sequence[Path], most: int, groups: int = 8) -> Rows:
    """Reads a spread sample of a split; all of it where it is small enough.

    Evenly spaced row groups, then evenly spaced rows, so that an order in the file (by time, by
    class) does not bias the sample and a huge split is not read whole.

    Args:
        reader: Reads the pieces.
        files: The split's files.
        most: The largest number of rows.
        groups: The largest number of row groups to read from a split with more rows than `most`.
    """
    share = pieces(files)
    if sum(piece.rows for piece in share) <= most:
        return reader.read(share)
    if len(share) > groups:
        picked = np.unique(np.linspace(0, len(share) - 1, groups).round().astype(int))
        # Row groups may be tiny: go on until there are enough rows.
        if sum(share[index].rows for index in picked) >= most:
            share = [share[index] for index in picked]
    rows = reader.read(share)
    return rows.take(np.linspace(0, len(rows) - 1, most).round().astype(np.int64))


def target_moments(files: Sequence[Path], label: str) -> tuple[float, float]:
    """Gives mean and standard deviation of a regression label, in one pass over that column.

    Args:
        files: The train split's files.
        label: The label's column.

    Returns:
        The mean and the (population) standard deviation; 1 in place of a deviation of 0.

    Raises:
        UserError: Where a label is missing or not finite.
    """
    count, mean, squares = 0, 0.0, 0.0
    for file in files:
        with pq.ParquetFile(file, memory_map=True) as parquet:
            for batch in parquet.iter_batches(batch_size=_READ_ROWS, columns=[label]):
                values = np.asarray(
                    pc.cast(batch.column(0), pa.float64()).to_numpy(zero_copy_only=False)
                )
                bad = int((~np.isfinite(values)).sum())
                if bad:
                    raise UserError(
                        f"{file}: label {label!r} is missing or not finite in {bad} rows. "
                        "Drop these rows before training."
                    )
                # Chan's update of the moments: sums of squares would cancel for large labels.
                rows = len(values)
                if not rows:
                    continue
                delta = values.mean() - mean
                total = count + rows
                squares += ((values - values.mean()) ** 2).sum() + delta**2 * count * rows / total
                mean += delta * rows / total
                count = total
    deviation = float(np.sqrt(squares / count)) if count else 0.0
    return float(mean), deviation or 1.0


def require_rows(examples: Examples) -> dict[str, int]:
    """Gives the number of rows by split, where there is something to train on.

    Raises:
        UserError: Where the train split is missing or empty.
    """
    examples.require(TRAIN_SPLIT)
    rows = examples.rows()
    if not rows[TRAIN_SPLIT]:
        raise UserError(
            f"{examples.path}: the split {TRAIN_SPLIT!r} has no rows. Give it a larger share in "
            "ingest_data's split_fractions."
        )
    return rows
