"""Hashes of category ids as CatBoost computes them: CityHash64 of the id's text, the lower 32 bits.

CatBoost keeps no category but its hash, so a model's tables can be read only by hashing the ids
again. Ids are written in decimal, which is at most ten characters: only the branches of CityHash
(version 1.0, MIT License, Geoff Pike and Jyrki Alakuijala) for up to 16 bytes are needed.
"""

from typing import Any

import numpy as np

_K2 = np.uint64(0x9AE16A3B2F90404F)
_K3 = np.uint64(0xC949D7C7509E6557)
_MULTIPLIER = np.uint64(0x9DDFEA08EB382D69)
_COMBINE = np.uint64(0x4906BA494954CB65)
_SHIFT = np.uint64(47)

Hashes = np.ndarray[Any, np.dtype[np.uint64]]


def id_hashes(size: int) -> Hashes:
    """Return the hashes of the ids `0` to `size - 1`, sign-extended from 32 to 64 bits.

    Example:
        >>> id_hashes(3).astype("int32").tolist()
        [-1438285038, 1121341681, -1284790409]
    """
    hashes = np.empty(size, np.uint64)
    first, digits = 0, 1
    while first < size:
        last = min(size, 10**digits)
        hashes[first:last] = _city_hash(np.arange(first, last, dtype=np.int64), digits)
        first, digits = last, digits + 1
    # CatBoost stores the lower 32 bits as a signed number, and extends it wherever it combines.
    return hashes.astype(np.uint32).astype(np.int32).astype(np.int64).astype(np.uint64)


def combine(first: Hashes, second: Hashes) -> Hashes:
    """Return the hash of a combination that gets one more element; the first one starts at 0."""
    with np.errstate(over="ignore"):
        return _COMBINE * (first + _COMBINE * second)


def _city_hash(values: "np.ndarray[Any, Any]", digits: int) -> Hashes:
    """Hash numbers that all have the same number of decimal digits, at most 16."""
    places = 10 ** np.arange(digits - 1, -1, -1, dtype=np.int64)
    text = (values[:, None] // places % 10 + ord("0")).astype(np.uint64)
    length = np.uint64(digits)
    with np.errstate(over="ignore"):
        if digits > 8:
            start, end = _little_endian(text[:, :8]), _little_endian(text[:, -8:])
            shift = np.uint64(64 - digits)
            rotated = ((end + length) >> length) | ((end + length) << shift)
            return _mix(start, rotated) ^ end
        if digits >= 4:
            start, end = _little_endian(text[:, :4]), _little_endian(text[:, -4:])
            return _mix(length + (start << np.uint64(3)), end)
        y = text[:, 0] + (text[:, digits >> 1] << np.uint64(8))
        z = length + (text[:, -1] << np.uint64(2))
        mixed = y * _K2 ^ z * _K3
        hashes: Hashes = (mixed ^ (mixed >> _SHIFT)) * _K2
        return hashes


def _little_endian(text: Hashes) -> Hashes:
    places = np.arange(text.shape[1], dtype=np.uint64) * np.uint64(8)
    words: Hashes = np.bitwise_or.reduce(text << places, axis=1)
    return words


def _mix(u: Hashes, v: Hashes) -> Hashes:
    a = (u ^ v) * _MULTIPLIER
    a ^= a >> _SHIFT
    b = (v ^ a) * _MULTIPLIER
    b ^= b >> _SHIFT
    return b * _MULTIPLIER
