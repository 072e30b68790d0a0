"""What the result of a task tells."""

from pathlib import Path

from kfp_tabular.components.common.artifacts.findings import Findings
from kfp_tabular.pipelines import spec, task_arguments
from kfp_tabular.pipelines.local.execution.task_launcher import TaskResult
from kfp_tabular.pipelines.training.pipeline import training_pipeline


def test_findings_name_the_options_that_the_pipeline_has(tmp_path: Path) -> None:
    found = Findings()
    found.warning("budget", "Stopped.", option="budget_seconds")
    found.note("candidates", "Kept: trees.", option="model_type")
    found.note("tree-rows", "Fewer rows.", option="tree_rows")
    (tmp_path / "training_logs").mkdir()
    found.write(tmp_path / "training_logs")
    result = TaskResult(
        name="train-model",
        image="",
        started=0.0,
        seconds=1.0,
        exit_code=0,
        log=tmp_path / "log",
        folder=tmp_path,
        parameters=task_arguments.sources(spec.of(training_pipeline), "train-model"),
    )
    assert [finding.option for finding in result.findings] == [
        "training_budget_seconds",
        "model_type",
        "tree_rows",
    ]
