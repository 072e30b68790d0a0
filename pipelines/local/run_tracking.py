"""Records a local run in the tracking store, whatever way it ended."""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kfp_tabular.components.common.tracking import Address, open_tracker, run_artifacts
from kfp_tabular.components.common.tracking.patience import SECONDS
from kfp_tabular.components.common.tracking.record import RunToRecord, Status
from kfp_tabular.pipelines.local.execution.task_outputs import TaskOutputs
from kfp_tabular.pipelines.local.report.run_pages import MODEL_CARD
from kfp_tabular.pipelines.local.report.run_summary import RunStatus, RunSummary
from kfp_tabular.pipelines.task_findings import TaskFinding

TASK = "tracking"
"""What findings of recording are filed under, as if it were a task."""

FOLDER_TAG = "kfp_tabular.folder"
PIPELINE_TAG = "kfp_tabular.pipeline"
SECONDS_OF_A_STOPPED_RUN = 5.0
"""How long a run that was interrupted waits for the store."""

_STATUS: Mapping[RunStatus, Status] = {
    "succeeded": "FINISHED",
    "failed": "FAILED",
    "stopped": "KILLED",
}


@dataclass(frozen=True)
class RunTracking:
    """Where a run is recorded, and with what.

    Attributes:
        address: The store.
        folder: The folder that the run was started in, for the revision of the code there.
    """

    address: Address
    folder: Path

    def begin(self) -> None:
        """Load MLflow's client while the tasks run; it takes seconds."""
        if self.address.kind == "none":
            return
        from kfp_tabular.components.common.tracking import mlflow_client

        threading.Thread(target=mlflow_client.load, name="mlflow", daemon=True).start()

    def record(
        self, key: str, summary: RunSummary, outputs: Mapping[str, TaskOutputs]
    ) -> tuple[TaskFinding, ...]:
        """Record a run that has ended.

        Args:
            key: The name of its folder of artifacts, which no other run has.
            summary: Its summary.
            outputs: The outputs of its tasks by their names.

        Returns:
            What a person should know: what is not in the store, and why.
        """
        if self.address.kind == "none":
            return ()
        stopped = summary.status == "stopped"
        tracker = open_tracker(
            self.address, patience=SECONDS_OF_A_STOPPED_RUN if stopped else SECONDS
        )
        recorded = tracker.record(to_record(key, summary, outputs, self.folder))
        return tuple(TaskFinding.of(TASK, finding) for finding in recorded.findings())


def to_record(
    key: str, summary: RunSummary, outputs: Mapping[str, TaskOutputs], folder: Path
) -> RunToRecord:
    """Return what is recorded of a run."""
    paths = {
        name: artifact.path
        for found in outputs.values()
        for name, artifact in found.artifacts.items()
    }
    search = next(
        (
            found.artifacts["report"].path
            for found in outputs.values()
            if {"hyperparameters", "report"} <= found.artifacts.keys()
        ),
        None,
    )
    run = RunToRecord(
        key=key,
        experiment=str(summary.parameters.get("model_name") or summary.pipeline),
        name=Path(summary.report).parent.name or key,
        started=summary.started,
        ended=summary.started + summary.seconds,
        status=_STATUS[summary.status],
        parameters=summary.parameters,
        metrics={**summary.metrics, **dict(_seconds(summary))},
        tags={**dict(_tags(summary)), **run_artifacts.code_revision(folder)},
        files=dict(_pages(outputs)),
    )
    return run_artifacts.gather(
        run,
        evaluation=paths.get("evaluation"),
        training_logs=paths.get("training_logs"),
        model=paths.get("model") or paths.get("schema") or paths.get("examples"),
        search_page=search,
    )


def _seconds(summary: RunSummary) -> Iterator[tuple[str, float]]:
    yield "seconds", summary.seconds
    for task in summary.tasks:
        if task.status != "skipped":
            yield f"seconds/{task.name}", task.seconds


def _tags(summary: RunSummary) -> Iterator[tuple[str, str]]:
    yield PIPELINE_TAG, summary.pipeline
    yield FOLDER_TAG, str(Path(summary.report).parent)
    if summary.blessed is not None:
        yield "blessed", "yes" if summary.blessed else "no"
    if summary.why:
        yield "why", summary.why
    if summary.valid is not None:
        yield "valid", "yes" if summary.valid else "no"
    for name, version in summary.versions.items():
        yield f"version.{name}", version
    for task in summary.tasks:
        if task.error:
            yield f"error.{task.name}", task.error
    if summary.findings:
        lines = [f"{found.task}: {found.severity}: {found}" for found in summary.findings]
        yield "findings", "\n".join(lines)


def _pages(outputs: Mapping[str, TaskOutputs]) -> Iterator[tuple[str, Path]]:
    for task, found in outputs.items():
        pages = [
            artifact
            for artifact in found.artifacts.values()
            # `gather` records the card, from the evaluation.
            if artifact.type == "HTML" and artifact.name != MODEL_CARD
        ]
        for page in pages:
            suffix = "" if len(pages) == 1 else f"-{page.name}"
            yield f"pages/{task}{suffix}.html", page.path
