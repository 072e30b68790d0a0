import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from kfp_tabular.components.common import storage
from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.data_ingestion.readers import csv_source

ROWS = "id,when,part,label\n" + "".join(
    f"{i},2024-01-{1 + i % 28:02d} 10:00:00,{'train' if i % 3 else 'test'},{i % 2}\n"
    for i in range(600)
)
FRACTIONS = {"train": 2, "test": 1}


def test_the_examples_are_a_partitioned_data_set(run):
    got = run(ROWS, split_fractions=FRACTIONS)
    assert got.examples.splits == ["test", "train"]
    read = ds.dataset(got.path / "examples", partitioning="hive").to_table()
    assert read.num_rows == 600
    assert set(read["split"].to_pylist()) == {"train", "test"}
    assert sorted(read["id"].to_pylist()) == list(range(600))


def test_a_hash_split_is_stable(run, tmp_path):
    one = run(ROWS, split_fractions=FRACTIONS)
    header, *lines = ROWS.splitlines()
    other = run("\n".join([header, *reversed(lines)]) + "\n", "other", split_fractions=FRACTIONS)
    expected = set(one.split("test")["id"].to_pylist())
    assert set(other.split("test")["id"].to_pylist()) == expected
    assert 150 < len(expected) < 250
    # With the same keys, more data changes nothing about the rows that were there.
    keys = one.result.examples_lineage["split"]["keys"]
    assert keys == ["when", "part", "label"]
    grown = ROWS + "600.5,2024-01-01 10:00:00,test,1\n" * 2
    more = run(grown, "more", split_fractions=FRACTIONS, split_keys=keys)
    assert {i for i in more.split("test")["id"].to_pylist() if i != 600.5} == expected
    salted = run(ROWS, "salted", split_fractions=FRACTIONS, split_salt="x")
    assert set(salted.split("test")["id"].to_pylist()) != expected


def test_a_hash_split_by_keys_keeps_them_together(run):
    data = "user,n\n" + "".join(f"u{i % 40},{i}\n" for i in range(2000))
    got = run(data, split_fractions=FRACTIONS, split_keys=("user",))
    train, test = (set(got.split(name)["user"].to_pylist()) for name in ("train", "test"))
    assert not train & test
    assert len(train | test) == 40


@pytest.mark.parametrize("piece_bytes", [100, 4 << 20])
def test_a_time_split_cuts_the_whole_input(run, monkeypatch, piece_bytes):
    monkeypatch.setattr(csv_source, "BLOCK_BYTES", piece_bytes)
    monkeypatch.setattr(csv_source, "_BYTES_PER_COLUMN", 0)
    got = run(
        ROWS,
        split_method="time",
        split_column="when",
        split_fractions={"test": 0.15, "train": 0.7, "eval": 0.15},
    )
    days = {name: set(got.split(name)["when"].to_pylist()) for name in got.examples.splits}
    assert max(days["train"]) < min(days["eval"])
    assert max(days["eval"]) < min(days["test"])
    assert sum(len(values) for values in days.values()) == 28  # ties stay together
    assert got.split("train").num_rows == pytest.approx(0.7 * 600, abs=600 / 28 + 1)


def test_a_time_split_by_numbers_that_turn_into_doubles(run):
    data = "t\n" + "".join(f"{i}\n" for i in range(100)) + "100.5\n"
    got = run(data, split_method="time", split_column="t", split_fractions={"train": 3, "eval": 1})
    assert got.split("eval")["t"].to_pylist() == [float(i) for i in range(75, 100)] + [100.5]


def test_a_time_split_by_text_in_a_given_format(run):
    data = "t\n31/01/2024\n01/02/2023\n15/06/2025\n30/12/2022\n"
    got = run(
        data,
        split_method="time",
        split_column="t",
        split_time_format="%d/%m/%Y",
        split_fractions={"train": 1, "test": 1},
    )
    assert got.split("test")["t"].to_pylist() == ["2024-01-31", "2025-06-15"]


