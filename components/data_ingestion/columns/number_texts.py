"""What the bytes of texts tell about the numbers that they are, without parsing them."""

from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from kfp_tabular.components.common.values.arrays import Integers, Mask

_POINT, _ZERO, _MINUS, _PLUS = b".0-+"


class NumberTexts:
    """Texts, with where each one's bytes are.

    Args:
        text: Values; what a method promises holds for plain numbers, and null has no bytes.

    Example:
        >>> texts = NumberTexts(pa.array(["1.234", "-7", None]))
        >>> texts.points(), texts.longest(), texts.groupable().tolist()
        (1, 5, [True, False, False])
    """

    def __init__(self, text: pa.StringArray) -> None:
        self.text = text
        offsets_buffer, data_buffer = text.buffers()[1:3]
        offsets = np.frombuffer(offsets_buffer, np.int32)[text.offset : text.offset + len(text) + 1]
        # numpy takes bytes by 64-bit positions three times as fast.
        self._offsets = offsets.astype(np.intp)
        self._data = np.frombuffer(data_buffer if data_buffer is not None else b"", np.uint8)

    def lengths(self) -> Integers:
        """Return the bytes of each value."""
        return self._ends - self._starts

    def longest(self) -> int:
        """Return the bytes of the longest value; 0 without values."""
        return int(self.lengths().max(initial=0))

    def points(self) -> int:
        """Return the number of points in all values."""
        return self._points

    def has_leading_zero(self) -> bool:
        """Return whether a value starts with a zero that another digit (or an `x`) follows.

        Example:
            >>> NumberTexts(pa.array(["7", "-07"])).has_leading_zero()
            True
            >>> NumberTexts(pa.array(["0", "0.5"])).has_leading_zero()
            False
        """
        data, starts, ends = self._data, self._starts, self._ends
        if not data.size:
            return False
        # The first byte of an empty value is that of the next one; `ends` tells them apart.
        first = data.take(starts, mode="clip")
        zeros = np.flatnonzero(first == _ZERO)
        suspects, stop = starts[zeros], ends[zeros]
        signed = np.flatnonzero((first == _MINUS) | (first == _PLUS))
        if signed.size:
            after = starts[signed] + 1
            zeros = data.take(after, mode="clip") == _ZERO
            suspects = np.concatenate([suspects, after[zeros]])
            stop = np.concatenate([stop, ends[signed][zeros]])
        second = data[suspects[stop - suspects > 1] + 1]
        return bool(((second != _POINT) & (second != ord("e")) & (second != ord("E"))).any())

    def groupable(self) -> Mask:
        """Return a mask of the values in which a point may separate thousands (`1.234`)."""
        found = np.zeros(len(self.text), np.bool_)
        if not self._data.size:
            return found
        # A point that is the fourth byte from the end, perhaps of the value before.
        rows = np.flatnonzero(self._data.take(self._ends - 4, mode="clip") == _POINT)
        rows = rows[self.lengths()[rows] >= 5]
        starts, ends = self._starts[rows], self._ends[rows]
        signed = (self._data[starts] == _MINUS) | (self._data[starts] == _PLUS)
        whole = ends - 4 - starts - signed
        found[rows] = (whole >= 1) & (whole <= 3) & (self._data[starts + signed] != _ZERO)
        return found

    def version_parts(self) -> "tuple[Integers, Mask, Mask] | None":
        """Return the rows with a value, and masks of those like `1.9` and `1.10`.

        None where a number with a point has a sign, four digits after the point, a zero there
        before another digit (`1.05`), or two digits as prices have them (`2.50`): those are no
        version numbers.
        """
        data = self._data
        rows = np.flatnonzero(self._ends > self._starts)
        starts, ends = self._starts[rows], self._ends[rows]
        last = [data[np.maximum(ends - back, starts)] for back in (1, 2, 3, 4)]
        point = [
            (byte == _POINT) & (ends - back >= starts)
            for back, byte in zip((1, 2, 3, 4), last, strict=True)
        ]
        zero = [byte == _ZERO for byte in last]
        near = point[0] | point[1] | point[2] | point[3]
        signed = (data[starts] == _MINUS) & near
        price = point[2] & zero[0] & (last[1] > ord("3"))
        if (signed | price | (point[2] & zero[1]) | (point[3] & zero[2])).any():
            return None
        if int(near.sum()) < self.points():
            return None
        return rows, point[1] & ~zero[0], zero[0] & (point[2] | point[3])

    @cached_property
    def _points(self) -> int:
        used = self._data[self._offsets[0] : self._offsets[-1]]
        return int(np.count_nonzero(used == _POINT))

    @property
    def _starts(self) -> "np.ndarray[Any, np.dtype[np.intp]]":
        return self._offsets[:-1]

    @property
    def _ends(self) -> "np.ndarray[Any, np.dtype[np.intp]]":
        return self._offsets[1:]
