import numpy as np
import pyarrow as pa
import pytest
from tensorflow_data_validation.statistics import stats_impl, stats_options

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.statistics import statistics_files, tfdv_statistics
from kfp_tabular.components.common.statistics.column_summary import feature_name, summarize


def naive_lists(batch: pa.RecordBatch) -> pa.RecordBatch:
    """TFDV's form, made row by row."""
    columns = []
    for column in batch.columns:
        kind = pa.binary() if pa.types.is_string(column.type) else column.type
        values = [None if value is None else [value] for value in column.to_pylist()]
        columns.append(pa.array(values, pa.list_(kind)))
    return pa.RecordBatch.from_arrays(columns, batch.schema.names)


def mixed_table(rows: int, seed: int) -> pa.Table:
    random = np.random.default_rng(seed)
    some = lambda values: pa.array(values, mask=random.random(rows) < 0.2)  # noqa: E731
    return pa.table(
        {
            "amount": some(random.lognormal(2, 1, rows)),
            "with space, dot. and ünïcode": some(random.integers(0, 5, rows)),
            "big": pa.array(random.integers(0, 10**12, rows)),
            "text": some(np.array(["a", "b", "longer text", ""])[random.integers(0, 4, rows)]),
            "none": pa.nulls(rows, pa.string()),
        }
    )


def test_the_numbers_are_those_of_tfdv(write_examples):
    tables = {"train": mixed_table(3000, 0), "eval": mixed_table(1000, 1)}
    examples = write_examples(rows_per_shard=1000, **tables)
    options = stats_options.StatsOptions(num_quantiles_histogram_buckets=5)

    computed = tfdv_statistics.compute(examples, {}).protos

    for split, table in tables.items():
        (batch,) = table.combine_chunks().to_batches()
        theirs = stats_impl.generate_statistics_in_memory(naive_lists(batch), options).datasets[0]
        ours = computed[split].datasets[0]
        assert ours.num_examples == theirs.num_examples == table.num_rows
        by_name = {feature_name(feature): feature for feature in theirs.features}
        assert [feature_name(f) for f in ours.features] == table.column_names
        for feature in ours.features:
            wanted = by_name[feature_name(feature)]
            assert feature.type == wanted.type
            kind = feature.WhichOneof("stats")
            assert kind == wanted.WhichOneof("stats")
            if kind == "string_stats":
                assert feature.string_stats == wanted.string_stats
            else:
                a, b = feature.num_stats, wanted.num_stats
                assert a.common_stats.num_non_missing == b.common_stats.num_non_missing
                assert (a.min, a.max, a.num_zeros) == (b.min, b.max, b.num_zeros)
                assert a.mean == pytest.approx(b.mean)
                assert a.std_dev == pytest.approx(b.std_dev)
                assert a.common_stats == b.common_stats
                assert a.median == pytest.approx(b.median, rel=0.02)
                standard, quantiles = a.histograms
                assert [h.type for h in a.histograms] == [h.type for h in b.histograms]
                for ours_bar, their_bar in zip(
                    standard.buckets, b.histograms[0].buckets, strict=True
                ):
                    assert ours_bar.low_value == pytest.approx(their_bar.low_value)
                    assert ours_bar.high_value == pytest.approx(their_bar.high_value)
                    near = 0.02 * table.num_rows
                    assert ours_bar.sample_count == pytest.approx(their_bar.sample_count, abs=near)
                assert (
                    sum(bar.sample_count for bar in standard.buckets)
                    == a.common_stats.num_non_missing
                )
                assert len(quantiles.buckets) == len(b.histograms[1].buckets) == 5


def test_a_summary_says_what_is_in_the_column(write_examples):
    table = pa.table(
        {
            "x": pa.array([1.0, float("nan"), None, 4.0, 0.0]),
            "code": pa.array([3, 3, 1, None, None]),
            "text": pa.array(["b", "b", "a", None, "b"]),
            "none": pa.nulls(5, pa.string()),
        }
    )
    computed = tfdv_statistics.compute(write_examples(train=table), {}).protos
    found = summarize(computed["train"])

    x = found["x"]
    assert (x.rows, x.missing, x.nan, x.present, x.zeros) == (5, 1, 1, 4, 1)
    assert (x.low, x.high, x.numeric) == (0.0, 4.0, True)
    assert x.quantiles[0] == 0.0
    assert x.quantiles[-1] == 4.0
    assert set(x.quantiles) == {0.0, 1.0, 4.0}
    assert found["code"].ranked == (("3", 2), ("1", 1))
    assert found["code"].distinct == 2
    assert found["text"].ranked == (("b", 3), ("a", 1))
    assert found["text"].distinct == 2
    assert not found["text"].numeric
    assert (found["none"].present, found["none"].ranked) == (0, ())


def test_a_cast_column_is_read_as_the_other_type(write_examples):
    examples = write_examples(train=pa.table({"x": pa.array([1, 2, None])}))
    computed = tfdv_statistics.compute(examples, {"x": pa.float64()}).protos
    (feature,) = computed["train"].datasets[0].features
    assert feature.Type.Name(feature.type) == "FLOAT"


def test_a_split_without_rows_has_no_features(write_examples):
    table = mixed_table(50, 0)
    computed = tfdv_statistics.compute(
        write_examples(train=table, test=table.slice(0, 0)), {}
    ).protos
    assert list(computed) == ["train", "test"]
    assert summarize(computed["test"]) == {}
    assert computed["test"].datasets[0].num_examples == 0


def test_the_same_data_give_the_same_bytes_and_come_back(write_examples, tmp_path):
    examples = write_examples(eval=mixed_table(500, 1), train=mixed_table(2000, 0))
    written = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        computed = tfdv_statistics.compute(examples, {}).protos
        statistics_files.write(folder, computed)
        written.append({file.name: file.read_bytes() for file in folder.iterdir()})
    assert written[0] == written[1]
    assert sorted(written[0]) == ["eval.binpb", "train.binpb"]
    assert statistics_files.read(tmp_path / "a") == computed


def test_the_ranks_of_many_rare_texts_are_not_left_to_chance(write_examples):
    texts = [f"text {i * 7919 % 14_000:05}" for i in range(14_000)]
    examples = write_examples(train=pa.table({"text": texts * 2 + texts[:50]}))

    found = tfdv_statistics.compute(examples, {}).protos["train"]

    ranked = summarize(found)["text"].ranked
    often = [(text, 3) for text in sorted(texts[:50], reverse=True)]
    rare = [(text, 2) for text in sorted(texts[50:], reverse=True)]
    assert list(ranked) == (often + rare)[:1000]


def test_reading_something_other_than_statistics(tmp_path):
    with pytest.raises(UserError, match="no statistics found"):
        statistics_files.read(tmp_path)
    (tmp_path / "train.binpb").write_bytes(b"nonsense")
    with pytest.raises(UserError, match=r"train\.binpb"):
        statistics_files.read(tmp_path)


def test_many_columns_are_read_in_small_batches(write_examples):
    table = pa.table({f"c{i}": pa.array(range(1200)) for i in range(300)})
    computed = tfdv_statistics.compute(write_examples(train=table), {})
    assert len(computed.protos["train"].datasets[0].features) == 300
    assert len(computed.samples["train"]["c0"]) >= 500
