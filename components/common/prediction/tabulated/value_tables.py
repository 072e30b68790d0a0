"""Rows of a table by the value of a column: which values are known, and at which row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from kfp_tabular.components.common.prediction.column_decoder import Texts

Array = np.ndarray[Any, Any]
Places = np.ndarray[Any, np.dtype[np.int32]]

UNKNOWN = -1


@dataclass(frozen=True)
class Coded:
    """A column as codes: the position of each row's value in a list of distinct ones.

    Attributes:
        codes: `int32`.
        distinct: The values: numbers, or texts as an array of objects.
    """

    codes: Places
    distinct: Array


def coded(values: "Array | Texts") -> Coded:
    """Return a column as codes; numbers are told apart by their bits.

    Example:
        >>> found = coded(np.array([2.5, np.nan, 2.5, np.nan], np.float32))
        >>> found.codes.tolist(), found.distinct.tolist()
        ([0, 1, 0, 1], [2.5, nan])
    """
    if isinstance(values, Texts):
        texts = np.empty(len(values.distinct), object)
        texts[:] = values.distinct
        return Coded(values.codes, texts)
    values = np.ascontiguousarray(values)
    kind = pa.int32() if values.dtype.itemsize == 4 else pa.int64()
    array = pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values.view(np.uint8))])
    encoded = array.dictionary_encode()
    codes = np.frombuffer(encoded.indices.buffers()[1] or b"", np.int32, len(values))
    found = encoded.dictionary
    distinct = np.frombuffer(found.buffers()[1] or b"", values.dtype, len(found))
    return Coded(codes, distinct)


class KnownValues:
    """The values of a column that have a row in a table. It is never changed.

    Args:
        is_text: Whether the values are texts.
        keys: The values, in ascending order of their bits for numbers.
        places: The row of each.

    Example:
        >>> known = KnownValues.empty(is_text=False).with_more(np.array([7, 3]), first=10)
        >>> known.places_of(np.array([3, 4, 7])).tolist()
        [11, -1, 10]
    """

    def __init__(self, is_text: bool, keys: Array, places: Places) -> None:
        self._is_text = is_text
        self._keys = keys
        self._places = places
        self._by_text = dict(zip(keys.tolist(), places.tolist(), strict=True)) if is_text else {}

    def __len__(self) -> int:
        return len(self._keys)

    @classmethod
    def empty(cls, *, is_text: bool) -> "KnownValues":
        """Return no values."""
        return cls(is_text, np.empty(0, object if is_text else np.int64), np.empty(0, np.int32))

    def with_more(self, values: Array, first: int) -> "KnownValues":
        """Return these and more values, which get the rows from a first one on."""
        keys = np.concatenate([self._keys, values if self._is_text else _bits(values)])
        places = np.concatenate(
            [self._places, np.arange(first, first + len(values), dtype=np.int32)]
        )
        if not self._is_text:
            order = np.argsort(keys, kind="stable")
            keys, places = keys[order], places[order]
        return KnownValues(self._is_text, keys, places)

    def only(self, kept: Array) -> "KnownValues":
        """Return the values of some rows, which move up. The mask is of all rows."""
        own = kept[self._places]
        moved = np.cumsum(kept, dtype=np.int32) - 1
        return KnownValues(self._is_text, self._keys[own], moved[self._places[own]])

    def places_of(self, values: Array) -> Places:
        """Return the row of each value, or `UNKNOWN`."""
        if self._is_text:
            found: Sequence[int] = [self._by_text.get(value, UNKNOWN) for value in values]
            return np.array(found, np.int32)
        if not len(self._keys):
            return np.full(len(values), UNKNOWN, np.int32)
        bits = _bits(values)
        at = np.minimum(np.searchsorted(self._keys, bits), len(self._keys) - 1)
        return np.where(self._keys[at] == bits, self._places[at], UNKNOWN).astype(np.int32)


def _bits(values: Array) -> Array:
    """Return the bits of numbers as `int64`."""
    kind = np.int32 if values.dtype.itemsize == 4 else np.int64
    return np.ascontiguousarray(values).view(kind).astype(np.int64)
