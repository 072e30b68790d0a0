"""The process of a task: runs one component's function as KFP's executor does.

KFP's own executor (`kfp.dsl.executor_main`) loads the function from a file, so its source has to
travel in the spec, which Kubernetes then stores many times over. This one imports the function from
the package that is in the image.
"""

import argparse
import importlib
import importlib.metadata
import inspect
import json
import logging
import os
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kfp_tabular.components.common.errors import UserError, reported_to_user

MODULE = __name__.rpartition(".")[0]
"""What `python3 -m` runs for a task."""

KFP_EXECUTOR = "kfp.dsl.executor_main"
"""KFP's own executor. `kfp.local.SubprocessRunner` starts a command only if a part names it."""

_logger = logging.getLogger(__name__)


def command_line(function: Callable[..., Any]) -> tuple[list[str], list[str]]:
    """Return the container's command and arguments for a component's function.

    Args:
        function: A function of a module that the image can import.

    Example:
        >>> command, arguments = command_line(command_line)
        >>> " ".join(command)
        'python3 -m kfp_tabular.components.common.task'
        >>> arguments[:2]
        ['--component', 'kfp_tabular.components.common.task.task_process:command_line']
    """
    return ["python3", "-m", MODULE], [
        "--component",
        f"{function.__module__}:{function.__name__}",
        "--executor_input",
        "{{$}}",
        "--in_place_of",
        KFP_EXECUTOR,
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a task to its end.

    Args:
        arguments: As `command_line` returns them, `{{$}}` resolved; those of the process if None.

    Raises:
        SystemExit: With code 2 for bad input or configuration.
    """
    parser = argparse.ArgumentParser(prog=f"python3 -m {MODULE}", description=__doc__)
    parser.add_argument("--component", required=True, help="MODULE:FUNCTION")
    parser.add_argument("--executor_input", required=True, help="KFP's ExecutorInput as JSON")
    parser.add_argument("--in_place_of", help="without effect; see KFP_EXECUTOR")
    given = parser.parse_args(arguments)
    start_logging()
    with reported_to_user():
        run(given.component, json.loads(given.executor_input))


def start_logging() -> None:
    """Write the log as KFP's executor does."""
    # Makes `import kfp` load what a running task needs and no more.
    os.environ["_KFP_RUNTIME"] = "true"
    logging.basicConfig(
        stream=sys.stdout,
        format="[KFP Executor %(asctime)s %(levelname)s]: %(message)s",
        level=logging.INFO,
    )


def run(component: str, executor_input: Mapping[str, Any]) -> None:
    """Call a component's function here, or have the driver of a SparkApplication call it.

    Args:
        component: `MODULE:FUNCTION`.
        executor_input: KFP's ExecutorInput.

    Raises:
        UserError: If this image holds another version of the component than the spec.
    """
    if not _run_on_kubernetes(component, executor_input):
        execute(component, executor_input)


def _run_on_kubernetes(component: str, executor_input: Mapping[str, Any]) -> bool:
    """Run a task that processes rows on Kubernetes; return False for any other."""
    if not executor_input.get("inputs", {}).get("parameterValues", {}).get("processing"):
        return False
    from kfp.dsl.executor import Executor

    from kfp_tabular.components.common.spark_task import launcher
    from kfp_tabular.components.common.spark_task.task_request import TaskRequest

    request = TaskRequest(component, executor_input)
    settings = request.spark()
    if settings is None:
        return False
    function = _imported(component)
    _check_arguments(function, executor_input)
    made = Executor(executor_input=executor_input, function_to_execute=function)
    paths = {name: Path(artifact.path) for name, artifact in made.output_artifacts.items()}
    launcher.run(request, settings, paths)
    return True


def execute(component: str, executor_input: Mapping[str, Any]) -> None:
    """Call a component's function and write what it returns where KFP expects it.

    Args:
        component: `MODULE:FUNCTION`.
        executor_input: KFP's ExecutorInput.

    Raises:
        UserError: If this image holds another version of the component than the spec.
    """
    from kfp.dsl.executor import Executor

    function = _imported(component)
    _check_arguments(function, executor_input)
    parameters = executor_input.get("inputs", {}).get("parameterValues", {})
    _logger.info(
        "%s(%s)", function.__name__, json.dumps(parameters, ensure_ascii=False, sort_keys=True)
    )
    Executor(executor_input=executor_input, function_to_execute=function).execute()


def _imported(component: str) -> Callable[..., Any]:
    module, _, name = component.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ModuleNotFoundError, AttributeError) as error:
        # A module that the component itself imports is this image's defect, not a wrong name.
        missing = getattr(error, "name", None)
        if isinstance(error, ModuleNotFoundError) and not f"{module}.".startswith(f"{missing}."):
            raise
        raise UserError(
            f"{_package()} in this image has no component {component}. {_REMEDY}"
        ) from (error)
    function: Callable[..., Any] = getattr(found, "python_func", found)
    return function


def _check_arguments(function: Callable[..., Any], executor_input: Mapping[str, Any]) -> None:
    """Check that the function takes what the spec passes: KFP's executor would drop the rest.

    An output that the function does not have would be missing later, in a task that reads it.
    """
    inputs = executor_input.get("inputs", {})
    outputs = executor_input.get("outputs", {})
    passed = {*inputs.get("parameterValues", {}), *inputs.get("artifacts", {})}
    declared = inspect.signature(function).parameters
    unknown = sorted(passed - declared.keys())
    required = {name for name, entry in declared.items() if entry.default is entry.empty}
    absent = sorted(required - passed - outputs.get("artifacts", {}).keys())
    made = {*outputs.get("artifacts", {}), *outputs.get("parameters", {})}
    unmade = sorted(made - declared.keys() - _returned(function))
    if unmade:
        raise UserError(
            f"{function.__name__} of {_package()} in this image does not have the output "
            f"{', '.join(unmade)}. {_REMEDY}"
        )
    for names, problem in ((unknown, "does not have"), (absent, "requires")):
        if names:
            raise UserError(
                f"{function.__name__} of {_package()} in this image {problem} the argument "
                f"{', '.join(names)}{'' if names is unknown else ', which the spec lacks'}. "
                f"{_REMEDY}"
            )


def _returned(function: Callable[..., Any]) -> set[str]:
    """Return the names of the outputs that a function returns: KFP's name, or a tuple's fields."""
    annotation = typing.get_type_hints(function).get("return", type(None))
    if annotation is type(None):
        return set()
    return set(getattr(annotation, "_fields", ("Output",)))


_REMEDY = (
    "Compile the pipeline with that version, or use the images of the version that compiled it."
)


def _package() -> str:
    return f"kfp-tabular {importlib.metadata.version('kfp-tabular')}"
