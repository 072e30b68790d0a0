"""What is recorded of a run, as plain values."""

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kfp_tabular.components.common.tracking.address import without_credentials

HIDDEN = "(hidden)"
MOST_VALUE = 6000
MOST_TAG = 5000
_SECRET = re.compile(
    r"(?i)(password|passwd|secret|token|credential|api_?key|access_?key|private_?key|signing_?key)"
)
_URI = re.compile(r"[a-z][a-z0-9+.-]*://[^\s\"']+")
_NOT_ALLOWED = re.compile(r"[^\w\-. /:]")

Status = Literal["FINISHED", "FAILED", "KILLED", "RUNNING"]


@dataclass(frozen=True)
class Curve:
    """Values of one metric over the steps of training.

    Attributes:
        name: The metric's name.
        points: Pairs of step and value, in order.
    """

    name: str
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Trial:
    """A trial of a search: a run below the run.

    Attributes:
        number: Its number within the search.
        parameters: The hyperparameters that it tried.
        metrics: What it reached.
        status: How it ended.
    """

    number: int
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float]
    status: Status = "FINISHED"


@dataclass(frozen=True)
class RunToRecord:
    """A run.

    Attributes:
        key: Identifies the run; a retry with the same key is the same run.
        experiment: The experiment that the run belongs to.
        name: The name that people see.
        started: Seconds since the epoch.
        ended: Seconds since the epoch; None where it goes on.
        status: How it ended; `RUNNING` where it goes on.
        parameters: Arguments and hyperparameters.
        metrics: Values by name.
        curves: Metrics over steps.
        tags: Digests, versions, revision and other facts.
        files: Files by the path that they get among the run's artifacts.
        trials: The trials of its search.
    """

    key: str
    experiment: str
    name: str
    started: float
    ended: float | None = None
    status: Status = "RUNNING"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: tuple[Curve, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    trials: tuple[Trial, ...] = ()

    @property
    def digest(self) -> str:
        """Identifies what is recorded: the same again need not be sent."""
        document = dataclasses.asdict(self)
        # A retried task begins later, with copies of its files.
        del document["started"], document["ended"]
        document["files"] = {
            name: hashlib.sha256(path.read_bytes()).hexdigest()
            for name, path in self.files.items()
            if path.is_file()
        }
        text = json.dumps(document, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Return parameters as text, without secrets.

    A value whose name tells of a secret is hidden, and so are user, password and query of URIs
    anywhere in a value.

    Example:
        >>> texts({"data_uri": "https://me:pw@host/x.csv?sig=1", "service": {"token": "t"}})
        {'data_uri': 'https://host/x.csv', 'service': '{"token": "(hidden)"}'}
    """
    found = {}
    for name, value in values.items():
        safe = _safe(name, value)
        text = safe if isinstance(safe, str) else json.dumps(safe, ensure_ascii=False, default=str)
        found[metric_name(name)] = _cut(text, MOST_VALUE)
    return found


def tag_texts(values: Mapping[str, str]) -> dict[str, str]:
    """Return tags without secrets, cut to the length that every store takes."""
    return {name: _cut(str(_safe(name, value)), MOST_TAG) for name, value in values.items()}


def finite(values: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers among values that are finite.

    Example:
        >>> finite({"auc": 0.9, "ece": None, "log_loss": float("nan"), "blessed": True})
        {'auc': 0.9}
    """
    return {
        metric_name(name): float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def metric_name(name: str) -> str:
    """Return a name with the characters that MLflow allows in names.

    Example:
        >>> metric_name("recall@5 %")
        'recall_5 _'
    """
    return _NOT_ALLOWED.sub("_", name)[:250] or "_"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _safe(name: str, value: Any) -> Any:
    if _SECRET.search(name) and value not in ("", None, [], {}):
        return HIDDEN
    if isinstance(value, Mapping):
        if {"name", "value"} <= value.keys() and _SECRET.search(str(value["name"])):
            return {**value, "value": HIDDEN}
        return {key: _safe(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_safe("", inner) for inner in value]
    if isinstance(value, str):
        return _URI.sub(lambda match: without_credentials(match[0]), value)
    return value
