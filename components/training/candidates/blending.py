"""The weights of a blend and its calibration, fitted on the eval rows. Pure numpy, deterministic.

A blend adds up its members' logits, `sum(coefficient * logits) + bias`. There are two forms:

- `weights`: the coefficients are at least 0 and add up to 1;
- `calibrated`: the coefficients only have to be at least 0, and there is a bias. Their sum is the
  inverse of a temperature.

Both minimize the proper score: the log loss, or the squared error. A quadratic penalty pulls
towards equal weights without calibration, as a normal prior of standard deviation 0.3 would, so
that few rows change little.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from kfp_tabular.components.common.artifacts.supervised_task import TaskKind

Array = np.ndarray[Any, Any]
Form = Literal["weights", "calibrated"]

LEAST_ROWS: Mapping[Form, int] = {"weights": 20, "calibrated": 200}
"""Eval rows from which a form is tried."""

_LEAST_ROWS_PER_CLASS = 20
_MOST_BIASES = 50
_FOLDS = 5
_MOST_LOGITS = 2_000_000
_PRECISION = 1 / 0.3**2
_NEWTON_STEPS = 50
_TOLERANCE = 1e-10


@dataclass(frozen=True)
class Blend:
    """How members' logits are added up.

    Attributes:
        coefficients: One number of at least 0 for each member.
        bias: What is added to each unit of the logits.
    """

    coefficients: tuple[float, ...]
    bias: tuple[float, ...]

    @property
    def weights(self) -> tuple[float, ...]:
        """The shares of the members, which add up to 1."""
        total = sum(self.coefficients)
        return tuple(value / total for value in self.coefficients)

    def logits(self, members: Sequence[Array]) -> Array:
        """Return the blend's logits for those of its members, each `[rows, units]`."""
        total = sum(
            value * member for value, member in zip(self.coefficients, members, strict=True)
        )
        return np.asarray(total + np.array(self.bias))


@dataclass(frozen=True)
class CrossValidation:
    """Losses of the eval rows: of blends that were not fitted on them, and of the members.

    Attributes:
        losses: The loss of each row.
        members: The losses of each member, `[members, rows]`.
        weights: Weight of each row in the score.
    """

    losses: Array
    members: Array
    weights: Array

    @property
    def loss(self) -> float:
        """The mean loss of the blends."""
        return float(np.average(self.losses, weights=self.weights))

    def above(self, losses: Array) -> tuple[float, float]:
        """Return by how much the blends' mean loss is above another one, and its standard error.

        Args:
            losses: The other losses of the same rows.

        Example:
            >>> ones = np.ones(4)
            >>> found = CrossValidation(np.array([1.0, 2.0, 1.0, 2.0]), ones[None], ones)
            >>> found.above(ones)
            (0.5, 0.25)
        """
        differences = self.losses - losses
        mean = np.average(differences, weights=self.weights)
        spread = self.weights * (differences - mean)
        return float(mean), float(np.sqrt((spread**2).sum()) / self.weights.sum())


@dataclass(frozen=True)
class _Problem:
    """What a form is fitted to: logits `[rows, units, members]`, labels and weights of rows."""

    kind: TaskKind
    logits: Array
    label: Array
    weights: Array
    noise: float

    def take(self, rows: Array) -> "_Problem":
        return _Problem(
            self.kind, self.logits[rows], self.label[rows], self.weights[rows], self.noise
        )


def equal(members: int, units: int) -> Blend:
    """Return the blend of equal weights, without calibration.

    Example:
        >>> equal(2, 1)
        Blend(coefficients=(0.5, 0.5), bias=(0.0,))
    """
    return Blend((1 / members,) * members, (0.0,) * units)


def normalized(kind: TaskKind, logits: Array) -> Array:
    """Return logits that can be added up: log probabilities for several classes.

    Args:
        kind: The kind of task.
        logits: Shape `[rows, units]`.
    """
    values = logits.astype(np.float64)
    if kind != "multiclass":
        return values
    values = values - values.max(axis=1, keepdims=True)
    return np.asarray(values - np.log(np.exp(values).sum(axis=1, keepdims=True)))


