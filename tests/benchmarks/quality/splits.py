"""The split of a table's rows, independent of the splitter that is measured."""

import numpy as np
import numpy.typing as npt

TRAIN, EVAL, TEST = "train", "eval", "test"
TEST_SHARE, EVAL_SHARE = 0.20, 0.16


def assign(rows: int, seed: int) -> npt.NDArray[np.str_]:
    """Return the split of each row: a permutation by the seed, cut at fixed shares.

    Args:
        rows: The number of rows.
        seed: Decides the permutation.

    Example:
        >>> values, counts = np.unique(assign(100, 0), return_counts=True)
        >>> dict(zip(values.tolist(), counts.tolist()))
        {'eval': 16, 'test': 20, 'train': 64}
    """
    order = np.random.default_rng(seed).permutation(rows)
    tested = round(rows * TEST_SHARE)
    held_out = tested + round(rows * EVAL_SHARE)
    splits = np.full(rows, TRAIN, dtype="<U5")
    splits[order[:tested]] = TEST
    splits[order[tested:held_out]] = EVAL
    return splits
