"""Trials: one training each, how it ended, and which one is best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from kfp_tabular.components.common.errors import (
    USER_ERROR_EXIT_CODE,
    UserError,
    find_user_error,
)
from kfp_tabular.components.tuning.search.objective import Objective
from kfp_tabular.components.tuning.search.search_space import Value

State = Literal["running", "succeeded", "early_stopped", "diverged", "failed"]

MAX_MESSAGE_LENGTH = 400


@dataclass(frozen=True)
class Trial:
    """One training with one set of hyperparameters.

    Attributes:
        number: Counted from 0 in the order in which trials started.
        values: The hyperparameters that were searched.
        state: `running`; `succeeded`; `early_stopped` by the early stopping rule; `diverged` if
            training succeeded but its objective was never finite; `failed`.
        objective: The trial's value; None unless it succeeded or was stopped early.
        reports: All values of the objective that it reported.
        seconds: How long it ran.
        message: Why it failed.
        name: Its name in Katib; empty for a process of this task.
        additional: The additional metrics, by name.
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
        """The name to show: Katib's, or the number."""
        return self.name or str(self.number)

    def described_values(self) -> str:
        """Return the searched hyperparameters in one line.

        Example:
            >>> Trial(0, {"learning_rate": 0.00123456789, "epochs": 3}).described_values()
            'learning_rate=0.00123457, epochs=3'
        """
        return ", ".join(
            f"{name}={value:.6g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in self.values.items()
        )


def best(trials: Sequence[Trial], objective: Objective) -> Trial | None:
    """Return the best trial that succeeded, the first of equal ones; None if none succeeded.

    Example:
        >>> trials = [Trial(0, {}, "succeeded", 0.7), Trial(1, {}, "succeeded", 0.9)]
        >>> best(trials, Objective("eval_auc", "maximize", "max")).number
        1
    """
    succeeded = [trial for trial in trials if trial.state == "succeeded"]
    objectives = [trial.objective for trial in succeeded if trial.objective is not None]
    if not objectives:
        return None
    leading = objective.best(objectives)
    return next(trial for trial in succeeded if trial.objective == leading)


def failure(failed: Sequence[Trial], why: str) -> Exception:
    """Return the error for a search that failed, with the trials that failed and why.

    Args:
        failed: The trials that failed.
        why: What their failure means for the search.

    Returns:
        A `UserError` if each of them diverged or failed for bad input or configuration; else a
        `RuntimeError`, so that the task may be retried.

    Example:
        >>> failure([Trial(3, {}, "failed", message="signal 9: Killed")], "no trial succeeded")
        RuntimeError('tuning: no trial succeeded. trial 3: signal 9: Killed')
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
        trial.state == "diverged" or trial.message.startswith(bad_input) for trial in failed
    )
    kind = UserError if hopeless else RuntimeError
    return kind(f"tuning: {why}. {causes}".strip())


def telling_line(log: Sequence[str]) -> str:
    """Return the line of a log that best explains a failure: the user error, or the last line.

    Args:
        log: The end of the log.

    Example:
        >>> telling_line(["step 1", "kfp-tabular: error: l2 is too large", "exiting"])
        'l2 is too large'
    """
    lines = [line.strip() for line in log if line.strip()]
    telling = find_user_error(lines) or (lines[-1] if lines else "its log is empty")
    return telling[:MAX_MESSAGE_LENGTH]
