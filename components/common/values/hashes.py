"""A hash of rows that is the same on every machine and in every version.

Numbers are hashed as IEEE doubles, so a column that changes from integer to floating point keeps
its hashes; text by its UTF-8 bytes; missing as a constant. Columns are sorted by name, so their
order does not matter. All arithmetic is on 64-bit integers modulo 2^64.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.values import arrays

Hashes = np.ndarray[Any, np.dtype[np.uint64]]

# Multipliers of splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators,
# 2014) and the golden ratio; any odd numbers with mixed bits would do.
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_PROBE = 512
MISSING = np.uint64(0x6A09E667F3BCC909)
"""The hash of a missing value."""


def hash_rows(columns: Mapping[str, pa.Array], salt: str = "") -> Hashes:
    """Return a hash of each row.

    Args:
        columns: `int64`, `float64` or `string` columns of the same length; at least one.
        salt: A different salt gives unrelated hashes.

    Returns:
        64 evenly spread bits for each row, shape `[rows]`.

    Example:
        >>> [hex(value) for value in hash_rows({"x": pa.array([1, 1, 2])})]
        ['0xd5b04b3271bf775', '0xd5b04b3271bf775', '0xf518725a17161851']
    """
    return combine({name: hash_values(values) for name, values in columns.items()}, salt)


def combine(hashed: Mapping[str, Hashes], salt: str = "") -> Hashes:
    """Return a hash of each row from the hashes of its values; `hash_rows` in two steps.

    Args:
        hashed: What `hash_values` returned, by column; at least one.
        salt: A different salt gives unrelated hashes.
    """
    seed = hash_text(arrays.from_texts([salt]))[0]
    hashes = np.full(len(next(iter(hashed.values()))), seed, np.uint64)
    high = np.empty_like(hashes)
    for name in sorted(hashed):
        # Each step is a bijection of the hash so far, so rows that differ in one column only
        # never collide.
        hashes ^= hashed[name]
        hashes *= _GOLDEN
        hashes ^= np.right_shift(hashes, np.uint64(32), out=high)
    return mix(hashes)


def hash_text(text: pa.StringArray) -> Hashes:
    """Return a hash of each value's UTF-8 bytes, shape `[rows]`; null hashes as the empty text.

    Example:
        >>> [hex(value) for value in hash_text(pa.array(["cash", "cash", None]))]
        ['0x42743c7b58f4c075', '0x42743c7b58f4c075', '0x0']
    """
    offsets_buffer, data_buffer = text.buffers()[1:3]
    offsets = np.frombuffer(offsets_buffer, "<i4")[text.offset : text.offset + len(text) + 1]
    offsets = offsets.astype(np.int64)
    lengths = np.diff(offsets)
    hashes = lengths.astype(np.uint64) * _GOLDEN
    longest = int(lengths.max(initial=0))
    if longest == 0:
        return hashes
    # Eight bytes at a time, little-endian, at any offset. The last word of a value includes bytes
    # of its neighbor; the shift drops them.
    used = np.frombuffer(data_buffer, np.uint8)[: offsets[-1]]
    padded = np.concatenate([used, np.zeros(8, np.uint8)])
    words = np.lib.stride_tricks.as_strided(
        padded[:8].view("<u8"), shape=(len(used) + 1,), strides=(1,), writeable=False
    )
    active = np.flatnonzero(lengths > 0)
    position = 0
    while active.size:
        word = words[offsets[active] + position]
        surplus = np.maximum(8 - (lengths[active] - position), 0).astype(np.uint64) * np.uint64(8)
        word = (word << surplus) >> surplus
        mixed = hashes[active] if active.size < len(hashes) else hashes
        mixed = (mixed ^ word) * _FIRST
        hashes[active] = mixed ^ (mixed >> np.uint64(29))
        position += 8
        active = active[lengths[active] > position]
    return hashes


def hash_values(values: pa.Array) -> Hashes:
    """Return a hash of each value of a column, shape `[rows]`.

    Distinct numbers have distinct hashes, but their bits are not spread evenly; `mix` does that.
    """
    if pa.types.is_string(values.type):
        hashes = _hash_repeated(values) if _repeats(values) else hash_text(values)
    else:
        doubles = arrays.to_doubles(values)
        doubles += 0.0  # turns -0.0 into 0.0
        hashes = doubles.view(np.uint64)
    if values.null_count:
        hashes[~arrays.to_valid(values)] = MISSING
    return hashes


def _repeats(text: pa.StringArray) -> bool:
    """Return whether the values repeat so often that hashing each distinct one once pays off."""
    return len(text) > 4 * _PROBE and len(pc.unique(text[:_PROBE])) <= _PROBE // 4


def _hash_repeated(text: pa.StringArray) -> Hashes:
    encoded = text.dictionary_encode()
    distinct = encoded.dictionary
    if len(distinct) > len(text) // 4:
        return hash_text(text)
    codes = arrays.to_integers(pc.cast(encoded.indices, pa.int64()))
    # The code of a missing value is 0, whose hash is replaced.
    return hash_text(distinct)[codes] if len(distinct) else np.zeros(len(text), np.uint64)


def mix(hashes: Hashes) -> Hashes:
    """Return hashes with their bits spread evenly; distinct ones stay distinct."""
    hashes = (hashes ^ (hashes >> np.uint64(30))) * _FIRST
    hashes = (hashes ^ (hashes >> np.uint64(27))) * _SECOND
    finished: Hashes = hashes ^ (hashes >> np.uint64(31))
    return finished
