"""The report about a search: one HTML page."""

from collections.abc import Mapping, Sequence
from typing import Any

from kfp_tabular.components.common import html
from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.html.blocks import Tone
from kfp_tabular.components.common.tracking import run_artifacts
from kfp_tabular.components.tuning.search.objective import Objective
from kfp_tabular.components.tuning.search.search_result import SearchResult
from kfp_tabular.components.tuning.search.search_space import SearchSpace, to_katib
from kfp_tabular.components.tuning.search.trials import State, Trial

_TITLE = "Hyperparameter tuning"
_MAX_CURVES = 8
_TONES: Mapping[State, Tone] = {
    "succeeded": "neutral",
    "early_stopped": "neutral",
    "running": "neutral",
    "diverged": "warning",
    "failed": "error",
}


def passed_on(hyperparameters: Hyperparameters) -> str:
    """Return the page for a task that passed hyperparameters on.

    Args:
        hyperparameters: The hyperparameters.
    """
    note = html.paragraph(
        "max_trials is 0: nothing was searched, and these hyperparameters were passed on."
    )
    table = html.table(("Hyperparameter", "Value"), hyperparameters.described().items())
    return html.page(_TITLE, [html.Section("Hyperparameters", (note, table))])


def searched(result: SearchResult, base: Hyperparameters) -> str:
    """Return the page about a search.

    Args:
        result: The result of the search.
        base: The base hyperparameters.
    """
    trials, best, space, objective = result.trials, result.best, result.space, result.objective
    progress = [_best_so_far(trials, objective)]
    if any(trial.reports for trial in trials):
        progress.append(_curves(trials, objective))
    sections = [
        html.Section("Result", (_facts(result), _changes(base, best.values))),
        html.Section("Progress", (html.row(*progress, pairs=True),)),
        html.Section(
            "Trials",
            (
                _overview(trials, space, objective, best),
                _table(trials, space, best),
                run_artifacts.trials_element(_listed(trials, objective)),
            ),
        ),
        html.Section("Search space", (_space(space),), collapsed=True),
    ]
    subtitle = f"{result.algorithm} search, {objective.goal} {objective.metric}"
    return html.page(_TITLE, sections, subtitle=subtitle)


def _listed(trials: Sequence[Trial], objective: Objective) -> list[dict[str, Any]]:
    """Return the trials as tracking records them: each as a run below the run."""
    return [
        {
            "number": trial.number,
            "state": trial.state,
            "parameters": dict(trial.values),
            "metrics": {objective.metric: trial.objective, **trial.additional},
        }
        for trial in trials
    ]


def _facts(result: SearchResult) -> html.Markup:
    states = [trial.state for trial in result.trials]
    facts: dict[str, object] = {
        f"best {result.objective.metric}": result.best.objective,
        "best trial": result.best.title,
        "trials": len(states),
    }
    for state in ("succeeded", "early_stopped", "diverged", "failed"):
        if state in states:
            facts[state.replace("_", " ")] = states.count(state)
    facts["training time, s"] = round(sum(trial.seconds for trial in result.trials), 1)
    return html.facts({**facts, **result.notes})


def _changes(base: Hyperparameters, values: Mapping[str, object]) -> html.Markup:
    before, after = base.described(), base.updated(values).described()
    rows = [
        (name, before[name], after[name], html.badge("searched") if name in values else "")
        for name in before
    ]
    return html.table(("Hyperparameter", "Base", "Best", ""), rows)


def _overview(
    trials: Sequence[Trial], space: SearchSpace, objective: Objective, best: Trial
) -> html.Markup:
    axes = [parameter.name for parameter in space]
    numbers = [trial.number for trial in trials]
    return html.parallel_coordinates(
        axes,
        [[trial.values[name] for name in axes] for trial in trials],
        [float("nan") if trial.objective is None else trial.objective for trial in trials],
        score_label=objective.metric,
        best=numbers.index(best.number),
    )


def _table(trials: Sequence[Trial], space: SearchSpace, best: Trial) -> html.Markup:
    names = [parameter.name for parameter in space]
    metrics = list(dict.fromkeys(metric for trial in trials for metric in trial.additional))
    reported = any(trial.reports for trial in trials)
    rows = [
        (
            trial.title,
            html.badge("best", "good")
            if trial == best
            else html.badge(trial.state.replace("_", " "), _TONES[trial.state]),
            trial.objective,
            *(trial.additional.get(metric) for metric in metrics),
            *(trial.values[name] for name in names),
            *((len(trial.reports),) if reported else ()),
            round(trial.seconds, 1),
            trial.message,
        )
        for trial in trials
    ]
    reports = ("Reports",) if reported else ()
    headers = ("Trial", "State", "Objective", *metrics, *names, *reports, "Seconds", "Reason")
    return html.table(headers, rows)


def _best_so_far(trials: Sequence[Trial], objective: Objective) -> html.Markup:
    each: list[tuple[float, float]] = []
    so_far: list[tuple[float, float]] = []
    for trial in trials:
        if trial.state != "succeeded" or trial.objective is None:
            continue
        each.append((trial.number, trial.objective))
        so_far.append((trial.number, objective.best(value for _, value in each)))
    return html.line_chart(
        {"best so far": so_far, "each trial": each},
        x_label="trial",
        y_label=objective.metric,
        title="Best so far",
    )


def _curves(trials: Sequence[Trial], objective: Objective) -> html.Markup:
    scored = [trial for trial in trials if trial.objective is not None and trial.reports]
    scored.sort(key=lambda t: t.objective or 0.0, reverse=objective.goal == "maximize")
    series = {
        f"trial {trial.title}": list(enumerate(trial.reports, start=1))
        for trial in scored[:_MAX_CURVES]
    }
    title = "Reports of each trial"
    if len(scored) > _MAX_CURVES:
        title = f"Reports of the {_MAX_CURVES} best trials"
    return html.line_chart(series, x_label="report", y_label=objective.metric, title=title)


def _space(space: SearchSpace) -> html.Markup:
    rows = [
        (
            entry["name"],
            entry["parameterType"],
            ", ".join(
                f"{key} {' | '.join(value) if key == 'list' else value}"
                for key, value in entry["feasibleSpace"].items()
            ),
        )
        for entry in to_katib(space)
    ]
    return html.table(("Hyperparameter", "Type", "Feasible space"), rows)
