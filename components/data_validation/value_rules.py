"""Rules for the values of a column, and the rows that break them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.artifacts import example_pieces
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.processing.accumulator import Rows
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.folds.value_counts import ValueCounts
from kfp_tabular.components.common.processing.local_engine import LocalEngine
from kfp_tabular.components.data_validation.schema_features import texts

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

_COUNTED_VALUES = 20_000

ValueRule = Callable[[pa.Array], pa.Array]
"""Takes a column without nulls; returns for each value whether it breaks the rule."""


@dataclass(frozen=True)
class CountedValues:
    """Values that break a rule.

    Attributes:
        rows: The number of rows that hold one.
        values: The most frequent of them, as text; of more than 20,000 different ones, the lowest.
    """

    rows: int
    values: tuple[str, ...]


def count(
    examples: Examples,
    split: str,
    column: str,
    rule: ValueRule,
    most: int = 5,
    engine: Engine | None = None,
) -> CountedValues:
    """Count the rows of a split whose value breaks a rule.

    Args:
        examples: The data.
        split: The split.
        column: The column.
        rule: The rule.
        most: The number of distinct values to return.
        engine: What runs the fold; None for threads of this process.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import pyarrow.parquet as pq
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Path(folder, "split=train").mkdir()
        ...     pq.write_table(pa.table({"hour": [5, 24, 24]}), f"{folder}/split=train/0.parquet")
        ...     count(Examples(Path(folder)), "train", "hour", lambda hours: pc.greater(hours, 23))
        CountedValues(rows=2, values=('24',))
    """
    return (engine or LocalEngine()).fold(
        example_pieces.pieces(examples, split),
        lambda: BrokenValues(rule, most),
        example_pieces.reader(examples, [column]),
    )


class BrokenValues:
    """Accumulates the values of a column that break a rule.

    Args:
        rule: The rule.
        most: The number of distinct values to return.

    Example:
        >>> broken = BrokenValues(lambda hours: pc.greater(hours, 23), most=5)
        >>> broken.add(Rows(pa.RecordBatch.from_pydict({"hour": [5, 24, 24]}), first=0))
        >>> broken.result()
        CountedValues(rows=2, values=('24',))
    """

    def __init__(self, rule: ValueRule, most: int) -> None:
        self._rule = rule
        self._most = most
        self._rows = 0
        self._counts = ValueCounts(_COUNTED_VALUES, hashes=0)
        # Those that are named where there are too many to count.
        self._lowest: list[Any] = []

    def add(self, batch: Rows) -> None:
        """Add rows with one column."""
        present = batch.batch.column(0).drop_null()
        broken = present.filter(self._rule(present))
        if not len(broken):
            return
        self._rows += len(broken)
        counts = pc.value_counts(broken)
        values = counts.field("values")
        self._counts.add_counts(values, counts.field("counts"))
        lowest = values.take(pc.array_sort_indices(values)[: self._most])
        self._keep(lowest.to_pylist())

    def merge(self, other: "BrokenValues") -> None:
        """Add what another accumulator has seen."""
        self._rows += other._rows
        self._counts.merge(other._counts)
        self._keep(other._lowest)

    def state(self) -> bytes:
        """Return the state as bytes."""
        parts = {"rows": self._rows, "counts": self._counts.state(), "lowest": self._lowest}
        return states.pack(parts)

    def from_state(self, state: bytes) -> "BrokenValues":
        """Return an accumulator with a state."""
        parts = states.unpack(state)
        found = BrokenValues(self._rule, self._most)
        found._rows, found._lowest = parts["rows"], parts["lowest"]
        found._counts = self._counts.from_state(parts["counts"])
        return found

    def result(self) -> CountedValues:
        """Return how many rows there are, and the most frequent values."""
        if not self._counts.result().are_exact:
            return CountedValues(self._rows, tuple(str(value) for value in self._lowest))
        rows: dict[str, int] = {}
        for value, count in self._counts.ranked():
            rows[str(value)] = rows.get(str(value), 0) + count
        frequent = sorted(rows, key=lambda value: (-rows[value], value))
        return CountedValues(self._rows, tuple(frequent[: self._most]))

    def _keep(self, values: list[Any]) -> None:
        self._lowest = sorted({*self._lowest, *values})[: self._most]


def outside_domain(schema: "schema_pb2.Schema", feature: "schema_pb2.Feature") -> ValueRule | None:
    """Return the rule that a feature's domain sets, for columns of the feature's type.

    Args:
        schema: The schema, which may hold the domain.
        feature: The feature.

    Returns:
        The rule, or None where the feature may hold any value.

    Example:
        >>> from tensorflow_metadata.proto.v0 import schema_pb2
        >>> schema = schema_pb2.Schema()
        >>> hour = schema.feature.add(name="hour", type=schema_pb2.INT)
        >>> hour.int_domain.min, hour.int_domain.max = 0, 23
        >>> rule = outside_domain(schema, hour)
        >>> rule(pa.array([0, 23, 24])).to_pylist()
        [False, False, True]
    """
    allowed = texts(schema, feature)
    if allowed is not None:
        accepted = pa.array(allowed, pa.string())
        return lambda column: pc.invert(pc.is_in(column, value_set=accepted))
    kind = feature.WhichOneof("domain_info")
    if kind == "bool_domain":
        words = [feature.bool_domain.true_value, feature.bool_domain.false_value]
        return lambda column: pc.invert(pc.is_in(column, value_set=_booleans(column.type, words)))
    if kind not in ("int_domain", "float_domain"):
        return None
    domain = getattr(feature, kind)
    low = domain.min if domain.HasField("min") else None
    high = domain.max if domain.HasField("max") else None
    if low is None and high is None:
        return None
    return lambda column: _outside(column, low, high)


def _outside(column: pa.Array, low: float | None, high: float | None) -> pa.Array:
    below = [] if low is None else [pc.less(column, pa.scalar(low, column.type))]
    above = [] if high is None else [pc.greater(column, pa.scalar(high, column.type))]
    return reduce(pc.or_, below + above)


def _booleans(kind: pa.DataType, words: list[str]) -> pa.Array:
    if pa.types.is_string(kind):
        return pa.array([word for word in words if word], pa.string())
    return pa.array([0, 1]).cast(kind)
