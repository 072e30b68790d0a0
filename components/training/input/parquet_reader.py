"""Transformed Parquet read as packed rows and checked, without Python code per row."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from kfp_tabular.components.common.artifacts.examples import (
    Examples,
    MissingColumnError,
    RowRange,
    ShardFile,
    share_batches,
    worker_share,
)
from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.training.input.label_scale import AS_IT_IS, LabelScale
from kfp_tabular.components.training.input.packed_rows import ColumnLayout, PackedRows, Vector

TRAIN_SPLIT = "train"
EVAL_SPLIT = "eval"

READ_ROWS = 1 << 16

SAMPLE_BYTES = 128 << 20
"""Packed rows of a sample take at most this much memory."""

_READ_BYTES = 64 << 20

_SAME_TASK = (
    "Give the transformed examples and the transform graph of the same transform_features task."
)

Keep = Callable[[PackedRows, "np.ndarray[Any, Any]"], "np.ndarray[Any, Any]"]
"""Takes rows and the number of each in its split; returns which rows are kept, as a mask."""


class Reader:
    """Reads row ranges as packed rows and checks them against the transform graph.

    Args:
        layout: The columns to read.
        task: The task; its kind decides the label's type.
        label_scale: How a regression label is standardized.
        keep: Returns which rows are read, as a mask; None reads all.
        shards: All shards of the split, which the numbers of rows for `keep` count over.
    """

    def __init__(
        self,
        layout: ColumnLayout,
        task: Task,
        label_scale: LabelScale = AS_IT_IS,
        *,
        keep: Keep | None = None,
        shards: Sequence[ShardFile] = (),
    ) -> None:
        self._layout = layout
        self._task = task
        self._label_scale = label_scale
        self._keep = keep
        starts = itertools.accumulate((shard.rows for shard in shards), initial=0)
        self._starts = dict(zip(shards, starts, strict=False))

    @property
    def reads_all(self) -> bool:
        """Whether every row of a row range is read."""
        return self._keep is None

    @property
    def row_bytes(self) -> int:
        """The size of a packed row, in bytes."""
        return self._layout.row_bytes

    def read(self, share: Sequence[RowRange]) -> PackedRows:
        """Read row ranges into one block, in their order; those of a file are adjacent.

        The block has fewer rows than the row ranges if the reader keeps only some.

        Raises:
            UserError: If a column is missing or holds nulls, or an id or a class index is out of
                range.
        """
        regression = self._task.kind == "regression"
        rows = PackedRows.empty(
            self._layout, sum(row_range.rows for row_range in share), regression=regression
        )
        position = read = 0
        numbers = None if self._keep is None else self._numbers(share)
        size = max(1, min(READ_ROWS, _READ_BYTES // self._layout.row_bytes))
        for file, batch in batches(share, self._layout.columns, size):
            target = slice(position, position + batch.num_rows)
            self._pack(batch, rows, target, file)
            if self._keep is None or numbers is None:
                position += batch.num_rows
                continue
            position += _kept(rows, target, self._keep, numbers[read : read + batch.num_rows])
            read += batch.num_rows
        if position == len(rows):
            return rows
        # Of a few rows a copy, so that the room of the others is not held.
        return rows.take(slice(0, position) if 2 * position > len(rows) else np.arange(position))

    def _numbers(self, share: Sequence[RowRange]) -> "np.ndarray[Any, Any]":
        """Return the number of each row in its split, in the order of reading."""
        by_shard: dict[ShardFile, list[RowRange]] = {}
        for row_range in share:
            by_shard.setdefault(row_range.shard, []).append(row_range)
        parts = [np.empty(0, np.int64)]
        for shard, own in by_shard.items():
            groups = list(itertools.accumulate(shard.row_groups, initial=0))
            for row_range in own:
                first = self._starts.get(shard, 0) + groups[row_range.group] + row_range.start
                parts.append(np.arange(first, first + row_range.rows))
        return np.concatenate(parts)

    def _pack(
        self, batch: pa.RecordBatch, rows: PackedRows, target: slice, file: ShardFile
    ) -> None:
        for index, name in enumerate(self._layout.numeric):
            rows.numeric[target, index] = dense(batch, name, file)
        for vector, part in self._layout.vector_slices():
            rows.numeric[target, part] = dense_vectors(batch, vector, file)
        self._require_finite(rows.numeric[target], file)
        for index, column in enumerate(self._layout.categorical):
            ids = dense(batch, column.name, file)
            if column.minimum:
                ids = ids - column.minimum
            _require_range(
                ids,
                column.size,
                f"{file}: column {column.name!r}",
                f"the ids of the transform graph. {_SAME_TASK}",
            )
            rows.categorical[target, index] = ids
        label = dense(batch, self._layout.label, file)
        if self._task.kind == "regression":
            # In double precision: in float32 a label far from 0 would lose its variation.
            rows.label[target] = self._label_scale.standardized(label)
            return
        require_class(label, len(self._task.classes), self._layout.label, file)
        rows.label[target] = label

    def _require_finite(self, numeric: "np.ndarray[Any, Any]", file: ShardFile) -> None:
        finite = np.isfinite(numeric)
        if not finite.all():
            column = int((~finite).any(axis=0).argmax())
            names = [
                *self._layout.numeric,
                *(vector.name for vector in self._layout.vectors for _ in range(vector.width)),
            ]
            raise UserError(
                f"{file}: column {names[column]!r} holds NaN or infinity in "
                f"{int((~finite[:, column]).sum())} of {len(numeric)} rows. Fill or clip it in the "
                "preprocessing function."
            )


def _kept(rows: PackedRows, target: slice, keep: Keep, numbers: "np.ndarray[Any, Any]") -> int:
    """Move the rows of a batch that are kept to its front; return their number."""
    batch = rows.take(target)
    kept = np.flatnonzero(keep(batch, numbers))
    front = slice(target.start, target.start + len(kept))
    rows.numeric[front] = batch.numeric[kept]
    rows.categorical[front] = batch.categorical[kept]
    rows.label[front] = batch.label[kept]
    return len(kept)


def batches(
    share: Sequence[RowRange], columns: Sequence[str], size: int = READ_ROWS
) -> Iterator[tuple[ShardFile, pa.RecordBatch]]:
    """Yield columns of row ranges with their shard, in their order; those of a shard are adjacent.

    Args:
        share: The row ranges.
        columns: The columns to read.
        size: The largest number of rows of a batch.

    Raises:
        UserError: If a column is missing.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import pyarrow.parquet as pq
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "train.parquet"
        ...     pq.write_table(pa.table({"fare": [4.5, 7.0, 9.5], "tip": [0, 1, 1]}), file)
        ...     share = [RowRange(ShardFile.of(file), 0, 1, 2)]
        ...     [batch.to_pydict() for _, batch in batches(share, ["tip"])]
        [{'tip': [1, 1]}]
    """
    try:
        yield from share_batches(share, columns, size)
    except MissingColumnError as error:
        raise UserError(
            f"{error.shard} lacks column {error.column!r} of the transform graph. {_SAME_TASK}"
        ) from error


def dense(batch: pa.RecordBatch, name: str, file: object) -> "np.ndarray[Any, Any]":
    """Return a column as an array of numbers.

    Raises:
        UserError: If it holds nulls or is not numeric.

    Example:
        >>> batch = pa.record_batch({"age": [30, 41], "fare": [7.5, None]})
        >>> dense(batch, "age", "train.parquet")
        array([30, 41])
        >>> dense(batch, "fare", "train.parquet")
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: train.parquet: column 'fare' has 1 missing
        values. Transformed columns must have none: fill them in the preprocessing function.
    """
    column = batch.column(name)
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise UserError(
            f"{file}: column {name!r} is {column.type}, not a number. Encode it in the "
            "preprocessing function."
        )
    return _numbers(column, name, file)


def dense_vectors(batch: pa.RecordBatch, vector: Vector, file: object) -> "np.ndarray[Any, Any]":
    """Return a column of vectors as a matrix, shape `[rows, width]`.

    Raises:
        UserError: If it holds nulls, or no vectors of that width.

    Example:
        >>> column = pa.array([[0.5, 1.5], [2.5, 3.5]], pa.list_(pa.float32(), 2))
        >>> batch = pa.record_batch({"note": column})
        >>> dense_vectors(batch, Vector("note", 2), "train.parquet").tolist()
        [[0.5, 1.5], [2.5, 3.5]]
    """
    column = batch.column(vector.name)
    kind = column.type
    if not pa.types.is_fixed_size_list(kind) or kind.list_size != vector.width:
        raise UserError(
            f"{file}: column {vector.name!r} is {kind}, not a vector of {vector.width} numbers. "
            f"{_SAME_TASK}"
        )
    # `values` ignores the offset of a slice, `flatten` does not.
    return _numbers(column.flatten(), vector.name, file).reshape(-1, vector.width)


def _numbers(column: pa.Array, name: str, file: object) -> "np.ndarray[Any, Any]":
    if column.null_count:
        raise UserError(
            f"{file}: column {name!r} has {column.null_count} missing values. Transformed columns "
            "must have none: fill them in the preprocessing function."
        )
    # to_numpy would import pandas, which takes longer than reading a million rows.
    width = column.type.bit_width // 8
    code = (
        "f"
        if pa.types.is_floating(column.type)
        else "iu"[pa.types.is_unsigned_integer(column.type)]
    )
    dtype = np.dtype(f"{code}{width}")
    return np.frombuffer(column.buffers()[1], dtype, len(column), column.offset * width)


def sample(reader: Reader, shards: Sequence[ShardFile], most: int, groups: int = 8) -> PackedRows:
    """Read a sample spread over a split, or all of the split if it is small enough.

    It takes evenly spaced row groups, then evenly spaced rows, so that the order of rows (by time,
    by class) does not bias the sample and a huge split is not read completely.

    Args:
        reader: Reads the row ranges.
        shards: The split's shards.
        most: Largest number of rows. Rows with wide vectors are fewer, see `SAMPLE_BYTES`.
        groups: Largest number of row groups to read from a split with more rows than `most`.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import pyarrow.parquet as pq
        >>> reader = Reader(ColumnLayout("tip", ("fare",), ()), Task("regression", "tip"))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "eval.parquet"
        ...     pq.write_table(pa.table({"fare": np.arange(9.0), "tip": np.zeros(9)}), file)
        ...     sample(reader, [ShardFile.of(file)], most=3).numeric.ravel()
        array([0., 4., 8.], dtype=float32)
    """
    share = worker_share(shards)
    room = most_sampled(reader)
    most = min(most, room)
    total = sum(row_range.rows for row_range in share)
    if total <= most:
        return reader.read(share)
    # Reading all of a large split, only to take a part, would need too much memory.
    is_large = total > 2 * room
    if is_large:
        groups = max(groups, -(-most * len(share) // total))
    if len(share) > groups:
        picked = np.unique(np.linspace(0, len(share) - 1, groups).round().astype(int))
        # Row groups may be tiny; then read all of them.
        if is_large or sum(share[index].rows for index in picked) >= most:
            share = [share[index] for index in picked]
    rows = reader.read(share)
    most = min(most, len(rows))
    return rows.take(np.linspace(0, len(rows) - 1, most).round().astype(np.int64))


def most_sampled(reader: Reader) -> int:
    """Return how many rows a sample has at most, for its memory."""
    return max(1, SAMPLE_BYTES // reader.row_bytes)


def require_rows(examples: Examples) -> dict[str, int]:
    """Return the number of rows by split.

    Raises:
        UserError: If the train split is missing or empty.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from kfp_tabular.components.common.artifacts.examples import ExamplesWriter
        >>> table = pa.table({"fare": [4.5, 7.0]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with ExamplesWriter(folder, table.schema, ["train", "eval"]) as writer:
        ...         writer.write("train", table)
        ...     require_rows(Examples(Path(folder)))
        {'eval': 0, 'train': 2}
    """
    examples.require(TRAIN_SPLIT)
    rows = examples.rows()
    if not rows[TRAIN_SPLIT]:
        raise UserError(
            f"{examples.path}: the split {TRAIN_SPLIT!r} has no rows. Give it a larger share in "
            "ingest_data's split_fractions."
        )
    return rows


def require_class(values: "np.ndarray[Any, Any]", classes: int, label: str, file: object) -> None:
    """Check that labels are class indices.

    Raises:
        UserError: If one is not.

    Example:
        >>> require_class(np.array([0, 1, 2]), 3, "species", "train.parquet")
        >>> require_class(np.array([1, 2, 3]), 3, "species", "train.parquet")
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: train.parquet: label 'species' holds 3,
        outside 0 to 2, the 3 classes of task.json. ...
    """
    whole = np.issubdtype(values.dtype, np.integer) or bool((values == np.floor(values)).all())
    if not whole:
        raise UserError(
            f"{file}: label {label!r} holds fractions; the preprocessing function must return it "
            "as class indices from 0. To predict a number, set the task to regression."
        )
    _require_range(
        values,
        classes,
        f"{file}: label {label!r}",
        f"the {classes} classes of task.json. The preprocessing function must return the label "
        "as class indices from 0.",
    )


def _require_range(values: "np.ndarray[Any, Any]", size: int, where: str, remedy: str) -> None:
    if not len(values):
        return
    smallest, largest = values.min(), values.max()
    if smallest < 0 or largest >= size:
        found = smallest if smallest < 0 else largest
        raise UserError(f"{where} holds {found}, outside 0 to {size - 1}, {remedy}")
