"""The laws of accumulators: any cut of the rows, any order of merging, the same result.

A test of an accumulator says how to make one, and rows to add, and calls `check` with Hypothesis'
`data`. Every accumulator has such a test; `tests/components/common/processing/test_accumulators.py`
searches the package for some without.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

RELATIVE = 1e-9

Batches = Callable[[int, int], Iterator[Any]]
"""From the first row and the end of a part to the batches to add."""


class WithKeys:
    """An accumulator whose `add` takes keys, too: those of the batch, with seed 0."""

    def __init__(self, keyed: Any) -> None:
        self._keyed = keyed

    def add(self, batch: Any) -> None:
        self._keyed.add(batch, batch.keys(0))

    def merge(self, other: "WithKeys") -> None:
        self._keyed.merge(other._keyed)

    def state(self) -> bytes:
        return self._keyed.state()

    def from_state(self, state: bytes) -> "WithKeys":
        return WithKeys(self._keyed.from_state(state))

    def result(self) -> Any:
        return self._keyed.result()


def check(
    data: st.DataObject,
    make: Callable[[], Any],
    rows: int,
    batches: Callable[[int, int], Any],
    seen: Callable[[Any], Any] = lambda result: result,
    relative: float = RELATIVE,
    absolute: float = 0.0,
) -> None:
    """Check that an accumulator gives the same result for any cut and any order of merging.

    Args:
        data: Draws the cut, the order, and which parts pass through their state.
        make: Makes an empty accumulator.
        rows: The number of rows.
        batches: Returns what to add for the rows from a first one to an end.
        seen: Turns a result into plain values: numbers, texts, arrays, tables, dicts, lists.
        relative: How far numbers that are not whole may differ.
        absolute: The same, near 0.
    """
    expected = seen(folded(make, [[(0, rows)]], batches))
    parts = data.draw(cuts(rows), label="parts")
    through = data.draw(st.lists(st.booleans(), min_size=len(parts), max_size=len(parts)))
    waiting = []
    for part, is_sent in zip(parts, through, strict=True):
        accumulator = make()
        for start, stop in part:
            accumulator.add(batches(start, stop))
        waiting.append(_sent(make, accumulator) if is_sent else accumulator)
    while len(waiting) > 1:
        first, second = data.draw(
            st.tuples(st.integers(0, len(waiting) - 1), st.integers(0, len(waiting) - 2))
        )
        left = waiting.pop(first)
        right = waiting.pop(second)
        left.merge(right)
        waiting.append(left)
    assert_same(seen(waiting[0].result()), expected, relative, absolute)


def folded(
    make: Callable[[], Any],
    parts: Sequence[Sequence[tuple[int, int]]],
    batches: Callable[[int, int], Any],
) -> Any:
    """Return the result of parts that are merged in their order."""
    total = make()
    for part in parts:
        accumulator = make()
        for start, stop in part:
            accumulator.add(batches(start, stop))
        total.merge(accumulator)
    return total.result()


@st.composite
def cuts(draw: st.DrawFn, rows: int) -> list[list[tuple[int, int]]]:
    """Draw parts: each some ranges of rows, in any order; some may be empty."""
    ends = draw(st.lists(st.integers(0, rows), max_size=6))
    edges = [0, *sorted(ends), rows]
    ranges = draw(st.permutations(list(itertools.pairwise(edges))))
    count = draw(st.integers(1, 4))
    owners = draw(st.lists(st.integers(0, count - 1), min_size=len(ranges), max_size=len(ranges)))
    return [
        [entry for entry, owner in zip(ranges, owners, strict=True) if owner == part]
        for part in range(count)
    ]


def assert_same(
    found: Any, expected: Any, relative: float, absolute: float = 0.0, at: str = ""
) -> None:
    """Check that values are equal, and numbers that are not whole nearly so.

    Args:
        found: What came out.
        expected: What it should equal.
        relative: The relative error that a number may have.
        absolute: The absolute error that it may have in any case.
        at: Where the values are, for the message.
    """
    different = f"{at or 'result'}: {found!r} is not {expected!r}"[:400]
    if isinstance(expected, dict):
        assert list(found) == list(expected), different
        for name, value in expected.items():
            assert_same(found[name], value, relative, absolute, f"{at}.{name}")
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected), different
        for number, (one, other) in enumerate(zip(found, expected, strict=True)):
            assert_same(one, other, relative, absolute, f"{at}[{number}]")
    elif isinstance(expected, pa.Table):
        assert found.equals(expected), different
    elif isinstance(expected, np.ndarray):
        assert found.shape == expected.shape, different
        assert found.dtype == expected.dtype, different
        if expected.dtype.kind == "f":
            np.testing.assert_allclose(found, expected, rtol=relative, atol=absolute)
        else:
            assert (found == expected).all(), different
    elif isinstance(expected, float):
        same = found == expected or (math.isnan(found) and math.isnan(expected))
        near = math.isclose(found, expected, rel_tol=relative, abs_tol=absolute)
        assert same or near, different
    else:
        assert found == expected, different


def _sent(make: Callable[[], Any], accumulator: Any) -> Any:
    """Return an accumulator as another process would get it."""
    state = accumulator.state()
    assert isinstance(state, bytes)
    return make().from_state(state)