def test_rows_without_a_time_are_rejected(run):
    got = run(
        "t,x\n1,a\n,b\n3,c\n",
        split_method="time",
        split_column="t",
        split_fractions={"train": 1, "test": 1},
        max_rejected_fraction=0.5,
    )
    assert [(row["line"], row["text"]) for row in got.rejected] == [(3, ",b")]


def test_a_column_names_the_splits(run):
    got = run(ROWS, split_method="column", split_column="part")
    assert got.result.rows == {"train": 400, "test": 200}
    assert "part" not in got.types
    assert "names the split" in got.summary


def test_columns_and_files_are_described(run):
    got = run(ROWS + "7,,test,1\n", label="label")
    assert "| `when` | time | string | 0.2% |" in got.summary
    assert "601 rows with 4 columns" in got.summary
    assert lineage.digest_file(got.path.parent / "data.csv") in got.summary


def test_lineage(run):
    got = run(ROWS, label="label", split_fractions=FRACTIONS)
    facts = lineage.read(got.path / "examples")
    assert facts == got.result.examples_lineage
    assert facts["rows"] == got.examples.rows()
    source = got.path.parent / "data.csv"
    assert facts["sources"] == [
        {
            "uri": str(source),
            "digest": lineage.digest_file(source),
            "bytes": source.stat().st_size,
        }
    ]
    assert facts["versions"]["pyarrow"] == pa.__version__
    assert facts["split"]["fractions"] == FRACTIONS
    assert facts["rejected"] == 0


def test_the_same_data_gives_the_same_artifact(run):
    one, two = (run(ROWS, out, split_fractions=FRACTIONS) for out in ("one", "two"))
    assert one.result.examples_lineage["digest"] == two.result.examples_lineage["digest"]


def test_a_second_run_replaces_the_first(run):
    run(ROWS, split_fractions=FRACTIONS)
    got = run("a\n1\n2\n")
    assert got.examples.splits == ["train"]
    assert sorted(path.name for path in got.path.iterdir()) == [
        "examples",
        "rejected",
        "summary.md",
    ]


@pytest.mark.parametrize(
    ("data", "arguments", "words"),
    [
        (
            "a,big_tipper\n1,2\n",
            {"label": "tipper"},
            "no column 'tipper'.*Did you mean 'big_tipper'",
        ),
        (
            "a;b\n1;2\n",
            {"label": "b", "csv_delimiter": ","},
            "looks like ';' separates the columns: set csv_delimiter",
        ),
        ("a,b\n1,\n2,\n", {"label": "b"}, "label 'b' is missing in all 2 rows"),
        ("a,b\n1,7\n2,7\n", {"label": "b"}, "label 'b' is 7 in all 2 rows"),
        ("a,b\n1,yes\n2,yes\n", {"label": "b"}, "label 'b' is 'yes' in all"),
        (
            "a\n1\n2\n",
            {"split_fractions": {"train": 1, "rare": 1e-9}},
            "split 'rare' has none of the 2 rows",
        ),
        ("a\n1\n", {"split_fractions": {}}, "split_fractions: expected weights by split"),
        (
            "a\n1\n",
            {"split_fractions": {"train": 0}},
            "'train': expected a positive number, found 0",
        ),
        (
            "a\n1\n",
            {"split_fractions": {"train": -1}},
            "'train': expected a positive number, found -1",
        ),
        (
            "a\n1\n",
            {"split_fractions": {"train": float("nan")}},
            "'train': expected a positive number, found nan",
        ),
        (
            "a\n1\n",
            {"split_fractions": {"train": "x"}},
            "'train': expected a positive number, found 'x'",
        ),
        ("a\n1\n", {"split_fractions": {"a/b": 1}}, "'a/b' is not a valid name of a split"),
        (
            "a\n1\n",
            {"split_method": "random"},
            "hash, row, time or column, found 'random'",
        ),
        ("a\n1\n", {"split_method": "time"}, "split_column: split_method 'time' needs a column"),
        ("a\n1\n", {"split_column": "a"}, "has no effect with split_method 'hash'"),
        ("a\n1\n", {"split_keys": ("b",)}, "split_keys: the data have no column 'b'"),
        (
            "a\n1\n",
            {"split_method": "time", "split_column": "b"},
            "split_column: the data have no column",
        ),
        (
            "a\nx\n",
            {"split_method": "time", "split_column": "a", "split_fractions": FRACTIONS},
            "'x' is not a time",
        ),
        (
            "a,b\n,1\n",
            {"split_method": "time", "split_column": "a", "split_fractions": FRACTIONS},
            "has no time in any row",
        ),
        (
            "a,b\n1,1\n1,2\n",
            {"split_method": "time", "split_column": "a", "split_fractions": FRACTIONS},
            "split 'train' has none of the 2 rows",
        ),
        (
            "a,b\nx y,1\n",
            {"split_method": "column", "split_column": "a"},
            "'x y' is not a valid name of a split",
        ),
        ("a,b\n,1\n", {"split_method": "column", "split_column": "a"}, "is empty in every row"),
        (
            "a\n" + "".join(f"s{i}\n" for i in range(200)),
            {"split_method": "column", "split_column": "a"},
            "more than 100 values",
        ),
        ("a\n1\n", {"split_method": "column", "split_column": "a", "label": "a"}, "is the label"),
        ("a\n1\n", {"max_rejected_fraction": 1.5}, "max_rejected_fraction"),
        ("a\n1\n", {"data_format": "cvs"}, "Did you mean 'csv'"),
        ("a\n1\n", {"data_format": "parquet"}, "looks like csv, expected parquet"),
        ("a\n1\n", {"column_types": {"b": "text"}}, "column_types: the data have no column 'b'"),
    ],
)
def test_bad_requests_leave_nothing(run, tmp_path, data, arguments, words):
    with pytest.raises(UserError, match=words):
        run(data, **arguments)
    assert list((tmp_path / "out").glob("**/*")) == []


