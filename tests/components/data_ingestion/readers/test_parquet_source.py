import datetime
import decimal
import json

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from kfp_tabular.components.common.artifacts import findings
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.values import column_format

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
            ["2024-01-31 04:00:00-06:00"],
        ),
        (
            pa.array([WHOLE], pa.timestamp("us", "UTC")),
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
        (3, "column 'b': not valid UTF-8"),
        (4, "label 'label' is missing"),
    ]
    assert json.loads(got.rejected[1]["text"]) == {"x": 3.0, "b": "b'd'", "label": None}
    assert got.table.to_pydict() == {
        "x": [1.0, None, 4.0],
        "b": ["a", "b", "e"],
        "label": [1, 0, 0],
    }


def test_types_can_be_given(run, parquet):
    data = {"i": [1.0, 2.5, None], "s": ["1", "x", "3"], "t": [1, 2, 3]}
    got = run(
        parquet(data),
        column_types={"i": "integer", "s": "number", "t": "text"},
    )
    assert got.table.to_pydict() == {
        "i": [1, None, None],
        "s": [1.0, None, 3.0],
        "t": ["1", "2", "3"],
    }
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


NESTED = {
    "x": [1, 2, 3],
    "tags": [["red", 'b,"c'], [], None],
    "point": [{"lat": 1.5, "at": {"zone": "a"}}, None, {"lat": None, "at": {"zone": "b"}}],
    "scores": [[1.5, None], [2.0], None],
    "theme": pa.array([[("k", 1)], [("j", 2), ("k", 3)], None], pa.map_(pa.string(), pa.int64())),
    "pair": pa.array([[1, 2], [None, 0], [3, 4]], pa.list_(pa.int64(), 2)),
}


@pytest.mark.parametrize(
    ("values", "way"),
    [
        ([[1, 2]], "bag"),
        ([{"a": 1}], "flatten"),
        (pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())), "flatten"),
        ([[[1]]], "flatten"),
    ],
    ids=["list", "struct", "map", "lists"],
)
def test_nested_columns_are_named_with_the_options(run, parquet, values, way):
    with pytest.raises(UserError) as failure:
        run(parquet({"a": [1], "deep": values}))
    assert "data.parquet: column 'deep' has type" in str(failure.value)
    assert f'exclude=["deep"], or nested={{"deep": "{way}"}}' in str(failure.value)


def test_excluded_columns_are_not_read(run, parquet):
    nested = [name for name in NESTED if name != "x"]
    got = run(parquet(NESTED), exclude=nested)
    assert got.table.to_pydict() == {"x": [1, 2, 3]}
    assert got.result.examples_lineage["excluded"] == sorted(nested)


def test_nested_columns_are_flattened(run, parquet):
    got = run(
        parquet(NESTED),
        exclude=["tags", "point.lat"],
        nested=dict.fromkeys(["point", "scores", "theme", "pair"], "flatten"),
    )
    assert got.table.to_pydict() == {
        "x": [1, 2, 3],
        "point.at.zone": ["a", None, "b"],
        "scores_0": [1.5, 2.0, None],
        "scores_1": [None, None, None],
        "theme.j": [None, 2, None],
        "theme.k": [1, 3, None],
        "pair_0": [1, None, 3],
        "pair_1": [2, 0, 4],
    }


def test_flattened_lists_of_all_files_have_the_same_columns(run, parquet, tmp_path):
    parquet({"s": [[1], [2]]}, "1.parquet")
    parquet({"s": [list(range(11)), None]}, "2.parquet")
    got = run(tmp_path / "*.parquet", nested={"s": "flatten"}, split_method="hash")
    assert list(got.types) == [f"s_{position}" for position in range(11)]
    assert got.column("s_10") == [None, None, 10, None]


def test_lists_are_bags(run, parquet):
    got = run(
        parquet(NESTED),
        exclude=["point", "theme"],
        nested={"tags": "bag", "scores": "bag", "pair": "bag"},
    )
    assert got.table.to_pydict() == {
        "x": [1, 2, 3],
        "tags": ['["red","b\\u002c\\u0022c"]', "[]", None],
        "scores": ["[1.5]", "[2]", None],
        "pair": ["[1,2]", "[0]", "[3,4]"],
    }
    formats = column_format.read(got.path / "examples")
    assert {name: found.kind for name, found in formats.items()} == {
        "x": "integer",
        "tags": "bag",
        "scores": "bag",
        "pair": "bag",
    }
    assert formats["tags"].number is None
    assert formats["scores"].number is not None


