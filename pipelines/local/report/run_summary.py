"""The summary of a run, `summary.json`, for scripts.

The keys `status`, `tasks`, `findings`, `metrics`, `blessed`, `why`, `model` and `report` are fixed:
scripts read them.
"""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from kfp_tabular.components.common import files
from kfp_tabular.pipelines.progress import TaskStatus
from kfp_tabular.pipelines.task_findings import TaskFinding

RunStatus = Literal["succeeded", "failed", "stopped"]


@dataclass(frozen=True)
class TaskRecord:
    """The record of one task of a run.

    Attributes:
        name: The task's name, as in the compiled spec.
        status: `skipped` if the task never started: its condition did not hold, or a task before
            it failed. `stopped` if it was running when the run was interrupted.
        seconds: Wall time; 0 if it never started.
        started: Seconds since the epoch; None if it never started.
        image: The image it ran in.
        log: The file with its output; empty if it has none.
        error: One line with the reason of its failure; empty if it did not fail.
    """

    name: str
    status: TaskStatus
    seconds: float
    started: float | None = None
    image: str = ""
    log: str = ""
    error: str = ""


@dataclass(frozen=True)
class RunSummary:
    """The content of `summary.json`.

    Attributes:
        pipeline: The pipeline's name.
        status: Whether all tasks succeeded; `stopped` if the run was interrupted.
        started: Seconds since the epoch.
        seconds: Wall time of the whole run.
        tasks: A record per task of the spec, in its order.
        metrics: The model's metrics on the split that it was evaluated on: `auc`, `pr_auc`,
            `accuracy`, `log_loss`, `r2`, `rmse`, `mae` and others. Empty without an evaluation.
        blessed: Whether the model passed its evaluation; None without an evaluation.
        why: Why the model is blessed or not, in a sentence; empty without an evaluation.
        findings: What the tasks found that a person should know, in the order of the tasks, errors
            before warnings before notes.
        model: The address of the published model or, if none was published, of the trained one;
            None without a model.
        report: The page for readers.
        valid: Whether the data passed validation; None without a validation.
        parameters: The run-time parameters that were given; the others had their defaults.
        versions: The versions of this package and of KFP.
    """

    pipeline: str
    status: RunStatus
    started: float
    seconds: float
    tasks: tuple[TaskRecord, ...]
    metrics: Mapping[str, float]
    blessed: bool | None
    model: str | None
    report: str
    valid: bool | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    why: str = ""
    findings: tuple[TaskFinding, ...] = ()

    def to_json(self) -> str:
        """Return the document as text. JSON has finite numbers only; others become null.

        Example:
            >>> metrics = {"auc": math.nan}
            >>> summary = RunSummary("training", "succeeded", 0, 61, (), metrics, None, None, "")
            >>> json.loads(summary.to_json())["metrics"]
            {'auc': None}
        """
        document = _finite(asdict(self))
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `summary.json`, whole or not at all."""
        files.write_text(path, self.to_json())


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
