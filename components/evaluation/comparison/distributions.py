"""Tails of the normal, Student's and the binomial distribution, which numpy lacks."""

import math
from statistics import NormalDist

import numpy as np

_TINY = 1e-300
_STEPS = 1000
_LARGE = 1e7  # from here on Student's distribution is the normal one to 1e-8


def normal_tail(value: float) -> float:
    """Return the chance that a standard normal number is at least a value.

    Example:
        >>> round(normal_tail(1.96), 4)
        0.025
    """
    return 0.5 * math.erfc(value / math.sqrt(2))


def student_tail(value: float, freedom: float = math.inf) -> float:
    """Return the chance that a number with Student's distribution is at least a value.

    Args:
        value: The value.
        freedom: The degrees of freedom; infinite for the normal distribution.

    Example:
        >>> round(student_tail(2.262, freedom=9), 4)
        0.025
    """
    if freedom > _LARGE or math.isinf(value):
        return normal_tail(value)
    square = value * value
    if square < 1:
        # The share of a small square would vanish beside `freedom`.
        both = 1 - _incomplete_beta(0.5, freedom / 2, square / (freedom + square))
    else:
        both = _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + square))
    return both / 2 if value >= 0 else 1 - both / 2


def student_quantile(share: float, freedom: float = math.inf) -> float:
    """Return the value below which a number with Student's distribution is with a chance.

    Args:
        share: The chance, between 0 and 1.
        freedom: The degrees of freedom; infinite for the normal distribution.

    Example:
        >>> round(student_quantile(0.975), 3), round(student_quantile(0.975, freedom=9), 3)
        (1.96, 2.262)
    """
    value = NormalDist().inv_cdf(share)
    if freedom > _LARGE:
        return value
    low, high = sorted((0.0, value))
    while student_tail(high, freedom) > 1 - share:
        high = 2 * high + 1
    while student_tail(low, freedom) < 1 - share:
        low = 2 * low - 1
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if student_tail(middle, freedom) > 1 - share:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def fair_coin(heads: int, throws: int) -> float:
    """Return the chance of exactly so many heads in throws of a fair coin.

    Loader's form ("Fast and Accurate Computation of Binomial Probabilities", 2000) keeps 14 digits
    where a difference of log factorials would lose them.

    Example:
        >>> round(fair_coin(2, 4), 12)
        0.375
    """
    if not 0 <= heads <= throws:
        return 0.0
    if heads in (0, throws):
        return 0.5**throws
    tails = throws - heads
    exponent = (
        _stirling_error(throws)
        - _stirling_error(heads)
        - _stirling_error(tails)
        - _deviance(heads, throws / 2)
        - _deviance(tails, throws / 2)
    )
    return math.exp(exponent) * math.sqrt(throws / (2 * math.pi * heads * tails))


def fair_coin_tail(heads: int, throws: int) -> float:
    """Return the chance of at least so many heads in throws of a fair coin.

    Example:
        >>> round(fair_coin_tail(3, 4), 12)
        0.3125
    """
    if heads <= 0:
        return 1.0
    if 2 * heads <= throws:
        return 1 - fair_coin_tail(throws - heads + 1, throws)
    first = fair_coin(heads, throws)
    if not first:
        return 0.0
    # Beyond 12 standard deviations nothing is left of the first term.
    counts = np.arange(heads, min(throws, heads + 20 + int(8 * math.sqrt(throws))), dtype=float)
    return min(1.0, first * (1 + float(np.cumprod((throws - counts) / (counts + 1)).sum())))


def _stirling_error(count: int) -> float:
    """Return log(n!) minus Stirling's formula for it."""
    if count < 16:
        plain = (count + 0.5) * math.log(count) - count + 0.5 * math.log(2 * math.pi)
        return math.log(math.factorial(count)) - plain
    square = count * count
    inner = 1 / 1260 - (1 / 1680 - 1 / (1188 * square)) / square
    return (1 / 12 - (1 / 360 - inner / square) / square) / count


def _deviance(count: float, mean: float) -> float:
    """Return x log(x / m) + m - x without cancellation."""
    if abs(count - mean) >= 0.1 * (count + mean):
        return count * math.log(count / mean) + mean - count
    ratio = (count - mean) / (count + mean)
    total = (count - mean) * ratio
    term = 2 * count * ratio
    for place in range(1, _STEPS):
        term *= ratio * ratio
        larger = total + term / (2 * place + 1)
        if larger == total:
            break
        total = larger
    return total


def _incomplete_beta(first: float, second: float, value: float) -> float:
    """Return the regularized incomplete beta function."""
    if value <= 0 or value >= 1:
        return float(value >= 1)
    if value > (first + 1) / (first + second + 2):
        return 1 - _incomplete_beta(second, first, 1 - value)
    scale = math.exp(
        math.lgamma(first + second)
        - math.lgamma(first)
        - math.lgamma(second)
        + first * math.log(value)
        + second * math.log1p(-value)
    )
    return scale * _beta_fraction(first, second, value) / first


def _beta_fraction(first: float, second: float, value: float) -> float:
    """Return the continued fraction of the incomplete beta function, after Lentz (1976)."""
    above = 1.0
    below = 1 / _not_zero(1 - (first + second) * value / (first + 1))
    found = below
    for step in range(1, _STEPS):
        even = step * (second - step) * value / ((first + 2 * step - 1) * (first + 2 * step))
        odd = (
            -(first + step)
            * (first + second + step)
            * value
            / ((first + 2 * step) * (first + 2 * step + 1))
        )
        for part in (even, odd):
            below = 1 / _not_zero(1 + part * below)
            above = _not_zero(1 + part / above)
            found *= above * below
        if abs(above * below - 1) < 1e-16:
            break
    return found


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
