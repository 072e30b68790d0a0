"""Trials: one training each, how it ended, and which one is best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from kfp_tabular.components.common.errors import USER_ERROR_EXIT_CODE, UserError
from kfp_tabular.components.tuning.search.objective import Objective
from kfp_tabular.components.tuning.search.search_space import Value

State = Literal["running", "succeeded", "early_stopped", "diverged", "failed"]


@dataclass(frozen=True)
class Trial:
    """One training with one set of hyperparameters.

    Attributes:
        number: Counted from 0 in the order in which trials started.
        values: The hyperparameters that were searched.
        state: `running`; `succeeded`; `early_stopped` by the early stopping rule; `diverged`
            where training ended well but its objective was never finite; `failed`.
        objective: The trial's value; None unless it succeeded or was stopped early.
        reports: Every value of the objective that it reported.
        seconds: How long it ran.
        message: Of a failed trial, why.
        name: What Katib calls it; empty for a process of this task.
        additional: Further metrics that were asked for, by name.
    """

    number: int
    values: Mapping[str, Value]
    state: State = "running"
    objective: float | None = None
    reports: tuple[float, ...] = ()
    seconds: float = 0.0
    message: str = ""
    name: str = ""
    additional: Mapping[str, float] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What to call it: Katib's name, or its number."""
        return self.name or str(self.number)


def best(trials: Sequence[Trial], objective: Objective) -> Trial | None:
    """Gives the best trial that succeeded; of equal ones the first. None where none did."""
    succeeded = [trial for trial in trials if trial.state == "succeeded"]
    objectives = [trial.objective for trial in succeeded if trial.objective is not None]
    if not objectives:
        return None
    leading = objective.best(objectives)
    return next(trial for trial in succeeded if trial.objective == leading)


def failure(failed: Sequence[Trial], why: str) -> Exception:
    """Makes the error that says which trials failed, and how.

    Args:
        failed: The trials.
        why: What follows from that.

    Returns:
        A `UserError` where each of them diverged or failed for bad input or configuration, else
        a `RuntimeError`, so that the task may be retried.
    """
    by_message: dict[str, list[str]] = {}
    for trial in failed:
        by_message.setdefault(trial.message, []).append(trial.title)
    causes = "; ".join(
        f"trial{'s' if len(titles) > 1 else ''} {', '.join(titles)}: {message}"
        for message, titles in by_message.items()
    )
    bad_input = f"exit code {USER_ERROR_EXIT_CODE}:"
    hopeless = bool(failed) and all(
        t.state == "diverged" or t.message.startswith(bad_input) for t in failed
    )
    kind = UserError if hopeless else RuntimeError
    return kind(f"tuning: {why}. {causes}".strip())


def describe(trial: Trial) -> str:
    """Gives a trial's hyperparameters in one line."""
    return ", ".join(
        f"{name}={value:.6g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in trial.values.items()
    )
