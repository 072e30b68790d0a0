import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.processing.accumulator import Rows
from kfp_tabular.components.common.statistics import split_folds, tfdv_protos, tfdv_statistics
from kfp_tabular.components.common.statistics.column_folds import NumberColumn, TextColumn
from kfp_tabular.components.common.statistics.split_folds import StatisticsFold
from tests import accumulator_laws

number = st.floats(-1e6, 1e6) | st.sampled_from([0.0, math.nan, math.inf, -math.inf])
text = st.sampled_from(["a", "b", "2024-02-29", "2024-03-01"]) | st.text(max_size=3)
whole = st.integers(-3, 3) | st.integers(-(2**40), 2**40)


def described(column):
    if isinstance(column, TextColumn):
        times = [form.string_format for form in column.times]
        return [column.rows, column.present, column.length, column.distinct, column.ranked(), times]
    return [
        *(column.rows, column.present, column.nan, column.zeros, column.infinite),
        *(column.low, column.high, column.mean, column.deviation),
        *(column.counts.values(), column.counts.counts(), column.quantiles([0, 0.3, 0.5, 1])),
    ]


@given(data=st.data(), values=st.lists(st.none() | number, max_size=30))
def test_number_column(data, values):
    array = pa.array(values, pa.float64())
    accumulator_laws.check(
        data,
        lambda: NumberColumn(is_whole=False, bins=8),
        len(array),
        lambda start, stop: array[start:stop],
        described,
        absolute=1e-6,
    )


@given(data=st.data(), values=st.lists(st.none() | text, max_size=30))
def test_text_column(data, values):
    array = pa.array(values, pa.string())
    accumulator_laws.check(
        data,
        lambda: TextColumn(most=5),
        len(array),
        lambda start, stop: array[start:stop],
        described,
    )


@given(data=st.data(), rows=st.lists(st.tuples(number, whole, text, text), max_size=30))
def test_statistics_of_splits(data, rows):
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    schema = pa.schema(
        [("x", pa.float64()), ("n", pa.int64()), ("a", pa.string()), ("b", pa.string())]
    )
    arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
    batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
    cut = len(rows) // 2

    class InSplits(StatisticsFold):
        def add(self, batch):
            for part in batch:
                super().add(part)

        def from_state(self, state):
            found = InSplits(self._schema)
            found._splits = super().from_state(state)._splits
            return found

    def batches(start, stop):
        ends = [(start, min(stop, cut), "train"), (max(start, cut), stop, "eval")]
        return [
            Rows(batch.slice(low, high - low), low, split)
            for low, high, split in ends
            if low < high
        ]

    accumulator_laws.check(
        data,
        lambda: InSplits(schema),
        len(rows),
        batches,
        lambda found: {
            split: [
                each.rows,
                [described(column) for column in each.columns.values()],
                each.texts.to_pydict(),
            ]
            for split, each in found.items()
        },
        absolute=1e-6,
    )


def of_numbers(*values, is_whole=False) -> NumberColumn:
    column = NumberColumn(is_whole=is_whole)
    column.add(pa.array(values, pa.int64() if is_whole else pa.float64()))
    return column


@given(st.lists(number.filter(lambda value: not math.isnan(value)), min_size=1, max_size=40))
def test_quantiles_are_those_of_numpy(values):
    levels = np.linspace(0, 1, 21)
    found = of_numbers(*values).quantiles(levels)
    # Levels such as 0.6000000000000001 are as good as 0.6.
    below, above = (
        np.quantile(np.array(values), np.clip(levels + off, 0, 1), method="inverted_cdf")
        for off in (-1e-9, 1e-9)
    )
    assert ((found == below) | (found == above)).all()


def test_infinite_numbers_keep_to_themselves():
    column = of_numbers(1.0, math.inf, math.nan, 3.0)
    assert (column.low, column.high, column.mean) == (1.0, 3.0, math.inf)
    assert math.isnan(column.deviation)
    assert column.quantiles([0, 0.5, 1]).tolist() == [1.0, 3.0, math.inf]
    assert math.isnan(of_numbers(math.inf, -math.inf).mean)


def test_the_spread_lies_as_the_numbers_do():
    column = of_numbers(*np.arange(100_000.0))
    spread = column.spread(20_000)
    assert len(spread) == 20_000
    assert np.quantile(spread, [0.25, 0.5, 0.75]) == pytest.approx(
        [25_000, 50_000, 75_000], rel=0.001
    )
    assert of_numbers(2.0, 7.0).spread(10).tolist() == [2.0, 7.0]
    assert len(of_numbers().spread(10)) == 0


