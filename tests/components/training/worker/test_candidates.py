"""Trainings that try several candidates: what is kept, and what is recorded of the others."""

import json
from dataclasses import replace

import numpy as np
import pytest

from kfp_tabular.components.common.artifacts import findings
from kfp_tabular.components.common.artifacts.hyperparameters import AUTO_NETWORK, Hyperparameters
from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.prediction.saved_model import SavedModel
from kfp_tabular.components.training.candidates import (
    candidate_plan,
    candidate_training,
    network,
    tree_candidate,
)
from kfp_tabular.components.training.input import training_data
from kfp_tabular.components.training.input.shuffling import TrainingInput
from kfp_tabular.components.training.training_record import TrainingRecord
from kfp_tabular.components.training.trees import fit as tree_fit
from kfp_tabular.components.training.worker import training_process
from tests import explained_models

SMALL = {"epochs": 3, "tree_count": 60, "tree_depth": 4}
KINDS = ("binary", "multiclass", "regression")


@pytest.fixture(scope="module")
def tried(inputs, tmp_path_factory):
    """A training with `auto` of each kind of task, with its folder and record."""
    found = {}
    for kind in KINDS:
        folder = tmp_path_factory.mktemp(f"auto-{kind}")
        settings = inputs[kind].settings(
            folder, model_type="auto", metrics_file=folder / "metrics.txt", **SMALL
        )
        found[kind] = (folder, training_process.run(settings))
    return found


def eval_predictions(made, folder):
    """Return what the exported model predicts for the raw rows of the eval split."""
    model, rows = SavedModel(folder / "model"), made.raw_rows(made.ROWS["eval"], 1)
    given = {entry.input: rows[entry.name] for entry in model.spec.inputs}
    return rows, {name: value.numpy() for name, value in model.predict(given).items()}


@pytest.mark.parametrize("kind", KINDS)
def test_the_best_candidate_on_the_eval_split_is_kept(tried, kind):
    _, record = tried[kind]
    names = {entry["candidate"] for entry in record.leaderboard}
    assert names == {"trees", AUTO_NETWORK, "blend"}
    (kept,) = (entry for entry in record.leaderboard if entry["is_kept"])
    members = [entry["score"] for entry in record.leaderboard if entry["candidate"] != "blend"]
    assert kept["score"] <= min(members)
    assert kept["candidate"] == record.facts["kept"]
    scores = [entry["score"] for entry in record.leaderboard]
    assert scores == sorted(scores)
    weights = [member["weight"] for member in record.candidates]
    assert sum(weights) == pytest.approx(1)
    assert all(entry["seconds"] > 0 and entry["size"] > 0 for entry in record.leaderboard)


@pytest.mark.parametrize("kind", KINDS)
def test_the_scores_are_those_of_the_exported_model(made, tried, kind):
    """Computed here from the exported model's answers for raw rows, without the training's code."""
    folder, record = tried[kind]
    rows, outputs = eval_predictions(made, folder)
    if kind == "regression":
        errors = outputs["prediction"].astype(float) - rows["price"]
        score, name = float(np.sqrt((errors**2).mean())), "rmse"
    else:
        label = rows["sold" if kind == "binary" else "grade"]
        of_label = outputs["probabilities"][np.arange(len(label)), label].astype(float)
        score, name = float(-np.log(of_label).mean()), "log_loss"
    (kept,) = (entry for entry in record.leaderboard if entry["is_kept"])
    assert kept["score"] == pytest.approx(score, rel=1e-5)
    assert record.metrics[f"eval_{name}"] == pytest.approx(score, rel=1e-5)
    assert record.metrics[f"{kept['candidate']}_eval_{name}"] == kept["score"]


def test_what_is_left_behind(tried):
    folder, record = tried["binary"]
    assert TrainingRecord.load(folder / "logs") == record
    for member in record.candidates:
        assert list((folder / "logs" / member["name"]).glob("events.out.tfevents.*"))
        assert member["history"][-1]["step"] == member["steps"]
        assert member["best_step"] in [entry["step"] for entry in member["history"]]
    assert not list((folder / "logs" / "checkpoints").glob("*"))
    # No step twice: Katib takes the lines for one training.
    lines = (folder / "metrics.txt").read_text().splitlines()
    steps = [pair.partition("=")[2] for line in lines for pair in line.split()[1:2]]
    assert len(lines) == sum(len(member["history"]) for member in record.candidates) + 1
    assert len(set(steps)) == len(steps)
    assert "eval_auc=" in lines[-1]
    (found,) = findings.read(folder / "logs")
    assert found.code == "candidates"
    assert str(found).startswith("Kept: ")


