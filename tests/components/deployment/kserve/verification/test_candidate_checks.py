"""What is measured, and whether it passes."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.deployment.kserve.resources.verification_settings import (
    VerificationBounds,
)
from kfp_tabular.components.deployment.kserve.verification.candidate_checks import (
    ProbeResults,
    describe,
    failure,
)

BOUNDS = VerificationBounds(max_error_rate=0.1, max_latency_ms={"p50": 100, "p99": 500})


def measured(fast: int, slow: int = 0, errors: int = 0) -> ProbeResults:
    return ProbeResults([0.05] * fast + [0.9] * slow, ["HTTP 500"] * errors)


def test_what_is_within_bounds_passes() -> None:
    assert failure(measured(100), BOUNDS) == ""
    assert failure(measured(99, slow=1), BOUNDS) == ""
    assert failure(measured(90, errors=10), BOUNDS) == ""
    assert failure(ProbeResults(), BOUNDS) == ""


def test_a_failed_check_is_named_with_its_margin() -> None:
    assert failure(measured(98, slow=2), BOUNDS) == (
        "latency: p99 is 900.0 ms, the bound is 500 ms (2 of 100 requests took longer)"
    )
    assert failure(measured(89, errors=11), BOUNDS) == (
        "errors: 11 of 100 requests failed (11.0%, the bound is 10.0%): HTTP 500"
    )
    wrong = ProbeResults([0.1] * 4, wrong=["golden example 3 differs by 0.5"])
    text = "1 of 4 differ from those of the evaluation by more than 1e-05: golden example 3"
    assert text in failure(wrong, BOUNDS)


@pytest.mark.parametrize("planned", [100, 1000])
def test_it_fails_early_only_where_nothing_can_help(planned: int) -> None:
    allowed = planned // 10
    assert failure(measured(0, errors=allowed), BOUNDS, planned) == ""
    assert failure(measured(0, errors=allowed + 1), BOUNDS, planned).startswith("errors")
    allowed = planned // 100
    assert failure(measured(0, slow=allowed), BOUNDS, planned) == ""
    assert failure(measured(0, slow=allowed + 1), BOUNDS, planned).startswith("latency: p99")


@given(
    latencies=st.lists(st.floats(0, 2), min_size=1, max_size=60),
    share=st.sampled_from([1, 50, 90, 95, 99, 99.9]),
    bound=st.floats(1, 2000),
    more=st.lists(st.floats(0, 0.0001), max_size=60),
)
def test_percentiles_are_nearest_ranks(
    latencies: list[float], share: float, bound: float, more: list[float]
) -> None:
    bounds = VerificationBounds(max_latency_ms={f"p{share:g}": bound})
    rank = max(1, math.ceil(share / 100 * len(latencies) - 1e-9))
    slow = sorted(latencies)[rank - 1] * 1000 > bound
    assert bool(failure(ProbeResults(latencies), bounds)) == slow
    # An early verdict is the one at the end, whatever good comes after it.
    whole = latencies + more
    if failure(ProbeResults(latencies), bounds, len(whole)):
        assert failure(ProbeResults(whole), bounds)


def test_a_look_takes_no_longer_after_a_day() -> None:
    """Results are checked ten times a second; the time this takes would show in the latencies."""
    compared = 0

    class Seconds(float):
        def __mul__(self, other: float) -> float:
            nonlocal compared
            compared += 1
            return float(self) * other

        def __gt__(self, other: Any) -> bool:
            raise AssertionError("sorted again")

    found = ProbeResults()
    found.latencies = [Seconds(0.05)] * 1_000_000

    assert failure(found, BOUNDS, 2_000_000) == ""
    assert compared < 100


def test_a_line_reports_what_was_measured() -> None:
    assert describe(measured(99, slow=1, errors=2)) == (
        "102 requests, 2 failed, p50 50.0 ms, p95 50.0 ms, p99 50.0 ms, answers differ by at most 0"
    )
    assert describe(ProbeResults(errors=["x"])) == "1 requests, none answered"