def formats(*batches: list[str | None]) -> list[str]:
    column = TextColumn(most=100)
    for texts in batches:
        column.add(pa.array(texts, pa.string()))
    return [form.string_format for form in column.times]


@pytest.mark.parametrize(
    ("texts", "best"),
    [
        (["2024-02-29", None, "1999-12-31"], "%Y-%m-%d"),
        (["2024-02-29 23:59", "2024-02-29 00:00"], "%Y-%m-%d %H:%M"),
        (["2024-02-29 23:59:01"], "%Y-%m-%d %H:%M:%S"),
        (["2024-02-29T23:59:01Z"], "%Y-%m-%dT%H:%M:%SZ"),
        (["2024-02-29T23:59:01+02:00", "2024-02-29T23:59:01-0930"], "%Y-%m-%dT%H:%M:%S%z"),
        # Whole seconds among fractions, in either order, over batches.
        (["2024-02-29 23:59:01"] * 5 + ["2024-02-29 23:59:01.25"], "%Y-%m-%d %H:%M:%S.%f"),
        (["2024-02-29 23:59:01.25"] + ["2024-02-29 23:59:01"] * 5, "%Y-%m-%d %H:%M:%S.%f"),
    ],
)
def test_points_in_time_are_recognised(texts, best):
    assert formats(*([text] for text in texts))[0] == best
    assert formats(texts)[0] == best


@pytest.mark.parametrize(
    "texts",
    [
        ["2024-13-01"],
        ["2024-02-29", "soon"],
        ["2024-02-29"] * 30 + ["n/a"],
        ["2024-02-29", "2024-02-29 10:00:00"],
        ["2024-02-29 10:00:00", "2024-02-29T10:00:00"],
        ["29.02.2024"],
        ["2024-02-29 10:00:00\n"],
        [None, None],
    ],
)
def test_anything_else_is_text(texts):
    assert formats(texts) == []


def test_codes_are_those_with_few_values_in_all_splits(write_examples):
    most = tfdv_protos.MOST_CODES
    tables = {
        "train": pa.table({"a": [1, 2, 2, None] * 25, "b": range(100), "c": range(100)}),
        "eval": pa.table({"a": [3, 3], "b": [most, most], "c": [1, 2]}),
    }
    found = tfdv_statistics.compute(write_examples(**tables), {})
    assert tfdv_protos.codes_among(found.splits) == {"a", "c"}


def test_ranks_of_more_texts_than_are_counted_come_from_a_sample(monkeypatch, write_examples):
    monkeypatch.setattr(split_folds, "_LEAST", 50)
    monkeypatch.setattr(split_folds, "_COUNTED_TEXTS", 50)
    monkeypatch.setattr(split_folds, "_SAMPLED_TEXTS", 2_000)
    random = np.random.default_rng(0)
    texts = np.where(random.random(20_000) < 0.4, "often", random.integers(0, 9_000, 20_000))
    found = tfdv_statistics.compute(write_examples(train=pa.table({"t": texts})), {})
    (feature,) = found.protos["train"].datasets[0].features
    first = feature.string_stats.rank_histogram.buckets[0]
    assert first.label == "often"
    assert first.sample_count == pytest.approx(8_000, rel=0.1)
    assert feature.string_stats.unique == len(set(texts))


def test_any_cut_into_pieces_gives_the_same_statistics(write_examples):
    random = np.random.default_rng(0)
    rows = 7_000
    table = pa.table(
        {
            "x": pa.array(random.lognormal(2, 1, rows), mask=random.random(rows) < 0.1),
            "n": pa.array(random.integers(0, 10**9, rows)),
            "code": pa.array(random.integers(0, 5, rows)),
            "t": pa.array(random.integers(0, 3_000, rows).astype(str)),
        }
    )
    examples = write_examples(rows_per_shard=1_000, train=table, eval=table.slice(0, 2_500))
    whole, cut = (tfdv_statistics.compute(examples, {}, piece_rows=size) for size in (10**9, 1_000))
    for split, proto in whole.protos.items():
        for one, other in zip(
            proto.datasets[0].features, cut.protos[split].datasets[0].features, strict=True
        ):
            for feature in (one, other):
                if feature.WhichOneof("stats") == "num_stats":
                    assert feature.num_stats.std_dev > 0
                    for name in ("mean", "std_dev"):
                        value = getattr(feature.num_stats, name)
                        setattr(feature.num_stats, name, float(f"{value:.12g}"))
            assert one == other
    assert whole.time_texts(frozenset({"t"})) == cut.time_texts(frozenset({"t"}))
