import json
import math

from kfp_tabular.components.common.artifacts.findings import Finding
from kfp_tabular.pipelines.local.report.run_summary import RunSummary, TaskRecord
from kfp_tabular.pipelines.task_findings import TaskFinding


def summary(**changes):
    facts = {
        "pipeline": "training",
        "status": "succeeded",
        "started": 1_700_000_000.0,
        "seconds": 40.5,
        "tasks": (
            TaskRecord("ingest-data", "succeeded", 2.5, 1_700_000_001.0, "tensorflow", "a.log"),
            TaskRecord("deploy-model", "skipped", 0.0),
        ),
        "metrics": {"auc": 0.93, "accuracy": 0.98},
        "blessed": True,
        "model": "/runs/1/models/model/1",
        "report": "/runs/1/report.html",
        "parameters": {"label": "überweisung", "seed": 7},
        "versions": {"kfp": "2.17.0"},
    }
    return RunSummary(**{**facts, **changes})


def test_the_keys_that_scripts_read(tmp_path):
    file = tmp_path / "new" / "summary.json"
    summary().save(file)
    document = json.loads(file.read_text(encoding="utf-8"))
    assert document["status"] == "succeeded"
    assert [(t["name"], t["status"], t["seconds"]) for t in document["tasks"]] == [
        ("ingest-data", "succeeded", 2.5),
        ("deploy-model", "skipped", 0.0),
    ]
    assert document["metrics"] == {"auc": 0.93, "accuracy": 0.98}
    assert document["blessed"] is True
    assert document["model"] == "/runs/1/models/model/1"
    assert document["report"] == "/runs/1/report.html"
    assert document["parameters"] == {"label": "überweisung", "seed": 7}
    assert document["pipeline"] == "training"
    assert document["seconds"] == 40.5


def test_what_never_happened_is_null():
    document = json.loads(summary(blessed=None, model=None, metrics={}).to_json())
    assert document["blessed"] is None
    assert document["model"] is None
    assert document["metrics"] == {}
    assert document["tasks"][1]["started"] is None


def test_numbers_that_json_lacks_are_null():
    text = summary(metrics={"auc": math.nan, "rmse": math.inf, "mae": 1.5}).to_json()
    assert json.loads(text, parse_constant=lambda name: f"not JSON: {name}")["metrics"] == {
        "auc": None,
        "rmse": None,
        "mae": 1.5,
    }


def test_findings_have_their_task_and_severity():
    leak = Finding("error", "leak", "'refund' alone predicts the label.", "refund", "exclude")
    found = (TaskFinding.of("validate-data", leak),)
    document = json.loads(summary(findings=found, why="auc is 0.93.").to_json())
    assert document["findings"] == [
        {
            "severity": "error",
            "code": "leak",
            "message": "'refund' alone predicts the label.",
            "column": "refund",
            "option": "exclude",
            "task": "validate-data",
        }
    ]
    assert document["why"] == "auc is 0.93."
    assert json.loads(summary().to_json())["findings"] == []