@pytest.mark.parametrize(
    ("items", "text"),
    [
        (pa.array([["a"], ["b", "a"]], pa.list_(pa.dictionary(pa.int8(), pa.string()))), '["a"]'),
        (pa.array([["a"]] * 2, pa.large_list(pa.large_string())), '["a"]'),
        (pa.array([[True, False]] * 2), "[1,0]"),
        (pa.array([[0.1]] * 2, pa.list_(pa.float32())), "[0.1]"),
        (pa.array([[WHOLE.date()]] * 2), '["2024-01-31"]'),
        (pa.array([[decimal.Decimal("1.50")]] * 2), "[1.5]"),
        (pa.array(["a", "b"]), '["a"]'),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_items_of_bags(run, parquet, items, text):
    assert run(parquet({"x": items, "y": [1, 2]}), nested={"x": "bag"}).column("x")[0] == text


def test_bags_that_are_text_in_one_file_and_numbers_in_another(run, parquet, tmp_path):
    parquet({"x": [["7", "a"]]}, "1.parquet")
    parquet({"x": [[7]]}, "2.parquet")
    got = run(tmp_path / "*.parquet", nested={"x": "bag"})
    assert got.column("x") == ['["7","a"]', '["7"]']


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"exclude": ["tag"]}, "exclude: the data have no column 'tag'. Did you mean 'tags'"),
        ({"nested": {"tag": "bag"}}, "nested: the data have no column 'tag'"),
        ({"nested": {"tags": "list"}}, "nested: expected bag or flatten for each column"),
        ({"exclude": ["x"], "label": "x"}, "exclude: 'x' is the label"),
        ({"nested": {"point": "bag"}}, "'point' has type struct.*Use \"flatten\""),
        ({"nested": {"tags": "bag"}, "column_types": {"tags": "text"}}, "so it takes no type"),
        ({"exclude": ["tags"], "nested": {"tags": "bag"}}, "'tags' is also in exclude"),
    ],
)
def test_options_that_do_not_fit(run, parquet, arguments, message):
    others = {"exclude": [name for name in NESTED if name not in ("x", "tags", "point")]}
    given = {**others, **arguments}
    if "exclude" in arguments:
        given["exclude"] = [*others["exclude"], *arguments["exclude"]]
    given["exclude"] += [
        name
        for name in ("tags", "point")
        if name not in (*given.get("nested", ()), *given["exclude"])
    ]
    with pytest.raises(UserError, match=message):
        run(parquet(NESTED), **given)


def test_fixed_lists_with_missing_values_can_be_excluded(run, parquet):
    data = {"x": [1, 2], "pair": pa.array([[1, 2], None], pa.list_(pa.int64(), 2))}
    with pytest.raises(UserError, match="fixed size has missing values.*exclude it"):
        run(parquet(data), nested={"pair": "bag"})
    assert run(parquet(data), exclude=["pair"]).column("x") == [1, 2]


def test_lists_that_are_too_long_to_flatten(run, parquet):
    with pytest.raises(UserError, match='list of 65 items; flatten takes at most 64. Use "bag"'):
        run(parquet({"x": [1], "s": [list(range(65))]}), nested={"s": "flatten"})


def test_columns_of_the_split_are_read_although_excluded(run, parquet):
    data = {"x": range(60), "who": [row % 20 for row in range(60)], "group": ["a", "b"] * 30}
    got = run(
        parquet(data),
        exclude=["who", "group"],
        split_keys=["who"],
        keep=["x,group"],
        split_fractions={"train": 1, "eval": 1},
    )
    assert set(got.types) == {"x", "who", "group"}
    assert not set(got.split("train")["who"].to_pylist()) & set(
        got.split("eval")["who"].to_pylist()
    )


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (["1", "20"], [3, 4], [1, 20, 3, 4]),
        (["1.5", None], pa.array([3, 4], pa.int8()), [1.5, None, 3.0, 4.0]),
        (["1", "x"], [3.0, 0.5], ["1", "x", "3", "0.5"]),
        ([True, False], [0, 1], [1, 0, 0, 1]),
        ([True, None], [0.5, 1], [1.0, None, 0.5, 1.0]),
        (["true", "false"], [True, None], [1, 0, 1, None]),
        (
            [WHOLE.date(), None],
            pa.array([WHOLE, None], pa.timestamp("ms")),
            ["2024-01-31 00:00:00", None, "2024-01-31 10:00:00", None],
        ),
        (
            pa.array([WHOLE] * 2, pa.timestamp("ns", "Europe/Berlin")),
            pa.array([WHOLE] * 2, pa.timestamp("s")),
            ["2024-01-31 11:00:00+01:00"] * 2 + ["2024-01-31 10:00:00+00:00"] * 2,
        ),
        (
            pa.array(["a", "b"]).dictionary_encode(),
            pa.array(["c", None], pa.large_string()),
            ["a", "b", "c", None],
        ),
        (pa.array(["1", "2"]).dictionary_encode(), [3, 4], [1, 2, 3, 4]),
        ([decimal.Decimal("1.5"), None], pa.array([1, 2], pa.uint16()), [1.5, None, 1.0, 2.0]),
        (pa.array([None, None], pa.null()), ["1", "2"], [None, None, "1", "2"]),
    ],
)
def test_types_that_differ_between_files(run, parquet, tmp_path, first, second, expected):
    parquet({"x": first, "n": [1, 2]}, "1.parquet")
    parquet({"x": second, "n": [1, 2]}, "2.parquet")
    assert run(tmp_path / "*.parquet", "out").column("x") == expected
    turned = run(tmp_path / "[12].parquet", "again").table.sort_by("n").num_rows
    assert turned == len(expected)


