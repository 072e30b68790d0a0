"""What is left to say after a run: `summary.json`, for scripts.

The keys `status`, `tasks`, `metrics`, `blessed`, `model` and `report` are fixed: others read them.
"""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from kfp_tabular.components.common import files
from kfp_tabular.pipelines.progress import TaskStatus

RunStatus = Literal["succeeded", "failed"]


@dataclass(frozen=True)
class TaskRecord:
    """How one task of a run ended.

    Attributes:
        name: The task's name, as in the compiled spec.
        status: `skipped` where the task never started: its condition did not hold, or a task
            before it failed.
        seconds: Wall time; 0 where it never started.
        started: Seconds since the epoch; None where it never started.
        image: The image it ran in.
        log: The file with what it printed; empty where there is none.
        error: One line that says why it failed; empty where it did not.
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
        status: Whether all tasks did their work.
        started: Seconds since the epoch.
        seconds: Wall time of the whole run.
        tasks: A record per task of the spec, in its order.
        metrics: The model's on the split it was evaluated on, under plain names: `auc`, `pr_auc`,
            `accuracy`, `log_loss`, `r2`, `rmse`, `mae` and whatever else was measured. Empty
            where the run did not get that far.
        blessed: Whether the model passed its evaluation; None where it was not evaluated.
        valid: Whether the data passed validation; None where they were not validated.
        model: Where the published model is or, where none was published, the trained one; None
            where there is neither.
        report: The page for people.
        parameters: The run-time parameters that were given; the others had their defaults.
        versions: Of this package and of what ran the pipeline.
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

    def to_json(self) -> str:
        """Gives the document as text. JSON has only finite numbers; another becomes null."""
        document = _finite(asdict(self))
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes `summary.json`, whole or not at all."""
        files.write_text(path, self.to_json())


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
