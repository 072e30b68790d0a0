import json
from pathlib import Path

import pytest
from kfp import dsl

from kfp_tabular.components.evaluation.component import evaluate_model


@pytest.fixture
def artifacts(data, export, tmp_path):
    examples = data.write(tmp_path / "examples", test=data.binary_rows(500))
    out = tmp_path / "out"
    return {
        "examples": dsl.Dataset(uri=str(examples)),
        "model": dsl.Model(uri=str(export())),
        "metrics": dsl.Metrics(uri=str(out / "metrics")),
        "classification_metrics": dsl.ClassificationMetrics(uri=str(out / "classification")),
        "golden_examples": dsl.Artifact(uri=str(out / "golden_examples")),
        "evaluation": dsl.Artifact(uri=str(out / "evaluation")),
        "report": dsl.HTML(uri=str(out / "report")),
        "model_card": dsl.HTML(uri=str(out / "model_card")),
    }


def test_outputs_are_what_the_kubeflow_ui_shows(artifacts):
    # KFP hands numbers in dictionaries over as floats.
    blessed = evaluate_model.python_func(
        **artifacts,
        thresholds={"auc": {"min": 0.5, "slice": "kind", "min_rows": 10.0}},
        slice_columns=["kind"],
        bootstrap_samples=100,
        model_name="houses",
    )
    assert blessed is True
    document = json.loads(Path(artifacts["evaluation"].path, "evaluation.json").read_text())
    assert artifacts["metrics"].metadata == {
        name: entry["value"] for name, entry in document["metrics"].items()
    }
    shown = artifacts["classification_metrics"].metadata
    assert 2 < len(shown["confidenceMetrics"]) <= 200
    json.dumps(shown, allow_nan=False)
    assert shown["confusionMatrix"]["annotationSpecs"] == [
        {"displayName": "0"},
        {"displayName": "1"},
    ]
    rows = [entry["row"] for entry in shown["confusionMatrix"]["rows"]]
    assert rows == document["confusion_matrix"]["counts"]
    assert artifacts["evaluation"].metadata["rows"] == {"test": 500}
    assert artifacts["golden_examples"].metadata["digest"].startswith("sha256:")
    assert Path(artifacts["report"].path).read_text().startswith("<!doctype html>")
    card = Path(artifacts["model_card"].path).read_text()
    assert "<title>Model card: houses</title>" in card
    assert card == Path(artifacts["evaluation"].path, "model_card.html").read_text()


def test_bad_input_is_one_line_and_exit_code_2(artifacts, caplog):
    with pytest.raises(SystemExit) as ended:
        evaluate_model.python_func(**artifacts, split="tset")
    assert ended.value.code == 2
    assert "no split 'tset'; the splits are test. Did you mean 'test'?" in caplog.text
    assert not Path(artifacts["evaluation"].path).exists()
