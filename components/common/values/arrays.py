"""Converts Arrow arrays to and from numpy through their buffers.

`pyarrow.array`, `pyarrow.scalar` and `Array.to_numpy` import pandas where it is installed, which
takes a second: longer than most data takes to read.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Mask = np.ndarray[Any, np.dtype[np.bool_]]
Doubles = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]


def from_integers(values: "np.ndarray[Any, Any]") -> pa.Array:
    """Return an `int64` array without nulls; shares the memory where possible.

    Example:
        >>> from_integers(np.array([1, 2])).to_pylist()
        [1, 2]
    """
    values = np.ascontiguousarray(values, np.int64)
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(values)])


def from_mask(mask: Mask) -> pa.Array:
    """Return a `bool` array without nulls.

    Example:
        >>> from_mask(np.array([True, False])).to_pylist()
        [True, False]
    """
    bits = pa.py_buffer(np.packbits(mask, bitorder="little"))
    return pa.Array.from_buffers(pa.bool_(), len(mask), [None, bits])


def from_texts(values: Sequence[str]) -> pa.Array:
    """Return a `string` array without nulls.

    Example:
        >>> from_texts(["cash", "card"]).to_pylist()
        ['cash', 'card']
    """
    encoded = [value.encode() for value in values]
    offsets = np.zeros(len(encoded) + 1, np.int32)
    np.cumsum([len(value) for value in encoded], out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(encoded), buffers)


def to_mask(values: pa.Array) -> Mask:
    """Return a `bool` array as numpy; null becomes false.

    Example:
        >>> to_mask(pa.array([True, None, False])).tolist()
        [True, False, False]
    """
    truth = _bits(values.buffers()[1], values)
    return truth & to_valid(values) if values.null_count else truth


def to_valid(values: pa.Array) -> Mask:
    """Return a mask of the values that are not null.

    Example:
        >>> to_valid(pa.array(["cash", None])).tolist()
        [True, False]
    """
    if not values.null_count:
        return np.ones(len(values), np.bool_)
    if pa.types.is_null(values.type):
        return np.zeros(len(values), np.bool_)
    return _bits(values.buffers()[0], values)


def to_doubles(values: pa.Array) -> Doubles:
    """Return an `int64` or `float64` array as a copy in doubles; null becomes NaN.

    Example:
        >>> to_doubles(pa.array([1, None])).tolist()
        [1.0, nan]
    """
    stored = np.int64 if pa.types.is_int64(values.type) else np.float64
    buffer = values.buffers()[1]
    plain = np.frombuffer(buffer, stored)[values.offset : values.offset + len(values)]
    doubles = plain.astype(np.float64)
    if values.null_count:
        doubles[~to_valid(values)] = np.nan
    return doubles


def to_integers(values: pa.Array) -> Integers:
    """Return an `int64` array as a copy in numpy; null becomes 0.

    Example:
        >>> to_integers(pa.array([1, None])).tolist()
        [1, 0]
    """
    buffer = values.buffers()[1]
    plain = np.frombuffer(buffer, np.int64)[values.offset : values.offset + len(values)].copy()
    if values.null_count:
        plain[~to_valid(values)] = 0
    return plain


def has_letters(text: pa.StringArray) -> bool:
    """Return whether a byte of the values is `A` or beyond, as in no plain number.

    Example:
        >>> has_letters(pa.array(["-1.5", None])), has_letters(pa.array(["1e5"]))
        (False, True)
    """
    offsets_buffer, data_buffer = text.buffers()[1:3]
    if data_buffer is None or not data_buffer.size or not len(text):
        return False
    offsets = np.frombuffer(offsets_buffer, np.int32)[text.offset : text.offset + len(text) + 1]
    used = np.frombuffer(data_buffer, np.uint8)[offsets[0] : offsets[-1]]
    return bool(used.size) and bool(used.max() >= ord("A"))


def bounds(values: pa.Array) -> "tuple[Any, Any] | None":
    """Return the smallest and the largest value of an `int64` or `float64` array; None without any.

    Arrow's `min_max` takes ten times as long.

    Example:
        >>> bounds(pa.array([3, None, -1]))
        (-1, 3)
    """
    stored = np.int64 if pa.types.is_int64(values.type) else np.float64
    plain = np.frombuffer(values.buffers()[1] or b"", stored)
    plain = plain[values.offset : values.offset + len(values)]
    if values.null_count:
        plain = plain[to_valid(values)]
    return (plain.min().item(), plain.max().item()) if len(plain) else None


def distinct(values: "np.ndarray[Any, Any]") -> "tuple[np.ndarray[Any, Any], Integers]":
    """Return the distinct values in order, and how often each occurs.

    `np.unique` does the same and imports `numpy.ma`, which takes 10 ms: an eighth of a small
    ingestion.

    Example:
        >>> values, counts = distinct(np.array([2, 1, 2]))
        >>> values.tolist(), counts.tolist()
        ([1, 2], [1, 2])
    """
    ordered = np.sort(values)
    starts = np.flatnonzero(np.concatenate([[len(ordered) > 0], ordered[1:] != ordered[:-1]]))
    starts = starts[: len(ordered)]
    return ordered[starts], np.diff(np.append(starts, len(ordered))).astype(np.int64)


def null_where(mask: Mask, values: pa.Array) -> pa.Array:
    """Return the values with null where the mask is true.

    Example:
        >>> null_where(np.array([True, False]), from_integers(np.array([1, 2]))).to_pylist()
        [None, 2]
    """
    return pc.if_else(from_mask(~mask), values, pa.nulls(1, values.type)[0])


def _bits(buffer: pa.Buffer, values: pa.Array) -> Mask:
    if not len(values):
        return np.zeros(0, np.bool_)
    packed = np.frombuffer(buffer, np.uint8)
    bits = np.unpackbits(packed, count=values.offset + len(values), bitorder="little")
    return bits[values.offset :].view(np.bool_)
