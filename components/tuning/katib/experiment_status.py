"""What the statuses of an Experiment and of its Trials say.

From Katib 0.19: `pkg/apis/controller/{experiments,trials}/v1beta1`,
`pkg/controller.v1beta1/experiment/util/status_util.go` and `.../trial/trial_controller_util.go`.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from kfp_tabular.components.common.kubernetes.client.kinds import Object
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
"""By condition, in the order in which Katib looks at them."""

_UNAVAILABLE = "unavailable"


NO_OPTIMAL_TRIAL = "NoOptimalTrial"
"""The reason of an Experiment that Katib calls succeeded, and that found nothing."""


def judge(experiment: Object, objective: Objective) -> Verdict:
    """Says what an Experiment's status means, and how far it is.

    A restarted Experiment keeps its earlier conditions, with status False.

    Args:
        experiment: The Experiment; it may have no status yet.
        objective: What trials are judged by.
    """
    failed = _condition(experiment, "Failed")
    if failed:
        return Verdict("failed", str(failed.get("reason", "")), str(failed.get("message", "")))
    state = progress(experiment, objective)
    succeeded = _condition(experiment, "Succeeded")
    if succeeded and optimal_trial(experiment):
        return Verdict("succeeded", str(succeeded.get("reason", "")), state)
    if succeeded:
        return Verdict("failed", NO_OPTIMAL_TRIAL, f"no trial gave the objective a value; {state}")
    return Verdict("running", "", state)


def progress(experiment: Object, objective: Objective) -> str:
    """Gives the state of a search in one line."""
    status = _status(experiment)
    # The last one's name is the only one in the singular.
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
    """Gives the name of the best trial; empty where there is none."""
    optimal = _status(experiment).get("currentOptimalTrial") or {}
    return str(optimal.get("bestTrialName") or "")


def failure(resource: Object) -> str:
    """Gives the message of a resource that failed; empty where it did not, or says nothing."""
    found = _condition(resource, "Failed")
    return str(found.get("message", "")) if found else ""


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
                # Katib says which job failed; its pods, why.
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
