"""The page of a training, from its record alone."""

import re

import pytest

from kfp_tabular.components.training import training_report
from kfp_tabular.components.training.training_record import TrainingRecord

HISTORY = [
    {"step": 10.0, "epoch": 1.0, "train_loss": 0.6, "eval_log_loss": 0.7},
    {"step": 20.0, "epoch": 2.0, "train_loss": 0.4, "eval_log_loss": 0.5},
]
SCORES = {"blend": 0.4, "trees": 0.5, "tabm": 0.8}


def record(scores=SCORES, objective="eval_log_loss", kept="blend", **facts):
    """Return a record of a training whose candidates have these scores, the best first."""
    best = next(iter(scores.values()))
    shares = {"trees": 0.75, "tabm": 0.25} if kept == "blend" else {kept: 1.0}
    leaderboard = [
        {
            "candidate": name,
            "score": score,
            "cross_validated": 0.45 if name == "blend" else None,
            "seconds": 3.21,
            "size": 3 * 2**20,
            "weight": float(kept == "blend") if name == "blend" else shares.get(name, 0.0),
            "is_kept": name == kept,
        }
        for name, score in scores.items()
    ]
    members = [
        {
            "name": name,
            "weight": shares.get(name, 0.0),
            "steps": 20,
            "best_step": 20,
            "seconds": 3.21,
            "parameters": 7,
            "interval": 10,
            "history": HISTORY,
        }
        for name in ("trees", "tabm")
    ]
    metrics = {"steps": 20, "best_step": 20, "epochs": 2.0, "seconds": 6.4, "rows_per_second": 9}
    return TrainingRecord(
        metrics={"train_log_loss": 0.3, "eval_log_loss": best, objective: best, **metrics},
        history=HISTORY,
        facts={
            "hyperparameters": {"model_type": "auto"},
            "model_fn": "",
            "class_weights": "none",
            "early_stopping_patience": 5,
            "decision_threshold": 0.5,
            "calibration": "none",
            "budget_seconds": 0,
            "seed": 0,
            "task": "binary",
            "label": "sold",
            "classes": ["no", "yes"],
            "class_counts": [3, 1],
            "label_scale": 1.0,
            "objective": objective,
            "rows": {"train": 1000, "eval": 600},
            "eval_rows_used": 600,
            "numeric": ["size"],
            "categorical": {"city": 4},
            "vectors": {},
            "kept": kept,
            "reason": "better than its best member",
            "parameters": 7,
            "schedule": {"interval": 10},
            "workers": 1,
            **facts,
        },
        candidates=members,
        leaderboard=leaderboard,
    )


def rows_of(page, heading):
    """Return the texts of the cells of the first table below a heading."""
    table = page[page.index(heading) :].partition("<table")[2].partition("</table>")[0]
    return [
        [re.sub(r"<[^>]*>", "", cell).strip() for cell in re.findall(r"<t[dh].*?</t[dh]>", row)]
        for row in re.findall(r"<tr.*?</tr>", table, re.DOTALL)
    ]


def test_the_leaderboard_has_all_candidates_and_marks_the_kept_one():
    page = training_report.page(record())
    header, *rows = rows_of(page, ">Leaderboard<")
    assert header[:2] == ["candidate", "eval_log_loss"]
    by_name = {row[0]: row for row in rows}
    assert list(by_name) == ["blend (kept)", "trees", "tabm"]
    assert by_name["blend (kept)"][1:] == ["0.4", "", "0.45", "3.2", "3", ""]
    assert by_name["trees"][1:] == ["0.5", "+25.0%", "", "3.2", "3", "75.0%"]
    assert by_name["tabm"][-1] == "25.0%"
    assert "Kept: blend, better than its best member." in page
    assert "600 rows of the eval split" in page


def test_a_perfect_score_has_none_that_is_worse_by_a_share():
    page = training_report.page(record({"trees": 0.0, "tabm": 0.1, "blend": 0.2}, kept="trees"))
    _, *rows = rows_of(page, ">Leaderboard<")
    assert [row[2] for row in rows] == ["", "", ""]


def test_scores_that_weigh_the_classes_are_named_so():
    name = "eval_weighted_log_loss"
    page = training_report.page(record(objective=name, class_weights="balanced"))
    header, *_ = rows_of(page, ">Leaderboard<")
    assert header[1] == name
    assert f"{name} (kept model)" in page
    assert "The score weighs the classes" in page
    assert "The train loss weighs the classes" in page
    assert "weighs the classes" not in training_report.page(record())


def test_each_candidate_has_the_words_of_its_kind():
    page = training_report.page(record())
    _, *rows = rows_of(page, "Learning curves")
    assert [row[:3] for row in rows] == [
        ["trees", "20 trees", "20 trees"],
        ["tabm", "20 steps", "20 steps"],
    ]
    assert "measured every 10 trees" in page
    assert "measured every 10 steps" in page


@pytest.mark.parametrize(
    ("name", "words", "others"),
    [
        ("trees", ["trees grown", "trees kept"], ["best step", "epochs", "rows per second"]),
        ("tabm", ["best step", "epochs", "rows per second"], ["trees grown", "trees kept"]),
    ],
)
def test_the_figures_of_a_single_model_have_the_words_of_its_kind(name, words, others):
    whole = record(kept=name)
    (member,) = (one for one in whole.candidates if one["name"] == name)
    page = training_report.page(
        TrainingRecord(whole.metrics, whole.history, whole.facts, candidates=[member])
    )
    assert all(f">{word}<" in page for word in words)
    assert not any(f">{word}<" in page for word in others)


@pytest.mark.parametrize("kept", ["trees", "tabm"])
def test_a_single_candidate_has_no_leaderboard(kept):
    alone = record(kept=kept)
    page = training_report.page(
        TrainingRecord(alone.metrics, alone.history, alone.facts, candidates=alone.candidates)
    )
    assert "Leaderboard" not in page
    assert f"binary model {kept}" in page
