"""Columns against a schema, row by row where it matters: which types fit, what lies outside."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.data_validation.schema import arrow_type, texts

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

_WHOLE = r"^-?[0-9]{1,18}$"  # what surely fits 64 bits
_NUMBER = r"^-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_LARGEST_WHOLE = 2.0**63

Outside = Callable[[pa.Array], pa.Array]
"""Takes a column without nulls; tells of each value whether it breaks the rule."""


@dataclass(frozen=True)
class Counted:
    """Values that break a rule.

    Attributes:
        rows: How many rows hold one.
        values: The most frequent ones.
    """

    rows: int
    values: tuple[str, ...]


@dataclass(frozen=True)
class Types:
    """How the columns' types compare with a schema's.

    Attributes:
        casts: Columns that are to be read as the schema's type: every value fits it. Whole
            numbers where numbers are expected are the usual case.
        misfits: What does not fit, by column and split; every split that has such a row.
    """

    casts: Mapping[str, pa.DataType]
    misfits: Mapping[str, Mapping[str, Counted]]


def compare_types(examples: Examples, schema: "schema_pb2.Schema") -> Types:
    """Finds out which columns of another type than the schema's can be read as that.

    A column fits where the transform and the served model, which convert in the same way, would
    take all of its values.

    Args:
        examples: The data.
        schema: What they should be like. Columns that it does not name are left alone.
    """
    columns = dict(zip(examples.schema.names, examples.schema.types, strict=True))
    casts, misfits = {}, {}
    for feature in schema.feature:
        wanted, actual = arrow_type(feature), columns.get(feature.name)
        if actual is None or actual == wanted:
            continue
        rule = _misfit(actual, wanted)
        found = {s: count(examples, s, feature.name, rule) for s in examples.splits}
        if any(counted.rows for counted in found.values()):
            misfits[feature.name] = {s: c for s, c in found.items() if c.rows}
        else:
            casts[feature.name] = wanted
    return Types(casts, misfits)


def count(examples: Examples, split: str, column: str, rule: Outside, most: int = 5) -> Counted:
    """Counts the rows of a split whose value breaks a rule.

    Args:
        examples: The data.
        split: Where to look.
        column: Which column.
        rule: What to look for.
        most: How many distinct values to name.
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
    return Counted(rows, tuple(frequent[:most]))


def outside_domain(schema: "schema_pb2.Schema", feature: "schema_pb2.Feature") -> Outside | None:
    """Gives the rule that a feature's domain makes, for columns of the feature's type.

    Args:
        schema: The schema, which may hold the domain.
        feature: The feature.

    Returns:
        None where any value will do.
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


def _misfit(actual: pa.DataType, wanted: pa.DataType) -> Outside:
    """Gives the rule for values of one type that cannot be read as another."""
    if pa.types.is_string(actual):
        pattern = _WHOLE if pa.types.is_integer(wanted) else _NUMBER
        return lambda column: pc.invert(pc.match_substring_regex(column, pattern))
    if pa.types.is_integer(actual):
        return lambda column: pc.invert(column.is_valid())  # none: whole numbers fit anything
    if pa.types.is_integer(wanted):
        return _not_whole
    return lambda column: column.is_valid()  # all of them: decimals have no one way to be text


def _not_whole(column: pa.Array) -> pa.Array:
    whole = pc.equal(pc.trunc(column), column)
    small = pc.less(pc.abs(column), _LARGEST_WHOLE)
    return pc.invert(pc.and_(whole, small))
