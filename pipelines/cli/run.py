"""`kfp-tabular run`."""

import os
import shlex
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

from kfp_tabular.components.common.errors import USER_ERROR_EXIT_CODE, UserError
from kfp_tabular.pipelines.cli.options import (
    PathOption,
    check_locked,
    check_shortcuts,
    config_option,
    find,
    not_empty,
    params_option,
    pipeline_option,
    processing_document,
    processing_option,
    resolved,
)
from kfp_tabular.pipelines.cli.tracking_options import tracking_option

if TYPE_CHECKING:
    from kfp_tabular.pipelines.local.cache.store import CacheStore
    from kfp_tabular.pipelines.local.execution.task_runner import TaskRunner
    from kfp_tabular.pipelines.local.pipeline_run import LocalRunOutcome

_Runner = Literal["venv", "docker"]


@click.command("run")
@pipeline_option
@click.option(
    "--data", metavar="PATH_OR_URI", callback=not_empty, help="File, directory, glob or URI."
)
@click.option("--label", metavar="COLUMN", callback=not_empty, help="The column to predict.")
@click.option(
    "--task",
    type=click.Choice(["auto", "binary", "multiclass", "regression"]),
    help="The kind of prediction; auto (the default) decides by the label.",
)
@click.option("--exclude", multiple=True, metavar="COLUMN", help="Leave a column out. Repeatable.")
@config_option
@params_option
@processing_option
@tracking_option
@click.option("--output", type=PathOption(), metavar="DIR", help="The run's folder.")
@click.option(
    "--runner",
    type=click.Choice(["venv", "docker"]),
    default="venv",
    show_default=True,
    help="Run tasks in the virtual environments of their images, or in containers.",
)
@click.option(
    "--resume",
    type=PathOption(),
    metavar="DIR",
    help="Go on with a stopped or failed run; finished tasks are not repeated.",
)
@click.option("--no-cache", is_flag=True, help="Neither use nor fill the cache of finished tasks.")
@click.option("--overwrite", is_flag=True, help="Replace the results of a run in --output.")
@click.option("--open", "open_report", is_flag=True, help="Open the report in the browser.")
def run_command(
    pipeline: str,
    data: str | None,
    label: str | None,
    task: str | None,
    exclude: tuple[str, ...],
    config: Path | None,
    params: tuple[str, ...],
    processing: str | None,
    tracking_uri: str,
    output: Path | None,
    runner: _Runner,
    resume: Path | None,
    no_cache: bool,
    overwrite: bool,
    open_report: bool,
) -> None:
    """Compile a pipeline and run it here, each task in its own environment.

    Tasks with the inputs, arguments and code of an earlier run are not repeated: they are shown as
    cached.
    """
    from kfp_tabular.components.common.process.termination import interrupt_on_termination
    from kfp_tabular.pipelines import parameters

    interrupt_on_termination()
    if resume is not None:
        resume = resolved(resume, "--resume")
        pipeline, config, runner = _resumed(resume, pipeline, config, runner)
        if output is not None or overwrite:
            option = "--overwrite" if overwrite else "--output"
            raise UserError(f"{option}: --resume goes on in the folder of the run. Leave it out.")
    definition = find(pipeline)
    compile_time = definition.configuration(config)
    shortcuts: dict[str, tuple[str, Any]] = {
        "data_uri": ("--data", None if data is None else _data_uri(data)),
        "label": ("--label", label),
        "task": ("--task", task),
        "exclude": ("--exclude", list(exclude) or None),
        "processing": ("--processing", processing_document(processing)),
    }
    given = {name: value for name, value in shortcuts.items() if value[1] is not None}
    check_shortcuts(definition, compile_time, {name: option for name, (option, _) in given.items()})
    arguments: dict[str, Any] = {name: value for name, (_, value) in given.items()}
    arguments.update(parameters.key_values(params))
    check_locked(compile_time, config, arguments)
    folder = resume or resolved(output or _new_folder(definition.name))

    from rich.console import Console

    from kfp_tabular.pipelines.cli import tracking_options
    from kfp_tabular.pipelines.local import pipeline_run
    from kfp_tabular.pipelines.local.run_tracking import RunTracking

    tracking = RunTracking(tracking_options.for_run(tracking_uri), Path.cwd())
    console = Console(stderr=True)
    outcome = pipeline_run.run(
        definition,
        compile_time,
        arguments,
        folder,
        console,
        _task_runner(runner),
        pipeline_run.Launch(
            pipeline=_reference(pipeline),
            config="" if config is None else str(config.absolute()),
            runner=runner,
            overwrite=overwrite,
            resume=resume is not None,
            cache=None if no_cache else _cache(),
            tracking=tracking,
        ),
    )
    if open_report:
        _open(Path(outcome.summary.report))
    _show(outcome)


