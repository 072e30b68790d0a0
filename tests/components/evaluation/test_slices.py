from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing.accumulator import Rows
from kfp_tabular.components.evaluation import slices
from tests import accumulator_laws

text = st.sampled_from(["a", "b", "a,b", "(missing)", "ü", "", None])
whole = st.sampled_from([1, 2, 30, None])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    st.lists(st.tuples(text, whole), min_size=1, max_size=60).filter(
        lambda rows: any(a is not None for a, _ in rows) and any(b is not None for _, b in rows)
    ),
    st.integers(1, 12),
)
def test_slices_are_the_largest_groups_of_rows(data, tmp_path_factory, rows, most):
    columns = {"first, or so": [a for a, _ in rows], "second": [b for _, b in rows]}
    examples = Examples(data.write(tmp_path_factory.mktemp("e") / "examples", test=columns))
    second, first = slices.plan(examples, "test", ["second", "first, or so"], most)
    assert (second.name, first.name) == ("second", "first, or so")

    def name(value):
        return "(missing)" if value is None else str(value)

    groups = {
        slicing.name: Counter((name(value),) for value in columns[slicing.name])
        for slicing in (second, first)
    }
    everything = sorted((n for found in groups.values() for n in found.values()), reverse=True)
    kept = [groups[s.name][values] for s in (second, first) for values in s.slices]
    assert sorted(kept, reverse=True) == everything[:most]
    for slicing in (second, first):
        assert slicing.left_out == len(groups[slicing.name]) - len(slicing.slices)
        (batch,) = examples.batches("test")
        for row, cell in enumerate(slicing.cells(batch)):
            mine = (name(columns[slicing.name][row]),)
            assert (slicing.slices[cell] if cell >= 0 else None) == (
                mine if mine in slicing.slices else None
            )


def test_a_cross_has_a_slice_for_each_pair(data, tmp_path):
    random = np.random.default_rng(0)
    columns = {
        "x": random.choice(["p", "q", "r"], 900).tolist(),
        "y": random.integers(0, 4, 900).tolist(),
    }
    examples = Examples(data.write(tmp_path / "examples", test=columns))
    (cross,) = slices.plan(examples, "test", ["y, x"], 100)
    assert cross.name == "y,x"
    assert len(cross.slices) == 12
    cells = np.concatenate([cross.cells(batch) for batch in examples.batches("test")])
    titles = [cross.titles()[cell] for cell in cells]
    assert titles == [f"y={y}, x={x}" for x, y in zip(columns["x"], columns["y"], strict=True)]
    sizes = np.bincount(cells)
    assert (np.diff(sizes) <= 0).all()


def test_many_numbers_are_cut_at_their_quartiles(data, tmp_path):
    values = [*np.random.default_rng(1).permutation(1000).astype(float).tolist(), None, None]
    examples = Examples(data.write(tmp_path / "examples", test={"fare": values}))
    (slicing,) = slices.plan(examples, "test", ["fare"], 100)
    assert set(slicing.titles()) == {
        "fare=below 249.75",
        "fare=249.75 to 499.5",
        "fare=499.5 to 749.25",
        "fare=749.25 and up",
        "fare=(missing)",
    }
    cells = np.concatenate([slicing.cells(batch) for batch in examples.batches("test")])
    assert sorted(np.bincount(cells).tolist()) == [2, 250, 250, 250, 250]


def test_a_value_that_appears_only_later_has_no_slice(data, tmp_path):
    examples = Examples(data.write(tmp_path / "examples", test={"x": ["a", "b"]}))
    (slicing,) = slices.plan(examples, "test", ["x"], 100)
    batch = pa.record_batch({"x": pa.array(["b", "new", None])})
    assert [slicing.slices[c] if c >= 0 else None for c in slicing.cells(batch)] == [
        ("b",),
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["compny"], "the examples have no column 'compny'. Did you mean 'company'?"),
        (["company,x"], "have no column 'x'"),
        ([["company"]], "is not text; give names of columns"),
        (["company,company"], "crosses a column with itself"),
    ],
)
def test_bad_columns_are_named(data, tmp_path, columns, message):
    examples = Examples(data.write(tmp_path / "examples", test={"company": ["a"]}))
    with pytest.raises(UserError, match=message.replace("?", r"\?")):
        slices.plan(examples, "test", columns, 100)


def test_a_column_with_too_many_values_is_refused(data, tmp_path, monkeypatch):
    monkeypatch.setattr(slices, "_MOST_VALUES", 100)
    rows = {"id": [f"row {i}" for i in range(200)]}
    examples = Examples(data.write(tmp_path / "examples", test=rows))
    with pytest.raises(UserError, match="'id' has more than 100 values"):
        slices.plan(examples, "test", ["id"], 100)


names = st.sampled_from(["a", "b", "ü", "", None])
number = st.none() | st.floats(-9, 9) | st.sampled_from([float("nan"), float("inf"), 2.0])
row = st.tuples(number, st.none() | st.integers(-90, 90), names)


def batch_of(rows) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    kinds = (pa.float64(), pa.int64(), pa.string())
    arrays = [pa.array(values, kind) for values, kind in zip(columns, kinds, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, ["x", "n", "kind"])


@given(data=st.data(), rows=st.lists(row, max_size=30), most=st.integers(1, 20))
def test_cuts_keep_the_laws_of_accumulators(data, rows, most):
    batch = batch_of(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slices, "_MOST_NUMBERS", most)
        accumulator_laws.check(
            data,
            lambda: slices.CutFold(["x", "n"]),
            len(rows),
            lambda start, stop: Rows(batch.slice(start, stop - start), start),
            lambda found: {name: list(cut.quartiles) for name, cut in found.items()},
        )


@given(data=st.data(), rows=st.lists(row, max_size=30))
def test_slices_keep_the_laws_of_accumulators(data, rows):
    batch = batch_of(rows)
    crosses = {
        "kind": (slices.Cut("kind"),),
        "n,kind": (slices.Cut("n", (0.0, 5.0)), slices.Cut("kind")),
    }
    accumulator_laws.check(
        data,
        lambda: slices.SliceFold(crosses),
        len(rows),
        lambda start, stop: Rows(batch.slice(start, stop - start), start),
        lambda found: {name: sorted(counts.items()) for name, counts in found.items()},
    )