def test_the_model_document_names_what_was_chosen(tried):
    for folder, record in tried.values():
        recorded = ModelSpec.load(folder / "model").hyperparameters
        assert recorded["model_type"] == record.facts["kept"]
        if record.facts["kept"] == "blend":
            blend = recorded["blend"]
            assert sum(blend["weights"].values()) == pytest.approx(1)
            assert blend["coefficients"].keys() == blend["weights"].keys()
        assert recorded["members"] == Hyperparameters.members
        json.dumps(recorded)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_model_to_the_last_bit(made, inputs, tried, tmp_path, kind):
    folder, first = tried[kind]
    again = training_process.run(inputs[kind].settings(tmp_path, model_type="auto", **SMALL))
    for one, other in zip(first.leaderboard, again.leaderboard, strict=True):
        assert {**one, "seconds": 0} == {**other, "seconds": 0}
    _, predictions = eval_predictions(made, folder)
    _, repeated = eval_predictions(made, tmp_path)
    for name, values in predictions.items():
        assert values.tolist() == repeated[name].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_trees_alone(made, inputs, tmp_path, kind):
    settings = inputs[kind].settings(tmp_path, model_type="trees", **SMALL)
    record = training_process.run(settings)
    assert [member["name"] for member in record.candidates] == ["trees"]
    assert record.metrics["steps"] <= SMALL["tree_count"]
    assert ModelSpec.load(tmp_path / "model").hyperparameters["model_type"] == "trees"
    rows, outputs = eval_predictions(made, tmp_path)
    if kind == "regression":
        errors = outputs["prediction"].astype(float) - rows["price"]
        assert record.metrics["eval_rmse"] == pytest.approx(
            float(np.sqrt((errors**2).mean())), rel=1e-5
        )
        (best,) = (
            entry for entry in record.history if entry["step"] == record.metrics["best_step"]
        )
        # CatBoost's own measurement of the number of trees kept.
        assert record.metrics["eval_rmse"] == pytest.approx(best["eval_rmse"], rel=1e-4)
    else:
        losses = [entry["eval_log_loss"] for entry in record.history]
        assert record.metrics["eval_log_loss"] == pytest.approx(min(losses), rel=1e-4)
    explained_models.check(tmp_path / "model", rows)


def test_a_blend_that_was_asked_for(made, inputs, tmp_path):
    record = training_process.run(inputs["binary"].settings(tmp_path, model_type="blend", **SMALL))
    assert record.facts["kept"] == "blend"
    assert ModelSpec.load(tmp_path / "model").hyperparameters["model_type"] == "blend"
    explained_models.check(tmp_path / "model", made.raw_rows(100, 7))


def without_eval(made, inputs, tmp_path, kind="binary", rows=None):
    """Return inputs without an eval split, with some of the train rows or all."""
    examples = tmp_path / "examples"
    train = made.read_columns(inputs[kind].examples, "train")
    train = {
        name: values[: len(values) if rows is None else rows] for name, values in train.items()
    }
    made.rewrite(inputs[kind].examples, examples, eval=None, train=train)
    return replace(inputs[kind], examples=examples)


@pytest.mark.parametrize("kind", KINDS)
def test_without_an_eval_split_train_rows_are_held_out_to_choose_by(made, inputs, tmp_path, kind):
    found = without_eval(made, inputs, tmp_path, kind)
    settings = found.settings(tmp_path, model_type="auto", **SMALL)
    record = training_process.run(settings)
    assert {entry["candidate"] for entry in record.leaderboard} == {"trees", AUTO_NETWORK, "blend"}
    (note,) = (f for f in findings.read(tmp_path / "logs") if f.code == "held-out")
    used = record.facts["eval_rows_used"]
    assert 230 < used < 370 and f"20% of the distinct training rows ({used:,}" in note.message
    assert record.facts["eval_source"] == "held-out train rows"
    assert "eval split" in note.message and note.option == "split_fractions"
    name = {"regression": "eval_rmse"}.get(kind, "eval_log_loss")
    (kept,) = (entry for entry in record.leaderboard if entry["is_kept"])
    assert record.metrics[name] == pytest.approx(kept["score"], rel=1e-5)


def test_of_few_distinct_rows_equal_ones_are_divided(made, inputs, tmp_path):
    found = without_eval(made, inputs, tmp_path)
    train = made.read_columns(found.examples, "train")
    copies = np.arange(2000) % 90
    few = {name: np.asarray(values)[copies] for name, values in train.items()}
    made.rewrite(found.examples, tmp_path / "few", train=few)
    settings = replace(found, examples=tmp_path / "few").settings(
        tmp_path, model_type="trees", **SMALL
    )
    record = training_process.run(settings)
    (note,) = (f for f in findings.read(tmp_path / "logs") if f.code == "held-out")
    assert "20% of the training rows (" in note.message
    assert "Few are distinct, so equal rows are on both sides." in note.message
    assert 340 < record.facts["eval_rows_used"] < 460
    # What is measured is what was trained on, so far as the luck of the draw allows.
    losses = record.metrics["train_log_loss"], record.metrics["eval_log_loss"]
    assert losses[1] == pytest.approx(losses[0], abs=0.05)


