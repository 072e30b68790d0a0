"""One local run of a pipeline: compile, execute, sum up."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts.lineage import versions
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines import compile as compiling
from kfp_tabular.pipelines import (
    destinations,
    locked_parameters,
    parameter_checks,
    parameters,
    spec,
)
from kfp_tabular.pipelines.configuration import ALWAYS, NEVER, PipelineConfig
from kfp_tabular.pipelines.definition import PipelineDefinition, ResultTasks
from kfp_tabular.pipelines.local import run_folder
from kfp_tabular.pipelines.local.execution import spec_runner
from kfp_tabular.pipelines.local.execution.spec_runner import RunInterruptedError
from kfp_tabular.pipelines.local.execution.task_launcher import Gate, Refusal, TaskResult
from kfp_tabular.pipelines.local.execution.task_outputs import TaskOutputs, read_outputs
from kfp_tabular.pipelines.local.execution.task_runner import TaskRunner
from kfp_tabular.pipelines.local.report import run_report
from kfp_tabular.pipelines.local.report.run_summary import RunStatus, RunSummary, TaskRecord
from kfp_tabular.pipelines.local.run_folder import (
    MODELS_FOLDER,
    REPORT_FILE,
    SPEC_FILE,
    SUMMARY_FILE,
)
from kfp_tabular.pipelines.progress import Progress
from kfp_tabular.pipelines.task_findings import TaskFinding

_REPOSITORY = "model_repository"


@dataclass(frozen=True)
class LocalRunOutcome:
    """The end of a run.

    Attributes:
        summary: The content of `summary.json`.
        user_error: Whether it failed for bad input or configuration.
    """

    summary: RunSummary
    user_error: bool


def run(
    pipeline: PipelineDefinition,
    config: PipelineConfig,
    arguments: Mapping[str, Any],
    output: Path,
    console: Console,
    task_runner: TaskRunner,
    *,
    overwrite: bool = False,
) -> LocalRunOutcome:
    """Compile a pipeline, run it here, and write the summary and the report.

    They are written for a run that is interrupted, too.

    Args:
        pipeline: The pipeline.
        config: The compile-time configuration.
        arguments: Run-time parameters, as text or typed; the pipeline's required ones among them
            unless the configuration has them.
        output: The run's folder. It gets `pipeline.yaml`, `summary.json`, `report.html`,
            `artifacts/`, `logs/` and, for a blessed model, `models/<name>/<version>/`.
        console: The console for the progress.
        task_runner: Starts the tasks.
        overwrite: Whether the results of an earlier run in `output` may be replaced.

    Raises:
        UserError: If the run cannot start: unknown parameters, missing images, a place such as
            the model repository that cannot be written, results in `output`. Nothing is written
            then.
    """
    run_folder.check_free(output, overwrite=overwrite)
    locked_parameters.refuse(arguments, config.locked)
    here = destinations.local_configuration(config)
    text = compiling.compile_text(pipeline, here)
    compiled = spec.parse(text)
    declared = spec.parameter_types(compiled)
    given = parameters.convert({**config.parameters, **arguments}, declared)
    # The run's own folder is checked under the name of --output.
    named = given if _REPOSITORY in given else {**given, _REPOSITORY: ""}
    if _REPOSITORY in declared:
        given.setdefault(_REPOSITORY, str(output / MODELS_FOLDER))
    parameters.require(given, spec.required_parameters(compiled))
    known = given | locked_parameters.values(pipeline.builder(config), config.locked)
    if "label" in known and known["label"] in known.get("exclude", ()):
        raise UserError(
            f"label {known['label']!r} is among the excluded columns; leave it out of exclude."
        )
    parameter_checks.check(compiled, given)
    if config.check_destinations != NEVER:
        destinations.check_local(compiled, named)
    if destinations.wants_check(config, compiled, named):
        text = compiling.compile_text(pipeline, replace(here, check_destinations=ALWAYS))
        compiled = spec.parse(text)
    run_folder.check_inputs(output, given)
    task_runner.check(list(spec.tasks(compiled).values()))
    with run_folder.locked(output):
        # Asked again, now that no other run can have started there since.
        run_folder.check_free(output, overwrite=overwrite)
        run_folder.clear(output)
        files.write_text(output / SPEC_FILE, text)
        return _execute(pipeline, compiled, given, known, output, console, task_runner)


def _execute(
    pipeline: PipelineDefinition,
    compiled: Mapping[str, Any],
    given: Mapping[str, Any],
    known: Mapping[str, Any],
    output: Path,
    console: Console,
    task_runner: TaskRunner,
) -> LocalRunOutcome:
    """Run the tasks, and write the summary and the report."""
    names = list(spec.tasks(compiled))
    started, clock = time.time(), time.monotonic()
    interrupted = False
    with Progress(names, console) as progress:
        gate = _gate(compiled, given)
        try:
            results = spec_runner.run_spec(
                output / SPEC_FILE, given, output, progress, task_runner, gate
            )
        except RunInterruptedError as stop:
            results, interrupted = stop.results, True
    outputs = {
        result.name: read_outputs(result.folder, spec.component(compiled, result.name))
        for result in results
    }
    results_of = pipeline.results
    summary = RunSummary(
        pipeline=pipeline.name,
        status=_status(results, interrupted=interrupted),
        started=started,
        seconds=time.monotonic() - clock,
        tasks=_records(names, results),
        metrics=_metrics(outputs.get(results_of.metrics, TaskOutputs())),
        blessed=_decision(outputs.get(results_of.metrics, TaskOutputs())),
        why=_why(outputs.get(results_of.metrics, TaskOutputs())),
        findings=tuple(
            TaskFinding.of(result.name, finding)
            for result in results
            for finding in result.findings
        ),
        valid=_decision(outputs.get(results_of.validity, TaskOutputs())),
        model=_model(outputs, results_of),
        report=str(output / REPORT_FILE),
        parameters=known,
        versions=versions(["kfp"]),
    )
    links = {
        name: [
            run_report.ArtifactLink(artifact.name, artifact.type, artifact.path, artifact.metadata)
            for artifact in found.artifacts.values()
        ]
        for name, found in outputs.items()
    }
    run_report.write_report(summary, compiled, links, output / REPORT_FILE)
    summary.save(output / SUMMARY_FILE)
    return LocalRunOutcome(summary=summary, user_error=any(result.user_error for result in results))


def _gate(compiled: Mapping[str, Any], given: Mapping[str, Any]) -> Gate:
    """Check all parameters as soon as the examples are there, before the first long task."""
    images = spec.tasks(compiled)

    def refusal(result: TaskResult) -> Refusal | None:
        if result.name != parameter_checks.INGESTION:
            return None
        examples = result.folder / parameter_checks.EXAMPLES
        for task, message in parameter_checks.with_examples(compiled, given, examples).items():
            return Refusal(task, images[task], message)
        return None

    return refusal


def _status(results: Sequence[TaskResult], *, interrupted: bool) -> RunStatus:
    if interrupted:
        return "stopped"
    return "succeeded" if all(result.succeeded for result in results) else "failed"


def _records(names: list[str], results: list[TaskResult]) -> tuple[TaskRecord, ...]:
    """Return a record per task in the order of the spec; tasks that did not run are skipped."""
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


def _metrics(outputs: TaskOutputs) -> dict[str, float]:
    metrics = outputs.artifacts.get("metrics")
    if metrics is None:
        return {}
    return {
        name: float(value)
        for name, value in metrics.metadata.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _decision(outputs: TaskOutputs) -> bool | None:
    decision: bool | None = outputs.parameters.get("Output")
    return decision


def _why(outputs: TaskOutputs) -> str:
    evaluation = outputs.artifacts.get("evaluation")
    return "" if evaluation is None else str(evaluation.metadata.get("why", ""))


def _model(outputs: Mapping[str, TaskOutputs], results_of: ResultTasks) -> str | None:
    """Return the published model or, where none was published, the trained one."""
    published = outputs.get(results_of.published_model, TaskOutputs()).parameters.get("model_uri")
    if published:
        return str(published)
    trained = outputs.get(results_of.model, TaskOutputs()).artifacts.get("model")
    return str(trained.path) if trained else None
