"""Which columns can be read as the types that a schema gives them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.data_validation.schema_features import arrow_type
from kfp_tabular.components.data_validation.value_rules import CountedValues, ValueRule, count

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

_WHOLE = r"^-?[0-9]{1,18}$"  # up to 18 digits always fit 64 bits
_NUMBER = r"^-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_LARGEST_WHOLE = 2.0**63


@dataclass(frozen=True)
class TypeFit:
    """How the columns' types compare with those of a schema.

    Attributes:
        casts: Columns of another type whose values all fit the schema's type: read them as that
            type. Usually whole numbers where the schema has numbers.
        misfits: Values that do not fit, by column and split; only splits that have some.
    """

    casts: Mapping[str, pa.DataType]
    misfits: Mapping[str, Mapping[str, CountedValues]]


def compare_types(
    examples: Examples, schema: "schema_pb2.Schema", engine: Engine | None = None
) -> TypeFit:
    """Compare the columns' types with a schema's.

    A column fits where the transform and the served model, which convert in the same way, accept
    all of its values.

    Args:
        examples: The data.
        schema: The schema. Columns that it lacks are ignored.
        engine: What counts rows; None for threads of this process.
    """
    columns = dict(zip(examples.schema.names, examples.schema.types, strict=True))
    casts, misfits = {}, {}
    for feature in schema.feature:
        wanted, actual = arrow_type(feature), columns.get(feature.name)
        if actual is None or actual == wanted:
            continue
        rule = _misfit(actual, wanted)
        found = {s: count(examples, s, feature.name, rule, engine=engine) for s in examples.splits}
        if any(counted.rows for counted in found.values()):
            misfits[feature.name] = {s: c for s, c in found.items() if c.rows}
        else:
            casts[feature.name] = wanted
    return TypeFit(casts, misfits)


def _misfit(actual: pa.DataType, wanted: pa.DataType) -> ValueRule:
    """Return the rule that values of one type break where they cannot be read as another."""
    if pa.types.is_string(actual):
        pattern = _WHOLE if pa.types.is_integer(wanted) else _NUMBER
        return lambda column: pc.invert(pc.match_substring_regex(column, pattern))
    if pa.types.is_integer(actual):
        return lambda column: pc.invert(
            column.is_valid()
        )  # no row breaks it: whole numbers fit every type
    if pa.types.is_integer(wanted):
        return _not_whole
    return lambda column: (
        column.is_valid()
    )  # every row breaks it: a fraction can be written in many ways


def _not_whole(column: pa.Array) -> pa.Array:
    whole = pc.equal(pc.trunc(column), column)
    small = pc.less(pc.abs(column), _LARGEST_WHOLE)
    return pc.invert(pc.and_(whole, small))
