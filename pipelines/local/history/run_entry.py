"""What the folders of finished, stopped and running runs tell about them."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.pipelines.local import run_folder
from kfp_tabular.pipelines.local.run_record import RECORD_FILE

KEY_METRICS = ("auc", "pr_auc", "accuracy", "log_loss", "r2", "rmse", "mae")
"""The metrics that are shown first, in this order."""

_LOWER_IS_BETTER = frozenset({"log_loss", "brier", "ece", "rmse", "mae"})
_HIGHER_IS_BETTER = frozenset({"auc", "pr_auc", "accuracy", "r2", "precision", "recall", "f1"})


@dataclass(frozen=True)
class RunEntry:
    """A run.

    Attributes:
        name: Its folder's name, relative to the folder of runs.
        folder: Its folder.
        status: As in `summary.json`, or `running`, or `stopped` for one that was killed.
        pipeline: The pipeline's name.
        started: Seconds since the epoch; None if it is not known.
        seconds: Wall time; None until the run has ended.
        parameters: The parameters that were given.
        metrics: The metrics of its model.
        blessed: Whether its model passed the evaluation; None without an evaluation.
        cached: How many of its tasks were cached.
    """

    name: str
    folder: str
    status: str
    pipeline: str
    started: float | None
    seconds: float | None
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float]
    blessed: bool | None
    cached: int = 0

    @property
    def data_uri(self) -> str:
        """The data, as the run was given it."""
        return str(self.parameters.get("data_uri", ""))

    @property
    def data(self) -> str:
        """The name of the data's file or folder."""
        return Path(self.data_uri).name

    @property
    def label(self) -> str:
        """The label's column."""
        return str(self.parameters.get("label", ""))

    @property
    def key_metric(self) -> str:
        """The metric to show where there is room for one; empty without metrics."""
        return next((name for name in KEY_METRICS if name in self.metrics), "")

    def document(self) -> dict[str, Any]:
        """Return the run as a JSON-serializable mapping."""
        return {
            **asdict(self),
            "data": self.data,
            "label": self.label,
            "key_metric": self.key_metric or None,
        }


def read(folder: Path, name: str = "") -> RunEntry:
    """Read the run in a folder.

    Raises:
        UserError: If there is none.
    """
    summary = run_folder.read_summary(folder)
    if summary is None and not run_folder.is_run(folder):
        raise UserError(f"{folder}: not the folder of a run.")
    found: Mapping[str, Any] = summary or {}
    parameters = found.get("parameters") or _recorded(folder)
    metrics = found.get("metrics") or {}
    running = run_folder.is_running(folder)
    return RunEntry(
        name=name or folder.name,
        folder=str(folder),
        status="running" if running else str(found.get("status", "stopped")),
        pipeline=str(found.get("pipeline", "")),
        started=found.get("started") or (folder / run_folder.SPEC_FILE).stat().st_mtime,
        seconds=None if running else found.get("seconds"),
        parameters=parameters if isinstance(parameters, dict) else {},
        metrics={
            key: float(value)
            for key, value in metrics.items()
            if isinstance(value, int | float) and math.isfinite(value)
        },
        blessed=found.get("blessed"),
        cached=sum(task.get("status") == "cached" for task in found.get("tasks", ())),
    )


def in_folder(folder: Path) -> list[RunEntry]:
    """Return the runs in a folder, the latest first: the folder itself, or those directly in it.

    Raises:
        UserError: If the folder does not exist.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder.")
    if run_folder.is_run(folder):
        return [read(folder)]
    found = [
        read(path, path.name)
        for path in sorted(folder.iterdir())
        if path.is_dir() and run_folder.is_run(path)
    ]
    return sorted(found, key=lambda entry: entry.started or 0.0, reverse=True)


def is_better(metric: str, value: float, other: float) -> bool | None:
    """Return whether a value of a metric is better than another; None if that cannot be said.

    Example:
        >>> is_better("log_loss", 0.1, 0.2), is_better("auc", 0.8, 0.9), is_better("bias", 1.0, 0.0)
        (True, False, None)
    """
    if value == other:
        return None
    if metric in _LOWER_IS_BETTER:
        return value < other
    return value > other if metric in _HIGHER_IS_BETTER else None


def best(entries: Iterable[RunEntry], metric: str = "") -> RunEntry:
    """Return the run with the best value of a metric; of equal ones, the earliest.

    Args:
        entries: The runs.
        metric: The metric; empty for the key metric that most runs have.

    Raises:
        UserError: If no run has it, or it has no better and worse.
    """
    ranked = rank(entries, metric)
    return ranked[0]


def rank(entries: Iterable[RunEntry], metric: str = "") -> list[RunEntry]:
    """Return the runs that have a metric, the best first; see `best`."""
    runs = list(entries)
    chosen = metric or common_metric(runs)
    known = sorted({name for entry in runs for name in entry.metrics})
    if not chosen or chosen not in known:
        raise UserError(
            f"--metric {chosen or 'auto'}: no run here has it; there are "
            f"{', '.join(known) or 'no metrics'}.{closest(chosen, known)}"
        )
    if chosen not in _LOWER_IS_BETTER | _HIGHER_IS_BETTER:
        ordered = ", ".join(sorted((_LOWER_IS_BETTER | _HIGHER_IS_BETTER) & set(known)))
        raise UserError(
            f"--metric {chosen}: neither high nor low is better; give one of {ordered}."
        )
    sign = 1.0 if chosen in _LOWER_IS_BETTER else -1.0
    having = [entry for entry in runs if chosen in entry.metrics]
    return sorted(having, key=lambda entry: (sign * entry.metrics[chosen], entry.started or 0.0))


def common_metric(entries: Sequence[RunEntry]) -> str:
    """Return the key metric that most runs have; empty without any."""
    counts = {name: sum(entry.key_metric == name for entry in entries) for name in KEY_METRICS}
    name = max(counts, key=lambda key: counts[key])
    return name if counts[name] else ""


def _recorded(folder: Path) -> Mapping[str, Any]:
    try:
        document = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
        found: Mapping[str, Any] = document["arguments"]
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    return found