def losses(kind: TaskKind, logits: Array, label: Array) -> Array:
    """Return the loss of each row: minus the log probability of its class, or the squared error.

    Args:
        kind: The kind of task.
        logits: Shape `[rows, units]`.
        label: Class indices, or standardized values, shape `[rows]`.

    Example:
        >>> losses("regression", np.array([[0.5], [1.0]]), np.array([0.0, 1.0])).tolist()
        [0.25, 0.0]
    """
    if kind == "regression":
        return np.asarray((logits[:, 0] - label) ** 2)
    if kind == "binary":
        return np.logaddexp(0.0, np.where(label == 1, -logits[:, 0], logits[:, 0]))
    return np.asarray(-normalized(kind, logits)[np.arange(len(label)), label])


def fit(
    kind: TaskKind,
    members: Sequence[Array],
    label: Array,
    form: Form,
    weights: Array | None = None,
) -> Blend:
    """Return the best blend of a form.

    Args:
        kind: The kind of task.
        members: Logits of each member, `[rows, units]`, from `normalized`.
        label: Class indices, or standardized values, shape `[rows]`.
        form: What may be fitted.
        weights: Weight of each row in the score; None for equal ones.

    Example:
        >>> label = np.array([0, 1] * 200)
        >>> good, bad = np.where(label, 2.0, -2.0)[:, None], np.ones((400, 1))
        >>> fit("binary", [good, bad], label, "weights").coefficients
        (1.0, 0.0)
    """
    return _fit(_problem(kind, members, label, weights), form)


def cross_validated(
    kind: TaskKind,
    members: Sequence[Array],
    label: Array,
    form: Form,
    weights: Array | None = None,
) -> CrossValidation:
    """Return the losses of a form's blends on rows that they were not fitted on, in five folds.

    The arguments are those of `fit`.
    """
    problem = _problem(kind, members, label, weights)
    rows = len(problem.label)
    # Not by position: files may be sorted by time or by class.
    fold = np.random.default_rng(0).permutation(rows) % _FOLDS
    found = np.empty(rows)
    for number in range(_FOLDS):
        inside, outside = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        blend = _fit(problem.take(inside), form)
        left_out = problem.take(outside)
        logits = left_out.logits @ np.array(blend.coefficients) + np.array(blend.bias)
        found[outside] = losses(kind, logits, left_out.label)
    alone = [
        losses(kind, problem.logits[:, :, member], problem.label) for member in range(len(members))
    ]
    return CrossValidation(found, np.stack(alone), problem.weights)


