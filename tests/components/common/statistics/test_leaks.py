"""Columns that alone predict the label."""

import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.examples import Examples, ExamplesWriter
from kfp_tabular.components.common.statistics import leaks
from tests.cases import people
from tests.pickled_engine import PickledEngine

FEW = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def write(folder, table, shares=(0.7, 0.85)):
    """Write rows in their order to train, eval and test."""
    table = pa.table(table)
    first, second = (int(share * table.num_rows) for share in shares)
    folder.mkdir(parents=True, exist_ok=True)
    with ExamplesWriter(folder, table.schema, ["train", "eval", "test"]) as writer:
        writer.write("train", table[:first])
        writer.write("eval", table[first:second])
        writer.write("test", table[second:])
    return Examples(folder)


def scan(folder, table, label="churn", kind="binary"):
    examples = write(folder, table)
    return leaks.scan(examples, kind, label, [name for name in table if name != label])


def found(result):
    return {(finding.severity, finding.column) for finding in result.findings()}


def test_the_clean_table_has_no_leak(tmp_path):
    result = scan(tmp_path, people())
    assert result.findings() == []
    assert result.rows == 900
    assert 0.6 < result.strengths[0].score < 0.9


@pytest.mark.parametrize(
    "recode",
    [
        lambda value, row: value,
        lambda value, row: "paid" if value else "none",
        lambda value, row: -7.5 * value,
        lambda value, row: value * 1000 + row % 37,
        lambda value, row: f"{'x' if value else 'y'}{row % 9}",
        lambda value, row: f"2024-03-{row % 28 + 1:02d}T{row:05d}" if value else None,
        lambda value, row: None if value else row * 0.5,
        lambda value, row: (row % 50) * 2 + value,
    ],
    ids=["copy", "words", "scaled", "shifted", "spread", "refund-date", "absent", "parity"],
)
def test_a_copy_of_the_label_is_an_error_however_it_is_written(tmp_path, recode):
    table = people(1500)
    table["refund"] = [recode(value, row) for row, value in enumerate(table["churn"])]
    result = scan(tmp_path, table)
    assert found(result) == {("error", "refund")}
    (finding,) = result.findings()
    assert "AUC 1.000" in finding.message
    assert finding.option == "exclude"


def test_a_value_that_only_positives_have_is_named_as_such(tmp_path):
    table = people(1500)
    table["refund_date"] = [
        f"2024-03-{row % 28 + 1:02d}" if value else None for row, value in enumerate(table["churn"])
    ]
    (finding,) = scan(tmp_path, table).findings()
    assert finding.message.startswith("Whether column 'refund_date' has a value alone predicts")


def test_a_column_that_is_right_in_98_of_100_rows_is_a_leak_with_its_strength(tmp_path):
    chance = random.Random(1)
    table = people()
    table["flag"] = [value ^ (chance.random() < 0.02) for value in table["churn"]]
    table["score"] = [value + chance.gauss(0, 0.34) for value in table["churn"]]
    (finding,) = scan(tmp_path, table).findings()
    assert finding.severity == "warning"
    assert "'flag'" in finding.message
    assert "'score'" in finding.message
    assert finding.message.count("AUC 0.9") == 2


def test_a_strong_feature_is_not_a_leak(tmp_path):
    chance = random.Random(2)
    table = people()
    table["strong"] = [value + chance.gauss(0, 0.55) for value in table["churn"]]
    result = scan(tmp_path, table)
    assert result.strengths[0].column == "strong"
    assert result.strengths[0].score > 0.88
    assert result.findings() == []


@FEW
@given(seed=st.integers(0, 10**6), share=st.sampled_from([0.02, 0.1, 0.5]), kind=st.integers(0, 2))
def test_columns_that_say_nothing_are_never_leaks(tmp_path_factory, seed, share, kind):
    random_numbers = np.random.default_rng(seed)
    rows = 1500
    label = random_numbers.random(rows) < share
    labels = [
        label.astype(np.int64),
        pa.array([f"c{value}" for value in random_numbers.integers(0, 6, rows)]),
        random_numbers.lognormal(0, 3, rows),
    ]
    table = {
        "y": labels[kind],
        "identifier": pa.array([f"id-{row}" for row in range(rows)]),
        "position": np.arange(rows),
        "customer": pa.array([f"c{value}" for value in random_numbers.integers(0, 500, rows)]),
        "account": random_numbers.integers(0, 10**12, rows),
        "noise": random_numbers.normal(size=rows),
        "infinite": np.where(random_numbers.random(rows) < 0.1, np.inf, 1.0),
        "rare": pa.array(["x" if value < 0.01 else None for value in random_numbers.random(rows)]),
        "constant": np.zeros(rows),
        "empty": pa.nulls(rows, pa.string()),
    }
    task = ("binary", "multiclass", "regression")[kind]
    result = scan(tmp_path_factory.mktemp("noise"), table, "y", task)
    assert result.findings() == []
    assert all(found.score < 0.75 for found in result.strengths)


@FEW
@given(
    seed=st.integers(0, 10**6),
    classes=st.integers(3, 9),
    wrong=st.sampled_from([0.0, 0.02]),
    numbers=st.booleans(),
)
def test_a_recoding_of_several_classes_is_a_leak(tmp_path_factory, seed, classes, wrong, numbers):
    random_numbers = np.random.default_rng(seed)
    label = random_numbers.integers(0, classes, 2000)
    shown = np.where(random_numbers.random(2000) < wrong, (label + 1) % classes, label)
    codes = random_numbers.permutation(classes)[shown]
    column = codes * 1.5 if numbers else pa.array([f"k{code}" for code in codes])
    table = {"y": pa.array([f"class {value}" for value in label]), "code": column}
    result = scan(tmp_path_factory.mktemp("classes"), table, "y", "multiclass")
    assert {column for _, column in found(result)} == {"code"}
    assert abs(result.strengths[0].right - (1 - wrong)) < 0.02


