"""Permutation importance: how much worse a model's score gets when an input is shuffled.

Breiman, "Random Forests", 2001; Fisher, Rudin and Dominici, "All Models are Wrong, but Many are
Useful", 2019. The score is the proper one of the task: log loss, or RMSE in regression. The inputs
are those of the exported model, so whatever the transform makes of a column is shuffled together.

Intervals: each row counts twice, as the one that gets a value and as the one that gives it. The
importance is a mean over such pairs (a U-statistic), and its variance follows from the sum of both
parts of each row (Hoeffding, 1948), less the variance of single pairs that this sum counts twice.
So the interval covers other rows and other shuffles.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.artifacts.supervised_task import TaskKind
from kfp_tabular.components.common.prediction.saved_model import Predictions
from kfp_tabular.components.common.statistics.bootstrap import Floats, Ints
from kfp_tabular.components.evaluation.explanations.row_sample import SampledRows
from kfp_tabular.components.evaluation.metrics.binary import SMALLEST_PROBABILITY

Predict = Callable[[Mapping[str, Any]], Predictions]
"""Maps inputs by `ModelInput.input` to probabilities `[rows, classes]`, or to values `[rows]`."""

SCORES: Mapping[TaskKind, str] = {
    "binary": "log_loss",
    "multiclass": "log_loss",
    "regression": "rmse",
}
"""The score whose increase is the importance."""

_NORMAL = 1.959964  # the 97.5% quantile
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Importance:
    """The importance of an input.

    Attributes:
        input: The name of the signature's input.
        mean: How much the score rises when the input is shuffled: the mean over the repetitions.
        interval: Its 95% interval; None for fewer than two rows.
        repetitions: How often the input was shuffled.
        rows: The number of rows.
    """

    input: str
    mean: float
    interval: tuple[float, float] | None
    repetitions: int
    rows: int


def measure(
    rows: SampledRows,
    predict: Predict,
    task: TaskKind,
    inputs: Sequence[str],
    *,
    repetitions: int,
    seed: int,
) -> tuple[list[Importance], list[str]]:
    """Measure the importance of inputs.

    Args:
        rows: The rows.
        predict: The model.
        task: The model's task.
        inputs: The inputs to shuffle.
        repetitions: How often to shuffle each.
        seed: Seed of the shuffles.

    Returns:
        The importances, the largest first, and the inputs that are left out because the model's
        answers are not finite when they are shuffled.

    Example:
        >>> random = np.random.default_rng(0)
        >>> values = {"a": random.normal(size=500), "b": random.normal(size=500)}
        >>> rows = SampledRows(values, 2 * values["a"])
        >>> measured, _ = measure(rows, lambda given: 2 * given["a"], "regression", ["b", "a"],
        ...                       repetitions=3, seed=0)
        >>> [(each.input, round(each.mean, 1)) for each in measured]
        [('a', 2.9), ('b', 0.0)]
    """
    base = losses(predict(rows.inputs), rows.labels, task)
    found, not_finite = [], []
    for place, name in enumerate(inputs):
        random = np.random.default_rng([seed % 2**64, place])
        sums = _PairSums(base)
        for _ in range(repetitions):
            order = random.permutation(len(rows))
            answers = predict({**rows.inputs, name: rows.inputs[name][order]})
            sums.add(losses(answers, rows.labels, task), order)
        if np.isfinite(sums.received).all():
            mean, interval = _estimate(sums, task)
            found.append(Importance(name, mean, interval, repetitions, len(rows)))
        else:
            not_finite.append(name)
    return sorted(found, key=lambda each: -each.mean), not_finite


def losses(answers: Predictions, labels: npt.NDArray[Any], task: TaskKind) -> Floats:
    """Return the loss of each row: -ln of the true class's probability, or the squared error.

    Example:
        >>> losses(np.array([[0.5, 0.5]]), np.array([1]), "binary").round(3).tolist()
        [0.693]
    """
    if task == "regression":
        return np.asarray((answers.astype(np.float64) - labels) ** 2, np.float64)
    given = answers[np.arange(len(labels)), labels].astype(np.float64)
    return np.asarray(-np.log(np.clip(given, SMALLEST_PROBABILITY, 1)), np.float64)


class _PairSums:
    """Sums of losses over repetitions, by the row that got a value and by the row that gave it.

    Args:
        base: The losses without a shuffle.
    """

    def __init__(self, base: Floats) -> None:
        self.base = base
        self.received = np.zeros(len(base))
        self.given = np.zeros(len(base))
        self.base_given = np.zeros(len(base))
        self.means: list[float] = []
        self.squares = 0.0
        self.products = 0.0

    def add(self, lost: Floats, order: Ints) -> None:
        self.received += lost
        self.given[order] += lost
        self.base_given[order] += self.base
        self.means.append(float(lost.mean()))
        self.squares += float(lost @ lost)
        self.products += float(lost @ self.base)


def _estimate(sums: _PairSums, task: TaskKind) -> tuple[float, tuple[float, float] | None]:
    base, repetitions, rows = sums.base, len(sums.means), len(sums.base)
    before, after = float(base.mean()), float(np.mean(sums.means))
    if task == "regression":
        mean = float(np.sqrt(sums.means).mean() - np.sqrt(before))
        # The delta method: the derivative of a square root.
        scale, base_scale = _root_slope(after), _root_slope(before)
    else:
        mean, scale, base_scale = after - before, 1.0, 1.0
    if rows < 2:
        return mean, None
    parts = scale * (sums.received + sums.given) / repetitions
    parts -= base_scale * (base + sums.base_given / repetitions)
    squares = (
        scale**2 * sums.squares / (rows * repetitions)
        - 2 * scale * base_scale * sums.products / (rows * repetitions)
        + base_scale**2 * float(base @ base) / rows
    )
    single = squares - (scale * after - base_scale * before) ** 2
    variance = float(np.var(parts, ddof=1))
    variance = max(variance - single / repetitions, variance / 4)
    error = _NORMAL * float(np.sqrt(variance / rows))
    # What is left of an input that the model ignores is rounding.
    error = error if error > _ROUNDING * max(before, after) else 0.0
    return mean, (mean - error, mean + error)


def _root_slope(mean_square: float) -> float:
    return 1 / (2 * float(np.sqrt(mean_square))) if mean_square > 0 else 0.0
