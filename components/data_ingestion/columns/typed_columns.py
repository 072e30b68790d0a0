"""Converts columns that already have a type, from Parquet or TFRecord, to those of examples."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.values import arrays
from kfp_tabular.components.common.values.arrays import Mask
from kfp_tabular.components.data_ingestion.columns import column_types
from kfp_tabular.components.data_ingestion.columns.column_types import ColumnType, Converted

_SCALARS = (
    pa.types.is_null,
    pa.types.is_boolean,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_fixed_size_binary,
    pa.types.is_date,
    pa.types.is_timestamp,
    pa.types.is_time,
    pa.types.is_duration,
)

_SECOND = 1_000_000


@dataclass(frozen=True)
class Fitted:
    """A column in one of the types of the examples.

    Attributes:
        values: `int64`, `float64` or `string`; missing is null.
        kind: What the values are.
        undecodable: Rows whose bytes are not UTF-8, or None where there are none.
        misfits: See `column_types.Converted`.
    """

    values: pa.Array
    column_type: ColumnType
    undecodable: Mask | None = None
    misfits: Mask | None = None


def is_scalar(arrow_type: pa.DataType) -> bool:
    """Return whether a column of this type has at most one value in a row, of a supported type.

    Example:
        >>> is_scalar(pa.date32()), is_scalar(pa.list_(pa.int64()))
        (True, False)
    """
    if isinstance(arrow_type, pa.BaseExtensionType):
        return is_scalar(arrow_type.storage_type)
    if pa.types.is_dictionary(arrow_type):
        return is_scalar(arrow_type.value_type)
    return any(matches(arrow_type) for matches in _SCALARS) or _is_view(arrow_type)


def fit(values: pa.Array, least: ColumnType, forced: ColumnType | None = None) -> Fitted:
    """Convert part of a column.

    Booleans become 0 and 1, decimals and durations (in seconds) doubles, dates and timestamps
    ISO text in UTC, NaN and the empty string null.

    Args:
        values: Of a type for which `is_scalar` holds.
        least: The narrowest type that the rest of the column is known to fit.
        forced: The type that it must have, if any.

    Example:
        >>> fit(pa.array([True, None]), ColumnType.NOTHING).values.to_pylist()
        [1, None]
    """
    plain, column_type, undecodable = _plain(values)
    if forced is not None:
        converted = _forced(plain, column_type, forced)
        return Fitted(converted.values, forced, undecodable, converted.misfits)
    wider = column_types.join(column_type, least)
    return Fitted(_widen(plain, column_type, wider), wider, undecodable)


def infer(values: pa.Array, least: ColumnType, forced: ColumnType | None = None) -> Fitted:
    """Convert part of a column whose type follows from its values as text, as in CSV.

    Args:
        values: Of a type for which `is_scalar` holds.
        least: The narrowest type that the rest of the column is known to fit.
        forced: The type that it must have, if any.

    Example:
        >>> infer(pa.array(["7", None]), ColumnType.NOTHING).values.to_pylist()
        [7, None]
    """
    plain, column_type, undecodable = _plain(values)
    text = _widen(plain, column_type, ColumnType.TEXT)
    converted = (
        column_types.infer(text, least) if forced is None else column_types.force(text, forced)
    )
    return Fitted(converted.values, converted.column_type, undecodable, converted.misfits)


def _plain(  # noqa: PLR0911 - one per type
    values: pa.Array,
) -> tuple[pa.Array, ColumnType, Mask | None]:
    """Return values without dictionary or extension; times are still timestamps."""
    if isinstance(values.type, pa.BaseExtensionType):
        values = values.storage
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    found = values.type
    if pa.types.is_null(found):
        return values, ColumnType.NOTHING, None
    if pa.types.is_boolean(found):
        return values, ColumnType.BOOLEAN, None
    if pa.types.is_integer(found):
        return _integers(values)
    if pa.types.is_floating(found) or pa.types.is_decimal(found):
        doubles = pc.cast(values, pa.float64(), safe=False)
        return _without_nan(doubles), ColumnType.NUMBER, None
    if pa.types.is_duration(found):
        micros = pc.cast(pc.cast(values, pa.duration("us"), safe=False), pa.int64())
        seconds = pc.divide(pc.cast(micros, pa.float64(), safe=False), float(_SECOND))
        return seconds, ColumnType.NUMBER, None
    if pa.types.is_timestamp(found):
        times = pc.cast(values, pa.timestamp("us", found.tz), safe=False)
        micros = pc.cast(times, pa.int64())
        fractional = (arrays.to_integers(micros) % _SECOND).any()
        time_type = ColumnType.FRACTIONAL_TIME if fractional else ColumnType.TIME
        return pc.cast(micros, pa.timestamp("us")), time_type, None
    if pa.types.is_date(found) or pa.types.is_time(found):
        return pc.cast(values, pa.string()), ColumnType.TEXT, None
    return _text(values)


def _integers(values: pa.Array) -> tuple[pa.Array, ColumnType, None]:
    try:
        return pc.cast(values, pa.int64()), ColumnType.INTEGER, None
    except pa.ArrowInvalid:  # unsigned, beyond 63 bits
        return pc.cast(values, pa.string()), ColumnType.TEXT, None


def _without_nan(values: pa.Array) -> pa.Array:
    nan = np.isnan(arrays.to_doubles(values))
    return arrays.null_where(nan, values) if nan.sum() > values.null_count else values


def _text(values: pa.Array) -> tuple[pa.Array, ColumnType, Mask | None]:
    undecodable = None
    try:
        text = pc.cast(values, pa.string())
    except pa.ArrowInvalid:
        plain = pc.cast(values, pa.binary()).to_pylist()
        undecodable = np.array([not _is_utf8(value) for value in plain])
        text = pc.cast(arrays.null_where(undecodable, values), pa.string())
    empty = arrays.to_mask(pc.is_in(text, arrays.from_texts([""])))
    if empty.any():
        text = arrays.null_where(empty, text)
    return text, ColumnType.TEXT, undecodable


def _is_utf8(value: bytes | None) -> bool:
    try:
        (value or b"").decode()
    except UnicodeDecodeError:
        return False
    return True


def _widen(values: pa.Array, column_type: ColumnType, wider: ColumnType) -> pa.Array:
    if column_type is ColumnType.NOTHING:
        return pa.nulls(len(values), wider.arrow)
    if wider is ColumnType.TIME or (wider is ColumnType.TEXT and column_type is ColumnType.TIME):
        return pc.strftime(pc.cast(values, pa.timestamp("s")), format="%Y-%m-%d %H:%M:%S")
    if wider is ColumnType.FRACTIONAL_TIME:
        # %S includes the fraction, to the digits of the unit.
        return pc.strftime(values, format="%Y-%m-%d %H:%M:%S")
    if wider.arrow == values.type:
        return values
    if column_type is ColumnType.BOOLEAN and wider is ColumnType.TEXT:
        return pc.cast(values, pa.string())
    return pc.cast(values, wider.arrow, safe=False)


def _forced(values: pa.Array, column_type: ColumnType, forced: ColumnType) -> Converted:
    if column_type is ColumnType.TEXT:
        return column_types.force(values, forced)
    if forced is ColumnType.INTEGER and column_type is ColumnType.NUMBER:
        numbers = arrays.to_doubles(values)
        with np.errstate(invalid="ignore"):
            misfits = ~np.isnan(numbers) & ~(
                (numbers == np.floor(numbers)) & (np.abs(numbers) < 2.0**63)
            )
        kept = arrays.null_where(misfits, values)
        return Converted(pc.cast(kept, pa.int64()), forced, misfits if misfits.any() else None)
    if column_type in (ColumnType.TIME, ColumnType.FRACTIONAL_TIME):
        return column_types.force(_widen(values, column_type, column_type), forced)
    return Converted(_widen(values, column_type, forced), forced)


def _is_view(arrow_type: pa.DataType) -> bool:
    # Older Arrow versions lack these types.
    return str(arrow_type) in ("string_view", "binary_view")
