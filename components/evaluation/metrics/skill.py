"""The skill of a classifier: how much of the trivial model's log loss it saves.

The log loss is a proper score: only the true probabilities are best. The trivial model answers the
shares of the classes for every row. Skill is 1 - loss / trivial loss, which is McFadden's pseudo R2
("Conditional logit analysis of qualitative choice behavior", 1974): 0 for the trivial model, 1 for
a perfect one, negative for a model that is worse than no model.

Balanced class weights shift all log odds by a constant, and say nothing about what a model knows.
So the intercepts, one for each class, are fitted to the evaluated rows first, as those of the
trivial model are; the log odds keep their slope. This is the correction for choice-based samples of
King and Zeng ("Logistic Regression in Rare Events Data", 2001). The skill without it is kept too: a
large difference tells that probabilities are not calibrated.
"""

from dataclasses import dataclass

import numpy as np

from kfp_tabular.components.common.statistics import bootstrap
from kfp_tabular.components.common.statistics.bootstrap import GROUPS, Floats, Ints
from kfp_tabular.components.evaluation.metrics.answer_sample import SampledAnswers
from kfp_tabular.components.evaluation.metrics.binary import SMALLEST_PROBABILITY

_FITTED_ROWS = 8_192
_MOST_STEPS = 200
_PRECISION = 1e-6
_ABSENT = -30.0  # the log odds of a class without rows


@dataclass(frozen=True)
class Skill:
    """The skill of a classifier.

    Attributes:
        value: The skill with fitted intercepts.
        interval: Its 95% bootstrap interval; None if it is undefined.
        uncorrected: The skill of the probabilities as they are.
        loss: The log loss with fitted intercepts.
        trivial_loss: The log loss of always answering the shares of the classes.
    """

    value: float
    interval: tuple[float, float] | None
    uncorrected: float
    loss: float
    trivial_loss: float


def measure(sample: SampledAnswers, weights: Floats) -> Skill | None:
    """Return the skill on a sample of rows; None if all have one class.

    Args:
        sample: The rows, with probabilities of shape `[rows, classes]`.
        weights: How often each group counts in each resample, `[samples, groups]`.

    Example:
        >>> scores = np.array([0.2, 0.4, 0.6, 0.8], np.float32)
        >>> answers = np.stack([1 - scores, scores], axis=1)
        >>> rows = SampledAnswers(np.array([0, 0, 1, 1]), answers, np.arange(4))
        >>> round(measure(rows, bootstrap.weights(200, 0)).value, 3)
        0.471
    """
    labels = sample.labels.astype(np.int64)
    log_odds = np.log(np.clip(sample.predictions.astype(np.float64), SMALLEST_PROBABILITY, 1))
    classes = log_odds.shape[1]
    # Rows and classes by group, from which both losses of every resample follow.
    counts = np.bincount(sample.groups * classes + labels, minlength=GROUPS * classes)
    by_class = counts.reshape(GROUPS, classes).astype(np.float64)
    trivial = _entropy(by_class.sum(0))
    if not trivial > 0:
        return None
    step = max(1, len(labels) // _FITTED_ROWS)
    intercepts = _intercepts(log_odds[::step], labels[::step])
    losses = _losses(log_odds + intercepts, labels)
    by_group = np.bincount(sample.groups, losses, GROUPS)
    resampled = weights @ by_class
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = 1 - (weights @ by_group) / resampled.sum(-1) / _entropy(resampled)
    loss = float(losses.mean())
    return Skill(
        value=1 - loss / float(trivial),
        interval=bootstrap.interval(drawn),
        uncorrected=1 - float(_losses(log_odds, labels).mean()) / float(trivial),
        loss=loss,
        trivial_loss=float(trivial),
    )


def _entropy(counts: Floats) -> Floats:
    shares = counts / counts.sum(-1, keepdims=True)
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    entropy: Floats = -(shares * logs).sum(-1)
    return entropy


def _losses(log_odds: Floats, labels: Ints) -> Floats:
    given = np.take_along_axis(_log_shares(log_odds), labels[:, None], axis=1)[:, 0]
    losses: Floats = -np.maximum(given, np.log(SMALLEST_PROBABILITY))
    return losses


def _log_shares(log_odds: Floats) -> Floats:
    centered = log_odds - log_odds.max(axis=1, keepdims=True)
    shares: Floats = centered - np.log(np.exp(centered).sum(axis=1, keepdims=True))
    return shares


def _intercepts(log_odds: Floats, labels: Ints) -> Floats:
    """Return the intercepts with the least log loss: the mean probabilities become the shares.

    Iterative scaling (Darroch and Ratcliff, 1972) lowers the loss in every step.
    """
    rows = np.bincount(labels, minlength=log_odds.shape[1])
    wanted = rows / len(labels)
    intercepts = np.where(rows > 0, 0.0, _ABSENT)
    for _ in range(_MOST_STEPS):
        given = np.exp(_log_shares(log_odds + intercepts)).mean(axis=0)
        change = np.log(np.maximum(wanted, 1e-12) / np.maximum(given, 1e-12))
        change[rows == 0] = 0.0
        intercepts = intercepts + change
        if np.abs(change).max() < _PRECISION:
            break
    return intercepts