def test_a_missing_file_is_named(run, tmp_path):
    (tmp_path / "data.csv").touch()
    with pytest.raises(UserError, match=r"daat\.csv: not found.*'data\.csv'"):
        run(tmp_path / "daat.csv")


def test_a_failed_run_leaves_the_earlier_result(run):
    before = run(ROWS)
    with pytest.raises(UserError):
        run("a,b\n1,\n", label="b")
    assert before.examples.rows() == {"train": 600}


@pytest.mark.parametrize("store", ["gcs", "s3"])
def test_object_stores(run, request, tmp_path, store):
    root = request.getfixturevalue(store)
    (tmp_path / "tree").mkdir()
    header, *lines = ROWS.splitlines(keepends=True)
    for i in range(3):
        (tmp_path / "tree" / f"part-{i}.csv").write_text("".join([header, *lines[i::3]]))
    storage.upload(tmp_path / "tree", f"{root}/ingest/tree")
    shutil.rmtree(tmp_path / "tree")
    got = run(f"{root}/ingest/tree/part-*.csv", label="label")
    assert sorted(got.column("id")) == list(range(600))
    sources = got.result.examples_lineage["sources"]
    assert [source["uri"] for source in sources] == [
        f"{root}/ingest/tree/part-{i}.csv" for i in range(3)
    ]


def test_many_small_blocks_keep_the_order(run, monkeypatch):
    monkeypatch.setattr(csv_source, "BLOCK_BYTES", 64)
    monkeypatch.setattr(csv_source, "_BYTES_PER_COLUMN", 0)
    got = run(ROWS)
    assert got.column("id") == list(range(600))


def test_the_reference_data(run, chicago_taxi: Path):
    got = run(
        chicago_taxi,
        label="big_tipper",
        split_fractions={"train": 0.7, "eval": 0.15, "test": 0.15},
    )
    assert sum(got.result.rows.values()) == 15_002
    assert got.result.rows["train"] / 15_002 == pytest.approx(0.7, abs=0.02)
    assert got.types["pickup_census_tract"] == "int64"
    assert got.table["pickup_census_tract"].null_count == 15_001
    assert got.types["dropoff_census_tract"] == "int64"
    assert got.rejected == []
