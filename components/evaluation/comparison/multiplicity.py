"""P-values of several tests, adjusted for their number.

Of a hundred slices in which nothing changed, five have p-values below 0.05. `holm` keeps the chance
of any such slice at the level, whatever the dependence of the slices (Holm, 1979).
`benjamini_hochberg` keeps their share among the slices found (Benjamini and Hochberg, 1995; slices
that overlap are positively dependent, which is enough: Benjamini and Yekutieli, 2001).
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from kfp_tabular.components.common.statistics.bootstrap import Floats
from kfp_tabular.components.evaluation.options import BENJAMINI_HOCHBERG, HOLM


def holm(values: Sequence[float]) -> Floats:
    """Return p-values adjusted by Holm's method.

    Example:
        >>> holm([0.01, 0.04, 0.03]).tolist()
        [0.03, 0.06, 0.06]
    """
    given = np.asarray(values, np.float64)
    order = np.argsort(given, kind="stable")
    scaled = given[order] * np.arange(len(given), 0, -1)
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1)
    return adjusted


def benjamini_hochberg(values: Sequence[float]) -> Floats:
    """Return p-values adjusted by the method of Benjamini and Hochberg.

    Example:
        >>> benjamini_hochberg([0.01, 0.04, 0.03]).tolist()
        [0.03, 0.04, 0.04]
    """
    given = np.asarray(values, np.float64)
    order = np.argsort(given, kind="stable")[::-1]
    scaled = given[order] * len(given) / np.arange(len(given), 0, -1)
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled), 1)
    return adjusted


CORRECTIONS: Mapping[str, Callable[[Sequence[float]], Floats]] = {
    HOLM: holm,
    BENJAMINI_HOCHBERG: benjamini_hochberg,
}
