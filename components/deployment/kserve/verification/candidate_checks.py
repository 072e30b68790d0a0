"""What was measured of a candidate, and whether it passes."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from kfp_tabular.components.common.artifacts.golden_examples import TOLERANCE
from kfp_tabular.components.deployment.kserve.resources.service_settings import (
    Verification,
    percentile,
)


class CheckFailedError(Exception):
    """A candidate did not pass; the message says which check, and by how much."""


@dataclass
class Measured:
    """Requests to a candidate in one step.

    Attributes:
        latencies: Of the requests that were answered with 200, in seconds, the shortest first.
        errors: How the others failed, the newest last.
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
        """How many there were."""
        return len(self.latencies) + len(self.errors)


def failure(measured: Measured, bounds: Verification, planned: int = 0) -> str:
    """Tells which check fails, and by how much; empty where none does.

    Args:
        measured: What was measured.
        bounds: What to pass.
        planned: How many requests there will be in all. Before that many, a check counts as failed
            only where nothing that may still come could make it pass.
    """
    whole = max(planned, measured.requests)
    if measured.wrong:
        return (
            f"answers: {len(measured.wrong)} of {len(measured.latencies)} are not those of the "
            f"evaluation within {TOLERANCE:g}: {measured.wrong[0]}"
        )
    errors = len(measured.errors)
    if errors > _allowed(bounds.max_error_rate, whole):
        return (
            f"errors: {errors} of {measured.requests} requests failed "
            f"({errors / measured.requests:.1%}, the bound is {bounds.max_error_rate:.1%}): "
            f"{measured.errors[-1]}"
        )
    if errors and not measured.latencies and measured.requests >= planned:
        # Whatever share may fail, what has given no answer has not given the right ones.
        return f"answers: none of {errors} requests was answered: {measured.errors[-1]}"
    return _too_slow(measured, bounds, whole)


def summary(measured: Measured) -> str:
    """Describes what was measured, in a line."""
    if not measured.latencies:
        return f"{measured.requests} requests, none answered"
    times = measured.latencies
    shown = ", ".join(f"p{name:g} {_at(times, name) * 1000:.1f} ms" for name in (50, 95, 99))
    return (
        f"{measured.requests} requests, {len(measured.errors)} failed, {shown}, answers differ by "
        f"at most {measured.largest:.2g}"
    )


def _too_slow(measured: Measured, bounds: Verification, whole: int) -> str:
    times = measured.latencies
    if not times:
        return ""
    answered = max(whole - len(measured.errors), len(times))
    for name, milliseconds in bounds.max_latency_ms.items():
        share = percentile(name)
        slower = len(times) - bisect_right(times, milliseconds, key=lambda seconds: seconds * 1000)
        if slower > answered - _rank(share, answered):
            return (
                f"latency: {name} is {_at(times, share) * 1000:.1f} ms, the bound is "
                f"{milliseconds:g} ms ({slower} of {len(times)} requests took longer)"
            )
    return ""


def _allowed(rate: float, whole: int) -> int:
    # A share such as 0.29 of 100 is 28.999999999999996 in binary.
    return math.floor(rate * whole + 1e-9)


def _rank(share: float, count: int) -> int:
    """The place, from 1, of a percentile among sorted values (nearest rank)."""
    return max(1, math.ceil(share / 100 * count - 1e-9))


def _at(times: Sequence[float], share: float) -> float:
    return times[_rank(share, len(times)) - 1]
