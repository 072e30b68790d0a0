"""Real trainings in this process: the kept weights and the exported model."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.prediction.saved_model import SavedModel
from kfp_tabular.components.training.input.packed_rows import ColumnLayout
from kfp_tabular.components.training.model import (
    prediction_metrics,
    saved_model,
)
from kfp_tabular.components.training.worker import training_process
from tests import explained_models


@pytest.fixture(scope="session")
def trained(inputs, tmp_path_factory):
    """A training of each kind of task, with its folder and record."""
    found = {}
    for kind, artifacts in inputs.items():
        folder = tmp_path_factory.mktemp(kind)
        settings = artifacts.settings(folder, metrics_file=folder / "metrics.txt")
        found[kind] = (folder, training_process.run(settings))
    return found


def tensors(spec: ModelSpec, rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {entry.input: rows[entry.name] for entry in spec.inputs}


@pytest.mark.parametrize(
    ("kind", "metric", "bound"),
    [
        ("binary", "eval_auc", 0.85),
        ("multiclass", "eval_log_loss", 0.8),
        ("regression", "eval_r2", 0.6),
    ],
)
def test_a_model_of_each_task_learns(trained, kind, metric, bound):
    _, record = trained[kind]
    value = record.metrics[metric]
    assert value < bound if metric == "eval_log_loss" else value > bound
    assert record.metrics["epochs"] <= 6
    assert record.metrics["rows_per_second"] > 0


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_the_exported_model_takes_raw_features(made, inputs, trained, kind):
    folder, record = trained[kind]
    model, task = SavedModel(folder / "model"), inputs[kind].task
    rows = made.raw_rows(made.ROWS["eval"], 1)
    outputs = {
        name: tensor.numpy() for name, tensor in model.predict(tensors(model.spec, rows)).items()
    }
    label = rows[task.label]
    if kind == "regression":
        measured = prediction_metrics.regression(label, outputs["prediction"])
    else:
        probabilities = outputs["probabilities"]
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
        chosen = (
            (probabilities[:, 1] >= 0.5).astype(int)
            if kind == "binary"
            else probabilities.argmax(axis=1)
        )
        classes = [task.classes[index].encode() for index in chosen]
        np.testing.assert_array_equal(outputs["classes"], classes)
        measured = prediction_metrics.score(kind, label, probabilities)
    # The weights kept are the best ones, and the same rows give the same metrics through the
    # transform graph.
    for name, value in measured.items():
        assert record.metrics[f"eval_{name}"] == pytest.approx(value, rel=1e-5), name
    objective = f"eval_{prediction_metrics.objective(kind)}"
    history = [entry[objective] for entry in record.history]
    best = max(history) if objective == "eval_auc" else min(history)
    assert record.metrics[objective] == pytest.approx(best, rel=1e-6)


def test_the_model_says_what_it_takes(made, inputs, trained):
    folder, _ = trained["binary"]
    spec = ModelSpec.load(folder / "model")
    assert {entry.name: entry.input for entry in spec.inputs} == {
        made.DISTANCE: "distance_km",
        "count": "count",
        made.CITY: "citt",
        made.SINCE: "Count_2",
    }
    assert {entry.name: entry.dtype for entry in spec.inputs} == made.RAW
    assert [entry.name for entry in spec.inputs if not entry.required] == [made.DISTANCE]
    assert (spec.task, spec.label, spec.classes) == ("binary", "sold", ("no", "yes"))
    assert spec.decision_threshold == 0.5
    assert spec.hyperparameters["hidden_units"] == "32,16"
    graph = inputs["binary"].graph
    assert spec.schema_digest == lineage.digest_file(graph / "schema.pbtxt")
    assert (folder / "model" / "schema.pbtxt").read_bytes() == (graph / "schema.pbtxt").read_bytes()
    recorded = lineage.read(folder / "model")
    assert recorded["rows"] == made.ROWS
    assert recorded["seed"] == 0
    assert set(recorded["inputs"]) == {"transformed_examples", "transform_graph"}


def test_vocabularies_move_with_the_model(made, trained, tmp_path):
    folder, _ = trained["multiclass"]
    rows = made.raw_rows(50, 5)
    before = SavedModel(folder / "model")
    expected = before.predict(tensors(before.spec, rows))["probabilities"]
    moved = tmp_path / "elsewhere"
    (folder / "model").rename(moved)
    try:
        again = SavedModel(moved).predict(tensors(before.spec, rows))["probabilities"]
        np.testing.assert_array_equal(again, expected)
    finally:
        moved.rename(folder / "model")


def test_serialized_examples_may_lack_features(made, trained):
    import tensorflow as tf

    folder, _ = trained["binary"]
    rows = made.raw_rows(20, 6)
    rows[made.DISTANCE][:10] = np.nan
    features = tf.train.Feature
    protos = []
    for index in range(20):
        values = {
            "count": features(int64_list=tf.train.Int64List(value=[rows["count"][index]])),
            made.CITY: features(bytes_list=tf.train.BytesList(value=[rows[made.CITY][index]])),
            made.SINCE: features(int64_list=tf.train.Int64List(value=[rows[made.SINCE][index]])),
        }
        if index >= 10:
            distance = tf.train.FloatList(value=[rows[made.DISTANCE][index]])
            values[made.DISTANCE] = features(float_list=distance)
        example = tf.train.Example(features=tf.train.Features(feature=values))
        protos.append(example.SerializeToString())
    loaded = tf.saved_model.load(str(folder / "model"))
    found = loaded.signatures["serving_examples"](examples=tf.constant(protos))
    spec = ModelSpec.load(folder / "model")
    raw = {name: tf.constant(value) for name, value in tensors(spec, rows).items()}
    expected = loaded.signatures["serving_default"](**raw)
    np.testing.assert_allclose(found["probabilities"], expected["probabilities"], rtol=1e-6)
    assert np.isfinite(expected["probabilities"]).all()


def test_measurements_are_left_behind(made, trained):
    folder, record = trained["regression"]
    assert training_process.TrainingRecord.load(folder / "logs") == record
    assert list((folder / "logs").glob("events.out.tfevents.*"))
    assert not list((folder / "logs" / "checkpoints").glob("*"))
    lines = (folder / "metrics.txt").read_text().splitlines()
    assert len(lines) == len(record.history) + 1
    pairs = [dict(pair.split("=") for pair in line.split()[1:]) for line in lines]
    for line, entry in zip(pairs, record.history, strict=False):
        assert float(line["step"]) == entry["step"]
        assert float(line["eval_rmse"]) == pytest.approx(entry["eval_rmse"], rel=1e-6)
    assert float(pairs[-1]["eval_rmse"]) == pytest.approx(
        min(e["eval_rmse"] for e in record.history), rel=1e-6
    )
    assert record.facts["rows"] == made.ROWS
    json.dumps(record.facts)


def test_the_same_seed_gives_the_same_model(inputs, trained, tmp_path):
    _, first = trained["binary"]
    again = training_process.run(inputs["binary"].settings(tmp_path, output=None))
    other = training_process.run(inputs["binary"].settings(tmp_path, output=None, seed=1))
    for name in ("eval_auc", "eval_log_loss", "train_log_loss"):
        assert again.metrics[name] == pytest.approx(first.metrics[name], abs=1e-5)
    assert other.metrics["train_log_loss"] != first.metrics["train_log_loss"]
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"model_type": "linear", "learning_rate_schedule": "constant"},
        {"model_type": "dnn", "learning_rate_schedule": "exponential", "embedding_dimension": 3},
        {"model_type": "dcn_v2", "cross_layers": 3, "l2": 0.01},
        {"model_type": "tabm", "class_weights": "balanced"},
    ],
)
def test_every_architecture_learns_and_is_explained(made, inputs, tmp_path, changes):
    record = training_process.run(inputs["multiclass"].settings(tmp_path, **changes))
    assert record.metrics["eval_log_loss"] < 0.8
    explained_models.check(tmp_path / "model", made.raw_rows(100, 7), explained_models.TYPICAL)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("given", ["numbers", "a typical row", "nothing"])
def test_predictions_of_each_task_are_explained(made, trained, kind, given):
    rows = made.raw_rows(100, 8)
    rows[made.DISTANCE][:2] = np.nan
    # These columns have no answer for a missing number.
    numbers = {"*": None, "count": 3, "Count": 500_000}
    known = {"numbers": numbers, "a typical row": explained_models.TYPICAL, "nothing": {}}
    baseline = known[given]
    found = explained_models.check(trained[kind][0] / "model", rows, baseline)
    typical = set() if baseline else set(explained_models.TYPICAL)
    assert set(found.chosen.declared) == set(baseline) - {"*"}
    assert set(found.chosen.typical) == typical


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_the_averaged_weights_of_tabm_are_kept_and_exported(made, inputs, tmp_path, kind):
    """The same seed gives the same model, and the exported one predicts what was measured."""
    settings = inputs[kind].settings(tmp_path, model_type="tabm", epochs=3)
    record = training_process.run(settings)
    again = training_process.run(replace(settings, output=None, logs=None))
    assert again.metrics["train_rmse" if kind == "regression" else "train_log_loss"] == (
        pytest.approx(record.metrics["train_rmse" if kind == "regression" else "train_log_loss"])
    )
    model = SavedModel(tmp_path / "model")
    rows = made.raw_rows(made.ROWS["eval"], 1)
    outputs = model.predict(tensors(model.spec, rows))
    prediction = outputs["prediction" if kind == "regression" else "probabilities"].numpy()
    for name, value in prediction_metrics.score(
        kind, rows[inputs[kind].task.label], prediction
    ).items():
        assert record.metrics[f"eval_{name}"] == pytest.approx(value, rel=1e-5), name
    explained_models.check(tmp_path / "model", rows, explained_models.TYPICAL)


def test_balanced_classes_raise_the_rare_one(made, inputs, tmp_path):
    """Of 1500 rows, 60 stay positive."""
    artifacts = inputs["binary"]
    columns = made.read_columns(artifacts.examples, "train")
    kept = np.flatnonzero(columns["sold"])[60:]
    rare = columns["sold"].copy()
    rare[kept] = 0
    made.rewrite(artifacts.examples, tmp_path / "rare", train={"sold": rare})
    settings = artifacts.settings(
        tmp_path, transformed_examples=tmp_path / "rare", logs=None, epochs=3
    )
    means = {}
    for weights in ("none", "balanced"):
        output = tmp_path / weights
        training_process.run(replace(settings, output=output, class_weights=weights))
        model = SavedModel(output)
        rows = made.raw_rows(300, 9)
        means[weights] = (
            model.predict(tensors(model.spec, rows))["probabilities"][:, 1].numpy().mean()
        )
    assert means["none"] < 0.15
    assert means["balanced"] > 2 * means["none"]


def test_without_an_eval_split_the_last_weights_are_kept(made, inputs, tmp_path, caplog):
    made.rewrite(inputs["regression"].examples, tmp_path / "rows", eval=None)
    settings = inputs["regression"].settings(
        tmp_path, transformed_examples=tmp_path / "rows", output=None
    )
    record = training_process.run(settings)
    assert "warning [no-eval-split]" in caplog.text
    assert record.metrics["best_step"] == record.metrics["steps"]
    assert record.metrics["epochs"] == 6
    assert not [name for name in record.metrics if name.startswith("eval_")]


def test_an_eval_split_of_one_class_goes_by_the_loss(made, inputs, tmp_path, caplog):
    zeros = np.zeros(made.ROWS["eval"], np.int64)
    made.rewrite(inputs["binary"].examples, tmp_path / "rows", eval={"sold": zeros})
    record = training_process.run(
        inputs["binary"].settings(
            tmp_path, transformed_examples=tmp_path / "rows", output=None, class_weights="balanced"
        )
    )
    assert "warning [one-class]: All 600 eval rows have the class 'no'" in caplog.text
    losses = [entry["eval_log_loss"] for entry in record.history]
    assert record.metrics["eval_log_loss"] == pytest.approx(min(losses), rel=1e-6)


def test_early_stopping(inputs, tmp_path):
    record = training_process.run(
        inputs["binary"].settings(
            tmp_path, output=None, epochs=40, learning_rate=0.03, early_stopping_patience=2
        )
    )
    steps = [entry["step"] for entry in record.history]
    assert record.metrics["epochs"] < 40
    assert steps.index(record.metrics["best_step"]) == len(steps) - 3


def test_a_batch_larger_than_the_data(made, inputs, tmp_path):
    record = training_process.run(
        inputs["binary"].settings(tmp_path, output=None, batch_size=10**6, train_steps=3)
    )
    assert record.facts["schedule"]["batch"] == made.ROWS["train"]
    assert record.metrics["steps"] == 3


def test_divergence_is_a_user_error(inputs, tmp_path):
    settings = inputs["regression"].settings(tmp_path, learning_rate=1e30, model_type="dcn_v2")
    with pytest.raises(UserError, match=r"not finite at step \d+ with learning_rate=1e\+30. Try"):
        training_process.run(settings)
    assert not (tmp_path / "model").exists()


def test_regression_has_no_classes_to_balance(inputs, tmp_path):
    with pytest.raises(UserError, match="class_weights: 'balanced' needs classes"):
        training_process.run(inputs["regression"].settings(tmp_path, class_weights="balanced"))


def test_the_decision_threshold_decides(made, inputs, trained, tmp_path):
    training_process.run(inputs["binary"].settings(tmp_path, decision_threshold=0.2))

    model, before = SavedModel(tmp_path / "model"), SavedModel(trained["binary"][0] / "model")
    assert model.spec.decision_threshold == 0.2
    rows = tensors(model.spec, made.raw_rows(500, 1))
    outputs = model.predict(rows)
    probabilities = outputs["probabilities"].numpy()
    np.testing.assert_array_equal(probabilities, before.predict(rows)["probabilities"].numpy())
    positive = probabilities[:, 1] >= np.float32(0.2)
    np.testing.assert_array_equal(outputs["classes"].numpy() == b"yes", positive)
    assert (positive & (probabilities[:, 1] < 0.5)).any()


@pytest.mark.parametrize("method", ["temperature", "isotonic"])
def test_the_exported_model_is_calibrated(made, inputs, trained, tmp_path, method):
    training_process.run(inputs["binary"].settings(tmp_path, calibration=method))

    model, before = SavedModel(tmp_path / "model"), SavedModel(trained["binary"][0] / "model")
    recorded = model.spec.hyperparameters["calibration"]
    assert recorded["method"] == method
    assert recorded["rows"] > 0
    assert "calibration" not in before.spec.hyperparameters
    rows = tensors(model.spec, made.raw_rows(500, 1))
    ours = model.predict(rows)["probabilities"].numpy()
    raw = before.predict(rows)["probabilities"].numpy()[:, 1].astype(np.float64)
    if method == "temperature":
        logits = np.log(raw / (1 - raw)) / recorded["temperature"]
        np.testing.assert_allclose(ours[:, 1], 1 / (1 + np.exp(-logits)), atol=1e-4)
    # The order of rows stays, but for ties.
    assert (np.diff(ours[np.argsort(raw), 1]) >= -1e-6).all()
    explained_models.check(tmp_path / "model", made.raw_rows(100, 7), explained_models.TYPICAL)


@pytest.mark.parametrize(
    ("kind", "method", "message"),
    [
        ("regression", "temperature", "a regression model has no probabilities"),
        ("multiclass", "isotonic", "'isotonic' is for two classes"),
    ],
)
def test_calibration_that_does_not_suit_the_task(inputs, tmp_path, kind, method, message):
    with pytest.raises(UserError, match=f"calibration: {message}"):
        training_process.run(inputs[kind].settings(tmp_path, calibration=method))


@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_only_a_binary_model_has_a_decision_threshold(inputs, tmp_path, kind):
    with pytest.raises(
        UserError, match=f"decision_threshold: this is a {kind} task; only a binary"
    ):
        training_process.run(inputs[kind].settings(tmp_path, decision_threshold=0.2))


def test_artifacts_of_different_tasks(inputs, tmp_path):
    settings = inputs["binary"].settings(
        tmp_path, transformed_examples=inputs["multiclass"].examples
    )
    with pytest.raises(UserError, match="lacks column 'sold'.*same transform_features task"):
        training_process.run(settings)


def test_a_feature_made_from_the_label(made, inputs):
    columns = ColumnLayout(made.DISTANCE, ("count", "distance"), ())
    with pytest.raises(UserError, match="a feature is computed from the label"):
        saved_model.TransformGraph(inputs["binary"].graph, columns)


@pytest.fixture
def my_models(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))
    yield "my_models"
    sys.modules.pop("my_models", None)


@pytest.mark.parametrize("function", ["by_name", "normalized"])
def test_your_own_model(made, inputs, my_models, tmp_path, function):
    settings = inputs["multiclass"].settings(tmp_path, model_fn=f"{my_models}:{function}")
    record = training_process.run(settings)
    assert record.metrics["eval_log_loss"] < 1.05
    model = SavedModel(tmp_path / "model")
    rows = made.raw_rows(made.ROWS["eval"], 1)
    probabilities = model.predict(tensors(model.spec, rows))["probabilities"].numpy()
    measured = prediction_metrics.multiclass(rows["grade"], probabilities)
    assert record.metrics["eval_log_loss"] == pytest.approx(measured["log_loss"], rel=1e-5)
    explained_models.check(tmp_path / "model", rows, explained_models.TYPICAL)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing.here:build", "cannot import 'nothing.here'"),
        ("my_models", "expected 'package.module:function'"),
        ("my_models:by_nam", "no function 'by_nam'. Did you mean 'by_name'"),
        (
            "my_models:wrong_width",
            r"logits of shape \(batch, 1\) for this binary task, found \(None, 2\)",
        ),
        ("my_models:no_model", "expected a tf_keras.Model, found .*ModelContext"),
        ("my_models:one_input", "inputs 'numeric' and 'categorical'"),
    ],
)
def test_an_unsuitable_model_function(inputs, my_models, tmp_path, name, message):
    with pytest.raises(UserError, match=f"model_fn.*{message}"):
        training_process.run(inputs["binary"].settings(tmp_path, model_fn=name))
