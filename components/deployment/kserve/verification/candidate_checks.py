"""Results of requests to a candidate, and the checks that they must pass."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from kfp_tabular.components.common.artifacts.golden_examples import TOLERANCE
from kfp_tabular.components.deployment.kserve.resources.verification_settings import (
    VerificationBounds,
    percentile,
)


class CheckFailedError(Exception):
    """A candidate failed a check; the message says which, and by how much."""


@dataclass
class ProbeResults:
    """Requests to a candidate in one step.

    Attributes:
        latencies: Seconds of the requests that were answered with status 200, shortest first.
        errors: How the other requests failed, newest last.
        wrong: How answers differed from the golden ones.
        largest: The largest difference that was found.
    """

    latencies: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    largest: float = 0.0

    def __post_init__(self) -> None:
        self.latencies = sorted(self.latencies)

    @property
    def requests(self) -> int:
        """The number of requests."""
        return len(self.latencies) + len(self.errors)


def failure(results: ProbeResults, bounds: VerificationBounds, planned: int = 0) -> str:
    """Return which check fails, and by how much; empty where none does.

    Args:
        results: The requests so far.
        bounds: The bounds to keep.
        planned: How many requests there will be in all. Before that many, a check fails only if
            no further result could make it pass.

    Example:
        >>> slow = ProbeResults(latencies=[0.02, 0.3])
        >>> failure(slow, VerificationBounds(max_latency_ms={"p99": 200}))
        'latency: p99 is 300.0 ms, the bound is 200 ms (1 of 2 requests took longer)'
    """
    whole = max(planned, results.requests)
    if results.wrong:
        return (
            f"answers: {len(results.wrong)} of {len(results.latencies)} differ from those of the "
            f"evaluation by more than {TOLERANCE:g}: {results.wrong[0]}"
        )
    errors = len(results.errors)
    if errors > _allowed_errors(bounds.max_error_rate, whole):
        return (
            f"errors: {errors} of {results.requests} requests failed "
            f"({errors / results.requests:.1%}, the bound is {bounds.max_error_rate:.1%}): "
            f"{results.errors[-1]}"
        )
    if errors and not results.latencies and results.requests >= planned:
        # Whatever error rate is allowed: no answer was compared at all.
        return f"answers: none of {errors} requests was answered: {results.errors[-1]}"
    return _latency_failure(results, bounds, whole)


def describe(results: ProbeResults) -> str:
    """Return the results in one line.

    Example:
        >>> describe(ProbeResults(latencies=[0.01]))
        '1 requests, 0 failed, p50 10.0 ms, p95 10.0 ms, p99 10.0 ms, answers differ by at most 0'
    """
    if not results.latencies:
        return f"{results.requests} requests, none answered"
    times = results.latencies
    shown = ", ".join(f"p{name:g} {_at(times, name) * 1000:.1f} ms" for name in (50, 95, 99))
    return (
        f"{results.requests} requests, {len(results.errors)} failed, {shown}, answers differ by "
        f"at most {results.largest:.2g}"
    )


def _latency_failure(results: ProbeResults, bounds: VerificationBounds, whole: int) -> str:
    times = results.latencies
    if not times:
        return ""
    answered = max(whole - len(results.errors), len(times))
    for name, milliseconds in bounds.max_latency_ms.items():
        share = percentile(name)
        slower = len(times) - bisect_right(times, milliseconds, key=lambda seconds: seconds * 1000)
        if slower > answered - _rank(share, answered):
            return (
                f"latency: {name} is {_at(times, share) * 1000:.1f} ms, the bound is "
                f"{milliseconds:g} ms ({slower} of {len(times)} requests took longer)"
            )
    return ""


def _allowed_errors(rate: float, whole: int) -> int:
    # A share such as 0.29 of 100 is 28.999999999999996 in binary.
    return math.floor(rate * whole + 1e-9)


def _rank(share: float, count: int) -> int:
    """Return the position, from 1, of a percentile among sorted values (nearest rank)."""
    return max(1, math.ceil(share / 100 * count - 1e-9))


def _at(times: Sequence[float], share: float) -> float:
    return times[_rank(share, len(times)) - 1]
