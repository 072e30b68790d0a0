"""The benchmark's arithmetic: splits, scores, ranks, and what is kept."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.benchmarks.quality import comparison, page, results, scores, splits
from tests.benchmarks.quality.catalog import TABLES
from tests.benchmarks.quality.results import Result


@settings(deadline=None)
@given(rows=st.integers(20, 2000), seed=st.integers(0, 100))
def test_a_split_takes_each_row_once_by_its_shares(rows: int, seed: int) -> None:
    assigned = splits.assign(rows, seed)
    counts = {name: int((assigned == name).sum()) for name in ("train", "eval", "test")}
    assert len(assigned) == rows == sum(counts.values())
    assert abs(counts["test"] - 0.20 * rows) <= 1
    assert abs(counts["eval"] - 0.16 * rows) <= 1


def test_a_split_is_fixed_by_its_seed_and_never_changes() -> None:
    assert "".join(name[1] for name in splits.assign(12, 0)) == "rrervrrvrerr"
    assert np.array_equal(splits.assign(500, 1), splits.assign(500, 1))
    assert not np.array_equal(splits.assign(500, 1), splits.assign(500, 2))


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 10_000), classes=st.integers(2, 5), rounded=st.booleans())
def test_scores_are_those_of_scikit_learn(seed: int, classes: int, rounded: bool) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), random.integers(0, classes, 40)])
    given_scores = (
        random.integers(1, 5, (len(labels), classes))
        if rounded
        else random.random((len(labels), classes)) + 0.01
    )
    probabilities = given_scores / given_scores.sum(axis=1, keepdims=True)
    measured = scores.measure("binary" if classes == 2 else "multiclass", labels, probabilities)
    assert measured["score"] == pytest.approx(metrics.log_loss(labels, probabilities))
    assert measured["accuracy"] == pytest.approx(
        metrics.accuracy_score(labels, probabilities.argmax(axis=1))
    )
    if classes == 2:
        assert measured["auc"] == pytest.approx(metrics.roc_auc_score(labels, probabilities[:, 1]))
    numbers = random.normal(size=len(labels))
    regression = scores.measure("regression", labels.astype(float), numbers)
    assert regression["score"] == pytest.approx(metrics.root_mean_squared_error(labels, numbers))
    assert regression["r2"] == pytest.approx(metrics.r2_score(labels, numbers))


def test_a_sure_mistake_costs_much_but_not_infinitely() -> None:
    (found,) = scores.losses("binary", np.array([0]), np.array([[0.0, 1.0]]))
    assert found == pytest.approx(-math.log(1e-7))


@given(st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4]), min_size=1, max_size=6))
def test_ranks_are_those_of_scipy(values: list[float]) -> None:
    stats = pytest.importorskip("scipy.stats")
    found = comparison.ranks({str(at): value for at, value in enumerate(values)})
    assert list(found.values()) == stats.rankdata(values).tolist()


KEPT = [
    Result("a", 0, "x", "1", values={"score": 1.0}),
    Result("a", 0, "y", "1", values={"score": 2.0}),
    Result("a", 0, "ours", "old", values={"score": 9.0}),
    Result("a", 0, "ours", "new", values={"score": 1.5}),
    Result("a", 1, "x", "1", values={"score": 3.0}),
    Result("a", 1, "y", "1", values={"score": 2.0}),
    Result("a", 1, "ours", "new", values={"score": 1.0}),
    Result("b", 0, "x", "1", values={"score": 1.0}),
    Result("b", 0, "ours", "new", error="no label"),
]


def test_the_last_result_counts_and_what_lacks_a_model_is_left_out() -> None:
    found = comparison.scores_of(KEPT, ["x", "y", "ours"])
    assert found == {
        "a": {0: {"x": 1.0, "y": 2.0, "ours": 1.5}, 1: {"x": 3.0, "y": 2.0, "ours": 1.0}}
    }
    assert comparison.mean_ranks(found) == {"x": 2.0, "y": 2.5, "ours": 1.5}
    assert comparison.mean_scores(found) == {"a": {"x": 2.0, "y": 2.0, "ours": 1.25}}


def test_a_difference_is_to_the_best_other_of_the_means() -> None:
    (entry,) = comparison.behind(comparison.scores_of(KEPT, ["x", "y", "ours"]), "x", ["ours"])
    assert (entry.table, entry.best) == ("a", "ours")
    assert entry.difference == pytest.approx(2.0 / 1.25 - 1)
    assert math.isnan(entry.standard_error)
    assert not entry.is_sure
    assert (entry.seeds_behind, entry.seeds) == (1, 2)


def test_mean_ranks_weigh_tables_alike_whatever_their_seeds() -> None:
    found = comparison.mean_ranks(
        {
            "many": {seed: {"x": 1.0, "y": 2.0} for seed in range(3)},
            "one": {0: {"x": 2.0, "y": 1.0}},
        }
    )
    assert found == {"x": 1.5, "y": 1.5}


def test_results_go_on_where_a_run_was_interrupted(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    for result in KEPT:
        results.append(file, result)
    with file.open("a") as cut:
        cut.write('{"table": "a", "se')
    assert results.read(file) == KEPT
    wanted = [("a", 0, "x", "1"), ("a", 0, "x", "2"), ("b", 0, "ours", "new")]
    assert results.missing(wanted, results.read(file)) == wanted[1:]


def test_a_digest_changes_with_the_code(tmp_path: Path) -> None:
    (tmp_path / "part.py").write_text("1")
    first = results.digest_of(tmp_path)
    (tmp_path / "part.py").write_text("2")
    assert first != results.digest_of(tmp_path)


def _error(table: str, model: str, other: str) -> float:
    return 0.25


def test_a_difference_is_sure_beyond_two_standard_errors() -> None:
    (entry,) = comparison.behind(
        comparison.scores_of(KEPT, ["x", "y", "ours"]), "ours", ["x", "y"], _error
    )
    assert entry.standard_error == 0.125
    assert entry.is_sure


@pytest.mark.parametrize("markdown", [False, True])
def test_the_page_has_scores_ranks_and_costs(markdown: bool) -> None:
    costs = {"train_cpu_seconds": 1.0, "row_cpu_ms": 2.0, "rows_per_cpu_second": 3000.0}
    kept = [
        Result(r.table, r.seed, r.model, r.code, r.error, r.values and {**costs, **r.values}, "v1")
        for r in KEPT
    ]
    text = page.write(kept, ["x", "y"], ["ours"], standard_error=_error, markdown=markdown)
    assert "made with v1" in text
    assert "-37.5 ± 12.5%" in text
    assert "b 0 ours: no label" in text
    assert "3,000" in text


def test_the_page_lists_what_is_worse_with_its_standard_errors() -> None:
    text = page.write(KEPT, ["ours", "y"], ["x"], standard_error=_error, markdown=True)
    assert "| a | ours | +60.0 ± 20.0% | 3.0 | 1 of 2 |" in text


def test_tables_are_many_of_each_task_and_hide_what_leaks() -> None:
    tasks = [table.task for table in TABLES.values()]
    assert len(tasks) >= 20
    assert min(tasks.count(task) for task in ("binary", "multiclass", "regression")) >= 5
    assert all(table.label not in table.exclude for table in TABLES.values())
