"""The training task: chooses where to train, then reports."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import files, html, lineage
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.training import run as process
from kfp_tabular.components.training.run import Settings

BACKENDS = ("local",)

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """What the task is asked for.

    Attributes:
        settings: What every training process is told.
        report: The HTML file.
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
        metrics: By name, ready for a KFP Metrics artifact.
        lineage: Metadata by output: `model` and `training_logs`.
    """

    metrics: Mapping[str, float]
    lineage: Mapping[str, dict[str, Any]]


def run(request: Request) -> Result:
    """Trains, exports and reports.

    Raises:
        UserError: For an unknown backend, or input that cannot be trained on.
    """
    if request.backend not in BACKENDS:
        raise UserError(
            f"backend {request.backend!r} is not in this release; supported: "
            f"{', '.join(BACKENDS)}.{closest(request.backend, BACKENDS)}"
        )
    outcome = process.run(request.settings)
    files.write_text(
        request.report,
        html.page("Training", [html.Section("Metrics", (html.facts(outcome.metrics),))]),
    )
    settings = request.settings
    settings.logs.mkdir(parents=True, exist_ok=True)
    return Result(
        metrics=outcome.metrics,
        lineage={
            "model": lineage.read(settings.output),
            "training_logs": lineage.record(
                settings.logs, inputs={"model": settings.output}, seed=settings.seed
            ),
        },
    )
