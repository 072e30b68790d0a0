"""Reads what is recorded of a run from its artifacts: metrics, curves, digests, versions."""

import dataclasses
import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import html
from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.tracking.record import Curve, RunToRecord, Status, Trial

TRIALS_ID = "kfp-tabular-trials"
"""The `id` of the JSON in the page of a search that lists its trials."""

_MOST_TRIALS = 500
_TRIALS = re.compile(rf'<script type="application/json" id="{TRIALS_ID}">(.*?)</script>', re.DOTALL)
_STATUS: Mapping[str, Status] = {"failed": "FAILED", "diverged": "FAILED", "running": "KILLED"}


def gather(
    run: RunToRecord,
    *,
    evaluation: Path | None = None,
    training_logs: Path | None = None,
    model: Path | None = None,
    search_page: Path | None = None,
) -> RunToRecord:
    """Return a run with what its artifacts tell.

    Tags, files, curves and trials that it has already win. Hyperparameters that the model was
    trained with win over arguments of the same name, and so do the evaluation's metrics: whoever
    records the run, a task or the command line, records the same.

    Args:
        run: The run, with its key, name and times.
        evaluation: The artifact of `evaluate_model`, if it ran.
        training_logs: That of `train_model`, if it ran.
        model: Its model, or any artifact with a lineage.
        search_page: The page of `tune_hyperparameters`, if it ran.
    """
    parameters: dict[str, Any] = {}
    values: dict[str, float] = {}
    tags: dict[str, str] = {}
    files: dict[str, Path] = {}
    if model is not None:
        tags |= lineage_tags(model)
    if training_logs is not None:
        parameters |= hyperparameters(training_logs)
        values |= training_metrics(training_logs)
        files["documents/training.json"] = training_logs / "training.json"
    if evaluation is not None:
        values |= metrics(evaluation)
        tags |= evaluation_tags(evaluation)
        files["documents/evaluation.json"] = evaluation / "evaluation.json"
        files["pages/model-card.html"] = evaluation / "model_card.html"
    return dataclasses.replace(
        run,
        parameters={**run.parameters, **parameters},
        metrics={**run.metrics, **values},
        tags={**tags, **run.tags},
        files={name: path for name, path in {**files, **run.files}.items() if path.is_file()},
        curves=run.curves or (curves(training_logs) if training_logs is not None else ()),
        trials=run.trials or (trials(search_page) if search_page is not None else ()),
    )


def metrics(evaluation: Path) -> dict[str, float]:
    """Return the metrics of an evaluation, each with the bounds of its interval.

    Args:
        evaluation: The artifact `evaluation` of `evaluate_model`.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     text = '{"metrics": {"auc": {"value": 0.9, "interval": [0.8, 0.95]}}}'
        ...     _ = Path(folder, "evaluation.json").write_text(text)
        ...     metrics(Path(folder))
        {'auc': 0.9, 'auc.low': 0.8, 'auc.high': 0.95}
    """
    document = _document(evaluation / "evaluation.json")
    found: dict[str, float] = {}
    for name, measured in document.get("metrics", {}).items():
        if not isinstance(measured, Mapping) or measured.get("value") is None:
            continue
        found[name] = measured["value"]
        if measured.get("interval"):
            found[f"{name}.low"], found[f"{name}.high"] = measured["interval"]
    return found


def evaluation_tags(evaluation: Path) -> dict[str, str]:
    """Return which rows an evaluation is of, and of which model."""
    document = _document(evaluation / "evaluation.json")
    model = document.get("model", {})
    known = {
        "task": document.get("task"),
        "label": document.get("label"),
        "evaluation.split": document.get("split"),
        "evaluation.rows": document.get("rows"),
        "evaluation.why": document.get("why"),
        "model.digest": model.get("digest") if isinstance(model, Mapping) else None,
    }
    return {name: str(value) for name, value in known.items() if value not in (None, "")}


