import dataclasses
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kfp_tabular.components.common.artifacts.examples import Examples, ExamplesWriter
from kfp_tabular.components.common.artifacts.raw_features import RawFeature
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing.accumulator import Rows
from kfp_tabular.components.feature_engineering.features import column_facts
from tests import accumulator_laws
from tests.components.feature_engineering.conftest import write_examples

NUMBER = RawFeature("x", "float32", False)
WHOLE = RawFeature("x", "int64", False)
TEXT = RawFeature("x", "string", False)


@pytest.fixture
def facts(tmp_path):
    count = iter(range(9))

    def _facts(values, feature, **settings):
        types = {"float32": pa.float64(), "int64": pa.int64(), "string": pa.string()}
        column = pa.array(values, types[feature.dtype], from_pandas=False)
        examples = write_examples(
            tmp_path / f"examples{next(count)}", {"train": pa.table({"x": column})}
        )
        return column_facts.collect(Examples(examples), [feature], **settings)["x"]

    return _facts


def test_nan_and_null_are_missing(facts):
    found = facts([1.0, None, math.nan, 3.0], NUMBER)
    assert (found.rows, found.missing, found.present) == (4, 2, 2)
    assert found.moments.mean == 2
    assert (found.minimum, found.maximum) == (1, 3)
    assert list(found.sample) == [1, 3]


def test_whole_floats_are_counted_exactly_and_as_whole(facts):
    # In float32, these are equal in pairs, and more than a thousand floats are not counted.
    values = [90_000_001.0 + number for number in range(3_000)]
    found = facts([*values, None], NUMBER)
    assert found.whole
    assert (found.distinct, len(found.counts), found.missing) == (3_000, 3_000, 1)


def test_one_fraction_makes_a_column_fractional(facts):
    found = facts([1.0, 2.0, 2.5, None], NUMBER)
    assert not found.whole
    assert found.counts == {1.0: 1, 2.0: 1, 2.5: 1}
    assert facts([1, 2, None], WHOLE).whole


def test_the_empty_text_is_missing(facts):
    found = facts(["b", "", None, "a", "b", "c", "a"], TEXT)
    assert (found.rows, found.missing) == (7, 2)
    # Equally frequent values come in their own order, whatever order the rows have.
    assert list(found.counts.items()) == [("a", 2), ("b", 2), ("c", 1)]


def test_nothing_present(facts):
    for feature in (NUMBER, WHOLE, TEXT):
        found = facts([None] * 3, feature)
        assert (found.rows, found.present, found.distinct, found.counts) == (3, 0, 0, {})
        assert found.moments is None


def test_counting_stops_at_the_limit_and_estimates_beyond_it(facts):
    values = [f"key {number % 90_000}" for number in range(180_000)]
    found = facts(values, TEXT, counted={"x": 1_000})
    assert found.counts is None
    assert found.distinct == pytest.approx(90_000, rel=0.06)


def test_one_value_more_than_the_limit_is_not_counted(facts):
    values = [str(number) for number in range(101)]
    assert facts(values, TEXT, counted={"x": 100}).counts is None


def test_exactly_the_limit_is_counted(facts):
    values = [str(number) for number in range(100)]
    assert len(facts(values, TEXT, counted={"x": 100}).counts) == 100


def test_a_small_spread_survives_a_large_mean(facts):
    values = 1e15 + np.arange(200_000) % 3
    found = facts(values.astype(np.int64).tolist(), WHOLE)
    assert found.moments.deviation == pytest.approx(math.sqrt(2 / 3), rel=1e-3)


def test_quantiles_come_from_an_even_sample(facts):
    values = np.arange(300_000)
    found = facts(values.tolist(), WHOLE)
    assert 98_000 < len(found.sample) < 102_000
    quartiles = np.quantile(found.sample, [0.25, 0.5, 0.75]) / 300_000
    assert quartiles == pytest.approx([0.25, 0.5, 0.75], abs=0.01)


def test_a_value_that_does_not_fit_names_its_column(facts):
    for values in (["a"], [math.inf]):
        with pytest.raises(UserError, match="column 'x'"):
            fold = column_facts.FactsFold([NUMBER], {}, total=1)
            fold.add(Rows(pa.RecordBatch.from_pydict({"x": values}), first=0))


def test_wide_tables_are_read_in_smaller_batches():
    assert column_facts.batch_rows(10) == 65_536
    assert column_facts.batch_rows(2_000) == 8_000
    assert column_facts.batch_rows(10**6) == 256


