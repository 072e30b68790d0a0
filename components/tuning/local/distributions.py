"""Optuna distributions for hyperparameters.

Optuna has uniform and logarithmic ranges and unordered choices. Katib's other distributions are
expressed by these: a value on a grid by its index, a normal distribution by the position in its
cumulative distribution. A raw value is what Optuna samples; `value` converts it to the
hyperparameter's value, `raw` converts back.
"""

import math
from decimal import Decimal
from statistics import NormalDist
from typing import TYPE_CHECKING

from kfp_tabular.components.tuning.search.search_space import Choice, Number, Parameter, Value

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_NORMAL = NormalDist()

_SIGMAS = 3.0
"""Bounds of a normal distribution are three standard deviations from its mean, as in Katib
(KEP-2374); here they also truncate it."""

_EDGE = _NORMAL.cdf(-_SIGMAS)

Raw = int | float


def distribution(parameter: Parameter) -> "BaseDistribution":
    """Return the Optuna distribution of a hyperparameter's raw values.

    Example:
        >>> distribution(Number("epochs", "int", Decimal(1), Decimal(20), step=Decimal(1)))
        IntDistribution(high=19, log=False, low=0, step=1)
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(parameter, Choice) and parameter.kind == "categorical":
        return CategoricalDistribution(range(parameter.size))
    if isinstance(parameter, Choice) or _is_index(parameter):
        return IntDistribution(0, (parameter.size or 1) - 1)
    if parameter.distribution in ("normal", "logNormal"):
        return FloatDistribution(0.0, 1.0)
    log = parameter.distribution == "logUniform"
    if log and _is_every_integer(parameter):
        return IntDistribution(int(parameter.low), int(parameter.high), log=True)
    return FloatDistribution(float(parameter.low), float(parameter.high), log=log)


def value(parameter: Parameter, raw: Raw) -> Value:
    """Return the hyperparameter's value for a raw value.

    Example:
        >>> dropout = Number("dropout", "double", Decimal(0), Decimal("0.5"), step=Decimal("0.05"))
        >>> value(dropout, 3)
        0.15
        >>> value(Choice("batch_size", "discrete", (64, 128, 256)), 2)
        256
    """
    if isinstance(parameter, Choice) or _is_index(parameter):
        return parameter.at(int(raw))
    if parameter.distribution in ("normal", "logNormal"):
        return _on_grid(parameter, _quantile(parameter, float(raw)))
    return _on_grid(parameter, float(raw))


def raw(parameter: Parameter, given: Value) -> Raw | None:
    """Return the raw value for a hyperparameter's value; None if it is outside the search space.

    Example:
        >>> dropout = Number("dropout", "double", Decimal(0), Decimal("0.5"), step=Decimal("0.05"))
        >>> raw(dropout, 0.15), raw(dropout, 0.17)
        (3, None)
    """
    if isinstance(parameter, Choice):
        return parameter.values.index(given) if given in parameter.values else None
    exact = Decimal(str(given))
    off_grid = parameter.step is not None and (exact - parameter.low) % parameter.step != 0
    if off_grid or not parameter.low <= exact <= parameter.high:
        return None
    if parameter.step is not None and _is_index(parameter):
        return int((exact - parameter.low) / parameter.step)
    if parameter.distribution in ("normal", "logNormal"):
        return _position(parameter, float(exact))
    return int(exact) if _is_every_integer(parameter) else float(exact)


def _is_index(parameter: Number) -> bool:
    return parameter.distribution == "uniform" and parameter.size is not None


def _is_every_integer(parameter: Number) -> bool:
    return parameter.kind == "int" and parameter.step == 1


def _quantile(parameter: Number, share: float) -> float:
    """Return the value below which a share of a normal distribution lies."""
    low, high = _normal_bounds(parameter)
    sigmas = _NORMAL.inv_cdf(_EDGE + share * (1.0 - 2.0 * _EDGE))
    found = (low + high) / 2 + sigmas * (high - low) / (2 * _SIGMAS)
    return math.exp(found) if parameter.distribution == "logNormal" else found


def _position(parameter: Number, found: float) -> float:
    """Return the share of a normal distribution below a value; the inverse of `_quantile`."""
    low, high = _normal_bounds(parameter)
    if low == high:
        return 0.5
    at = math.log(found) if parameter.distribution == "logNormal" else found
    sigmas = (at - (low + high) / 2) / ((high - low) / (2 * _SIGMAS))
    return min(1.0, max(0.0, (_NORMAL.cdf(sigmas) - _EDGE) / (1.0 - 2.0 * _EDGE)))


def _normal_bounds(parameter: Number) -> tuple[float, float]:
    if parameter.distribution == "logNormal":
        return math.log(parameter.low), math.log(parameter.high)
    return float(parameter.low), float(parameter.high)


def _on_grid(parameter: Number, sampled: float) -> int | float:
    exact = min(max(Decimal(repr(sampled)), parameter.low), parameter.high)
    if parameter.size is None or parameter.step is None:
        return parameter.typed(exact)
    index = int(((exact - parameter.low) / parameter.step).to_integral_value())
    return parameter.at(min(index, parameter.size - 1))
