"""Rules for the values of a column, and the rows that break them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.data_validation.schema_features import texts

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

ValueRule = Callable[[pa.Array], pa.Array]
"""Takes a column without nulls; returns for each value whether it breaks the rule."""


@dataclass(frozen=True)
class CountedValues:
    """Values that break a rule.

    Attributes:
        rows: The number of rows that hold one.
        values: The most frequent of them, as text.
    """

    rows: int
    values: tuple[str, ...]


def count(
    examples: Examples, split: str, column: str, rule: ValueRule, most: int = 5
) -> CountedValues:
    """Count the rows of a split whose value breaks a rule.

    Args:
        examples: The data.
        split: The split.
        column: The column.
        rule: The rule.
        most: The number of distinct values to return.

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
    rows, values = 0, Counter[str]()
    for batch in examples.batches(split, columns=[column]):
        present = batch.column(0).drop_null()
        broken = present.filter(rule(present))
        rows += len(broken)
        if len(values) < 1000:
            tallied = pc.value_counts(broken)
            pairs = zip(tallied.field("values"), tallied.field("counts"), strict=True)
            values.update({str(value.as_py()): number.as_py() for value, number in pairs})
    frequent = sorted(values, key=lambda value: (-values[value], value))
    return CountedValues(rows, tuple(frequent[:most]))


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
