"""What the statuses of an Experiment and of its Trials say.

From Katib 0.19: `pkg/apis/controller/{experiments,trials}/v1beta1`,
`pkg/controller.v1beta1/experiment/util/status_util.go` and `.../trial/trial_controller_util.go`.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from kfp_tabular.components.common.kubernetes.api import Object
from kfp_tabular.components.common.kubernetes.launch import Verdict
from kfp_tabular.components.tuning.katib.experiment import read_value
from kfp_tabular.components.tuning.objective import Objective
from kfp_tabular.components.tuning.search_space import SearchSpace
from kfp_tabular.components.tuning.study import State, Trial

EXPERIMENT_LABEL = "katib.kubeflow.org/experiment"
TRIAL_LABEL = "katib.kubeflow.org/trial"

_STATES: Mapping[str, State] = {
    "Killed": "failed",
    "Failed": "failed",
    "Succeeded": "succeeded",
    "EarlyStopped": "early_stopped",
    "MetricsUnavailable": "failed",
}
"""By condition, in the order in which Katib looks at them."""

_UNAVAILABLE = "unavailable"


def judge(experiment: Object) -> Verdict:
    """Says what an Experiment's status means.

    A restarted Experiment keeps its earlier conditions, with status False.
    """
    for condition, phase in (("Failed", "failed"), ("Succeeded", "succeeded")):
        found = _condition(experiment, condition)
        if found:
            reason, message = str(found.get("reason", "")), str(found.get("message", ""))
            if phase == "failed":
                return Verdict("failed", reason, message)
            return Verdict("succeeded", reason, message)
    return Verdict("running")


def counts(experiment: Object) -> tuple[int, ...]:
    """Gives what progress is seen by: how many trials are in which state."""
    status = _status(experiment)
    names = ("Succeeded", "EarlyStopped", "Failed", "Killed", "Running", "Pending")
    unavailable = status.get("trialMetricsUnavailable", 0)
    return (*(int(status.get(f"trials{name}", 0)) for name in names), int(unavailable))


def progress(experiment: Object, objective: Objective) -> str:
    """Gives the state of a search in one line."""
    succeeded, stopped, failed, killed, running, pending, unavailable = counts(experiment)
    lost = failed + killed + unavailable
    done = succeeded + stopped + lost
    best = "none yet"
    optimal = _status(experiment).get("currentOptimalTrial") or {}
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
    """Gives the name of the best trial; empty where there is none."""
    optimal = _status(experiment).get("currentOptimalTrial") or {}
    return str(optimal.get("bestTrialName") or "")


def observed(observation: Mapping[str, Any] | None, metric: str, strategy: str) -> float | None:
    """Gives the value of a metric that a trial is judged by.

    Args:
        observation: A trial's observation.
        metric: The metric.
        strategy: `max`, `min` or `latest`; where there is no such value, Katib takes the latest.

    Returns:
        The value; None where there is none, or no finite one.
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
    """Reads the Trials of an Experiment.

    Args:
        resources: The Trials.
        space: What was searched.
        objective: What they are judged by.
        additional: Further metrics with the report that counts.
        failures: By trial, what was seen of its pods when they failed.

    Returns:
        The trials in the order in which they were created, numbered from 0.
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
            message = _message(found) if meaning == "failed" else ""
            break
    if state == "failed" and name in failures:
        message = f"{message}: {failures[name]}" if message else failures[name]
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
            # Shown as Katib has it; only the best trial's values must mean something.
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
