"""One local run of the training pipeline: compile, execute, sum up."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from kfp_tabular.components.common.artifacts.lineage import versions
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines import compile as compiling
from kfp_tabular.pipelines import parameters, spec
from kfp_tabular.pipelines.local import report, runner
from kfp_tabular.pipelines.local.place import Place
from kfp_tabular.pipelines.local.progress import Progress
from kfp_tabular.pipelines.local.results import TaskOutputs, read_outputs
from kfp_tabular.pipelines.local.summary import RunSummary, TaskRecord
from kfp_tabular.pipelines.local.tasks import TaskResult
from kfp_tabular.pipelines.training.config import PipelineConfig

PIPELINE = "training"
SPEC_FILE = "pipeline.yaml"
SUMMARY_FILE = "summary.json"
REPORT_FILE = "report.html"
MODELS_FOLDER = "models"

_EVALUATE, _TRAIN, _DEPLOY = "evaluate-model", "train-model", "deploy-model"


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        summary: What `summary.json` holds.
        user_error: Whether it failed for bad input or configuration.
    """

    summary: RunSummary
    user_error: bool


def run(
    config: PipelineConfig,
    arguments: Mapping[str, Any],
    output: Path,
    console: Console,
    place: Place,
) -> Outcome:
    """Compiles the training pipeline, runs it here, and writes the summary and the report.

    Args:
        config: The compile-time configuration.
        arguments: Run-time parameters, as text or typed; `data_uri` and `label` among them unless
            the configuration has them.
        output: The run's folder. It gets `pipeline.yaml`, `summary.json`, `report.html`,
            `artifacts/`, `logs/` and, for a blessed model, `models/<name>/<version>/`.
        console: Where progress is shown.
        place: Where the tasks run.

    Raises:
        UserError: Where nothing could be started: unknown parameters, missing images.
    """
    output.mkdir(parents=True, exist_ok=True)
    spec_file = output / SPEC_FILE
    compiling.compile_pipeline(PIPELINE, config, spec_file)
    compiled = spec.load(spec_file)
    declared = spec.parameter_types(compiled)
    repository = {"model_repository": str(output / MODELS_FOLDER)}
    given = parameters.convert({**repository, **config.parameters, **arguments}, declared)
    for required in spec.required_parameters(compiled):
        if required not in given:
            raise UserError(f"parameter {required!r} is required; give it in --param or --config.")
    if given["label"] in given.get("exclude", ()):
        raise UserError(
            f"label {given['label']!r} is among the excluded columns; leave it out of exclude."
        )
    # Whatever an earlier run left must not be taken for this one's, should it be interrupted.
    for stale in (SUMMARY_FILE, REPORT_FILE):
        (output / stale).unlink(missing_ok=True)
    names = list(spec.tasks(compiled))
    started, clock = time.time(), time.monotonic()
    with Progress(names, console) as progress:
        results = runner.run_spec(spec_file, given, output, progress, place)
    outputs = {
        result.name: read_outputs(result.folder, spec.component(compiled, result.name))
        for result in results
    }
    summary = RunSummary(
        pipeline=PIPELINE,
        status="succeeded" if all(result.succeeded for result in results) else "failed",
        started=started,
        seconds=time.monotonic() - clock,
        tasks=_records(names, results),
        metrics=_metrics(outputs),
        blessed=_blessed(outputs),
        model=_model(outputs),
        report=str(output / REPORT_FILE),
        parameters=given,
        versions=versions(["kfp"]),
    )
    links = {
        name: [
            report.ArtifactLink(artifact.name, artifact.type, artifact.path, artifact.metadata)
            for artifact in found.artifacts.values()
        ]
        for name, found in outputs.items()
    }
    report.write_report(summary, compiled, links, output / REPORT_FILE)
    summary.save(output / SUMMARY_FILE)
    return Outcome(summary=summary, user_error=any(result.user_error for result in results))


def _records(names: list[str], results: list[TaskResult]) -> tuple[TaskRecord, ...]:
    """Gives a record per task in the order of the spec; those that did not run are skipped."""
    ran = {result.name: result for result in results}
    return tuple(
        _record(ran[name]) if name in ran else TaskRecord(name=name, status="skipped", seconds=0.0)
        for name in names
    )


def _record(result: TaskResult) -> TaskRecord:
    return TaskRecord(
        name=result.name,
        status=result.status,
        seconds=result.seconds,
        started=result.started,
        image=result.image,
        log=str(result.log),
        error=result.error,
    )


def _metrics(outputs: Mapping[str, TaskOutputs]) -> dict[str, float]:
    metrics = outputs.get(_EVALUATE, TaskOutputs()).artifacts.get("metrics")
    if metrics is None:
        return {}
    return {
        name: float(value)
        for name, value in metrics.metadata.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _blessed(outputs: Mapping[str, TaskOutputs]) -> bool | None:
    blessed: bool | None = outputs.get(_EVALUATE, TaskOutputs()).parameters.get("Output")
    return blessed


def _model(outputs: Mapping[str, TaskOutputs]) -> str | None:
    """Gives the published model or, where none was published, the trained one."""
    published = outputs.get(_DEPLOY, TaskOutputs()).parameters.get("model_uri")
    if published:
        return str(published)
    trained = outputs.get(_TRAIN, TaskOutputs()).artifacts.get("model")
    return str(trained.path) if trained else None
