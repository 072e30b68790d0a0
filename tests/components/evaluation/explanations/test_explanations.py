"""Explanations of exported models, from examples to the page."""

import json
import re

import numpy as np
import pytest

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.model_document import ModelInput, ModelSpec
from kfp_tabular.components.common.prediction import predicted_batches
from kfp_tabular.components.common.prediction.saved_model import SavedModel
from kfp_tabular.components.common.processing.local_engine import LocalEngine
from kfp_tabular.components.evaluation import counting
from kfp_tabular.components.evaluation.counting import CountingPlan
from kfp_tabular.components.evaluation.evaluate import EvaluationRequest, run
from kfp_tabular.components.evaluation.explanations import effort, explain
from kfp_tabular.components.evaluation.explanations.model_answers import ModelAnswers
from kfp_tabular.components.evaluation.explanations.row_sample import SampledRows
from kfp_tabular.components.evaluation.options import EvaluationOptions

ROWS = 1500


@pytest.fixture
def explained(tmp_path):
    """Evaluate a model and return the document and the page."""

    def run_with(model, examples, **options):
        request = EvaluationRequest(
            examples=examples,
            model=model,
            evaluation=tmp_path / "evaluation",
            golden_examples=tmp_path / "golden",
            report=tmp_path / "report.html",
            options=EvaluationOptions(**{"bootstrap_samples": 100, **options}),
        )
        document = run(request).document
        json.dumps(document, allow_nan=False)
        return document, request.report.read_text(encoding="utf-8")

    return run_with


@pytest.fixture(scope="module")
def binary(data, tmp_path_factory):
    return data.write(tmp_path_factory.mktemp("rows") / "examples", test=data.binary_rows(ROWS))


def test_a_binary_model_is_explained(explained, export, binary, data):
    document, page = explained(export(), binary)
    importance = {entry["name"]: entry for entry in document["importance"]}
    assert set(importance) == {given.name for given in data.inputs}
    means = [entry["mean"] for entry in document["importance"]]
    assert means == sorted(means, reverse=True)
    assert all(entry["interval"][0] > 0 for entry in importance.values())
    assert document["explained"]["score"] == "log_loss"
    assert document["explained"]["score_value"] == pytest.approx(
        document["metrics"]["log_loss"]["value"], rel=0.2
    )
    dependence = {entry["name"]: entry for entry in document["dependence"]}
    size = dependence["Größe (m)"]
    # The model's score rises with the size.
    assert size["means"]["1"] == sorted(size["means"]["1"])
    assert size["missing"]["share"] == pytest.approx(0.1, abs=0.03)
    assert dependence["kind"]["kind"] == "category"
    house = dependence["kind"]["grid"].index("house, big")
    assert house == int(np.argmax(dependence["kind"]["means"]["1"]))
    assert document["gain"]["captured"][-1] == 1
    for text in ("What the model relies on", "Cumulative gain", "house, big", "least cost"):
        assert text in page


def test_the_dependence_is_that_of_the_exported_model(explained, export, binary):
    document, _ = explained(export(), binary, explanation_rows=ROWS)
    loaded = SavedModel(export())
    examples, plan = Examples(binary), CountingPlan((loaded.spec,), explained_rows=ROWS)
    reader = predicted_batches.reader(examples, [export()])
    rows = counting.count(examples, "test", reader, plan, LocalEngine()).explained
    (rooms,) = [entry for entry in document["dependence"] if entry["name"] == "rooms"]
    part = rows.first(rooms["rows"])
    for value, mean in zip(rooms["grid"], rooms["means"]["1"], strict=True):
        fixed = {**part.inputs, "rooms": np.full(len(part), int(value))}
        answers = ModelAnswers(loaded)(fixed)[:, 1].astype(np.float64)
        assert mean == pytest.approx(answers.mean(), abs=1e-6)


def test_the_explanation_depends_on_seed_and_data_alone(explained, export, binary, monkeypatch):
    first, _ = explained(export(), binary, seed=3, explanation_rows=500)
    monkeypatch.setattr("kfp_tabular.components.common.prediction.predicted_batches._MOST_ROWS", 70)
    again, _ = explained(export(), binary, seed=3, explanation_rows=500)
    for ours, theirs in zip(first["importance"], again["importance"], strict=True):
        assert ours["name"] == theirs["name"]
        assert ours["mean"] == pytest.approx(theirs["mean"], abs=1e-6)
    other, _ = explained(export(), binary, seed=4, explanation_rows=500)
    assert other["importance"] != first["importance"]


def test_without_explanations_the_thresholds_remain(explained, export, binary):
    document, page = explained(export(), binary, explanations=False)
    assert not {"importance", "dependence", "explained"} & document.keys()
    assert document["thresholds"]
    assert document["gain"]
    assert "What the model relies on" not in page


def test_costs_decide_which_threshold_is_marked(explained, export, binary):
    def least(**costs):
        document, page = explained(export(), binary, explanations=False, **costs)
        (row,) = [row for row in document["thresholds"] if "least_cost" in row["marks"]]
        return row["threshold"], page

    cheap, _ = least(false_positive_cost=10.0)
    dear, page = least(false_negative_cost=10.0)
    assert dear < 0.3 < 0.7 < cheap
    assert "a false negative 10" in page


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_other_tasks_are_explained(explained, export, data, tmp_path, task):
    columns = data.features(ROWS)
    score = data.score(columns)
    classes = ("<b>a</b>", "b & 'c'", "ü")
    columns["y"] = (
        score.tolist()
        if task == "regression"
        else [classes[place] for place in np.digitize(score, [-1, 1])]
    )
    examples = data.write(tmp_path / "examples", test=columns)
    document, page = explained(export(task=task, classes=classes), examples)
    assert document["explained"]["score"] == ("rmse" if task == "regression" else "log_loss")
    assert document["importance"][0]["interval"][0] > 0
    answers = document["explained"]["answers"]
    assert sorted(answers) == (["y"] if task == "regression" else sorted(classes))
    assert "thresholds" not in document
    assert "<b>a</b>" not in page


