"""Checks the arguments of a run's tasks before they start, under the names that the run has."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines import spec as specs
from kfp_tabular.pipelines import task_arguments
from kfp_tabular.pipelines.task_definitions import component_of

INGESTION = "ingest-data"
"""The task whose examples the other tasks work on."""

EXAMPLES = "examples"
"""Its output."""

HYPERPARAMETERS = "hyperparameters"
"""The document that one task makes and another one trains with."""


def check(spec: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Check the arguments of all tasks, as far as that needs no data.

    Args:
        spec: A pipeline spec.
        values: Values of the pipeline's parameters; those left out have their defaults.

    Raises:
        UserError: For the first argument that does not fit; the message begins with the task and
            the pipeline's parameter.

    Example:
        >>> from kfp_tabular.pipelines.training.pipeline import training_pipeline
        >>> check(specs.of(training_pipeline), {"evaluation_split": "test", "workers": 0})
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: train-model: workers: expected at least 1,
        found 0.
    """
    for task, message in _problems(spec, values).items():
        raise UserError(f"{task}: {message}")


def with_examples(
    spec: Mapping[str, Any], values: Mapping[str, Any], examples: Path
) -> dict[str, str]:
    """Return what is wrong with the arguments of tasks, now that the examples are there.

    Args:
        spec: A pipeline spec.
        values: Values of the pipeline's parameters; those left out have their defaults.
        examples: The examples artifact.

    Returns:
        By task, the message, which begins with the pipeline's parameter.
    """
    return _problems(spec, values, examples)


def _problems(
    spec: Mapping[str, Any], values: Mapping[str, Any], examples: Path | None = None
) -> dict[str, str]:
    # Imported when needed: Arrow and numpy take a moment, and most commands check nothing.
    from kfp_tabular.components.common.artifacts.examples import Examples
    from kfp_tabular.components.parameters import checks

    tasks = {
        task: checks.TaskValues(
            component_of(task).replace("-", "_"),
            task_arguments.of_task(spec, task, values).values,
            task_arguments.producer(spec, task, HYPERPARAMETERS),
        )
        for task in specs.tasks(spec)
    }
    found = checks.problems(tasks, None if examples is None else Examples(examples))
    return {each.task: each.renamed(_sources(spec, tasks, each.task)) for each in found}


def _sources(spec: Mapping[str, Any], tasks: Mapping[str, Any], task: str) -> dict[str, str]:
    """Return the pipeline's parameters by argument, of the task and of one that it trains for."""
    maker = tasks[task].hyperparameters_of
    of_maker = task_arguments.sources(spec, maker) if maker in tasks else {}
    return {**of_maker, **task_arguments.sources(spec, task)}
