import re
from copy import deepcopy

import pytest

from kfp_tabular.components.evaluation.report import evaluation_page, metric_names

ESTIMATES = {
    "auc": {"value": 0.9, "interval": [0.88, 0.92]},
    "log_loss": {"value": 0.3, "interval": [0.28, 0.32]},
    "precision": {"value": 0.5, "interval": None},
}


def part(name, rows, auc, interval):
    return {
        "slicing": "country",
        "name": f"country={name}",
        "rows": rows,
        "metrics": {"auc": {"value": auc, "interval": interval}},
        "changes": {},
    }


DOCUMENT = {
    "task": "binary",
    "label": "big_tipper",
    "classes": ["no", "yes"],
    "decision_threshold": 0.5,
    "split": "test",
    "rows": 1000,
    "rows_left_out": {"without_label": 0, "unknown_class": 0},
    "model": {"digest": "sha256:0"},
    "metrics": ESTIMATES,
    "constant_answer": {"auc": 0.5, "pr_auc": 0.2, "log_loss": 0.5},
    "bootstrap_samples": 100,
    "seed": 0,
    "blessed": True,
    "why": "Blessed: the log loss is 40% below that of the shares.",
    "findings": [{"severity": "warning", "code": "leak", "message": "'refund' alone predicts it."}],
    "checks": [
        {
            "passed": True,
            "kind": "skill",
            "metric": "log_loss_skill",
            "condition": "at least 0.01",
            "slice": "",
            "value": 0.4,
            "interval": [0.39, 0.41],
        }
    ],
    "notes": [],
    "slices": [
        part("A", 500, 0.95, [0.94, 0.96]),
        part("B", 300, 0.85, [0.84, 0.86]),
        part("C", 200, 0.89, [0.8, 0.98]),
    ],
    "slices_left_out": {"country": 0},
    "baseline": None,
    "confusion_matrix": {"classes": ["no", "yes"], "counts": [[700, 100], [50, 150]]},
    "curves": {
        "thresholds": [1.0, 0.5],
        "false_positive_rates": [0.0, 1.0],
        "recalls": [0.0, 1.0],
        "precisions": [1.0, 0.2],
    },
    "calibration": [{"predicted": 0.1, "observed": 0.2, "rows": 1000}],
    "score_histogram": {"negative": [800, 0], "positive": [100, 100]},
}


def headings(page):
    return re.findall(r"<h2>(.*?)</h2>", page)


def cells(page, first):
    """Return the cells of the row whose first cell is this, without tags."""
    found = next(r for r in re.findall(r"<tr>(.*?)</tr>", page) if f">{first}" in r)
    texts = re.findall(r"<td[^>]*>(.*?)</td>", found)
    return [re.sub(r"<[^>]*>", "", text).strip() for text in texts]


def test_the_page_answers_questions_in_order_and_names_the_label():
    page = evaluation_page.page(DOCUMENT)
    assert headings(page) == [
        "Verdict",
        "Metrics",
        "Findings",
        "Curves",
        "Confusion",
        "Slices",
        "About this evaluation",
    ]
    assert "<title>Evaluation: big_tipper</title>" in page
    assert "<p class='lead'><span class='badge good'>blessed</span> The log loss is 40%" in page


def test_each_metric_is_beside_that_of_the_constant_answer():
    page = evaluation_page.page(DOCUMENT)
    assert cells(page, "AUC") == [
        "AUC auc",
        "0.900",
        "0.880 to 0.920",
        "0.500",
        "+0.400 &#9650; better",
    ]
    assert cells(page, "log loss")[-1] == "-0.200 &#9660; better"
    assert cells(page, "precision") == ["precision", "0.5", *["&ndash;"] * 3]


def test_a_change_from_the_baseline_has_an_arrow_unless_chance_may_explain_it():
    document = deepcopy(DOCUMENT)
    document["baseline"] = {
        "path": "/models/1",
        "digest": "sha256:1",
        "metrics": {"auc": {"value": 0.91}, "log_loss": {"value": 0.25}},
        "changes": {
            "auc": {"value": -0.01, "interval": [-0.02, 0.005]},
            "log_loss": {"value": 0.05, "interval": [0.04, 0.06]},
        },
    }
    page = evaluation_page.page(document)
    assert cells(page, "AUC")[-2] == "-0.010"
    assert cells(page, "log loss")[-2] == "+0.050 &#9650; worse"


def test_slices_are_worst_first_with_their_difference_to_all_rows():
    page = evaluation_page.page(DOCUMENT)
    table = page[page.index("<caption>country") :]
    assert re.findall(r"<tr><td>(\w)</td>", table) == ["B", "C", "A"]
    assert cells(table, "B<")[3] == "-0.050 &#9660; worse"
    assert cells(table, "C<")[3] == "-0.010"
    assert cells(table, "A<")[3] == "+0.050 &#9650; better"


def test_charts_show_prevalence_counts_and_errors_in_another_hue():
    page = evaluation_page.page(DOCUMENT)
    assert "share of positives, 0.2<" in page
    assert "0 to 0.5: 900 rows" in page
    assert len(re.findall(r"class='cell miss'", page)) == 2
    assert len(re.findall(r"class='cell'", page)) == 2


def test_conditions_are_shown_where_one_fails():
    document = deepcopy(DOCUMENT)
    document["checks"][0]["passed"] = False
    document |= {"blessed": False, "why": "Not blessed: the model is worth nothing."}
    page = evaluation_page.page(document)
    assert "badge error'>not blessed</span> The model is worth nothing." in page
    verdict = page[page.index("Verdict") : page.index("Metrics")]
    assert "<details" not in verdict
    assert "log_loss_skill at least 0.01" in verdict


def test_an_evaluation_of_an_earlier_version_is_drawn():
    document = {key: value for key, value in DOCUMENT.items() if key != "constant_answer"}
    assert "Constant answer" not in evaluation_page.page(document)


@pytest.mark.parametrize(
    ("name", "value", "other", "better"),
    [
        ("auc", 0.9, 0.8, True),
        ("log_loss", 0.9, 0.8, False),
        ("rmse", 1.0, 2.0, True),
        ("r2", 0.1, 0.2, False),
        ("bias", -1.0, 2.0, True),
    ],
)
def test_the_direction_of_a_metric(name, value, other, better):
    assert metric_names.is_better(name, value, other) is better
    assert (metric_names.badness(name, value) < metric_names.badness(name, other)) is better
