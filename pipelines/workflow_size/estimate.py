"""Refuses pipelines whose Workflow would come near Argo's limit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.workflow_size import workflow

LIMIT = 800_000
"""The most bytes of a Workflow whose tasks succeed at the first attempt.

Argo compresses `status.nodes` beyond 1 MiB, and KFP 2.17.0 does not read compressed nodes: tasks
are missing from the run then. What is left is for managed fields, retries and long values."""

LIMIT_WITH_RETRIES = 1_000_000
"""The most bytes where every task needs the last of its attempts."""

_FOR_VALUES = 30_000
"""Bytes below `LIMIT` that a task which is not required leaves to long values of a run."""

_SHOWN = 3


@dataclass(frozen=True)
class Estimate:
    """The estimated size of a Workflow.

    Attributes:
        pipeline: The pipeline's name.
        size: Bytes where every task succeeds at the first attempt.
        size_with_retries: Bytes where every task needs the last of its attempts.
        tasks: Bytes of `size` for each task, the largest first.
        open_loops: Loops over a list that is known only during the run, or whose default is empty;
            counted as one iteration.
    """

    pipeline: str
    size: int
    size_with_retries: int
    tasks: Mapping[str, int]
    open_loops: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return one line for people."""
        text = f"Workflow on a cluster: about {_kb(self.size)} of at most {_kb(LIMIT)}"
        if self.size_with_retries > self.size:
            text += f"; {_kb(self.size_with_retries)} if every task used all its retries"
        if self.open_loops:
            text += f"; counted as one iteration: {', '.join(self.open_loops)}"
        return text


def estimate(
    spec: Mapping[str, Any],
    platform: Mapping[str, Any],
    arguments: Mapping[str, Any] | None = None,
) -> Estimate:
    """Return the estimated size of a pipeline's Workflow at the end of a run.

    Args:
        spec: The pipeline spec.
        platform: The platform document after it; empty without one.
        arguments: Values of the pipeline's parameters; the others have their defaults.

    Example:
        >>> from kfp_tabular.pipelines.validation.pipeline import validation_pipeline
        >>> from kfp_tabular.pipelines import spec
        >>> found = estimate(spec.of(validation_pipeline), {})
        >>> sorted(found.tasks), 100_000 < found.size < 250_000
        (['ingest-data', 'validate-data'], True)
    """
    first = workflow.measure(spec, platform, arguments or {})
    retried = workflow.measure(spec, platform, arguments or {}, retried=True)
    return Estimate(
        pipeline=spec["pipelineInfo"]["name"],
        size=first.total,
        size_with_retries=retried.total,
        tasks={
            name: count for name, count in first.by_task.most_common() if name != workflow.FIXED
        },
        open_loops=tuple(first.open_loops),
    )


def has_room(found: Estimate) -> bool:
    """Return whether a Workflow is far enough below the limit for parameters with long values.

    Example:
        >>> has_room(Estimate("churn", 600_000, 690_000, {}))
        True
    """
    return found.size <= LIMIT - _FOR_VALUES and found.size_with_retries <= LIMIT


def check(found: Estimate) -> None:
    """Check that a Workflow stays below the limits.

    Raises:
        UserError: If it does not. The message names the largest tasks.

    Example:
        >>> check(Estimate("churn", 900_000, 900_000, {"embed": 700_000, "train": 90_000}))
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: pipeline churn: its Workflow would take
        about 900 KB on a cluster, and at most 800 KB are safe: beyond 1 MiB, KFP loses the run's
        last tasks. Largest tasks: embed 700 KB, train 90 KB. Shorten their source (import it from
        the image), default values and the run's parameters, or split the pipeline.
    """
    if found.size <= LIMIT and found.size_with_retries <= LIMIT_WITH_RETRIES:
        return
    if found.size > LIMIT:
        size, limit, where, more = found.size, LIMIT, "on a cluster", ""
    else:
        size, limit, more = found.size_with_retries, LIMIT_WITH_RETRIES, ", set fewer retries"
        where = "if every task used all its retries"
    largest = ", ".join(f"{name} {_kb(count)}" for name, count in [*found.tasks.items()][:_SHOWN])
    raise UserError(
        f"pipeline {found.pipeline}: its Workflow would take about {_kb(size)} {where}, and at "
        f"most {_kb(limit)} are safe: beyond 1 MiB, KFP loses the run's last tasks. Largest tasks: "
        f"{largest}. Shorten their source (import it from the image), default values and the "
        f"run's parameters{more}, or split the pipeline."
    )


def _kb(count: int) -> str:
    return f"{round(count / 1000)} KB"
