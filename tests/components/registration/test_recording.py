"""The run of a model is recorded by `register_model`, once, with what the command line records."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.tracking import RunToRecord, open_tracker, run_artifacts
from kfp_tabular.components.common.tracking.address import embedded
from kfp_tabular.components.registration import recording
from kfp_tabular.components.registration.options import RegistrationOptions

NAME = "training-2026-11-30-12-00-00-500000"
TRIAL = {
    "number": 0,
    "state": "succeeded",
    "parameters": {"learning_rate": 0.02},
    "metrics": {"eval_auc": 0.9},
}


@pytest.fixture
def made(tmp_path: Path) -> dict[str, Path]:
    """What the tasks of a run have written."""
    model = tmp_path / "model"
    files.write_text(model / "model.json", "{}")
    digest = lineage.record(model, inputs={})["digest"]
    evaluation = {
        "model": {"digest": digest},
        "metrics": {"auc": {"value": 0.8, "interval": [0.75, 0.85]}},
        "split": "test",
    }
    files.write_text(tmp_path / "evaluation" / "evaluation.json", json.dumps(evaluation))
    files.write_text(tmp_path / "evaluation" / "model_card.html", "<!doctype html><title>Card")
    training = {
        "history": [{"step": 10, "train_loss": 0.5}, {"step": 20, "train_loss": 0.25}],
        "metrics": {"eval_auc": 0.81},
        "facts": {"hyperparameters": {"learning_rate": 0.02}},
    }
    files.write_text(tmp_path / "logs" / "training.json", json.dumps(training))
    files.write_text(tmp_path / "tuning", str(run_artifacts.trials_element([TRIAL])))
    files.write_text(tmp_path / "report", "<!doctype html><title>Evaluation")
    return {
        "model": model,
        "evaluation": tmp_path / "evaluation",
        "training_logs": tmp_path / "logs",
        "tuning": tmp_path / "tuning",
        "report": tmp_path / "report",
    }


def record(made: dict[str, Path], uri: str, **changes: Any) -> str:
    options = RegistrationOptions(model_name="taxi", tracking_uri=uri, run_id=NAME, **changes)
    pages = {"tune-hyperparameters": made["tuning"], "evaluate-model": made["report"]}
    return recording.record_run(
        options, made["model"], made["evaluation"], made["training_logs"], pages
    )


def test_a_task_and_its_retry_and_the_command_line_record_one_run(
    tmp_path: Path, made: dict[str, Path]
) -> None:
    address = embedded(tmp_path)

    run_id = record(made, address.uri)
    retried = record(made, address.uri)
    begun = RunToRecord(
        key=NAME,
        experiment="taxi",
        name="first",
        started=1_796_000_000.0,
        ended=1_796_000_060.0,
        status="FINISHED",
        parameters={"label": "tips", "learning_rate": 0.0},
        metrics={"seconds": 60.0},
    )
    ended = open_tracker(address).record(
        run_artifacts.gather(
            begun,
            evaluation=made["evaluation"],
            training_logs=made["training_logs"],
            model=made["model"],
            search_page=made["tuning"],
        )
    )

    assert (ended.run_id, ended.lost) == (run_id, ())
    assert retried == run_id
    client = open_tracker(address).client()
    experiment = client.get_experiment_by_name("taxi").experiment_id
    runs = list(client.search_runs([experiment]))
    assert len(runs) == 2, "the run, and its trial"
    run = client.get_run(run_id)
    assert (run.info.run_name, run.info.status) == ("first", "FINISHED")
    assert run.info.start_time == round(1000 * recording.began(NAME))
    assert run.data.params == {"label": "tips", "learning_rate": "0.02"}
    assert run.data.metrics["auc.low"] == 0.75
    for name, values in (("auc", [0.8]), ("train_loss", [0.5, 0.25])):
        history = client.get_metric_history(run_id, name)
        assert [entry.value for entry in history] == values
    pages = {entry.path for entry in client.list_artifacts(run_id, "pages")}
    assert pages == {
        f"pages/{it}.html" for it in ("tune-hyperparameters", "evaluate-model", "model-card")
    }


def test_a_run_of_a_cluster_ends_with_its_record(
    tmp_path: Path, made: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    address = embedded(tmp_path)

    run_id = record(made, address.uri, blessed=False)

    run = open_tracker(address).client().get_run(run_id)
    assert (run.info.run_name, run.info.status) == (NAME, "FINISHED")
    assert run.data.tags["blessed"] == "no"
    digest = lineage.read(made["model"])["digest"]
    assert run.data.tags["kfp_tabular.key"] == f"{NAME} {digest.partition(':')[2][:12]}"


def test_with_kubeflows_registry_the_environment_says_where(
    tmp_path: Path, made: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    address = embedded(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address.uri)

    run_id = record(made, "model-registry+http://registry:8080")

    assert open_tracker(address).client().get_run(run_id).data.metrics["auc"] == 0.8


def test_a_copy_of_the_same_pages_is_the_same_record(tmp_path: Path) -> None:
    run = RunToRecord("key", "taxi", "name", started=1.0)
    digests = []
    for attempt in ("first", "second"):
        files.write_text(tmp_path / attempt, "page")
        again = replace(run, started=float(len(attempt)), files={"a.html": tmp_path / attempt})
        digests.append(again.digest)
    assert len(set(digests)) == 1
