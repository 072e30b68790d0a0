"""The first sections of a run's report: what went wrong, and the verdict on the model."""

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from kfp_tabular.components.common import html
from kfp_tabular.components.common.artifacts.blessing_reason import without_verdict
from kfp_tabular.components.common.html import Markup
from kfp_tabular.components.common.html.blocks import Tone
from kfp_tabular.pipelines.local.report.artifact_links import ArtifactLink, target
from kfp_tabular.pipelines.local.report.run_pages import MODEL_CARD, RunPage
from kfp_tabular.pipelines.local.report.run_summary import RunStatus, RunSummary, TaskRecord
from kfp_tabular.pipelines.local.report.timing_bars import duration

_KEY_METRICS = {
    "auc": "AUC",
    "pr_auc": "PR-AUC",
    "accuracy": "accuracy",
    "log_loss": "log loss",
    "r2": "R²",
    "rmse": "RMSE",
    "mae": "MAE",
}
_TONES: Mapping[RunStatus, Tone] = {
    "succeeded": "good",
    "failed": "error",
    "stopped": "warning",
}
_CONSTANT_ANSWER = "constant_answer"
_LOG_LINES = 30
_LOG_BYTES = 32_768


def failures(
    tasks: Sequence[TaskRecord], pages: Sequence[RunPage], home: Path
) -> tuple[Markup, ...]:
    """Return the reasons of the tasks that failed, with the ends of their logs."""
    failed = [task for task in tasks if task.status == "failed"]
    return tuple(block for task in failed for block in _failure(task, pages, home))


def _failure(task: TaskRecord, pages: Sequence[RunPage], home: Path) -> Iterator[Markup]:
    yield html.lead(html.badge(task.name, "error"), task.error or "failed")
    links = [
        html.link(f"its {page.artifact}", page.target) for page in pages if page.task == task.name
    ]
    log = Path(task.log)
    if task.log and log.is_file():
        links.append(html.link("the whole log", target(log, home)))
        last = _last_lines(log)
        yield html.details(f"the last {len(last)} lines of its log", html.code("\n".join(last)))
    if links:
        yield html.paragraph(Markup(" · ".join(links)))


def _last_lines(log: Path) -> list[str]:
    with log.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - _LOG_BYTES))
        return stream.read().decode("utf-8", errors="replace").splitlines()[-_LOG_LINES:]


def result(
    summary: RunSummary,
    artifacts: Mapping[str, Sequence[ArtifactLink]],
    pages: Sequence[RunPage],
    home: Path,
) -> Iterator[Markup]:
    """Yield the verdict with its reason, the metrics beside the constant answer's, the model."""
    if summary.blessed is not None:
        badge = html.badge(
            *(("blessed", "good") if summary.blessed else ("not blessed", "warning"))
        )
        yield html.lead(badge, without_verdict(summary.why))
    if summary.status == "stopped":
        yield _stopped(summary.tasks, home)
    constant = _constant_answer(artifacts)
    tiles: dict[str, object] = {
        label: _value(summary.metrics[name], constant.get(name))
        for name, label in _KEY_METRICS.items()
        if name in summary.metrics
    }
    tiles["run"] = html.badge(summary.status, _TONES[summary.status])
    tiles["took"] = duration(summary.seconds)
    yield html.facts(tiles)
    if summary.model:
        model = Path(summary.model)
        shown = html.link(model, target(model, home)) if model.exists() else summary.model
        yield html.paragraph(Markup(f"Model: {html.escape(shown)}"))
    cards = [page for page in pages if page.artifact == MODEL_CARD]
    if cards:
        links = (html.link("model card", page.target) for page in cards)
        yield html.paragraph(Markup(f"What it is, and its limits: {', '.join(links)}"))
    if summary.blessed is False:
        yield html.paragraph("The model did not pass its evaluation, so it was not deployed.")


def _stopped(tasks: Sequence[TaskRecord], home: Path) -> Markup:
    running = [task.name for task in tasks if task.status == "stopped"]
    done = sum(task.status in ("succeeded", "cached") for task in tasks)
    during = f" during {', '.join(running)}" if running else ""
    command = shlex.join(["kfp-tabular", "run", "--resume", str(home)])
    sentence = f"The run was stopped{during}; {done} of {len(tasks)} tasks finished. To go on: "
    return html.paragraph(Markup(f"{html.escape(sentence)}<code>{html.escape(command)}</code>"))


def _constant_answer(artifacts: Mapping[str, Sequence[ArtifactLink]]) -> Mapping[str, float]:
    for links in artifacts.values():
        for artifact in links:
            found = artifact.metadata.get(_CONSTANT_ANSWER)
            if isinstance(found, Mapping):
                return found
    return {}


def _value(value: float, constant: float | None) -> Markup:
    written = html.format_number(value)
    if constant is None:
        return html.escape(written)
    beside = f"constant answer: {html.format_number(constant)}"
    return Markup(f"{html.escape(written)}<small>{html.escape(beside)}</small>")