def curves(training_logs: Path) -> tuple[Curve, ...]:
    """Return the learning curves of a training, those of its candidates by their names.

    Args:
        training_logs: The artifact `training_logs` of `train_model`.
    """
    document = _document(training_logs / "training.json")
    found = list(_curves("", document.get("history", ())))
    candidates = document.get("candidates", ())
    if len(candidates) > 1:
        for candidate in candidates:
            found += _curves(f"{candidate['name']}/", candidate.get("history", ()))
    return tuple(found)


def training_metrics(training_logs: Path) -> dict[str, float]:
    """Return the final metrics of a training."""
    found: dict[str, float] = _document(training_logs / "training.json").get("metrics", {})
    return {f"training/{name}": value for name, value in found.items()}


def hyperparameters(training_logs: Path) -> dict[str, Any]:
    """Return the hyperparameters that a model was trained with, by name."""
    facts = _document(training_logs / "training.json").get("facts", {})
    found: dict[str, Any] = dict(facts.get("hyperparameters", {}))
    found |= {
        name: facts[name]
        for name in ("class_weights", "early_stopping_patience", "model_fn", "seed")
        if facts.get(name) not in (None, "")
    }
    return found


def lineage_tags(model: Path) -> dict[str, str]:
    """Return the digests of schema and data, the versions of packages, and the rows of a model.

    Args:
        model: The artifact `model` of `train_model`, or any other with a lineage.
    """
    try:
        found = lineage.read(model)
    except (UserError, OSError):
        return {}
    tags = {f"version.{name}": str(version) for name, version in found.get("versions", {}).items()}
    tags |= {f"digest.{name}": str(digest) for name, digest in found.get("inputs", {}).items()}
    for ancestor in found.get(lineage.ANCESTORS, {}).values():
        for name, version in ancestor.get("versions", {}).items():
            tags.setdefault(f"version.{name}", str(version))
        for name, digest in ancestor.get("inputs", {}).items():
            tags.setdefault(f"digest.{name}", str(digest))
        if ancestor.get("source_digest"):
            tags["digest.data"] = str(ancestor["source_digest"])
            rows = ancestor.get("rows", {})
            tags["rows"] = ", ".join(f"{split} {count}" for split, count in rows.items())
    schema = model / "schema.pbtxt"
    if schema.is_file():
        tags["digest.schema"] = lineage.digest_file(schema)
    return tags


def trials_element(listed: Sequence[Mapping[str, Any]]) -> html.Markup:
    """Return the trials as data in a page: nothing to see, and nothing that is executed."""
    text = json.dumps(list(listed), ensure_ascii=False, default=str).replace("<", "\\u003c")
    return html.Markup(f'<script type="application/json" id="{TRIALS_ID}">{text}</script>')


def trials(page: Path) -> tuple[Trial, ...]:
    """Return the trials of a search, from the data in its page; none without a search."""
    try:
        return trials_in(page.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()


def trials_in(document: str) -> tuple[Trial, ...]:
    """Return the trials that the text of a page carries."""
    match = _TRIALS.search(document)
    listed = json.loads(match[1]) if match else []
    return tuple(
        Trial(
            number=int(entry["number"]),
            parameters=entry["parameters"],
            metrics=entry["metrics"],
            status=_STATUS.get(entry["state"], "FINISHED"),
        )
        for entry in listed[:_MOST_TRIALS]
    )


def code_revision(folder: Path) -> dict[str, str]:
    """Return the Git revision of the folder that a run was started in; nothing outside of Git."""
    git = shutil.which("git")
    if git is None:
        return {}
    try:
        done = subprocess.run(
            [git, "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    revision = done.stdout.strip()
    if done.returncode or not revision:
        return {}
    return {"mlflow.source.git.commit": revision.removesuffix("-dirty"), "code.revision": revision}


def _curves(prefix: str, history: Any) -> Iterator[Curve]:
    points: dict[str, list[tuple[int, float]]] = {}
    for entry in history:
        for name, value in entry.items():
            if name not in ("step", "epoch") and isinstance(value, int | float):
                points.setdefault(name, []).append((int(entry["step"]), float(value)))
    for name, found in points.items():
        yield Curve(f"{prefix}{name}", tuple(found))


def _document(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found
