"""Whole numbers for scores, in the same order, that can be shortened to make bins of scores.

The key of a score up to 0.5 is its bits as a float; above, it is mirrored by those of 1 - score. So
without low bits, keys tell scores near 1 apart as finely as those near 0.
"""

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.statistics.bootstrap import Floats, Ints

KEY_BITS = 33

_ZERO = np.int64(1 << 31)  # the key of the score 0: those below it have keys, too
_MIRROR = np.int64(2 * 0x3F00_0000)  # twice the bits of 0.5
_LARGEST = np.int64(0x7F7F_FFFF)  # the bits of the largest finite float


def keys(scores: npt.NDArray[np.float32]) -> Ints:
    """Return the key of each score; any finite number has one.

    Example:
        >>> found = keys(np.array([-1.0, 0.0, 0.1, 0.5, 0.9, 1.0, 2.0], np.float32))
        >>> bool((np.diff(found) > 0).all())
        True
    """
    high = scores > np.float32(0.5)
    near = np.where(high, np.float32(1) - scores, scores)
    bits = near.view(np.int32).astype(np.int64)
    bits = np.where(bits < 0, -(bits & 0x7FFF_FFFF), bits)
    bits = np.where(high, _MIRROR - bits, bits)
    bits += _ZERO
    return bits


def lowest(found: Ints) -> Floats:
    """Return the lowest 32-bit float that has a key or a higher one.

    Example:
        >>> lowest(keys(np.array([0.0, 0.25, 0.75, 1.0], np.float32))).tolist()
        [0.0, 0.25, 0.75, 1.0]
    """
    bits = found - _ZERO
    high = bits > _MIRROR // 2
    bits = np.where(high, _MIRROR - bits, bits)
    finite = np.minimum(np.abs(bits), _LARGEST).astype(np.int32)
    near = finite.view(np.float32).astype(np.float64)
    near = np.where(bits < 0, -near, near)
    exact = np.where(high, 1 - near, near)
    rounded = exact.astype(np.float32)
    up = np.nextafter(rounded, np.float32(np.inf))
    scores: Floats = np.where(rounded < exact, up, rounded).astype(np.float64)
    return scores
