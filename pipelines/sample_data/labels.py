"""The labels: for each task, the label and what it depends on."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pyarrow as pa

from kfp_tabular.components.common.artifacts.supervised_task import TaskKind
from kfp_tabular.pipelines.sample_data.draws import Draws, Floats
from kfp_tabular.pipelines.sample_data.merchants import CATEGORIES
from kfp_tabular.pipelines.sample_data.transactions import (
    MAGNETIC_STRIPE,
    ONLINE,
    Transactions,
)

LABELS: Mapping[TaskKind, str] = MappingProxyType(
    {"binary": "is_fraud", "multiclass": "purpose", "regression": "settlement_hours"}
)
"""The label's column of each task."""

_FRAUD_SHARE = 0.02

_PURPOSES = ("household", "leisure", "travel", "business")
# The weight of a category for each purpose, in the order of _PURPOSES.
_PURPOSE_SCORE = {
    "groceries": (3.0, 0.3, 0.0, -1.0),
    "restaurants": (0.0, 2.2, 0.8, 1.2),
    "fuel": (1.5, 0.3, 1.0, 1.0),
    "transport": (0.8, 0.4, 1.4, 1.5),
    "clothing": (1.4, 2.0, -0.5, -0.8),
    "electronics": (0.8, 1.2, -1.0, 1.8),
    "pharmacy": (2.8, 0.0, 0.2, -1.0),
    "travel": (-1.0, 1.0, 2.6, 1.6),
    "entertainment": (0.0, 3.0, 0.2, -0.8),
    "digital_goods": (0.4, 1.8, -1.0, 1.4),
    "jewellery": (0.2, 2.6, 0.0, -0.6),
    "home_and_garden": (2.6, 0.8, -1.5, 0.2),
}

_HOURS_TO_BOOK = (12.0, 10.0, 20.0, 30.0)  # by entry mode


def draw(task: TaskKind, data: Transactions, draws: Draws) -> pa.Array:
    """Draw the label of each transaction.

    Args:
        task: Which label.
        data: What it depends on.
        draws: Where chance comes from.

    Returns:
        `int64` 0 or 1, text, or `float64`, shape `[rows]`.

    Example:
        >>> from kfp_tabular.pipelines.sample_data import merchants, transactions
        >>> data = transactions.draw(100, merchants.merchants(), Draws(7))
        >>> draw("binary", data, Draws(7)).to_pylist().count(1)
        2
    """
    if task == "binary":
        return _fraud(data, draws)
    if task == "multiclass":
        return _purpose(data, draws)
    return _settlement(data, draws)


def _fraud(data: Transactions, draws: Draws) -> pa.Array:
    """Label a fixed share of transactions as fraud: those of the highest risk plus noise."""
    online = data.entry_mode == ONLINE
    stripe = data.entry_mode == MAGNETIC_STRIPE
    night = data.hour < 6
    high = data.amount_score > 1.0
    earlier = np.minimum(data.last_day, 8)
    category_risk = np.array([kind.risk for kind in CATEGORIES])[data.category]
    risk = (
        category_risk
        + data.merchant_risk
        + 0.4 * data.amount_score
        + 0.4 * online
        + 0.5 * data.new_device
        + 0.1 * np.log1p(data.distance)
        + 0.001 * (data.age - 45.0) ** 2
        # Interactions, which a linear model cannot learn:
        + 5.0 * (night & online & high)
        + 1.5 * (night & online)
        + 5.0 * (data.abroad & data.new_device)
        + 1.7 * earlier * (online & high)
        + 3.0 * ((earlier >= 3) & ~online)
        + 3.5 * (stripe & data.abroad)
    )
    chance = risk + 0.7 * draws.logistic(len(risk))
    share = max(1, round(_FRAUD_SHARE * len(risk)))
    threshold = np.partition(chance, -share)[-share]
    return pa.array((chance >= threshold).astype(np.int64))


def _purpose(data: Transactions, draws: Draws) -> pa.Array:
    """Draw a purpose from the scores of all purposes and noise (a multinomial logit)."""
    score = np.array([_PURPOSE_SCORE[kind.name] for kind in CATEGORIES])[data.category]
    office_hours = ~data.weekend & (data.hour >= 7) & (data.hour < 18)
    working_age = (data.age >= 25) & (data.age < 66)
    influence = (
        0.4 * data.weekend,
        1.2 * data.weekend + 0.8 * (data.hour >= 18),
        2.4 * data.abroad + 0.4 * np.log1p(data.distance) - 1.2,
        2.2 * (office_hours & working_age) - 1.5 * ~office_hours + 0.6 * data.amount_score,
    )
    chances = [
        score[:, index] + added + draws.gumbel(len(score)) for index, added in enumerate(influence)
    ]
    return pa.array(_PURPOSES).take(pa.array(np.argmax(chances, axis=0)))


def _settlement(data: Transactions, draws: Draws) -> pa.Array:
    """Draw the hours until booking: it waits for Monday, and takes longer from abroad."""
    booking = np.array(_HOURS_TO_BOOK)[data.entry_mode]
    until_monday = np.select(
        [data.weekday == 5, data.weekday == 6, (data.weekday == 4) & (data.hour >= 17)],
        [48.0 - data.hour, 24.0 - data.hour, 72.0 - data.hour],
        0.0,
    )
    reviewed = np.where(data.amount > 500.0, 18.0, 0.0) + np.where(data.new_device, 5.0, 0.0)
    hours: Floats = (booking + until_monday + reviewed) * np.where(data.abroad, 1.5, 1.0)
    return pa.array(np.round(hours * np.exp(0.15 * draws.normal(len(hours))), 2))
