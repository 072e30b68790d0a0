"""Every accumulator of the package keeps the laws of accumulators."""

import ast
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular import components
from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.processing.accumulator import Rows
from kfp_tabular.components.common.processing.folds.moments import Moments
from kfp_tabular.components.common.processing.folds.number_counts import NumberCounts
from kfp_tabular.components.common.processing.folds.row_sample import RowSample
from kfp_tabular.components.common.processing.folds.rows_at import RowsAt
from kfp_tabular.components.common.processing.folds.value_counts import ValueCounts
from tests import accumulator_laws

METHODS = {"add", "merge", "state", "from_state", "result"}
TESTS = Path(__file__).parents[3]


def accumulators() -> list[str]:
    """The names of all accumulators; those with an underscore are parts of others."""
    found = []
    for file in sorted(Path(components.__path__[0]).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith(("_", "Accumulator")):
                methods = {each.name for each in node.body if isinstance(each, ast.FunctionDef)}
                found += [node.name] if methods >= METHODS else []
    return found


def test_every_accumulator_has_a_test_of_its_laws():
    checked = "".join(
        text
        for file in sorted(TESTS.rglob("test_*.py"))
        if "accumulator_laws.check(" in (text := file.read_text(encoding="utf-8"))
    )
    names = accumulators()
    assert {"Moments", "NumberCounts", "ValueCounts", "RowSample"} <= set(names)
    assert [name for name in names if not re.search(rf"\b{name}\b", checked)] == []


floats = st.floats(allow_nan=False, allow_infinity=False, width=64)
some_floats = st.lists(st.sampled_from([0.0, -0.0, 1.5, -2.0]) | floats, max_size=60)
integers = st.lists(st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1), max_size=60)


@given(data=st.data(), values=st.lists(st.floats(-1e6, 1e6), max_size=40))
def test_moments(data, values):
    numbers = np.array(values, np.float64)
    spread = float(np.abs(numbers).max(initial=1.0))
    accumulator_laws.check(
        data,
        Moments,
        len(numbers),
        lambda start, stop: numbers[start:stop],
        lambda found: [found.count, found.mean, found.second, found.third],
        absolute=1e-12 * spread**3 * (len(numbers) + 1),
    )


@given(data=st.data(), values=some_floats | integers, most=st.integers(2, 20))
def test_number_counts(data, values, most):
    kind = pa.int64() if all(isinstance(value, int) for value in values) else pa.float64()
    array = pa.array(values, kind)
    accumulator_laws.check(
        data,
        lambda: NumberCounts(most),
        len(array),
        lambda start, stop: array[start:stop],
        lambda found: [found.dropped, found.values(), found.counts()],
        relative=0.0,
    )


@given(values=some_floats | integers, most=st.integers(2, 20))
def test_number_counts_are_counts_of_ordered_bins(values, most):
    kind = pa.int64() if all(isinstance(value, int) for value in values) else pa.float64()
    counts = NumberCounts(most)
    counts.add(pa.array(values, kind))
    found = counts.result()
    assert len(found) <= most
    assert found.counts().sum() == len(values)
    assert (np.diff(found.values()) > 0).all()
    distinct, rows = np.unique(np.array(values, np.float64), return_counts=True)
    if found.are_exact:
        assert found.values().tolist() == pytest.approx(distinct.tolist(), rel=0)
        assert found.counts().tolist() == rows.tolist()
    else:
        # A bin starts at or below its numbers, and no other bin starts between.
        place = np.searchsorted(found.values(), np.sort(np.array(values, np.float64)), "right")
        assert np.bincount(place - 1, minlength=len(found)).tolist() == found.counts().tolist()


def test_quantiles_of_many_numbers_are_near_the_true_ones():
    random = np.random.default_rng(0)
    numbers = random.lognormal(0, 2, 300_000)
    counts = NumberCounts()
    for part in np.array_split(numbers, 7):
        counts.add(pa.array(part))
    levels = np.linspace(0, 1, 101)
    found = counts.result().quantiles(levels)
    ranks = np.searchsorted(np.sort(numbers), found) / len(numbers)
    assert np.abs(ranks - levels).max() < 0.002
    assert not counts.are_exact


