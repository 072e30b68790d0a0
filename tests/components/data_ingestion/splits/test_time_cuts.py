"""The times at which splits begin: those of all times in order, however few are held."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.processing.folds.number_counts import Bin
from kfp_tabular.components.data_ingestion.splits import split_names
from kfp_tabular.components.data_ingestion.splits.time_cuts import (
    CountedTimes,
    TimeCounts,
    time_cuts,
)
from tests import accumulator_laws

INFINITE = st.sampled_from([-np.inf, np.inf])
TIMES = st.lists(
    st.none() | st.integers(-5, 5) | st.floats(allow_nan=False) | INFINITE, max_size=60
)
SHARES = st.sampled_from([(1.0,), (0.5, 0.5), (0.7, 0.15, 0.15), (0.01, 0.01, 0.98)])
FEW = 8
"""More than twice as many as there are cuts, or ranges would not become narrower."""


def doubles(values: Sequence[float | None]) -> pa.Array:
    return pa.array([None if each is None else float(each) for each in values], pa.float64())


def in_order(values: Sequence[float | None], shares: Sequence[float]) -> list[float]:
    known = sorted(float(each) for each in values if each is not None)
    ranks = [min(int(limit * len(known)), len(known) - 1) for limit in split_names.limits(shares)]
    return [known[rank] for rank in ranks[:-1]] if known else []


@settings(deadline=None)
@given(values=TIMES, shares=SHARES)
def test_cuts_are_exact(values: list[float | None], shares: tuple[float, ...]) -> None:
    def count(ranges: Sequence[Bin]) -> CountedTimes:
        times = TimeCounts("at", "", ranges, most=FEW)
        times.add(doubles(values))
        return times.result()

    assert time_cuts(count, shares) == in_order(values, shares)


@settings(deadline=None)
@given(
    data=st.data(),
    values=TIMES,
    ranges=st.sampled_from([(), (Bin(-2.0, 3.0, 0), Bin(7.5, 1e200, 0))]),
)
def test_counts(data: st.DataObject, values: list[float | None], ranges: tuple[Bin, ...]) -> None:
    array = doubles(values)
    accumulator_laws.check(
        data,
        lambda: TimeCounts("at", "", ranges, most=FEW),
        len(array),
        lambda start, stop: array[start:stop],
        lambda found: [found.finite.values(), found.finite.counts(), found.infinite, found.rows],
        relative=0.0,
    )


def test_many_times_are_read_again_and_few_are_not() -> None:
    times = 1.7e15 + np.random.default_rng(1).integers(0, 10**13, 20_000).astype(np.float64)
    asked: list[int] = []

    def count(ranges: Sequence[Bin], most: int = 500) -> CountedTimes:
        counts = TimeCounts("at", "", ranges, most=most)
        counts.add(pa.array(times))
        found = counts.result()
        asked.append(len(found.finite))
        return found

    expected = [float(np.sort(times)[at]) for at in (14_000, 17_000)]
    assert time_cuts(count, [0.7, 0.15, 0.15]) == expected
    assert len(asked) == 2
    assert max(asked) <= 500
    asked.clear()
    assert time_cuts(lambda ranges: count(ranges, 20_000), [0.7, 0.15, 0.15]) == expected
    assert len(asked) == 1
