"""The comparison as text or Markdown."""

import math
import statistics
from collections.abc import Iterable, Sequence

from tests.benchmarks.quality import comparison
from tests.benchmarks.quality.results import Result

_COSTS = {
    "train_seconds": "training, s",
    "row_ms": "one row, ms",
    "rows_per_second": "rows per second",
}


def write(
    kept: Iterable[Result], libraries: Sequence[str], ours: Sequence[str], *, markdown: bool
) -> str:
    """Return the tables of scores, of ranks and of costs.

    Args:
        kept: The results.
        libraries: The libraries' names.
        ours: Our models' names; the first one is compared with the libraries.
        markdown: Whether to write Markdown tables, or columns of text.
    """
    kept = list(kept)
    models = [*libraries, *ours]
    scores = comparison.scores_of(kept, models)
    if not scores:
        return "no table has results of all models"
    seeds = sorted({len(by_seed) for by_seed in scores.values()})
    parts = [
        f"{len(scores)} tables; seeds per table: {'-'.join(map(str, seeds))}; score: log loss "
        "or RMSE, mean over seeds",
        _rows(_score_rows(scores, libraries, ours), markdown),
        _rows(_summary_rows(scores, libraries, ours), markdown),
        _rows(_cost_rows(kept, scores, models), markdown),
    ]
    failed = {(one.table, one.seed, one.model): one.error for one in kept}
    parts += [
        f"{table} {seed} {model}: {error}"
        for (table, seed, model), error in failed.items()
        if error
    ]
    return "\n\n".join(parts)


def _score_rows(
    scores: comparison.Scores, libraries: Sequence[str], ours: Sequence[str]
) -> list[list[str]]:
    means = comparison.mean_scores(scores)
    differences = {entry.table: entry for entry in comparison.behind(scores, ours[0], libraries)}
    rows = [["table", *libraries, *ours, "to the best library", "rank"]]
    for table, by_model in means.items():
        entry = differences[table]
        error = "" if math.isnan(entry.standard_error) else f" ± {100 * entry.standard_error:.1f}"
        rank = comparison.mean_ranks({table: scores[table]})[ours[0]]
        figures = [f"{by_model[model]:.5g}" for model in (*libraries, *ours)]
        rows.append([table, *figures, f"{100 * entry.difference:+.1f}{error} %", f"{rank:.2f}"])
    return rows


def _summary_rows(
    scores: comparison.Scores, libraries: Sequence[str], ours: Sequence[str]
) -> list[list[str]]:
    models = [*libraries, *ours]
    ranked = comparison.mean_ranks(scores)
    rows = [["model", "mean rank", "worse than the best other by over 2 %", "worst"]]
    for model in models:
        # A library is compared with the others and our first; ours with the libraries.
        others = [other for other in (*libraries, ours[0]) if other != model]
        others = list(libraries) if model in ours else others
        entries = comparison.behind(scores, model, others)
        worse = sum(entry.difference > 0.02 for entry in entries)
        worst = entries[0]
        rows.append(
            [
                model,
                f"{ranked[model]:.2f}",
                f"{worse} of {len(entries)}",
                f"{100 * worst.difference:+.1f} % ({worst.table})",
            ]
        )
    return rows


def _cost_rows(
    kept: Sequence[Result], scores: comparison.Scores, models: Sequence[str]
) -> list[list[str]]:
    rows = [["model", *(f"{name} (median, most)" for name in _COSTS.values())]]
    latest = {(one.table, one.seed, one.model): one for one in kept if not one.error}
    for model in models:
        values = [
            one.values for one in latest.values() if one.model == model and one.table in scores
        ]
        cells = []
        for cost in _COSTS:
            each = [value[cost] for value in values]
            extreme = min(each) if cost == "rows_per_second" else max(each)
            cells.append(f"{statistics.median(each):,.4g}, {extreme:,.4g}")
        rows.append([model, *cells])
    rows[0][-1] = "rows per second (median, least)"
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
