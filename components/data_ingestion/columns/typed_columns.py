"""Columns that come with a type, from Parquet or TFRecord, as the types of the examples."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.data_ingestion.columns import arrays, column_types
from kfp_tabular.components.data_ingestion.columns.arrays import Mask
from kfp_tabular.components.data_ingestion.columns.column_types import Converted, Kind

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
        misfits: See `kinds.Converted`.
    """

    values: pa.Array
    kind: Kind
    undecodable: Mask | None = None
    misfits: Mask | None = None


def is_scalar(kind: pa.DataType) -> bool:
    """Whether a column of this type has at most one value in a row, of a type that is read."""
    if isinstance(kind, pa.BaseExtensionType):
        return is_scalar(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return is_scalar(kind.value_type)
    return any(is_kind(kind) for is_kind in _SCALARS) or _is_view(kind)


def fit(values: pa.Array, least: Kind, forced: Kind | None = None) -> Fitted:
    """Converts a piece of a column.

    Booleans become 0 and 1, decimals and durations (in seconds) doubles, dates and timestamps
    ISO text in UTC, NaN and the empty string null.

    Args:
        values: Of a type for which `is_scalar` holds.
        least: The kind that the rest of the column is known to need at least.
        forced: The kind that it must have, if any.
    """
    plain, kind, undecodable = _plain(values)
    if forced is not None:
        forced_values = _forced(plain, kind, forced)
        return Fitted(forced_values.values, forced, undecodable, forced_values.misfits)
    wider = column_types.join(kind, least)
    return Fitted(_widen(plain, kind, wider), wider, undecodable)


def _plain(values: pa.Array) -> tuple[pa.Array, Kind, Mask | None]:  # noqa: PLR0911 - one per type
    """Gives values without dictionary or extension; times are still timestamps."""
    if isinstance(values.type, pa.BaseExtensionType):
        values = values.storage
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    kind = values.type
    if pa.types.is_null(kind):
        return values, Kind.NOTHING, None
    if pa.types.is_boolean(kind):
        return values, Kind.BOOLEAN, None
    if pa.types.is_integer(kind):
        return _integers(values)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _without_nan(pc.cast(values, pa.float64(), safe=False)), Kind.NUMBER, None
    if pa.types.is_duration(kind):
        micros = pc.cast(pc.cast(values, pa.duration("us"), safe=False), pa.int64())
        seconds = pc.divide(pc.cast(micros, pa.float64(), safe=False), float(_SECOND))
        return seconds, Kind.NUMBER, None
    if pa.types.is_timestamp(kind):
        times = pc.cast(values, pa.timestamp("us", kind.tz), safe=False)
        micros = pc.cast(times, pa.int64())
        fractional = (arrays.to_integers(micros) % _SECOND).any()
        kind_of_time = Kind.FRACTIONAL_TIME if fractional else Kind.TIME
        return pc.cast(micros, pa.timestamp("us")), kind_of_time, None
    if pa.types.is_date(kind) or pa.types.is_time(kind):
        return pc.cast(values, pa.string()), Kind.TEXT, None
    return _text(values)


def _integers(values: pa.Array) -> tuple[pa.Array, Kind, None]:
    try:
        return pc.cast(values, pa.int64()), Kind.INTEGER, None
    except pa.ArrowInvalid:  # unsigned, beyond 63 bits
        return pc.cast(values, pa.string()), Kind.TEXT, None


def _without_nan(values: pa.Array) -> pa.Array:
    nan = np.isnan(arrays.to_doubles(values))
    return arrays.null_where(nan, values) if nan.sum() > values.null_count else values


def _text(values: pa.Array) -> tuple[pa.Array, Kind, Mask | None]:
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
    return text, Kind.TEXT, undecodable


def _is_utf8(value: bytes | None) -> bool:
    try:
        (value or b"").decode()
    except UnicodeDecodeError:
        return False
    return True


def _widen(values: pa.Array, kind: Kind, wider: Kind) -> pa.Array:
    if kind is Kind.NOTHING:
        return pa.nulls(len(values), wider.arrow)
    if wider is Kind.TIME or (wider is Kind.TEXT and kind is Kind.TIME):
        return pc.strftime(pc.cast(values, pa.timestamp("s")), format="%Y-%m-%d %H:%M:%S")
    if wider is Kind.FRACTIONAL_TIME:
        # %S holds the fraction, to the digits of the unit.
        return pc.strftime(values, format="%Y-%m-%d %H:%M:%S")
    if wider.arrow == values.type:
        return values
    if kind is Kind.BOOLEAN and wider is Kind.TEXT:
        return pc.cast(values, pa.string())
    return pc.cast(values, wider.arrow, safe=False)


def _forced(values: pa.Array, kind: Kind, forced: Kind) -> Converted:
    if kind is Kind.TEXT:
        return column_types.force(values, forced)
    if forced is Kind.INTEGER and kind is Kind.NUMBER:
        numbers = arrays.to_doubles(values)
        with np.errstate(invalid="ignore"):
            misfits = ~np.isnan(numbers) & ~(
                (numbers == np.floor(numbers)) & (np.abs(numbers) < 2.0**63)
            )
        kept = arrays.null_where(misfits, values)
        return Converted(pc.cast(kept, pa.int64()), forced, misfits if misfits.any() else None)
    if kind in (Kind.TIME, Kind.FRACTIONAL_TIME):
        return column_types.force(_widen(values, kind, kind), forced)
    return Converted(_widen(values, kind, forced), forced)


def _is_view(kind: pa.DataType) -> bool:
    # Types that older Arrow versions do not have.
    return str(kind) in ("string_view", "binary_view")