def test_held_out_rows_are_not_trained_on(made, inputs, tmp_path, monkeypatch):
    found = without_eval(made, inputs, tmp_path)
    seen, data = [], []

    def read(*arguments, **options):
        data.append(training_data.read(*arguments, **options))
        return data[-1]

    def fit(request):
        seen.append(request.train)
        return tree_fit.fit(request)

    class Recorded(TrainingInput):
        def take(self, rows):
            seen.append(super().take(rows))
            return seen[-1]

    monkeypatch.setattr(training_process, "read", read)
    monkeypatch.setattr(tree_candidate, "fit", fit)
    monkeypatch.setattr(network, "TrainingInput", Recorded)
    training_process.run(found.settings(tmp_path, output=None, model_type="auto", **SMALL))

    def distinct(rows):
        packed = np.concatenate([rows.numeric, rows.categorical.astype(np.float32)], axis=1)
        return {row.tobytes() for row in packed}

    held_out = distinct(data[0].held_out)
    trained = [distinct(rows) for rows in seen]
    assert len(trained) > 2 and held_out
    assert not any(held_out & rows for rows in trained)
    assert len(seen[0]) + len(data[0].held_out) == made.ROWS["train"]


def test_too_few_rows_to_hold_some_out_leave_no_choice(made, inputs, tmp_path):
    found = without_eval(made, inputs, tmp_path, rows=90)
    record = training_process.run(found.settings(tmp_path, model_type="auto", **SMALL))
    assert record.facts["kept"] == "trees"
    assert "No eval split" in str(findings.read(tmp_path / "logs")[0])
    assert ModelSpec.load(tmp_path / "model").hyperparameters["model_type"] == "trees"
    blended = training_process.run(
        found.settings(tmp_path / "blend", output=None, model_type="blend", **SMALL)
    )
    assert [member["weight"] for member in blended.candidates] == [0.5, 0.5]


def test_few_eval_rows_are_not_fitted_on(made, inputs, tmp_path):
    examples = tmp_path / "examples"
    few = {
        name: values[:15]
        for name, values in made.read_columns(inputs["binary"].examples, "eval").items()
    }
    made.rewrite(inputs["binary"].examples, examples, eval=few)
    found = replace(inputs["binary"], examples=examples)
    record = training_process.run(found.settings(tmp_path, output=None, model_type="auto", **SMALL))
    assert record.facts["kept"] in ("trees", AUTO_NETWORK)
    assert "eval rows" in record.facts["reason"]


def test_balanced_classes_stay_uncalibrated(inputs, tmp_path):
    record = training_process.run(
        inputs["binary"].settings(tmp_path, model_type="blend", class_weights="balanced", **SMALL)
    )
    blend = ModelSpec.load(tmp_path / "model").hyperparameters["blend"]
    assert blend["bias"] == [0.0]
    assert sum(blend["coefficients"].values()) == pytest.approx(1)
    assert record.facts["kept"] == "blend"


def test_scores_that_weigh_the_classes_are_named_so(inputs, tmp_path):
    record = training_process.run(
        inputs["binary"].settings(
            tmp_path, output=None, model_type="auto", class_weights="balanced", **SMALL
        )
    )
    name = "eval_weighted_log_loss"
    assert record.facts["objective"] == name
    (kept,) = (entry for entry in record.leaderboard if entry["is_kept"])
    assert record.metrics[name] == kept["score"]
    assert record.metrics[name] == record.metrics[f"{kept['candidate']}_{name}"]
    assert record.metrics[name] != pytest.approx(record.metrics["eval_log_loss"], rel=1e-3)
    assert not [found for found in record.metrics if found.endswith("s_eval_log_loss")]


def test_a_candidate_that_cannot_be_trained_is_left_out(inputs, tmp_path):
    settings = inputs["binary"].settings(
        tmp_path, output=None, model_type="auto", learning_rate=1e30, **SMALL
    )
    record = training_process.run(settings)
    assert record.facts["kept"] == "trees"
    (left_out,) = (
        found for found in findings.read(tmp_path / "logs") if found.code == "candidate-left-out"
    )
    assert "diverged" in str(left_out)
    assert not list((tmp_path / "logs" / "checkpoints").glob("*"))
    with pytest.raises(UserError, match="diverged"):
        training_process.run(
            inputs["binary"].settings(
                tmp_path, output=None, model_type="blend", learning_rate=1e30, **SMALL
            )
        )


