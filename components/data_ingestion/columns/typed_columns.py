"""Reduces columns that already have a type, from Parquet or TFRecord, to a few types."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.values import arrays, time_text
from kfp_tabular.components.common.values.arrays import Mask

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
_UTC = ("UTC", "Etc/UTC", "Z", "GMT", "+00:00", "+0000")


@dataclass(frozen=True)
class Plain:
    """A column in one of a few types.

    Attributes:
        values: `null`, `bool`, `int64`, `float64`, `string` or `timestamp[us]` without a time
            zone, in UTC where there was one; missing is null.
        undecodable: Rows whose bytes are not UTF-8, or None where there are none.
    """

    values: pa.Array
    undecodable: Mask | None = None


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


def plain(values: pa.Array) -> Plain:  # noqa: PLR0911 - one per type
    """Reduce part of a column to one of a few types.

    Decimals and durations (in seconds) become doubles, dates, times of day and timestamps in a zone
    other than UTC text, NaN and the empty string null, integers beyond 64 bits text.

    Args:
        values: Of a type for which `is_scalar` holds.

    Example:
        >>> plain(pa.array([1, None], pa.int8())).values.type
        DataType(int64)
    """
    if isinstance(values.type, pa.BaseExtensionType):
        values = values.storage
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    found = values.type
    if pa.types.is_null(found) or pa.types.is_boolean(found):
        return Plain(values)
    if pa.types.is_integer(found):
        return Plain(_integers(values))
    if pa.types.is_floating(found) or pa.types.is_decimal(found):
        return Plain(_without_nan(pc.cast(values, pa.float64(), safe=False)))
    if pa.types.is_duration(found):
        micros = pc.cast(pc.cast(values, pa.duration("us"), safe=False), pa.int64())
        return Plain(pc.divide(pc.cast(micros, pa.float64(), safe=False), float(_SECOND)))
    if pa.types.is_timestamp(found):
        if found.tz is not None and found.tz not in _UTC:
            return Plain(_local_text(values))
        micros = pc.cast(pc.cast(values, pa.timestamp("us", found.tz), safe=False), pa.int64())
        return Plain(pc.cast(micros, pa.timestamp("us")))
    if pa.types.is_date(found) or pa.types.is_time(found):
        return Plain(pc.cast(values, pa.string()))
    return _text(values)


def _local_text(values: pa.Array) -> pa.StringArray:
    """Return times of a zone on its clock, with the offset: the local hour would be lost in UTC."""
    moments = pc.cast(values, pa.timestamp("us", values.type.tz), safe=False)
    instants = pc.cast(pc.cast(moments, pa.int64()), pa.timestamp("us"))
    clocks = pc.local_timestamp(moments)
    east = pc.subtract(pc.cast(clocks, pa.int64()), pc.cast(instants, pa.int64()))
    minutes = arrays.to_integers(east) // (60 * _SECOND)
    if not (arrays.to_integers(pc.cast(clocks, pa.int64())) % _SECOND).any():
        clocks = pc.cast(clocks, pa.timestamp("s"))
    offsets, places = np.unique(minutes, return_inverse=True)
    names = arrays.from_texts([time_text.offset_text(int(offset)) for offset in offsets])
    texts = pc.cast(clocks, pa.string())
    return pc.binary_join_element_wise(texts, names.take(arrays.from_integers(places)), "")


def _integers(values: pa.Array) -> pa.Array:
    try:
        return pc.cast(values, pa.int64())
    except pa.ArrowInvalid:  # unsigned, beyond 63 bits
        return pc.cast(values, pa.string())


def _without_nan(values: pa.Array) -> pa.Array:
    nan = np.isnan(arrays.to_doubles(values))
    return arrays.null_where(nan, values) if nan.sum() > values.null_count else values


def _text(values: pa.Array) -> Plain:
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
    return Plain(text, undecodable)


def _is_utf8(value: bytes | None) -> bool:
    try:
        (value or b"").decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_view(arrow_type: pa.DataType) -> bool:
    # Older Arrow versions lack these types.
    return str(arrow_type) in ("string_view", "binary_view")