def _problem(
    kind: TaskKind, members: Sequence[Array], label: Array, weights: Array | None
) -> _Problem:
    rows, units = members[0].shape
    picked = np.linspace(0, rows - 1, min(rows, max(1, _MOST_LOGITS // units))).astype(int)
    logits = np.stack([member[picked] for member in members], axis=2)
    given = np.ones(len(picked)) if weights is None else weights[picked] / weights[picked].mean()
    noise = 1.0
    if kind == "regression":
        errors = (logits[:, 0, :] - label[picked][:, None]) ** 2
        noise = max(float(errors.mean(axis=0).min()), 1e-12)
    return _Problem(kind, logits, label[picked], given, noise)


def _fit(problem: _Problem, form: Form) -> Blend:
    """Try every set of members: the best one whose coefficients are all at least 0 is the optimum.

    The problem is convex, and there are few members.
    """
    _, units, members = problem.logits.shape
    best, least = equal(members, units), np.inf
    for size in range(1, members + 1):
        for chosen in itertools.combinations(range(members), size):
            start, directions = _directions(chosen, members, form)
            coefficients, bias, value = _newton(
                problem, start, directions, with_bias=_biases(problem, form)
            )
            if coefficients.min() >= 0 and coefficients.sum() > 0 and value < least:
                least = value
                best = Blend(tuple(coefficients.tolist()), tuple(bias.tolist()))
    return best


def _directions(chosen: Sequence[int], members: int, form: Form) -> tuple[Array, Array]:
    """Return where the coefficients start, and the directions `[members, n]` in which they move."""
    unit = np.eye(members)
    start = unit[:, list(chosen)].mean(axis=1)
    if form == "calibrated":
        return start, unit[:, list(chosen)]
    first, *others = chosen
    return start, unit[:, others] - unit[:, [first]]


def _biases(problem: _Problem, form: Form) -> bool:
    """Whether there are enough rows for a bias of each unit."""
    if form == "weights":
        return False
    if problem.kind != "multiclass":
        return True
    units = problem.logits.shape[1]
    counts = np.bincount(problem.label, minlength=units)
    return units <= _MOST_BIASES and int(counts.min()) >= _LEAST_ROWS_PER_CLASS


def _newton(
    problem: _Problem, start: Array, directions: Array, *, with_bias: bool
) -> tuple[Array, Array, float]:
    """Minimize the loss with its penalty; return coefficients, bias and the value there."""
    _, units, members = problem.logits.shape
    middle = np.full(members, 1 / members)
    free, biases = directions.shape[1], units if with_bias else 0
    features = problem.logits @ directions
    offset = problem.logits @ start

    def unpack(parameters: Array) -> tuple[Array, Array]:
        bias = parameters[free:] if with_bias else np.zeros(units)
        return start + directions @ parameters[:free], bias

    def value(parameters: Array) -> float:
        coefficients, bias = unpack(parameters)
        logits = offset + features @ parameters[:free] + bias
        loss = losses(problem.kind, logits, problem.label)
        if problem.kind == "regression":
            loss = loss / (2 * problem.noise)
        penalty = ((coefficients - middle) ** 2).sum() + (bias**2).sum()
        return float((loss * problem.weights).sum() + penalty * _PRECISION / 2)

    parameters = np.zeros(free + biases)
    now = value(parameters)
    for _ in range(_NEWTON_STEPS if len(parameters) else 0):
        coefficients, bias = unpack(parameters)
        logits = offset + features @ parameters[:free] + bias
        gradient, hessian = _derivatives(problem, logits, features, with_bias=with_bias)
        gradient[:free] += _PRECISION * (directions.T @ (coefficients - middle))
        hessian[:free, :free] += _PRECISION * (directions.T @ directions)
        gradient[free:] += _PRECISION * bias[:biases]
        hessian[free:, free:] += _PRECISION * np.eye(biases)
        step = np.linalg.solve(hessian, gradient)
        length = next((size for size in _lengths() if value(parameters - size * step) < now), None)
        if length is None:
            break
        before, parameters = now, parameters - length * step
        now = value(parameters)
        if before - now < _TOLERANCE * (1 + abs(now)):
            break
    coefficients, bias = unpack(parameters)
    # Members that are left out stay at exactly 0; others may end a rounding error below it.
    return np.where(np.abs(coefficients) < 1e-9, 0.0, coefficients), bias, now


def _lengths() -> Iterator[float]:
    return (0.5**halvings for halvings in range(30))


def _derivatives(
    problem: _Problem, logits: Array, features: Array, *, with_bias: bool
) -> tuple[Array, Array]:
    """Return gradient and Hessian of the loss by the directions, then by the biases."""
    rows = len(features)
    weights = problem.weights[:, None]
    if problem.kind == "multiclass":
        p = np.exp(normalized("multiclass", logits))
        residual = p.copy()
        residual[np.arange(rows), problem.label] -= 1
        # The curvature of a row is diag(p) - p p'.
        centered = features - np.einsum("nk,nkf->nf", p, features)[:, None, :]
        curved = centered * (p * weights)[:, :, None]
        second = np.einsum("nkf,nkg->fg", features, curved)
        mixed = curved.sum(axis=0).T
        own = np.diag((p * weights).sum(axis=0)) - p.T @ (p * weights)
    else:
        if problem.kind == "binary":
            p = 0.5 * (1 + np.tanh(logits / 2))
            residual, curvature = p - problem.label[:, None], p * (1 - p)
        else:
            residual = (logits - problem.label[:, None]) / problem.noise
            curvature = np.full_like(logits, 1 / problem.noise)
        curved = features * (curvature * weights)[:, :, None]
        second = np.einsum("nkf,nkg->fg", features, curved)
        mixed = curved.sum(axis=0).T
        own = np.diag((curvature * weights).sum(axis=0))
    gradient = np.einsum("nk,nkf->f", residual * weights, features)
    if not with_bias:
        return gradient, second
    joined = np.block([[second, mixed], [mixed.T, own]])
    return np.concatenate([gradient, (residual * weights).sum(axis=0)]), joined
