"""A user's own pipeline, given as `PATH.py:function`."""

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.pipelines.configuration import PipelineConfig
from kfp_tabular.pipelines.definition import PipelineDefinition, ResultTasks
from kfp_tabular.pipelines.task_definitions import TaskDefinition

if TYPE_CHECKING:
    from kfp.dsl.graph_component import GraphComponent

_WHAT = "a function decorated with @dsl.pipeline, or one that takes PipelineConfig and returns one"


def is_path(name: str) -> bool:
    """Whether the name of a pipeline is that of a file with one in it.

    Example:
        >>> is_path("churn.py:churn_pipeline"), is_path("training")
        (True, False)
    """
    return ":" in name or "/" in name or name.endswith(".py")


def load(name: str) -> PipelineDefinition:
    """Return the definition of a user's pipeline. Runs the file.

    Args:
        name: `PATH.py:function`. The function is decorated with `@dsl.pipeline`, or it takes a
            `PipelineConfig` and returns such a function.

    Raises:
        UserError: Where the file or the function does not exist, is not a pipeline, or fails.

    Example:
        >>> load("churn.py:churn_pipeline")
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: --pipeline churn.py:churn_pipeline: churn.py
        does not exist.
    """
    from kfp_tabular.pipelines import parameters, placement

    text, _, function = name.rpartition(":")
    path = Path(text or function)
    if not path.is_file():
        what = "is a folder, not a Python file" if path.is_dir() else "does not exist"
        raise UserError(f"--pipeline {name}: {path} {what}.")
    module = _import(path)
    if not text or not function:
        raise UserError(
            f"--pipeline {name}: add the function, as in {path}:NAME.{_offered(module)}"
        )
    found = getattr(module, function, None)
    if found is None:
        close = closest(function, _functions(module))
        raise UserError(f"{path} has no function {function!r}.{close or _offered(module)}")
    builder = _builder(found, path, function)
    pipeline = builder(PipelineConfig())
    tasks = placement.task_definitions_of(pipeline)
    return PipelineDefinition(
        name=function,
        description=pipeline.component_spec.description or f"{function} of {path.name}.",
        builder=builder,
        tasks=tasks,
        results=_results(tasks),
        required_parameters=tuple(
            parameter.name for parameter in parameters.describe(pipeline) if parameter.required
        ),
    )


def _import(path: Path) -> ModuleType:
    """Run the file as a module; modules beside it can be imported, as in a script."""
    name = f"_kfp_tabular_pipeline_{path.stem}"
    found = importlib.util.spec_from_file_location(name, path.resolve())
    if found is None or found.loader is None:
        raise UserError(f"{path}: not a Python file; its name must end in .py.")
    module = importlib.util.module_from_spec(found)
    # KFP looks up the source of components through the module.
    sys.modules[name] = module
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    with _located(path):
        found.loader.exec_module(module)
    return module


@contextmanager
def _located(path: Path) -> Iterator[None]:
    """Turn an exception of the user's code into one line that names the file and the line."""
    try:
        yield
    except UserError:
        raise
    except SystemExit as error:
        raise UserError(
            f"{path}: ends the program (SystemExit: {error.code}). Put what the file does as a "
            "script under: if __name__ == '__main__'."
        ) from error
    except SyntaxError as error:
        raise UserError(f"{error.filename} line {error.lineno}: {error.msg}.") from error
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if Path(frame.filename) == path.resolve()]
        where = f"{path} line {own[-1].lineno}" if own else str(path)
        raise UserError(f"{where}: {type(error).__name__}: {error}") from error


def _builder(found: Any, path: Path, name: str) -> Callable[[PipelineConfig], "GraphComponent"]:
    if _is_pipeline(found):
        return lambda _config: found
    if not inspect.isfunction(found) or len(inspect.signature(found).parameters) != 1:
        raise UserError(f"{path}:{name} is not a pipeline; expected {_WHAT}.")
    if not _takes_config(found):
        raise UserError(f"{path}:{name} is not a pipeline yet; decorate it with @dsl.pipeline.")

    def build(config: PipelineConfig) -> "GraphComponent":
        with _located(path):
            pipeline = found(config)
        if not _is_pipeline(pipeline):
            raise UserError(
                f"{path}:{name} returns {type(pipeline).__name__}, not a pipeline; "
                f"expected {_WHAT}."
            )
        return cast("GraphComponent", pipeline)

    return build


def _takes_config(function: Callable[..., Any]) -> bool:
    """Whether the function's parameter may be the configuration, by its annotation if any."""
    (parameter,) = inspect.signature(function).parameters.values()
    if parameter.annotation is inspect.Parameter.empty:
        return True
    return "PipelineConfig" in str(parameter.annotation)


def _functions(module: ModuleType) -> list[str]:
    """Return the names of the functions and pipelines that the module itself defines."""
    return [
        name
        for name, value in vars(module).items()
        if _is_pipeline(value)
        or (inspect.isfunction(value) and value.__module__ == module.__name__)
    ]


def _offered(module: ModuleType) -> str:
    names = [name for name, value in vars(module).items() if _is_pipeline(value)]
    return f" Pipelines in it: {', '.join(names)}." if names else ""


def _is_pipeline(value: Any) -> bool:
    from kfp.dsl.graph_component import GraphComponent

    return isinstance(value, GraphComponent)


def _results(tasks: dict[str, TaskDefinition]) -> ResultTasks:
    """Return the tasks that give the results: the last one of each component."""
    last = {definition.component: name for name, definition in tasks.items()}
    return ResultTasks(
        metrics=last.get("evaluate_model", ""),
        model=last.get("train_model", ""),
        published_model=last.get("deploy_model", ""),
        validity=last.get("validate_data", ""),
    )
