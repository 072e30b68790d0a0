import json
from pathlib import Path

import pytest
from kfp import dsl

from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.training.component import train_model


@pytest.fixture
def artifacts(inputs, tmp_path):
    return {
        "transformed_examples": dsl.Dataset(uri=str(inputs["multiclass"].examples)),
        "transform_graph": dsl.Artifact(uri=str(inputs["multiclass"].graph)),
        "model": dsl.Model(uri=str(tmp_path / "model")),
        "training_logs": dsl.Artifact(uri=str(tmp_path / "logs")),
        "metrics": dsl.Metrics(uri=str(tmp_path / "metrics")),
        "report": dsl.HTML(uri=str(tmp_path / "report")),
    }


def test_outputs_are_what_the_kubeflow_ui_shows(artifacts):
    # KFP hands numbers in dictionaries over as floats.
    train_model.python_func(
        **artifacts,
        epochs=2,
        batch_size=64,
        learning_rate=0.01,
        base_hyperparameters={"hidden_units": "16", "cross_layers": 1.0},
        early_stopping_patience=1,
    )
    spec = ModelSpec.load(artifacts["model"].path)
    assert spec.classes == ("a", "b", "c")
    assert spec.hyperparameters["hidden_units"] == "16"
    assert spec.hyperparameters["epochs"] == 2
    shown = artifacts["metrics"].metadata
    assert {"eval_log_loss", "train_accuracy", "steps", "seconds", "rows_per_second"} <= set(shown)
    json.dumps(shown, allow_nan=False)
    assert artifacts["model"].metadata["digest"].startswith("sha256:")
    assert artifacts["training_logs"].metadata["inputs"]["transform_graph"]
    page = Path(artifacts["report"].path).read_text()
    assert page.startswith("<!doctype html>")
    assert "grade" in page


def test_a_document_of_hyperparameters_wins(artifacts, tmp_path):
    document = tmp_path / "hyperparameters"
    document.write_text('{"model_type": "linear", "train_steps": 5.0}')
    train_model.python_func(
        **artifacts, hyperparameters=dsl.Artifact(uri=str(document)), model_type="dnn", epochs=9
    )
    found = ModelSpec.load(artifacts["model"].path).hyperparameters
    assert (found["model_type"], found["train_steps"]) == ("linear", 5)


def test_bad_input_is_one_line_and_exit_code_2(artifacts, caplog):
    with pytest.raises(SystemExit) as ended:
        train_model.python_func(**artifacts, model_type="wide_and_deeep")
    assert ended.value.code == 2
    assert "found 'wide_and_deeep'. Did you mean" in caplog.text
    assert "Did you mean 'wide_and_deep'" in caplog.text
    assert not Path(artifacts["model"].path).exists()