def test_whole_numbers_are_exact_beyond_the_precision_of_doubles():
    counts = NumberCounts()
    counts.add(pa.array([2**53, 2**53 + 1, -(2**63)]))
    assert counts.result().integers().tolist() == [-(2**63), 2**53, 2**53 + 1]


texts = st.lists(st.text(max_size=3), max_size=40)


@given(
    data=st.data(),
    values=texts | st.lists(st.integers(0, 30), max_size=40),
    most=st.integers(1, 8),
    hashes=st.sampled_from([0, 16]),
)
def test_value_counts(data, values, most, hashes):
    kind = pa.string() if values and isinstance(values[0], str) else pa.int64()
    array = pa.array(values, kind)
    accumulator_laws.check(
        data,
        lambda: ValueCounts(most, hashes),
        len(array),
        lambda start, stop: array[start:stop],
        lambda found: [found.are_exact, found.distinct, found.ranked()],
    )


def test_value_counts_compact_as_they_grow(monkeypatch):
    from kfp_tabular.components.common.processing.folds import value_counts

    monkeypatch.setattr(value_counts, "_COMPACT_PARTS", 3)
    counts = ValueCounts(most=100)
    for start in range(20):
        counts.add(pa.array([f"t{(start + i) % 50}" for i in range(30)]))
    assert counts.result().are_exact
    assert counts.distinct == 49
    assert sum(rows for _, rows in counts.ranked()) == 600
    monkeypatch.setattr(value_counts, "_MOST_BYTES", 90)
    counts.add(pa.array(["t0"]))
    assert not counts.result().are_exact
    assert counts.distinct == 49, "few distinct values are estimated exactly"


@given(data=st.data(), rows=st.integers(0, 50), most=st.integers(1, 20))
def test_row_sample(data, rows, most):
    table = pa.table(
        {"x": pa.array(range(rows), pa.int64()), "t": pa.array(["a"] * rows, pa.string())}
    )
    batch = table.combine_chunks().to_batches()[0] if rows else None

    def part(start: int, stop: int) -> Rows:
        whole = batch or pa.RecordBatch.from_pydict({"x": [], "t": []})
        return Rows(whole.slice(start, stop - start), start)

    accumulator_laws.check(
        data,
        lambda: RowSample(most, seed=3),
        rows,
        part,
        lambda found: found.to_pydict() if found.num_columns else {"x": [], "t": []},
    )
    assert accumulator_laws.folded(
        lambda: RowSample(most, seed=3), [[(0, rows)]], part
    ).num_rows == min(rows, most)


def test_states_hold_arrays_tables_and_values():
    parts = {
        "a": np.arange(6, dtype=np.int32).reshape(2, 3),
        "empty": np.empty((0, 4)),
        "table": pa.table({"x": [1, None]}),
        "value": {"n": 2**70, "s": "ü", "f": float("inf")},
        "bytes": b"\x00\x01",
    }
    found = states.unpack(states.pack(parts))
    assert list(found) == list(parts)
    assert found["a"].tolist() == parts["a"].tolist()
    assert found["a"].dtype == np.int32
    found["a"][0, 0] = 7
    assert found["empty"].shape == (0, 4)
    assert found["table"].equals(parts["table"])
    assert found["value"] == parts["value"]
    assert found["bytes"] == parts["bytes"]


@given(data=st.data(), rows=st.integers(0, 40), wanted=st.sets(st.integers(0, 40)))
def test_rows_at(data, rows, wanted):
    def batch(start, stop):
        return Rows(pa.RecordBatch.from_pydict({"x": pa.array(range(start, stop))}), start)

    positions = np.array(sorted(wanted), np.int64)
    found = []
    accumulator_laws.check(data, lambda: RowsAt(positions), rows, batch, found.append)
    for table in found:
        kept = [position for position in sorted(wanted) if position < rows]
        assert (table["x"].to_pylist() if kept else table.num_rows) == (kept or 0)
