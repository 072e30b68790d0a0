"""The comparison as text or Markdown."""

import math
import statistics
from collections.abc import Iterable, Sequence

from tests.benchmarks.quality import comparison
from tests.benchmarks.quality.comparison import Behind, StandardError
from tests.benchmarks.quality.results import Result

MARGIN = 0.02
"""The relative difference from which a table is listed."""

_COSTS = {
    "train_cpu_seconds": "training, CPU s (median, most)",
    "row_cpu_ms": "one row, CPU ms (median, most)",
    "rows_per_cpu_second": "rows per CPU second (median, least)",
}


def write(
    kept: Iterable[Result],
    libraries: Sequence[str],
    ours: Sequence[str],
    *,
    standard_error: StandardError,
    markdown: bool,
) -> str:
    """Return the tables of scores, of ranks, of what is behind, and of costs.

    Args:
        kept: The results.
        libraries: The libraries' names.
        ours: Our models' names; the first one is compared with the libraries.
        standard_error: Of the difference of two models on a table.
        markdown: Whether to write Markdown tables, or columns of text.
    """
    kept = list(kept)
    models = [*libraries, *ours]
    scores = comparison.scores_of(kept, models)
    if not scores:
        return "no table has results of all models"
    seeds = sorted({len(by_seed) for by_seed in scores.values()})
    latest = {(one.table, one.seed, one.model): one for one in kept if one.model in models}
    compared = {
        model: comparison.behind(scores, model, _others(model, libraries, ours), standard_error)
        for model in models
    }
    parts = [
        f"{len(scores)} tables; seeds per table: {'-'.join(map(str, seeds))}; score: log loss "
        "or RMSE, mean over seeds; ±: standard error over test rows, paired",
        "made with " + ", ".join(sorted({one.made_with or "?" for one in latest.values()})),
        _rows(_score_rows(scores, libraries, ours, compared[ours[0]]), markdown),
        _rows(_summary_rows(scores, compared), markdown),
        _rows(_behind_rows(compared[ours[0]]), markdown),
        _rows(_cost_rows(latest.values(), scores, models), markdown),
    ]
    parts += [
        f"{one.table} {one.seed} {one.model}: {one.error}" for one in latest.values() if one.error
    ]
    return "\n\n".join(parts)


def _others(model: str, libraries: Sequence[str], ours: Sequence[str]) -> list[str]:
    """Return what a model is compared with: ours with the libraries; a library with the others."""
    if model in ours:
        return list(libraries)
    return [other for other in (*libraries, ours[0]) if other != model]


def _score_rows(
    scores: comparison.Scores,
    libraries: Sequence[str],
    ours: Sequence[str],
    differences: Sequence[Behind],
) -> list[list[str]]:
    means = comparison.mean_scores(scores)
    entries = {entry.table: entry for entry in differences}
    rows = [["table", *libraries, *ours, "to the best library", "rank"]]
    for table, by_model in means.items():
        rank = comparison.mean_ranks({table: scores[table]})[ours[0]]
        figures = [f"{by_model[model]:.5g}" for model in (*libraries, *ours)]
        rows.append([table, *figures, _difference(entries[table]), f"{rank:.2f}"])
    return rows


def _summary_rows(scores: comparison.Scores, compared: dict[str, list[Behind]]) -> list[list[str]]:
    ranked = comparison.mean_ranks(scores)
    margin = f"{100 * MARGIN:.0f}%"
    rows = [
        [
            "model",
            "mean rank",
            "best",
            f"worse than the best other by over {margin}",
            "of these beyond two standard errors",
            "worst",
        ]
    ]
    for model, entries in compared.items():
        worse = [entry for entry in entries if entry.difference > MARGIN]
        rows.append(
            [
                model,
                f"{ranked[model]:.2f}",
                f"{sum(entry.difference < 0 for entry in entries)} of {len(entries)}",
                f"{len(worse)} of {len(entries)}",
                str(sum(entry.is_sure for entry in worse)),
                f"{_difference(entries[0])} ({entries[0].table})",
            ]
        )
    return rows


def _behind_rows(entries: Sequence[Behind]) -> list[list[str]]:
    rows = [["worse by over 2%", "best library", "difference", "standard errors", "seeds"]]
    for entry in entries:
        if entry.difference > MARGIN:
            errors = entry.difference / entry.standard_error if entry.standard_error else math.inf
            seeds = f"{entry.seeds_behind} of {entry.seeds}"
            rows.append([entry.table, entry.best, _difference(entry), f"{errors:.1f}", seeds])
    return rows


def _difference(entry: Behind) -> str:
    error = entry.standard_error
    shown = "" if math.isnan(error) else f" ± {100 * error:.1f}"
    # Without a minus before zero.
    return f"{round(100 * entry.difference, 1) + 0.0:+.1f}{shown}%"


def _cost_rows(
    latest: Iterable[Result], scores: comparison.Scores, models: Sequence[str]
) -> list[list[str]]:
    latest = list(latest)
    rows = [["model", *_COSTS.values()]]
    for model in models:
        found = [one.values for one in latest if one.model == model and one.table in scores]
        cells = []
        for cost, title in _COSTS.items():
            each = [values[cost] for values in found if cost in values]
            extreme = min if "least" in title else max
            shown = f"{statistics.median(each):,.4g}, {extreme(each):,.4g}" if each else ""
            cells.append(shown)
        rows.append([model, *cells])
    return rows


def _rows(rows: list[list[str]], markdown: bool) -> str:
    if markdown:
        align = "|---|" + "---:|" * (len(rows[0]) - 1)
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        return "\n".join([lines[0], align, *lines[1:]])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if not column else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
