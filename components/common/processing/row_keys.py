"""Random numbers for rows, by their position in the split.

A row's position is the same however the rows are cut into pieces, and whichever engine reads them:
shards are listed in the order of the source, and a piece knows the position of its first row. A
hash of the row's contents would not do: all copies of equal rows would get the same number, and so
fall into one group of the bootstrap, or all into a sample.
"""

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]


def keys(first: int, rows: int, seed: int) -> Keys:
    """Return a random number of 64 bits for each of a range of rows.

    Args:
        first: The position of the first row in its split.
        rows: The number of rows.
        seed: Any integer.

    Example:
        >>> bool((keys(0, 4, seed=7)[2:] == keys(2, 2, seed=7)).all())
        True
    """
    # splitmix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
    state = np.arange(first, first + rows, dtype=np.uint64) + np.uint64(1)
    state *= np.uint64(0x9E3779B97F4A7C15)
    state += np.uint64(seed % 2**64)
    state ^= state >> np.uint64(30)
    state *= np.uint64(0xBF58476D1CE4E5B9)
    state ^= state >> np.uint64(27)
    state *= np.uint64(0x94D049BB133111EB)
    state ^= state >> np.uint64(31)
    return state


def ranges(rows: int, count: int, length: int, seed: int) -> tuple[tuple[int, int], ...]:
    """Return ranges of rows at random positions, ascending; of few rows one range of all.

    Args:
        rows: The number of rows of the split.
        count: The most ranges.
        length: The rows of each.
        seed: Any integer.

    Example:
        >>> ranges(5, count=2, length=3, seed=0)
        ((0, 5),)
        >>> [stop - start for start, stop in ranges(1000, count=2, length=3, seed=0)]
        [3, 3]
    """
    if rows <= count * length:
        return ((0, rows),)
    blocks = rows // length
    chosen = np.sort(np.argsort(keys(0, blocks, seed))[:count])
    return tuple((block * length, (block + 1) * length) for block in chosen.tolist())