def test_a_constant_split_and_a_single_row_are_explained(explained, export, data, tmp_path):
    columns = {name: values[:1] for name, values in data.binary_rows(20).items()}
    document, _ = explained(export(), data.write(tmp_path / "examples", test=columns))
    assert all(entry["interval"] is None for entry in document["importance"])
    assert document["gain"] is None


def test_wide_tables_are_screened_and_noise_ranks_last(explained, wide, data, tmp_path):
    model, columns = wide
    document, page = explained(model, data.write(tmp_path / "examples", test=columns))
    names = [entry["name"] for entry in document["importance"]]
    assert len(names) == 200
    assert set(names[:3]) == {"x000", "x001", "x002"}
    rows = [entry["rows"] for entry in document["importance"]]
    assert rows[:20] == [1000] * 20
    assert set(rows[20:]) == {300}
    codes = {finding["code"]: finding for finding in document["findings"]}
    assert codes["importance-screened"]["option"] == "explanation_rows"
    assert "Values of all 200 inputs" in page
    for entry in document["importance"][3:20]:
        assert entry["interval"][0] <= 0


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A regression model of 200 numbers, of which it uses three."""
    from kfp_tabular.components.common.process.tensorflow import import_tensorflow

    tf = import_tensorflow()
    inputs = tuple(ModelInput(f"x{i:03}", "float32", False, f"x{i:03}") for i in range(200))

    class Model(tf.Module):
        @tf.function(
            input_signature=[
                {e.input: tf.TensorSpec([None], tf.float32, name=e.input) for e in inputs}
            ]
        )
        def serve(self, raw):
            every = tf.stack([raw[given.input] for given in inputs], axis=1)
            weights = tf.constant([3.0, 2.0, 1.0] + [0.001] * 197)
            return {"prediction": tf.linalg.matvec(every, weights)}

    path = tmp_path_factory.mktemp("wide") / "model"
    model = Model()
    tf.saved_model.save(model, str(path), signatures={"serving_default": model.serve})
    ModelSpec("regression", "y", (), None, inputs, "sha256:0").save(path)
    random = np.random.default_rng(0)
    values = random.normal(size=(1200, 200))
    columns = {given.name: values[:, i].tolist() for i, given in enumerate(inputs)}
    columns["y"] = (values[:, :3] @ [3.0, 2.0, 1.0] + random.normal(size=1200)).tolist()
    return path, columns


def explain_numbers(rows, inputs, planned):
    """Explain a regression model that is its first input, on random numbers."""
    names = [f"x{place}" for place in range(inputs)]
    spec = ModelSpec(
        "regression",
        "y",
        (),
        None,
        tuple(ModelInput(name, "float32", False, name) for name in names),
        "sha256:0",
    )
    values = np.random.default_rng(0).normal(size=(inputs, rows)).astype(np.float32)
    sampled = SampledRows(dict(zip(names, values, strict=True)), values[0] + values[-1] / 8)
    return explain.explain(sampled, spec, lambda given: given["x0"], planned, seed=0)


def test_a_model_of_one_input_is_explained():
    found = explain_numbers(400, 1, effort.plan(1, 400, rows=0, repetitions=3))
    (importance,) = found.document["importance"]
    assert importance["name"] == "x0"
    assert importance["related"] == []
    # Two independent standard normal numbers differ by the square root of 2.
    base = found.document["explained"]["score_value"]
    assert importance["mean"] + base == pytest.approx(2**0.5 * 9 / 8, rel=0.1)
    (dependence,) = found.document["dependence"]
    assert dependence["means"]["y"] == pytest.approx(dependence["grid"])
    assert not found.findings


def test_one_input_with_one_value_has_no_dependence():
    spec = ModelSpec(
        "regression", "y", (), None, (ModelInput("x0", "float32", False, "x0"),), "sha256:0"
    )
    rows = SampledRows({"x0": np.ones(50, np.float32)}, np.ones(50, np.float32))
    planned = effort.plan(1, 50, rows=0, repetitions=3)
    found = explain.explain(rows, spec, lambda given: given["x0"], planned, seed=0)
    assert [entry["mean"] for entry in found.document["importance"]] == [0.0]
    assert found.document["dependence"] == []
    assert found.document["explained"]["dependence_left_out"] == ["x0"]


def test_the_note_on_wide_tables_counts_the_rows_that_there_are():
    found = explain_numbers(150, 200, effort.plan(200, 150, rows=0, repetitions=3))
    (note,) = [each for each in found.findings if each.code == "importance-screened"]
    assert "compared on 150 rows" in note.message
    assert "measured on 150." in note.message


def test_related_inputs_are_named(explained, export, data, tmp_path):
    columns = data.binary_rows(ROWS)
    columns["rooms"] = [None if size is None else round(2 * size) for size in columns["Größe (m)"]]
    document, page = explained(export(), data.write(tmp_path / "examples", test=columns))
    (finding,) = [f for f in document["findings"] if f["code"] == "shared-importance"]
    assert "'Größe (m)'" in finding["message"]
    assert "'rooms'" in finding["message"]
    assert re.search(r"Related columns share their importance.*0\.9", page, re.DOTALL)
