"""One local run of a pipeline: compile, execute, sum up."""

import functools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
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
from kfp_tabular.pipelines.local import resumable, run_folder
from kfp_tabular.pipelines.local.cache.store import CacheStore
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
from kfp_tabular.pipelines.local.run_record import RunRecord
from kfp_tabular.pipelines.local.run_tracking import RunTracking
from kfp_tabular.pipelines.local.task_memory import TaskMemory
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


@dataclass(frozen=True)
class Launch:
    """How a run is started.

    Attributes:
        pipeline: The pipeline as `--pipeline` names it.
        config: The absolute path of the configuration's file; empty for none.
        runner: The kind of the task runner, `venv` or `docker`.
        overwrite: Whether the results of an earlier run in the folder may be replaced.
        resume: Whether the run in the folder goes on.
        cache: Where the outputs of finished tasks are kept; None for nowhere.
        tracking: Where the run is recorded; None for nowhere.
    """

    pipeline: str = ""
    config: str = ""
    runner: str = "venv"
    overwrite: bool = False
    resume: bool = False
    cache: CacheStore | None = None
    tracking: RunTracking | None = None


def run(
    pipeline: PipelineDefinition,
    config: PipelineConfig,
    arguments: Mapping[str, Any],
    output: Path,
    console: Console,
    task_runner: TaskRunner,
    launch: Launch = Launch(),
) -> LocalRunOutcome:
    """Compile a pipeline, run it here, and write the summary and the report.

    They are written for a run that is interrupted, too.

    Args:
        pipeline: The pipeline.
        config: The compile-time configuration.
        arguments: Run-time parameters, as text or typed; the pipeline's required ones among them
            unless the configuration has them. A resumed run has its own; those given must be equal.
        output: The run's folder. It gets `pipeline.yaml`, `run.json`, `summary.json`,
            `report.html`, `artifacts/`, `logs/` and, for a blessed model,
            `models/<name>/<version>/`.
        console: The console for the progress.
        task_runner: Starts the tasks.
        launch: How the run is started.

    Raises:
        UserError: If the run cannot start: unknown parameters, missing images, a place such as
            the model repository that cannot be written, results in `output`. Nothing is written
            then.
    """
    earlier = resumable.check(output) if launch.resume else None
    if earlier is None:
        run_folder.check_free(output, overwrite=launch.overwrite)
    locked_parameters.refuse(arguments, config.locked)
    here = destinations.local_configuration(config)
    text = compiling.compile_text(pipeline, here)
    compiled = spec.parse(text)
    declared = spec.parameter_types(compiled)
    given = parameters.convert({**config.parameters, **arguments}, declared)
    if earlier is not None:
        given = resumable.arguments(output, earlier, given)
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
    if earlier is None:
        run_folder.check_inputs(output, given)
    task_runner.check(list(spec.tasks(compiled).values()))
    with run_folder.locked(output):
        if earlier is None:
            # Asked again, now that no other run can have started there since.
            run_folder.check_free(output, overwrite=launch.overwrite)
            run_folder.clear(output)
            name = f"{compiled['pipelineInfo']['name']}-{datetime.now():%Y-%m-%d-%H-%M-%S-%f}"
            record = RunRecord(
                *(launch.pipeline, launch.config, launch.runner),
                name=name,
                folder=str(output.resolve()),
                arguments=given,
            )
        else:
            # Read again: another run may have gone on with it since.
            record = resumable.check(output)
            if record.name != earlier.name:
                raise UserError(
                    f"--resume {output}: another run has replaced this one in the meantime."
                )
        files.write_text(output / SPEC_FILE, text)
        say = functools.partial(console.print, markup=False, highlight=False, soft_wrap=True)
        with TaskMemory(compiled, record, output, task_runner, launch.cache, say) as memory:
            ready = _Ready(pipeline, compiled, given, known, output, record.name)
            return _execute(ready, console, task_runner, memory, launch.tracking)


@dataclass(frozen=True)
class _Ready:
    """A run whose arguments are checked and whose folder is ready.

    Attributes:
        pipeline: The pipeline.
        compiled: Its spec.
        given: The arguments.
        known: Those, and the locked parameters.
        output: The run's folder.
        name: The name of the folder for artifacts.
    """

    pipeline: PipelineDefinition
    compiled: Mapping[str, Any]
    given: Mapping[str, Any]
    known: Mapping[str, Any]
    output: Path
    name: str


def _execute(
    ready: _Ready,
    console: Console,
    task_runner: TaskRunner,
    memory: TaskMemory,
    tracking: RunTracking | None,
) -> LocalRunOutcome:
    """Run the tasks, and write the summary and the report."""
    pipeline, compiled, output = ready.pipeline, ready.compiled, ready.output
    names = list(spec.tasks(compiled))
    started, clock = time.time(), time.monotonic()
    interrupted = False
    if tracking is not None:
        tracking.begin()
    with Progress(names, console) as progress:
        gate = _gate(compiled, ready.given)
        try:
            results = spec_runner.run_spec(
                output / SPEC_FILE,
                ready.given,
                output,
                progress,
                task_runner,
                gate,
                memory=memory,
                name=ready.name,
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
        )
        + tuple(memory.notes),
        valid=_decision(outputs.get(results_of.validity, TaskOutputs())),
        model=_model(outputs, results_of),
        report=str(output / REPORT_FILE),
        parameters=ready.known,
        versions=versions(["kfp"]),
    )
    if tracking is not None:
        lost = tracking.record(ready.name, summary, outputs)
        for finding in lost:
            console.print(f"{finding.severity}: {finding}", markup=False, soft_wrap=True)
        summary = replace(summary, findings=(*summary.findings, *lost))
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
