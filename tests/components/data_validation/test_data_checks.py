import math

import pyarrow as pa
import pytest

from .conftest import repeated


def kinds(done) -> set[tuple[str, str, str, str]]:
    return {(a["severity"], a["kind"], a["column"], a["split"]) for a in done.listed}


def test_good_data_have_no_anomalies(write_examples, validated):
    table = repeated(200, {"x": [0.5, 1.5, None], "kind": ["a", "b"], "y": [0, 1]})
    done = validated(write_examples(train=table, eval=table.slice(0, 50)), label="y")
    assert done.listed == []
    assert done.result.is_valid
    assert done.result.failure == ""


def test_infinite_numbers_and_nan_are_counted(write_examples, validated):
    table = pa.table({"x": [1.0, math.inf, -math.inf, math.nan, math.nan, None, 3.0]})
    done = validated(write_examples(train=table, eval=table.slice(5)))
    infinite = done.found("infinite values")
    assert set(infinite) == {("x", "train")}
    assert infinite["x", "train"]["rows"] == 2
    assert infinite["x", "train"]["found"] == "-inf, inf"
    assert done.found("not a number")["x", "train"]["rows"] == 2
    assert not done.result.is_valid
    assert "column 'x' in split train: infinite values" in done.result.failure
    reasons = {r.type for r in done.anomalies("train").anomaly_info["x"].reason}
    assert len(reasons) == 2
    assert "eval" not in str(done.anomalies("eval").anomaly_info)


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([1] * 60, ("error", "constant label", "y", "train")),
        (["no"] * 60, ("error", "constant label", "y", "train")),
        ([2.5] * 59 + [None], ("error", "constant label", "y", "train")),
        ([None] * 60, ("error", "label without values", "y", "")),
        ([math.nan] * 60, ("error", "label without values", "y", "")),
        ([None] * 40 + [0, 1] * 10, ("error", "rows without a label", "y", "train")),
        ([0, 1] * 29 + [None, 1], ("warning", "rows without a label", "y", "eval")),
        ([0, 1] * 20 + [1] * 20, ("warning", "constant label", "y", "eval")),
    ],
)
def test_a_label_that_tells_nothing(write_examples, validated, values, wanted):
    kind = pa.string() if isinstance(values[0], str) else None
    table = pa.table({"x": range(60), "y": pa.array(values, kind or (pa.float64()))})
    done = validated(write_examples(train=table.slice(0, 40), eval=table.slice(40)), label="y")
    assert wanted in kinds(done)
    assert done.result.is_valid == (wanted[0] == "warning")
    if "constant" in wanted[1] and wanted[0] == "error":
        assert "nothing to learn" in done.result.failure


def test_columns_without_values_are_a_warning(write_examples, validated):
    table = pa.table(
        {
            "none": pa.nulls(100, pa.string()),
            "late": pa.array([None] * 70 + [1.0] * 30),
            "early": pa.array([1.0] * 70 + [None] * 30),
            "x": range(100),
        }
    )
    done = validated(write_examples(train=table.slice(0, 70), eval=table.slice(70)))
    assert kinds(done) == {
        ("warning", "no values", "none", ""),
        ("warning", "no values", "late", "train"),
    }
    assert done.found("no values")["none", ""]["rows"] == 100
    assert done.result.is_valid


def test_a_split_without_rows(write_examples, validated):
    table = repeated(100, {"x": [1.5, 2.5], "y": [0, 1]})
    done = validated(write_examples(train=table, eval=table.slice(0, 0)), label="y")
    assert kinds(done) == {("error", "no rows", "", "eval")}
    assert done.anomalies().dataset_anomaly_info.reason
    assert "the data in split eval: no rows" in done.result.failure


def test_values_that_only_another_split_has(write_examples, validated):
    train = repeated(1000, {"kind": ["a", "b"], "name": [f"n{i}" for i in range(1000)]})
    test = pa.table({"kind": ["a"] * 95 + ["q"] * 5, "name": [f"m{i}" for i in range(100)]})
    rare = pa.table({"kind": ["a"] * 990 + ["q"] * 10, "name": [f"m{i}" for i in range(1000)]})
    done = validated(write_examples(train=train, eval=rare, test=test))
    assert kinds(done) == {("warning", "values that split train lacks", "kind", "test")}
    assert done.listed[0]["found"] == "'q'"
    assert done.result.is_valid


def test_rare_values_are_in_one_split_by_chance(write_examples, validated):
    towns = [f"town {number}" for number in range(40)]
    train = pa.table({"town": [*towns[:30], *["big"] * 170], "kind": ["a", "b"] * 100})
    test = pa.table({"town": [*towns[30:], *["big"] * 40], "kind": ["a"] * 47 + ["c"] * 3})
    assert kinds(validated(write_examples(train=train, eval=train, test=test))) == set()
