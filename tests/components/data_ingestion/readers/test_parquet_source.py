import datetime
import decimal
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kfp_tabular.components.common.errors import UserError

UTC = datetime.UTC


@pytest.fixture
def parquet(tmp_path):
    def write(columns, name="data.parquet", **options):
        table = columns if isinstance(columns, pa.Table) else pa.table(columns)
        pq.write_table(table, tmp_path / name, **options)
        return tmp_path / name

    return write


WHOLE = datetime.datetime(2024, 1, 31, 10, 0, 0, tzinfo=UTC)
FRACTION = WHOLE.replace(microsecond=250_000)


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (pa.array([1, None], pa.int8()), "int64", [1, None]),
        (pa.array([2**63 - 1, None], pa.uint64()), "int64", [2**63 - 1, None]),
        (pa.array([2**63, 1], pa.uint64()), "string", ["9223372036854775808", "1"]),
        (pa.array([0.5, float("nan"), None], pa.float32()), "double", [0.5, None, None]),
        (pa.array([True, False, None]), "int64", [1, 0, None]),
        (pa.array([decimal.Decimal("1.50"), None]), "double", [1.5, None]),
        (pa.array(["a", "", None, "007"]), "string", ["a", None, None, "007"]),
        (pa.array(["a", None], pa.large_string()), "string", ["a", None]),
        (pa.array(["ü".encode(), None], pa.binary()), "string", ["ü", None]),
        (pa.array(["a", "b", None]).dictionary_encode(), "string", ["a", "b", None]),
        (pa.array([1, 2, None]).dictionary_encode(), "int64", [1, 2, None]),
        (pa.array([None, None], pa.null()), "string", [None, None]),
        (pa.array([None, None], pa.float64()), "double", [None, None]),
        (pa.array([WHOLE.date(), None]), "string", ["2024-01-31", None]),
        (
            pa.array([WHOLE, None], pa.timestamp("ns")),
            "string",
            ["2024-01-31 10:00:00", None],
        ),
        (
            pa.array([WHOLE, FRACTION], pa.timestamp("ms")),
            "string",
            ["2024-01-31 10:00:00.000000", "2024-01-31 10:00:00.250000"],
        ),
        (
            pa.array([WHOLE], pa.timestamp("us", "America/Chicago")),
            "string",
            ["2024-01-31 10:00:00"],
        ),
        (pa.array([datetime.timedelta(seconds=90)]), "double", [90.0]),
        (
            pa.array([datetime.datetime(1969, 12, 31, 23, 59, 59)]),
            "string",
            ["1969-12-31 23:59:59"],
        ),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_types(run, parquet, values, kind, expected):
    got = run(parquet({"x": values, "row": range(len(values))}))
    assert got.types["x"] == kind
    assert got.column("x") == expected


def test_types_hold_for_all_files(run, parquet, tmp_path):
    parquet(
        {"n": pa.array([1, 2], pa.int32()), "t": pa.array([WHOLE, WHOLE]), "m": ["a", "b"]},
        "1.parquet",
    )
    parquet(
        {"m": [1, 2], "n": [0.5, None], "t": pa.array([FRACTION, None], pa.timestamp("us", "UTC"))},
        "2.parquet",
    )
    parquet(
        {"m": ["c"], "n": pa.array([None], pa.null()), "t": pa.array([None], pa.null())},
        "3.parquet",
    )
    got = run(tmp_path / "*.parquet")
    assert got.table.to_pydict() == {
        "n": [1.0, 2.0, 0.5, None, None],
        "t": ["2024-01-31 10:00:00.000000"] * 2 + ["2024-01-31 10:00:00.250000", None, None],
        "m": ["a", "b", "1", "2", "c"],
    }


def test_csv_and_parquet_give_the_same_examples(run, parquet):
    table = {
        "i": [1, None, 3],
        "f": [0.5, 1.5, None],
        "s": ["a", None, "c"],
        "b": [True, False, None],
    }
    from_csv = run("i,f,s,b\n1,0.5,a,true\n,1.5,,false\n3,,c,\n", "csv").table
    assert run(parquet(table)).table.equals(from_csv)


def test_rejected_rows(run, parquet):
    data = {
        "x": pa.array([1.0, float("inf"), 2.0, 3.0, 4.0]),
        "b": pa.array([b"a", b"b", b"\xff", b"d", b"e"]),
        "label": [1, 0, 1, None, 0],
    }
    got = run(parquet(data), label="label", max_rejected_fraction=0.7)
    assert [(row["line"], row["reason"]) for row in got.rejected] == [
        (2, "column 'x': the number is infinite"),
        (3, "column 'b': not valid UTF-8"),
        (4, "label 'label' is missing"),
    ]
    assert json.loads(got.rejected[2]["text"]) == {"x": 3.0, "b": "b'd'", "label": None}
    assert got.table.to_pydict() == {"x": [1.0, 4.0], "b": ["a", "e"], "label": [1, 0]}


def test_types_can_be_given(run, parquet):
    data = {"i": [1.0, 2.5, None], "s": ["1", "x", "3"], "t": [1, 2, 3]}
    got = run(
        parquet(data),
        column_types={"i": "integer", "s": "number", "t": "text"},
        max_rejected_fraction=0.5,
    )
    assert got.table.to_pydict() == {"i": [1, None], "s": [1.0, 3.0], "t": ["1", "3"]}
    assert got.types == {"i": "int64", "s": "double", "t": "string"}


def test_the_index_of_pandas_is_not_a_column(run, parquet):
    assert list(run(parquet({"a": [1], "__index_level_0__": [7]})).types) == ["a"]


def test_a_split_by_time_of_timestamps(run, parquet):
    start = datetime.datetime(2024, 1, 1)
    times = [start + datetime.timedelta(hours=hour, milliseconds=hour % 2) for hour in range(100)]
    got = run(
        parquet({"t": times, "x": range(100)}),
        split_method="time",
        split_column="t",
        split_fractions={"train": 0.8, "test": 0.2},
    )
    assert got.split("test")["x"].to_pylist() == list(range(80, 100))


@pytest.mark.parametrize(
    "values",
    [[[1, 2]], [{"a": 1}], pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64()))],
    ids=["list", "struct", "map"],
)
def test_nested_columns(run, parquet, values):
    with pytest.raises(UserError, match=r"data\.parquet: column 'deep' has type"):
        run(parquet({"a": [1], "deep": values}))


def test_columns_of_the_same_name(run, parquet):
    with pytest.raises(UserError, match="more than one column 'a'"):
        run(parquet(pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"])))


def test_no_rows(run, parquet):
    with pytest.raises(UserError, match=r"data\.parquet: the data have columns but no rows"):
        run(parquet({"a": pa.array([], pa.int64())}))


@pytest.mark.parametrize("damage", ["cut", "footer", "data"])
def test_damaged_files(run, parquet, tmp_path, damage):
    path = parquet({"a": [str(i) * 9 for i in range(5000)]}, compression="zstd")
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "footer":
        content[-8:-4] = b"\xff\xff\xff\x7f"  # its length
    else:
        content[200:1200] = b"\xff" * 1000
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"data\.parquet: the Parquet file is damaged"):
        run(path)
    assert list((tmp_path / "out").glob("**/*")) == []
