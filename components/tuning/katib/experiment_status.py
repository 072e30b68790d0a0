"""The meaning of the statuses of an Experiment and its Trials.

Comments follow the source of Katib 0.19: `pkg/apis/controller/{experiments,trials}/v1beta1`,
`pkg/controller.v1beta1/experiment/util/status_util.go` and `.../trial/trial_controller_util.go`.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from kfp_tabular.components.common.kubernetes.client.resource_kinds import Object
from kfp_tabular.components.common.kubernetes.jobs.launch import Verdict
from kfp_tabular.components.tuning.katib.experiment import read_value
from kfp_tabular.components.tuning.search.objective import Objective
from kfp_tabular.components.tuning.search.search_space import SearchSpace
from kfp_tabular.components.tuning.search.trials import State, Trial

EXPERIMENT_LABEL = "katib.kubeflow.org/experiment"
TRIAL_LABEL = "katib.kubeflow.org/trial"

_STATES: Mapping[str, State] = {
    "Killed": "failed",
    "Failed": "failed",
    "Succeeded": "succeeded",
    "EarlyStopped": "early_stopped",
    "MetricsUnavailable": "failed",
}
"""The state by condition, in the order in which Katib checks them."""

_UNAVAILABLE = "unavailable"


NO_OPTIMAL_TRIAL = "NoOptimalTrial"
"""The reason of an Experiment that succeeded for Katib, but has no best trial."""


def judge(experiment: Object, objective: Objective) -> Verdict:
    """Return whether an Experiment is running, succeeded or failed, and its progress.

    A restarted Experiment keeps its earlier conditions, with status False.

    Args:
        experiment: The Experiment; it may have no status yet.
        objective: The objective of the search.

    Example:
        >>> succeeded = {"type": "Succeeded", "status": "True", "reason": "ExperimentGoalReached"}
        >>> status = {"conditions": [succeeded], "currentOptimalTrial": {"bestTrialName": "t-1"}}
        >>> experiment = {"spec": {"maxTrialCount": 12}, "status": status}
        >>> verdict = judge(experiment, Objective("eval_auc", "maximize", "max"))
        >>> verdict.phase, verdict.reason
        ('succeeded', 'ExperimentGoalReached')
    """
    failed = _condition(experiment, "Failed")
    if failed:
        return Verdict("failed", str(failed.get("reason", "")), str(failed.get("message", "")))
    state = progress(experiment, objective)
    succeeded = _condition(experiment, "Succeeded")
    if succeeded and optimal_trial(experiment):
        return Verdict("succeeded", str(succeeded.get("reason", "")), state)
    if succeeded:
        return Verdict("failed", NO_OPTIMAL_TRIAL, f"no trial reported the objective; {state}")
    return Verdict("running", "", state)


def progress(experiment: Object, objective: Objective) -> str:
    """Return the progress of a search in one line.

    Example:
        >>> status = {"trialsSucceeded": 3, "trialsRunning": 2, "trialsFailed": 1}
        >>> experiment = {"spec": {"maxTrialCount": 12}, "status": status}
        >>> progress(experiment, Objective("eval_auc", "maximize", "max"))
        '4 of 12 trials done, 2 running, 1 failed; best none yet'
    """
    status = _status(experiment)
    # Only the last of these names is in the singular.
    lost = _sum(status, "trialsFailed", "trialsKilled", "trialMetricsUnavailable")
    stopped, running = _sum(status, "trialsEarlyStopped"), _sum(status, "trialsRunning")
    pending, done = _sum(status, "trialsPending"), _sum(status, "trialsSucceeded") + stopped + lost
    best = "none yet"
    optimal = status.get("currentOptimalTrial") or {}
    value = observed(optimal.get("observation"), objective.metric, objective.strategy)
    if optimal.get("bestTrialName") and value is not None:
        best = f"{objective.metric}={value:.6g} in {optimal['bestTrialName']}"
    waiting = f", {pending} waiting" if pending else ""
    early = f", {stopped} of them stopped early" if stopped else ""
    total = experiment["spec"].get("maxTrialCount", "?")
    return (
        f"{done} of {total} trials done{early}, {running} running{waiting}, {lost} failed; "
        f"best {best}"
    )


def optimal_trial(experiment: Object) -> str:
    """Return the name of the best trial; empty if there is none.

    Example:
        >>> optimal_trial({"status": {"currentOptimalTrial": {"bestTrialName": "taxi-x7k2"}}})
        'taxi-x7k2'
        >>> optimal_trial({})
        ''
    """
    optimal = _status(experiment).get("currentOptimalTrial") or {}
    return str(optimal.get("bestTrialName") or "")


def failure(resource: Object) -> str:
    """Return the message of a resource that failed; empty if it did not fail, or has none.

    Example:
        >>> condition = {"type": "Failed", "status": "True", "message": "gamma is out of range"}
        >>> failure({"status": {"conditions": [condition]}})
        'gamma is out of range'
    """
    found = _condition(resource, "Failed")
    return str(found.get("message", "")) if found else ""


def observed(observation: Mapping[str, Any] | None, metric: str, strategy: str) -> float | None:
    """Return a trial's value of a metric.

    Args:
        observation: The trial's observation.
        metric: The metric.
        strategy: `max`, `min` or `latest`; without such a value, Katib uses the latest.

    Returns:
        The value; None if there is none, or it is not finite.

    Example:
        >>> observed({"metrics": [{"name": "auc", "max": "0.9", "latest": "0.8"}]}, "auc", "max")
        0.9
    """
    for entry in (observation or {}).get("metrics") or ():
        if entry.get("name") != metric:
            continue
        for key in (strategy, "latest"):
            text = entry.get(key)
            if text in (None, "", _UNAVAILABLE):
                continue
            try:
                number = float(text)
            except ValueError:
                continue
            return number if math.isfinite(number) else None
    return None


def trials(
    resources: Sequence[Object],
    space: SearchSpace,
    objective: Objective,
    additional: Mapping[str, str],
    failures: Mapping[str, str],
) -> list[Trial]:
    """Return the trials of an Experiment.

    Args:
        resources: The Trial resources.
        space: The search space.
        objective: The objective of the search.
        additional: The additional metrics, with the report that counts.
        failures: Why pods failed, by trial.

    Returns:
        The trials in the order of their creation, numbered from 0.

    Example:
        >>> from kfp_tabular.components.tuning.search.search_space import Choice
        >>> resource = {
        ...     "metadata": {"name": "taxi-x7k2"},
        ...     "spec": {"parameterAssignments": [{"name": "model_type", "value": "dnn"}]},
        ... }
        >>> space = (Choice("model_type", "categorical", ("dnn", "linear")),)
        >>> [trial] = trials([resource], space, Objective("eval_auc", "maximize", "max"), {}, {})
        >>> trial.title, trial.values, trial.state
        ('taxi-x7k2', {'model_type': 'dnn'}, 'running')
    """
    ordered = sorted(
        resources,
        key=lambda resource: (
            resource["metadata"].get("creationTimestamp", ""),
            resource["metadata"]["name"],
        ),
    )
    return [
        _trial(number, resource, space, objective, additional, failures)
        for number, resource in enumerate(ordered)
    ]


def _sum(status: Mapping[str, Any], *names: str) -> int:
    return sum(int(status.get(name) or 0) for name in names)


def _trial(
    number: int,
    resource: Object,
    space: SearchSpace,
    objective: Objective,
    additional: Mapping[str, str],
    failures: Mapping[str, str],
) -> Trial:
    name = resource["metadata"]["name"]
    observation = _status(resource).get("observation")
    state: State = "running"
    message = ""
    for condition, meaning in _STATES.items():
        found = _condition(resource, condition)
        if found:
            state = meaning
            if meaning == "failed":
                # Katib reports which job failed; its pods, why.
                message = "; ".join(filter(None, (failures.get(name, ""), _message(found))))
            break
    metrics = {
        metric: observed(observation, metric, strategy) for metric, strategy in additional.items()
    }
    return Trial(
        number=number,
        name=name,
        values=_values(resource, space),
        state=state,
        objective=observed(observation, objective.metric, objective.strategy),
        seconds=_seconds(_status(resource)),
        message=message,
        additional={metric: value for metric, value in metrics.items() if value is not None},
    )


def _values(resource: Object, space: SearchSpace) -> dict[str, Any]:
    assigned = {
        entry["name"]: entry["value"]
        for entry in resource["spec"].get("parameterAssignments") or ()
    }
    found: dict[str, Any] = {}
    for entry in space:
        text = assigned.get(entry.name, "")
        try:
            found[entry.name] = read_value(entry, text)
        except (ArithmeticError, ValueError):
            # Shown as Katib has it; only the best trial's values must be valid.
            found[entry.name] = text
    return found


def _message(condition: Mapping[str, Any]) -> str:
    if condition["type"] == "MetricsUnavailable":
        return "it ended without a finite value of the objective"
    return str(condition.get("message") or condition.get("reason") or condition["type"])


def _seconds(status: Mapping[str, Any]) -> float:
    moments = []
    for key in ("startTime", "completionTime"):
        try:
            moments.append(datetime.fromisoformat(str(status.get(key))))
        except ValueError:
            return 0.0
    return max(0.0, (moments[1] - moments[0]).total_seconds())


def _condition(resource: Object, kind: str) -> Mapping[str, Any] | None:
    for condition in _status(resource).get("conditions") or ():
        if condition.get("type") == kind and condition.get("status") == "True":
            found: Mapping[str, Any] = condition
            return found
    return None


def _status(resource: Object) -> Mapping[str, Any]:
    return resource.get("status") or {}
