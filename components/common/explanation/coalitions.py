"""Which features take the row's value and which the baseline's, and what follows from the answers.

A coalition is a set of features that take the row's values; the others take the baseline's. Shapley
values are averages, over orders of the features, of what each one adds when it joins those before
it. With few features all coalitions are evaluated, and there is nothing to estimate.
"""

import functools
from dataclasses import dataclass
from itertools import pairwise
from math import factorial

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Masks = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Coalitions:
    """The coalitions to evaluate. The first one is empty, the last one is the whole row.

    Attributes:
        masks: Whether a feature takes the row's value, `[coalitions, features]`.
        orders: For each order of the features and each feature, the coalition before the feature
            joins and the one after, `[2, orders, features]`; None where all coalitions are there.
    """

    masks: Masks
    orders: Indices | None

    @property
    def is_exact(self) -> bool:
        """Whether all coalitions are there, so that Shapley values have no error."""
        return self.orders is None

    def shapley_values(self, answers: Floats) -> tuple[Floats, Floats]:
        """Return Shapley values and their standard errors.

        Each row's values add up to the answer of the whole row less that of the baseline.

        Args:
            answers: The model's answers, `[rows, coalitions]`.

        Returns:
            Two arrays `[rows, features]`.
        """
        if self.orders is None:
            values = answers @ _weights(self.masks)
            return values, np.zeros_like(values)
        before, after = self.orders
        added = answers[:, after] - answers[:, before]
        # An order and its reverse are one draw: what they say is correlated.
        pairs = (added[:, 0::2] + added[:, 1::2]) / 2
        errors = pairs.std(axis=1, ddof=1) / np.sqrt(pairs.shape[1])
        return pairs.mean(axis=1), errors


@functools.lru_cache(maxsize=2)
def coalitions(features: int, orders: int, seed: int) -> Coalitions:
    """Return the coalitions to evaluate. They are shared: do not change them.

    Args:
        features: The number of features, at least 1.
        orders: How many orders of the features to draw: an even number, at least 4. Half of them
            are the other half reversed, which takes away much of the error. If all coalitions are
            no more than those that the orders pass, all are evaluated.
        seed: The seed of the draw.

    Example:
        >>> coalitions(features=2, orders=4, seed=0).masks.astype(int).tolist()
        [[0, 0], [1, 0], [0, 1], [1, 1]]
        >>> coalitions(features=20, orders=4, seed=0).masks.shape
        (78, 20)
    """
    if orders < _FEWEST_ORDERS or orders % 2:
        raise ValueError(f"orders: expected an even number of at least {_FEWEST_ORDERS}")
    if features <= _MOST_EXACT and 2**features <= orders * (features - 1) + 2:
        return Coalitions(_all(features), None)
    random = np.random.default_rng(seed)
    drawn = [random.permutation(features) for _ in range(orders // 2)]
    both = [order for forward in drawn for order in (forward, forward[::-1])]
    position: dict[bytes, int] = {}
    masks: list[Masks] = []
    joins = np.empty((2, len(both), features), np.int64)
    for row, order in enumerate(both):
        steps = np.zeros((features + 1, features), np.bool_)
        for place, feature in enumerate(order.tolist()):
            steps[place + 1 :, feature] = True
        found = []
        for mask in steps:
            key = mask.tobytes()
            if key not in position:
                position[key] = len(masks)
                masks.append(mask)
            found.append(position[key])
        for feature, (start, stop) in zip(order.tolist(), pairwise(found), strict=True):
            joins[:, row, feature] = start, stop
    return _whole_row_last(np.stack(masks), joins)


_FEWEST_ORDERS = 4
_MOST_EXACT = 16


def _all(features: int) -> Masks:
    numbers = np.arange(2**features)
    return (numbers[:, None] >> np.arange(features) & 1).astype(np.bool_)


def _weights(masks: Masks) -> Floats:
    """Return what each coalition's answer counts for each feature, `[coalitions, features]`."""
    features = masks.shape[1]
    by_size = np.array(
        [
            factorial(size) * factorial(features - size - 1) / factorial(features)
            for size in range(features)
        ]
    )
    sizes = masks.sum(axis=1)
    joined = by_size[np.maximum(sizes - 1, 0)][:, None]
    apart = by_size[np.minimum(sizes, features - 1)][:, None]
    return np.asarray(np.where(masks, joined, -apart))


def _whole_row_last(masks: Masks, joins: Indices) -> Coalitions:
    """Move the coalition of all features to the end."""
    whole = int(np.flatnonzero(masks.all(axis=1))[0])
    order = np.concatenate([np.delete(np.arange(len(masks)), whole), [whole]])
    place = np.empty(len(masks), np.int64)
    place[order] = np.arange(len(masks))
    return Coalitions(masks[order], place[joins])
