"""The page about a search."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from kfp_tabular.components.common import html
from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.html.blocks import Tone
from kfp_tabular.components.tuning.search.objective import Objective
from kfp_tabular.components.tuning.search.search_space import SearchSpace, to_katib
from kfp_tabular.components.tuning.search.trials import State, Trial

_TITLE = "Hyperparameter tuning"
_MOST_CURVES = 8
_TONES: Mapping[State, Tone] = {
    "succeeded": "neutral",
    "early_stopped": "neutral",
    "running": "neutral",
    "diverged": "warning",
    "failed": "error",
}


def passed_through(hyperparameters: Hyperparameters) -> str:
    """Gives the page for a task that searched nothing.

    Args:
        hyperparameters: What was passed on.
    """
    note = html.paragraph(
        "max_trials is 0: nothing was searched; these hyperparameters were passed on as given."
    )
    table = html.table(("Hyperparameter", "Value"), asdict(hyperparameters).items())
    return html.page(_TITLE, [html.Section("Hyperparameters", (note, table))])


def searched(
    trials: Sequence[Trial],
    leader: Trial,
    space: SearchSpace,
    objective: Objective,
    base: Hyperparameters,
    algorithm: str,
    facts: Mapping[str, object],
) -> str:
    """Gives the page about a search.

    Args:
        trials: Every trial, by number.
        leader: The best of them.
        space: What was searched.
        objective: What trials were judged by.
        base: The hyperparameters that held where a trial had no others.
        algorithm: The name of the search algorithm.
        facts: More to tell, by what it is.
    """
    progress = [_best_so_far(trials, objective)]
    if any(trial.reports for trial in trials):
        progress.append(_curves(trials, objective))
    sections = [
        html.Section(
            "Result", (_facts(trials, leader, objective, facts), _changes(base, leader.values))
        ),
        html.Section("Progress", tuple(progress)),
        html.Section(
            "Trials", (_overview(trials, space, objective, leader), _table(trials, space, leader))
        ),
        html.Section("Search space", (_space(space),), collapsed=True),
    ]
    subtitle = f"{algorithm} search, {objective.goal} {objective.metric}"
    return html.page(_TITLE, sections, subtitle=subtitle)


def _facts(
    trials: Sequence[Trial], leader: Trial, objective: Objective, more: Mapping[str, object]
) -> html.Markup:
    states = [trial.state for trial in trials]
    facts: dict[str, object] = {
        f"best {objective.metric}": leader.objective,
        "best trial": leader.title,
        "trials": len(trials),
    }
    for state in ("succeeded", "early_stopped", "diverged", "failed"):
        if state in states:
            facts[state.replace("_", " ")] = states.count(state)
    facts["training time, s"] = round(sum(trial.seconds for trial in trials), 1)
    return html.facts({**facts, **more})


def _changes(base: Hyperparameters, values: Mapping[str, object]) -> html.Markup:
    before, after = asdict(base), asdict(base.updated(values))
    rows = [
        (name, before[name], after[name], html.badge("searched") if name in values else "")
        for name in before
    ]
    return html.table(("Hyperparameter", "Base", "Best", ""), rows)


def _overview(
    trials: Sequence[Trial], space: SearchSpace, objective: Objective, leader: Trial
) -> html.Markup:
    axes = [parameter.name for parameter in space]
    numbers = [trial.number for trial in trials]
    return html.parallel_coordinates(
        axes,
        [[trial.values[name] for name in axes] for trial in trials],
        [float("nan") if trial.objective is None else trial.objective for trial in trials],
        score_label=objective.metric,
        best=numbers.index(leader.number),
    )


def _table(trials: Sequence[Trial], space: SearchSpace, leader: Trial) -> html.Markup:
    names = [parameter.name for parameter in space]
    metrics = list(dict.fromkeys(metric for trial in trials for metric in trial.additional))
    reported = any(trial.reports for trial in trials)
    rows = [
        (
            trial.title,
            html.badge("best", "good")
            if trial == leader
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
        for trial in scored[:_MOST_CURVES]
    }
    title = "Reports of each trial"
    if len(scored) > _MOST_CURVES:
        title = f"Reports of the {_MOST_CURVES} best trials"
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
