"""Converts a column to the types of the examples, as it was decided."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.values import arrays, reading
from kfp_tabular.components.common.values.arrays import Mask
from kfp_tabular.components.common.values.column_format import ColumnFormat
from kfp_tabular.components.data_ingestion.columns.column_decision import Decision

_EXACT_DOUBLE = 2.0**53
_NAIVE = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f")


@dataclass(frozen=True)
class Converted:
    """A column as in the examples.

    Attributes:
        values: `int64`, `float64` or `string`; missing is null.
        odd: A mask of the rows whose value does not fit, which are null; None where there are none.
        derived: The columns that are derived from it, by name.
    """

    values: pa.Array
    odd: Mask | None = None
    derived: Mapping[str, pa.Array] = field(default_factory=dict)


def convert(values: pa.Array, decision: Decision, numbers: pa.Array | None = None) -> Converted:
    """Convert part of a column.

    Args:
        values: Text as in CSV, or what `typed_columns.plain` returns.
        decision: How to read the column.
        numbers: The values as plain numbers, where `observe` found that they are.

    Example:
        >>> price = Decision(ColumnFormat("number"))
        >>> converted = convert(pa.array(["1.5", "n/d", "?x"]), price)
        >>> converted.values.to_pylist(), converted.odd.tolist()
        ([1.5, None, None], [False, False, True])
    """
    given = decision.format
    if not pa.types.is_string(values.type):
        return _stated(values, decision)
    is_count = given.time is not None and bool(given.time.unit)
    if (
        numbers is not None
        and not given.missing
        and (given.kind in ("integer", "number") or is_count)
    ):
        if numbers.type == decision.arrow:
            return _whole(numbers, values, decision)
        if given.kind == "number" and given.number is None:
            return _whole(pc.cast(numbers, pa.float64(), safe=False), values, decision)
    readings = reading.read(values, given)
    found = readings.values
    if decision.aliases:
        found = _renamed(found, decision.aliases)
    return Converted(found, readings.odd, _derived(values, decision))


def _whole(numbers: pa.Array, values: pa.Array, decision: Decision) -> Converted:
    return Converted(numbers, None, _derived(values, decision))


def _derived(text: pa.Array, decision: Decision) -> dict[str, pa.Array]:
    return {
        name: reading.read_part(text, decision.format, given.part)
        for name, given in decision.derived.items()
        if given.part
    }


def _renamed(values: pa.StringArray, aliases: Mapping[str, str]) -> pa.StringArray:
    positions = pc.index_in(values, arrays.from_texts(list(aliases)))
    found = arrays.from_texts(list(aliases.values())).take(positions)
    return pc.coalesce(found, values)


def _stated(values: pa.Array, decision: Decision) -> Converted:
    """Convert values whose type the file states."""
    given = decision.format
    derived = {
        name: pa.nulls(len(values), pa.string() if part.part == "unit" else pa.int64())
        for name, part in decision.derived.items()
    }
    if pa.types.is_null(values.type):
        return Converted(pa.nulls(len(values), decision.arrow), None, derived)
    converted, odd = _as_kind(values, given, decision.arrow)
    return Converted(converted, odd if odd is None or odd.any() else None, derived)


def _as_kind(
    values: pa.Array, given: ColumnFormat, to: pa.DataType
) -> tuple[pa.Array, Mask | None]:
    found = values.type
    if pa.types.is_timestamp(found):
        if given.time is not None and given.time.canonical in _NAIVE:
            return _times(values, given.time.canonical.endswith("%f")), None
        text = _times(
            values, bool((arrays.to_integers(pc.cast(values, pa.int64())) % 1_000_000).any())
        )
        readings = reading.read(text, given)
        return readings.values, readings.odd
    if given.time is not None and (given.missing or not given.time.unit):
        readings = reading.read(pc.cast(values, pa.string()), given)
        return readings.values, readings.odd
    if to == pa.string():
        return pc.cast(values, pa.string()), None
    if pa.types.is_floating(found):
        doubles = arrays.to_doubles(values)
        with np.errstate(invalid="ignore"):
            odd = np.abs(doubles) > reading.LARGEST
            if to == pa.int64():
                odd |= ~np.isnan(doubles) & ~(
                    (doubles == np.floor(doubles)) & (np.abs(doubles) < 2.0**63)
                )
        kept = arrays.null_where(odd, values) if odd.any() else values
        return pc.cast(kept, to), odd
    return pc.cast(values, to, safe=False), None


def _times(values: pa.Array, fractional: bool) -> pa.StringArray:
    # %S includes the fraction, to the digits of the unit.
    times = values if fractional else pc.cast(values, pa.timestamp("s"), safe=False)
    return pc.strftime(times, format="%Y-%m-%d %H:%M:%S")
