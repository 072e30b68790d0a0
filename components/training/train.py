"""The training task: chooses where to train, then reports."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import files, lineage
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.training import cluster, report
from kfp_tabular.components.training import run as process
from kfp_tabular.components.training.settings import Settings

BACKENDS = ("local",)


@dataclass(frozen=True)
class Request:
    """What the task is asked for.

    Attributes:
        settings: What every training process is told; it has an output and logs.
        report: The HTML file to write.
        workers: Number of worker processes.
        backend: Where training runs; `local` is the only one.
    """

    settings: Settings
    report: Path
    workers: int = 1
    backend: str = "local"


@dataclass(frozen=True)
class Result:
    """What the task gives.

    Attributes:
        metrics: By name, all finite.
        lineage: Metadata by output: `model` and `training_logs`.
    """

    metrics: Mapping[str, float]
    lineage: Mapping[str, Mapping[str, Any]]


def run(request: Request) -> Result:
    """Trains, exports and reports.

    Raises:
        UserError: For an unknown backend, a number of workers below 1, or input that cannot be
            trained on.
    """
    if request.backend not in BACKENDS:
        raise UserError(
            f"backend: {request.backend!r} is not supported; expected "
            f"{' or '.join(map(repr, BACKENDS))}. Kubeflow backends are not in this release."
            + closest(request.backend, BACKENDS)
        )
    if request.workers < 1:
        raise UserError(f"workers: expected at least 1, found {request.workers}.")
    settings = request.settings
    if settings.logs is None or settings.output is None:
        raise ValueError("the task needs an output and logs")
    outcome = _train(settings, settings.logs, request.workers)
    files.write_text(request.report, report.page(outcome))
    logs = lineage.record(
        settings.logs,
        inputs={
            "transformed_examples": settings.transformed_examples,
            "transform_graph": settings.transform_graph,
        },
        seed=settings.seed,
    )
    return Result(
        metrics={name: value for name, value in outcome.metrics.items() if math.isfinite(value)},
        lineage={"model": lineage.read(settings.output), "training_logs": logs},
    )


def _train(settings: Settings, logs: Path, workers: int) -> process.Outcome:
    if workers == 1:
        return process.run(settings)
    cluster.run(settings, workers)
    return process.Outcome.load(logs)