def test_types_that_differ_are_a_note(run, parquet, tmp_path):
    parquet({"x": ["1"], "n": [1]}, "1.parquet")
    parquet({"x": [2], "n": [1]}, "2.parquet")
    got = run(tmp_path / "*.parquet")
    (found,) = (note for note in findings.read(got.path / "examples") if note.column == "x")
    assert (found.severity, found.code) == ("note", "types-differ")
    assert "string in " in found.message
    assert "int64 in " in found.message


@pytest.mark.parametrize("data_format", ["parquet", "csv"])
@pytest.mark.parametrize("label", ["region", "x"])
def test_folders_are_columns(run, parquet, tmp_path, data_format, label):
    for region in ("EU", "S%C3%BCd%2FOst", "__HIVE_DEFAULT_PARTITION__"):
        for year in (2023, 2024):
            folder = tmp_path / "data" / f"region={region}" / f"year={year}"
            folder.mkdir(parents=True)
            rows = pa.table({"x": [year * 10 + digit for digit in range(3)]})
            if data_format == "csv":
                pacsv.write_csv(rows, folder / "0.csv")
            else:
                pq.write_table(rows, folder / "0.parquet")
    got = run(tmp_path / "data", label=label, max_rejected_fraction=0.5)
    assert got.types == {"x": "int64", "region": "string", "year": "int64"}
    regions = got.column("region")
    assert {region: regions.count(region) for region in regions} == {
        "EU": 6,
        "Süd/Ost": 6,
        **({} if label == "region" else {None: 6}),
    }
    assert all(x // 10 == year for x, year in zip(got.column("x"), got.column("year"), strict=True))
    # Folders that the URI names itself say nothing, and a glob names only those before it.
    below = run(tmp_path / "data" / "region=EU", "below")
    assert set(below.types) == {"x", "year"}
    glob = run(str(tmp_path / "data" / "region=*" / "year=2023" / "*"), "glob", exclude=["x"])
    assert set(glob.types) == {"region", "year"}
    codes = {(found.column, found.code) for found in findings.read(got.path / "examples")}
    assert {("region", "partition-column"), ("year", "partition-column")} <= codes


def test_a_split_by_folder(run, parquet, tmp_path):
    for split in ("train", "test"):
        (tmp_path / "data" / f"part={split}").mkdir(parents=True)
        parquet({"x": [1, 2]}, f"data/part={split}/0.parquet")
    got = run(tmp_path / "data", split_method="column", split_column="part")
    assert got.result.rows == {"train": 2, "test": 2}
    assert set(got.types) == {"x"}


def test_a_column_of_the_file_counts_more_than_its_folder(run, parquet, tmp_path):
    (tmp_path / "data" / "a=1").mkdir(parents=True)
    (tmp_path / "data" / "a=2").mkdir(parents=True)
    parquet({"x": [1], "a": ["own"]}, "data/a=1/0.parquet")
    parquet({"x": [1]}, "data/a=2/0.parquet")
    assert run(tmp_path / "data").table.to_pydict() == {"x": [1, 1], "a": ["own", "2"]}


def test_files_outside_of_the_folders(run, parquet, tmp_path):
    (tmp_path / "data" / "a=1").mkdir(parents=True)
    parquet({"x": [1]}, "data/a=1/0.parquet")
    parquet({"x": [1]}, "data/0.parquet")
    with pytest.raises(UserError, match=r"column 'a' is (missing|not in)"):
        run(tmp_path / "data")


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
