"""Runs a compiled pipeline spec on this machine, each task in its image or virtual environment.

The Kubeflow Pipelines SDK orchestrates (`kfp.local`): it orders tasks, passes artifacts and decides
conditions. It cannot start each task in its own environment, so its task handler is replaced for
the duration of a run. Why this way: docs/decisions/local-runner.md.
"""

import contextlib
import functools
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from kfp_tabular.pipelines import spec, task_arguments
from kfp_tabular.pipelines.local.execution.task_launcher import (
    Gate,
    TaskLauncher,
    TaskListener,
    TaskResult,
    TaskReuse,
)
from kfp_tabular.pipelines.local.execution.task_runner import LocalRunRequest, TaskRunner

_KFP_LOG = "kfp.log"


class RunInterruptedError(KeyboardInterrupt):
    """Ctrl-C or SIGTERM ended a run; its tasks have ended.

    Args:
        results: The results of the tasks that ran; those that were running are `stopped`.
    """

    def __init__(self, results: list[TaskResult]) -> None:
        super().__init__()
        self.results = results


def run_spec(
    spec_file: Path,
    arguments: Mapping[str, Any],
    output: Path,
    listener: TaskListener,
    task_runner: TaskRunner,
    gate: Gate | None = None,
    *,
    memory: TaskReuse | None = None,
    name: str = "",
) -> list[TaskResult]:
    """Run a spec to its end, or to the first task that fails.

    Artifacts are written below `output/artifacts/<name>/<task>/`, logs to `output/logs/<task>.log`.

    Args:
        spec_file: A compiled pipeline spec.
        arguments: Values of the pipeline's parameters; the others have their defaults.
        output: A folder for everything that the run writes; created if missing.
        listener: Is told about tasks as they run.
        task_runner: Starts the tasks.
        gate: Is asked after each task whether the run may go on.
        memory: Knows the outputs of tasks that ran before; None runs every task.
        name: The name of the folder for artifacts; empty for KFP's own, `<pipeline>-<time>`.

    Returns:
        The results of the tasks that ran, in order. The last one tells whether the run succeeded.

    Raises:
        UserError: If the tasks of an image cannot run here. No task has run then.
        RunInterruptedError: On ctrl-C, and on SIGTERM where that raises `KeyboardInterrupt`.
    """
    from kfp import components, local

    document = spec.load(spec_file)
    images = list(spec.tasks(document).values())
    parameters = {task: task_arguments.sources(document, task) for task in spec.tasks(document)}
    task_runner.check(images)
    logs = output / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    pipeline = components.load_component_from_file(str(spec_file))
    request = LocalRunRequest(images=images, arguments=arguments, output=output, logs=logs)
    with _kfp_output(logs / _KFP_LOG), task_runner.opened(request) as starter:
        launcher = TaskLauncher(starter, logs, listener, gate, memory, parameters)
        try:
            with _task_handler(launcher), _folder_name(name), _interruptions(launcher):
                local.init(
                    local.SubprocessRunner(use_venv=False),
                    pipeline_root=str(output / "artifacts"),
                    raise_on_error=False,
                )
                pipeline(**arguments)
        finally:
            launcher.stop()
    return launcher.results


@contextlib.contextmanager
def _interruptions(launcher: TaskLauncher) -> Iterator[None]:
    """Tell an interruption with what has run until then."""
    try:
        yield
    except KeyboardInterrupt as error:
        launcher.stop()
        raise RunInterruptedError(launcher.results) from error


@contextlib.contextmanager
def _task_handler(launcher: TaskLauncher) -> Iterator[None]:
    """Make `kfp.local` run its tasks through the launcher while the block lasts."""
    from kfp.local import status, subprocess_task_handler

    original = subprocess_task_handler.SubprocessTaskHandler

    class TaskHandler(original):  # type: ignore[misc, valid-type]
        """Runs a task through the launcher instead of the current interpreter."""

        def validate_image(self, image: str) -> None:
            """Accept the image: it was checked before the run began."""

        def run(self) -> Any:
            """Run the task to its end."""
            result = launcher.run(self.image, self.full_command, self.env_vars)
            return status.Status.SUCCESS if result.succeeded else status.Status.FAILURE

    subprocess_task_handler.SubprocessTaskHandler = TaskHandler
    try:
        yield
    finally:
        subprocess_task_handler.SubprocessTaskHandler = original


@contextlib.contextmanager
def _folder_name(name: str) -> Iterator[None]:
    """Make `kfp.local` write below a folder of this name, so that a run can go on where it was."""
    from kfp.local import executor_input_utils

    original = executor_input_utils.get_local_pipeline_resource_name
    if name:
        executor_input_utils.get_local_pipeline_resource_name = lambda _pipeline: name
    try:
        yield
    finally:
        executor_input_utils.get_local_pipeline_resource_name = original


@contextlib.contextmanager
def _kfp_output(log: Path) -> Iterator[None]:
    """Redirect what `kfp.local` prints, logs and warns of to a file; tasks have their own logs."""
    root = logging.getLogger()
    with log.open("w", encoding="utf-8") as stream, contextlib.redirect_stdout(stream):
        try:
            with warnings.catch_warnings():
                # KFP warns that the resources of tasks have no effect here.
                warnings.showwarning = functools.partial(_write_warning, stream)
                yield
        finally:
            root.handlers = [
                handler for handler in root.handlers if getattr(handler, "stream", None) != stream
            ]


def _write_warning(stream: TextIO, message: Warning | str, *_where: object) -> None:
    stream.write(f"warning: {message}\n")