def budget_findings(folder):
    return [found for found in findings.read(folder / "logs") if found.code == "budget"]


def test_a_budget_stops_each_candidate_at_its_best_so_far(inputs, tmp_path):
    """Without the budget this training would not end within a day."""
    endless = {"tree_count": 1_000_000, "train_steps": 10_000_000, "early_stopping_patience": 0}
    settings = inputs["binary"].settings(tmp_path, model_type="auto", budget_seconds=4, **endless)
    record = training_process.run(settings)
    found = budget_findings(tmp_path)
    assert found
    assert all(str(each).endswith("Option: budget_seconds.") for each in found)
    assert record.facts["kept"] in ("trees", AUTO_NETWORK, "blend")
    assert record.metrics["eval_log_loss"] < 0.69
    assert SavedModel(tmp_path / "model").spec.inputs


@pytest.mark.parametrize("model_type", ["auto", "blend", "dnn", "trees"])
def test_a_candidate_that_is_stopped_at_once_is_still_a_model(
    inputs, tmp_path, monkeypatch, model_type
):
    monkeypatch.setattr(candidate_training, "_seconds_left", lambda *_: 1e-6)
    settings = inputs["binary"].settings(tmp_path, model_type=model_type, **SMALL)
    record = training_process.run(settings)
    stopped = {str(found).split()[0] for found in budget_findings(tmp_path)}
    names = {member["name"] for member in record.candidates}
    assert stopped == names == {model_type} - {"auto", "blend"} or {"trees", AUTO_NETWORK} == names
    for member in record.candidates:
        assert member["steps"] >= member["best_step"] >= 1
        assert member["history"][-1]["step"] == member["steps"]
    assert SavedModel(tmp_path / "model").spec.inputs


def test_eval_rows_of_one_class_are_a_finding(made, inputs, tmp_path):
    examples = tmp_path / "examples"
    columns = made.read_columns(inputs["binary"].examples, "eval")
    label = inputs["binary"].task.label
    columns[label] = [0] * len(columns[label])
    made.rewrite(inputs["binary"].examples, examples, eval=columns)
    found = replace(inputs["binary"], examples=examples)
    training_process.run(found.settings(tmp_path, output=None, model_type="dnn", epochs=1))
    (one,) = (each for each in findings.read(tmp_path / "logs") if each.code == "one-class")
    assert repr(found.task.classes[0]) in str(one)
    assert str(one).endswith("Option: split_method.")


def test_a_budget_leaves_the_rest_out(inputs, tmp_path, monkeypatch):
    settings = inputs["binary"].settings(
        tmp_path, output=None, model_type="auto", budget_seconds=1, **SMALL
    )
    whole = candidate_training._train_one
    monkeypatch.setattr(
        candidate_training, "_train_one", lambda *given: replace(whole(*given), seconds=2.0)
    )
    record = training_process.run(settings)
    assert record.facts["kept"] == "trees"
    assert "budget_seconds" in str(findings.read(tmp_path / "logs")[0])
    asked_for = training_process.run(
        replace(
            settings,
            logs=tmp_path / "blend",
            hyperparameters=replace(settings.hyperparameters, model_type="blend"),
        )
    )
    assert [member["name"] for member in asked_for.candidates] == ["trees", AUTO_NETWORK]


def test_rows_that_trees_leave_out_are_a_finding(inputs, tmp_path):
    settings = inputs["binary"].settings(
        tmp_path, output=None, model_type="trees", tree_rows=500, **SMALL
    )
    record = training_process.run(settings)
    (found,) = findings.read(tmp_path / "logs")
    assert str(found).endswith("of 1,500 training rows, evenly spaced. Option: tree_rows.")
    assert record.facts["kept"] == "trees"


def test_a_model_function_in_place_of_auto_is_noted(inputs, tmp_path):
    settings = inputs["binary"].settings(
        tmp_path, model_type="auto", model_fn="my_models:small", epochs=1
    )
    planned = candidate_plan.plan(settings.hyperparameters, model_fn=settings.model_fn, workers=1)
    assert planned.note == (
        "my_models:small replaces model_type auto: it is trained alone, and not compared."
    )
    named = replace(settings.hyperparameters, model_type="dnn")
    assert not candidate_plan.plan(named, model_fn=settings.model_fn, workers=1).note


@pytest.mark.parametrize("model_type", ["trees", "blend"])
def test_a_model_function_replaces_the_model_type(inputs, tmp_path, model_type):
    settings = inputs["binary"].settings(
        tmp_path, model_type=model_type, model_fn="my_models:small"
    )
    with pytest.raises(UserError, match="cannot be combined with model_fn"):
        training_process.run(settings)
