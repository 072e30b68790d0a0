"""TFDV statistics of every split, computed from Arrow record batches.

A fold over pieces of the examples, with bounded memory: no Beam pipeline (its runner copies the
data in and out), and no Python code per row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.artifacts import example_pieces
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.local_engine import LocalEngine
from kfp_tabular.components.common.statistics import lean_tfdv, split_folds, tfdv_protos
from kfp_tabular.components.common.statistics.column_folds import NumberColumn, TextColumn
from kfp_tabular.components.common.statistics.split_folds import SplitStatistics, StatisticsFold
from kfp_tabular.components.common.statistics.text_times import TextTimeFormat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tensorflow_metadata.proto.v0 import statistics_pb2

    from kfp_tabular.components.common.processing.accumulator import Rows
    from kfp_tabular.components.common.processing.pieces import Piece

_SPLIT_ORDER = {"train": 0, "eval": 1, "test": 2}  # splits are listed in this order
_CELLS_PER_BATCH = 4_000_000
_LARGEST_BATCH = 131_072
_DRAWN_CELLS = 4_000_000
_DRAWN_ROWS = 20_000
_DRAWN_TIMES = 4_000  # rows of a text column of times; each is parsed by itself

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ExampleStatistics:
    """The statistics of examples.

    Attributes:
        protos: By split, train first: a list proto with one dataset. Features have the order of
            the columns. The dataset of a split without rows has no features.
        times: By column, the formats of times that every text has, most specific first.
        splits: The statistics that the protos were made from, by split.
    """

    protos: dict[str, "statistics_pb2.DatasetFeatureStatisticsList"]
    times: Mapping[str, list[TextTimeFormat]]
    splits: Mapping[str, SplitStatistics]

    @property
    def samples(self) -> dict[str, dict[str, Floats]]:
        """Finite values of the numeric columns that lie as all do, by split and column."""
        found = {}
        for split, statistics in self.splits.items():
            numbers = {
                name: column
                for name, column in statistics.columns.items()
                if isinstance(column, NumberColumn)
            }
            most = max(500, min(_DRAWN_ROWS, _DRAWN_CELLS // max(len(numbers), 1)))
            found[split] = {name: column.spread(most) for name, column in numbers.items()}
        return {split: found.get(split, {}) for split in self.protos}

    def time_texts(self, written: frozenset[str] = frozenset()) -> dict[str, dict[str, list[str]]]:
        """Return random samples of the text columns that hold times, by split and column.

        Args:
            written: Columns that hold times in other formats than ISO 8601.
        """
        wanted = {*self.times, *written}
        return {
            split: {
                name: statistics.texts[name][:_DRAWN_TIMES].drop_null().to_pylist()
                for name in statistics.texts.column_names
                if name in wanted
            }
            for split, statistics in self.splits.items()
        }


@dataclass(frozen=True)
class _Cast:
    """Reads pieces with some columns as another type."""

    reader: example_pieces.PieceReader
    casts: Mapping[str, pa.DataType]

    def __call__(self, piece: "Piece") -> "Iterator[Rows]":
        for rows in self.reader(piece):
            yield rows.with_batch(cast(rows.batch, self.casts))


def compute(
    examples: Examples,
    casts: Mapping[str, pa.DataType],
    engine: Engine | None = None,
    piece_rows: int = 0,
) -> ExampleStatistics:
    """Compute the statistics of every split.

    Args:
        examples: The data.
        casts: Columns to read as another type, by name; all their values must fit it.
        engine: What runs the fold; None for threads of this process.
        piece_rows: The wanted number of rows of a piece; 0 for the usual one.

    Raises:
        UserError: A column is neither number nor text.
    """
    columns = examples.schema.names
    schema = pa.schema(
        [(name, casts.get(name, examples.schema.field(name).type)) for name in columns]
    )
    for entry in schema:
        if not split_folds.is_supported(entry.type):
            raise UserError(
                f"{examples.path}: column {entry.name!r} has the Arrow type {entry.type}. Examples "
                "hold numbers and text; ingest the data again."
            )
    # Here and not in threads: while it runs, some packages cannot be imported.
    lean_tfdv.load()
    size = max(1024, min(_LARGEST_BATCH, _CELLS_PER_BATCH // max(len(columns), 1)))
    ordered = sorted(
        examples.splits, key=lambda name: (_SPLIT_ORDER.get(name, len(_SPLIT_ORDER)), name)
    )
    found = (engine or LocalEngine()).fold(
        [
            piece
            for split in ordered
            for piece in example_pieces.pieces(examples, split, piece_rows)
        ],
        lambda: StatisticsFold(schema),
        _Cast(example_pieces.reader(examples, batch_size=size), casts),
        what="statistics",
    )
    return ExampleStatistics(
        protos=tfdv_protos.to_protos(found, ordered, columns),
        times=_times(found),
        splits=found,
    )


def cast(batch: pa.RecordBatch, casts: Mapping[str, pa.DataType]) -> pa.RecordBatch:
    """Return a batch with some columns cast to another type.

    Args:
        batch: The data.
        casts: The types, by column.

    Example:
        >>> batch = pa.RecordBatch.from_pydict({"x": [1, 2]})
        >>> cast(batch, {"x": pa.float64()}).schema.field("x").type
        DataType(double)
    """
    if not casts:
        return batch
    names = batch.schema.names
    columns = [
        pc.cast(column, casts[name], safe=casts[name] != pa.float64()) if name in casts else column
        for name, column in zip(names, batch.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, names=names)


def _times(found: Mapping[str, SplitStatistics]) -> dict[str, list[TextTimeFormat]]:
    """Return the formats that all texts of a column have in all splits."""
    times: dict[str, list[TextTimeFormat]] = {}
    for statistics in found.values():
        for name, column in statistics.columns.items():
            if isinstance(column, TextColumn) and column.present:
                before = times.get(name, column.times)
                times[name] = [form for form in before if form in column.times]
    return {name: forms for name, forms in times.items() if forms}
