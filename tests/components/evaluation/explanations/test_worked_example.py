"""The row that the model card explains."""

import dataclasses

import numpy as np
import pytest

from kfp_tabular.components.common.artifacts.model_document import ModelInput, ModelSpec
from kfp_tabular.components.common.artifacts.raw_features import MISSING_INT
from kfp_tabular.components.common.explanation.explainer import Explainer
from kfp_tabular.components.common.prediction.saved_model import SavedModel
from kfp_tabular.components.evaluation.explanations import worked_example
from kfp_tabular.components.evaluation.explanations.model_answers import ModelAnswers
from kfp_tabular.components.evaluation.explanations.row_sample import SampledRows

ROWS = 60


@pytest.fixture
def explained(export, data):
    """Return the example of a model, with the model; keywords are those of `export`."""

    def make(**changes):
        model = SavedModel(export(**changes))
        columns = data.features(ROWS, seed=5)
        inputs = {
            "gre_m": np.array(columns["Größe (m)"], np.float32),
            "rooms": np.array(
                [MISSING_INT if value is None else value for value in columns["rooms"]]
            ),
            "kind": np.array([value.encode() for value in columns["kind"]], object),
        }
        labels = np.arange(ROWS) % max(len(model.spec.classes), 1)
        explainer = Explainer(model.tensorflow, model.graph, model.spec)
        rows = SampledRows(inputs, labels)
        return worked_example.make(rows, explainer, ModelAnswers(model)), rows, model

    return make


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_attributions_lead_from_a_typical_row_to_this_one(explained, task):
    classes = {"multiclass": ("a", "b", "c")}.get(task, ("0", "1"))
    found, rows, model = explained(task=task, classes=classes)
    document = found.document
    assert not found.findings
    moved = sum(entry["attribution"] for entry in document["features"])
    assert moved == pytest.approx(document["value"] - document["baseline_value"], abs=1e-3)
    sizes = [abs(entry["attribution"]) for entry in document["features"]]
    assert sizes == sorted(sizes, reverse=True)
    shown = {entry["name"]: entry for entry in document["features"]}
    assert shown["kind"]["baseline"] in {"flat", "house, big", "hütte"}
    assert shown["rooms"]["baseline"] in rows.inputs["rooms"].tolist()
    answers = ModelAnswers(model)(rows.inputs)
    if task == "regression":
        assert document["class"] is None
        assert document["value"] == pytest.approx(answers[0], abs=1e-6)
        return
    place = classes.index(document["class"])
    assert np.abs(answers[:, place] - document["value"]).min() < 1e-6
    assert document["label"] in classes


def test_a_row_that_is_predicted_as_positive_is_shown(explained):
    found, *_ = explained(threshold=0.8)
    assert found.document["class"] == "1"
    assert found.document["value"] >= 0.8


def test_without_a_positive_row_the_likeliest_is_shown():
    spec = ModelSpec("binary", "y", ("0", "1"), 0.99, (), "")
    answers = np.array([[0.7, 0.3], [0.4, 0.6], [0.5, 0.5]])
    assert worked_example.chosen(answers, spec) == 1
    assert worked_example.chosen(answers, dataclasses.replace(spec, task="regression")) == 0


def test_a_typical_row_leaves_out_what_is_mostly_missing():
    inputs = (
        ModelInput("size", "float32", required=False, input="size"),
        ModelInput("rooms", "int64", required=False, input="rooms"),
        ModelInput("kind", "string", required=False, input="kind"),
        ModelInput("rare", "string", required=False, input="rare"),
    )
    rows = SampledRows(
        {
            "size": np.array([0.1, np.nan, 0.3, 0.2, 9.0], np.float32),
            "rooms": np.array([MISSING_INT, 3, 5, 1, 3]),
            "kind": np.array([b"hut", b"flat", b"hut", b"", b"flat"], object),
            "rare": np.array([b"", b"x", b"", b"", b"x"], object),
        },
        np.zeros(5),
    )
    found = worked_example.typical(rows, ModelSpec("regression", "y", (), None, inputs, ""))
    assert found == {"size": 0.2, "rooms": 3, "kind": "flat"}


def test_why_there_is_no_example(explained, export, data):
    rows = SampledRows({}, np.zeros(0))
    found = worked_example.make(rows, None, lambda _: np.zeros(0))
    assert found.document is None
    (finding,) = found.findings
    assert finding.code == "no-example"
    assert "more than 500 inputs" in finding.message
    found, *_ = explained(task="regression", slope=float("inf"))
    assert found.document is None
    assert "is not a finite number" in found.findings[0].message