floats = hnp.arrays(np.float32, st.integers(1, 60), elements=st.floats(-1e6, 1e6, width=32))


@settings(max_examples=50)
@given(values=floats)
def test_moments_are_those_of_numpy(values):
    fold = column_facts.FactsFold([NUMBER], {}, total=len(values))
    fold.add(Rows(pa.RecordBatch.from_pydict({"x": pa.array(values, pa.float32())}), first=0))
    found = fold.result()["x"]
    exact = values.astype(np.float64)
    spread = max(1.0, float(np.abs(exact).max()))
    assert found.moments.mean == pytest.approx(exact.mean(), abs=1e-9 * spread)
    assert found.moments.deviation == pytest.approx(exact.std(), abs=1e-6 * spread)
    if exact.std() > 1e-3 * spread:
        third = ((exact - exact.mean()) ** 3).mean() / exact.std() ** 3
        assert found.moments.skewness == pytest.approx(third, abs=1e-5)
    if exact.min() < 0:
        assert found.log_moments is None
    else:
        assert found.log_moments.mean == pytest.approx(np.log1p(exact).mean(), abs=1e-9 * spread)
    assert found.sample.tolist() == sorted(exact.tolist())


FEATURES = [
    RawFeature("x", "float32", False),
    RawFeature("n", "int64", False),
    RawFeature("t", "string", False),
]
row = st.tuples(
    st.none() | st.sampled_from([0.0, 1.0, 1.5, 7.0]) | st.floats(0, 1e6, width=32),
    st.none() | st.integers(-3, 9),
    st.none() | st.sampled_from(["", "a", "b"]) | st.text("xyz", max_size=3),
)


@given(data=st.data(), rows=st.lists(row, max_size=30), shown=st.integers(1, 9))
def test_facts_keep_the_laws_of_accumulators(data, rows, shown):
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    kinds = (pa.float64(), pa.int64(), pa.string())
    arrays = [pa.array(values, kind) for values, kind in zip(columns, kinds, strict=True)]
    batch = pa.RecordBatch.from_arrays(arrays, ["x", "n", "t"])

    def seen(found):
        return {
            name: [
                *(facts.rows, facts.missing, facts.distinct, facts.counts, facts.whole),
                *(facts.minimum, facts.maximum, facts.texts, facts.spread, facts.sample),
                *((facts.moments and [facts.moments.mean, facts.moments.deviation]) or []),
                *((facts.log_moments and [facts.log_moments.mean]) or []),
            ]
            for name, facts in found.items()
        }

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(column_facts, "SHOWN_TEXTS", shown)
        patch.setattr(column_facts, "_SPREAD_LEAST", shown)
        patch.setattr(column_facts, "SAMPLED_ROWS", 12)
        accumulator_laws.check(
            data,
            lambda: column_facts.FactsFold(FEATURES, {"x": 3, "t": 4}, total=len(rows)),
            len(rows),
            lambda start, stop: Rows(batch.slice(start, stop - start), start),
            seen,
            absolute=1e-5,
        )


def test_any_cut_into_pieces_gives_the_same_facts(tmp_path):
    random = np.random.default_rng(0)
    rows = 7_000
    table = pa.table(
        {
            "x": pa.array(random.lognormal(2, 1, rows), mask=random.random(rows) < 0.1),
            "n": pa.array(random.integers(0, 10**9, rows)),
            "t": pa.array(random.integers(0, 3_000, rows).astype(str)),
        }
    )
    with ExamplesWriter(tmp_path, table.schema, ["train"], rows_per_shard=1_000) as writer:
        for part in table.to_batches(max_chunksize=1_000):
            writer.write("train", part)
    whole, cut = (
        column_facts.collect(Examples(tmp_path), FEATURES, piece_rows=size)
        for size in (10**9, 1_000)
    )
    for name, facts in whole.items():
        other = cut[name]
        assert facts.spread == other.spread
        assert (facts.sample == other.sample).all()
        for moments in ("moments", "log_moments"):
            one, two = getattr(facts, moments), getattr(other, moments)
            if one is not None:
                assert np.float32(one.mean) == np.float32(two.mean)
                assert np.float32(one.deviation) == np.float32(two.deviation)
        same = {"moments": None, "log_moments": None}
        assert dataclasses.replace(facts, **same) == dataclasses.replace(other, **same)