def _resumed(
    folder: Path, pipeline: str, config: Path | None, runner: _Runner
) -> tuple[str, Path | None, _Runner]:
    """Return a run's pipeline, configuration and runner; those that are given must be equal."""
    from kfp_tabular.pipelines.local import resumable

    record = resumable.check(folder)
    given = click.get_current_context().get_parameter_source
    for option, value, before in (
        ("pipeline", _reference(pipeline), record.pipeline),
        ("config", str(config.absolute()) if config else "", record.config),
        ("runner", runner, record.runner),
    ):
        if given(option) == ParameterSource.COMMANDLINE and value != before:
            raise UserError(
                f"--{option} {value}: the run in {folder} has {before or 'none'}. Leave it out to "
                "go on with the run, or start a new one."
            )
    kept: _Runner = "docker" if record.runner == "docker" else "venv"
    return record.pipeline, Path(record.config) if record.config else None, kept


def _reference(pipeline: str) -> str:
    """Return what `--pipeline` names so that it means the same in another folder."""
    path, separator, function = pipeline.rpartition(":")
    return f"{Path(path).absolute()}{separator}{function}" if separator else pipeline


def _cache() -> "CacheStore | None":
    from kfp_tabular.pipelines.local.cache import store

    folder = store.default_folder()
    return None if folder is None else store.CacheStore(folder, store.limit_bytes())


def _new_folder(pipeline: str) -> Path:
    """Return a folder that does not exist yet, named after the pipeline and the time."""
    first = Path("runs") / f"{pipeline}-{datetime.now():%Y%m%d-%H%M%S}"
    number, folder = 1, first
    while folder.exists():
        number += 1
        folder = first.with_name(f"{first.name}-{number}")
    return folder


def _open(report: Path) -> None:
    """Show the report in the browser, or say that there is none."""
    import webbrowser

    if not webbrowser.open(report.as_uri()):
        click.echo(
            "--open: no browser was found; the report is at the end of this output", err=True
        )


def _show(outcome: "LocalRunOutcome") -> None:
    """Print the results; exit with an error where the run failed."""
    from kfp_tabular.pipelines import task_findings
    from kfp_tabular.pipelines.local.history.run_entry import KEY_METRICS

    summary = outcome.summary
    if summary.findings:
        click.echo(f"findings: {task_findings.counts(summary.findings)}", err=True)
    if summary.status == "stopped":
        click.echo(f"report: {summary.report}", err=True)
        click.echo(f"stopped; to go on: {_resume_command(summary.report)}", err=True)
        sys.exit(1)
    if summary.status == "failed":
        failed = next(task for task in summary.tasks if task.error)
        click.echo(f"report: {summary.report}", err=True)
        if not outcome.user_error:
            click.echo(f"to go on: {_resume_command(summary.report)}", err=True)
        click.echo(f"kfp-tabular: error: {failed.name}: {failed.error}", err=True)
        sys.exit(USER_ERROR_EXIT_CODE if outcome.user_error else 1)
    if summary.metrics:
        figures = [
            f"{key} {summary.metrics[key]:.4f}" for key in KEY_METRICS if key in summary.metrics
        ]
        click.echo(f"metrics: {', '.join(figures)}")
    if summary.blessed is not None:
        click.echo(f"blessed: {'yes' if summary.blessed else 'no'}")
        if summary.why:
            click.echo(f"why:     {summary.why}")
    elif summary.valid is not None:
        click.echo(f"valid:   {'yes' if summary.valid else 'no'}")
    if summary.model is not None:
        click.echo(f"model:   {summary.model}")
    click.echo(f"report:  {summary.report}")


def _resume_command(report: str) -> str:
    folder = Path(os.path.relpath(Path(report).parent))
    return shlex.join(["kfp-tabular", "run", "--resume", str(folder)])


def _task_runner(runner: _Runner) -> "TaskRunner":
    if runner == "docker":
        from kfp_tabular.pipelines.local.containers.container_runner import ContainerRunner
        from kfp_tabular.pipelines.local.containers.engine import Engine

        return ContainerRunner(Engine.find())
    from kfp_tabular.pipelines.environments.location import Environments
    from kfp_tabular.pipelines.local.virtual_environments.environment_runner import (
        VirtualEnvironmentRunner,
    )

    return VirtualEnvironmentRunner(Environments.find())


def _data_uri(data: str) -> str:
    """Make a local path absolute, since tasks run elsewhere; other URIs stay as they are."""
    return data if urlsplit(data).scheme else str(Path(data).absolute())