@pytest.mark.parametrize(
    ("derive", "severity"),
    [
        (lambda y, noise: y * 1.19, "error"),
        (lambda y, noise: np.round(y, 1), "error"),
        (lambda y, noise: -np.log(y), "error"),
        (lambda y, noise: y * np.exp(0.25 * noise), "warning"),
        (lambda y, noise: y * np.exp(0.8 * noise), ""),
    ],
    ids=["scaled", "rounded", "logarithm", "noisy", "related"],
)
def test_a_number_is_given_away_by_what_is_derived_from_it(tmp_path, derive, severity):
    random_numbers = np.random.default_rng(3)
    price, noise = random_numbers.lognormal(3, 1.5, 2000), random_numbers.normal(size=2000)
    result = scan(tmp_path, {"price": price, "other": derive(price, noise)}, "price", "regression")
    assert [finding.severity for finding in result.findings()] == ([severity] if severity else [])


def test_few_rows_and_an_empty_label_are_no_evidence(tmp_path):
    few = {"churn": [0, 1] * 6, "copy": [0, 1] * 6}
    assert scan(tmp_path / "few", few).findings() == []
    rare = {"churn": [1, 1, 1] + [0] * 900, "copy": [1, 1, 1] + [0] * 900}
    assert scan(tmp_path / "rare", rare).findings() == []
    empty = {"churn": pa.nulls(90, pa.int64()), "copy": list(range(90))}
    assert scan(tmp_path / "empty", empty).findings() == []
    constant = {"price": [1.5] * 90, "copy": list(range(90))}
    assert scan(tmp_path / "constant", constant, "price", "regression").findings() == []


def test_without_held_out_rows_one_half_teaches(tmp_path):
    table = people(1000)
    table["copy"] = table["churn"]
    examples = write(tmp_path, table, shares=(1.0, 1.0))
    result = leaks.scan(examples, "binary", "churn", ["age", "copy"])
    assert found(result) == {("error", "copy")}
    assert result.rows == 500


def test_only_the_columns_that_are_used_are_searched(tmp_path):
    table = people(1000)
    table["copy"] = table["churn"]
    examples = write(tmp_path, table)
    assert leaks.scan(examples, "binary", "churn", ["age", "churn"]).findings() == []


def test_lists_are_left_out(tmp_path):
    table = {"churn": [0, 1] * 100, "tags": [["a"], ["b"]] * 100}
    assert scan(tmp_path, table).strengths == ()


def test_rows_are_sampled_evenly(tmp_path, monkeypatch):
    monkeypatch.setattr(leaks, "_MOST_ROWS", 1000)
    rows = 9000
    label = [int(row >= 4000) for row in range(rows)]
    table = {"churn": label, "copy": label, "noise": [row % 7 for row in range(rows)]}
    with ExamplesWriter(tmp_path, pa.table(table).schema, ["train", "eval"], 1000) as writer:
        for start in range(0, rows, 500):
            writer.write("train", pa.table(table)[start : start + 500])
            writer.write("eval", pa.table(table)[start : start + 500])
    result = leaks.scan(Examples(tmp_path), "binary", "churn", ["copy", "noise"])
    assert 500 <= result.rows <= 1000
    assert found(result) == {("error", "copy")}


def test_other_shards_and_engines_find_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(leaks, "_MOST_ROWS", 1000)
    monkeypatch.setattr(leaks, "_WINDOW_ROWS", 200)
    table = people(9000)
    table["copy"] = table["churn"]
    results = []
    for size, engine in ((9000, None), (700, PickledEngine()), (350, None)):
        folder = tmp_path / str(size)
        folder.mkdir()
        rows = pa.table(table)
        with ExamplesWriter(folder, rows.schema, ["train", "eval"], 2 * size) as writer:
            for start in range(0, 9000, size):
                writer.write("train", rows[start : start + size])
            writer.write("eval", rows[:5000])
        examples = Examples(folder)
        assert leaks.kind_of(examples, "churn", engine) == "binary"
        results.append(leaks.scan(examples, "binary", "churn", list(table), engine))
    assert results[0] == results[1] == results[2]
    assert found(results[0]) == {("error", "copy")}


@pytest.mark.parametrize(("total", "most"), [(0, 5), (3, 5), (100, 7), (10**6, 1000), (10**9, 999)])
def test_places_are_spread_over_all_rows(total, most):
    places = leaks._places(total, most)
    assert len(places) <= most
    assert len(places) >= min(total, most // 2)
    if total:
        assert 0 <= places[0] <= total / 7
        assert total * 6 / 7 - 1 <= places[-1] < total


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a", "b"], "binary"),
        ([1.0, 2.0, None], "binary"),
        ([float(value) for value in range(20)], "multiclass"),
        ([float(value) for value in range(21)], "regression"),
        ([f"c{value}" for value in range(21)], "multiclass"),
    ],
)
def test_how_a_label_is_scored(tmp_path, values, kind):
    assert leaks.kind_of(write(tmp_path, {"y": values}), "y") == kind
