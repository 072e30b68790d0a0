"""A simulation of Katib's controllers; a script decides how trials end.

Trials, their conditions, observations and the Experiment's status are those that Katib 0.19 writes:
`pkg/controller.v1beta1/{experiment,trial}`. Pods are what the operators under it would leave.
"""

import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from kfp_tabular.components.common.kubernetes.client.resource_kinds import (
    EXPERIMENT,
    POD,
    SUGGESTION,
    TRIAL,
)
from tests.cluster.clusters import Cluster, Refused
from tests.cluster.operators import now, wait_until

Object = dict[str, Any]

_STATES = {
    "Killed": "trialsKilled",
    "Failed": "trialsFailed",
    "Succeeded": "trialsSucceeded",
    "EarlyStopped": "trialsEarlyStopped",
    "MetricsUnavailable": "trialMetricsUnavailable",
    "Running": "trialsRunning",
}

_SLOW = "example.com/container-ends"
"""Finalizer of pods, which do not end at once."""


class Search:
    """An Experiment and the actions of a script on it."""

    def __init__(self, cluster: Cluster, experiment: Object) -> None:
        self.cluster = cluster
        self.experiment = experiment
        self.name = experiment["metadata"]["name"]
        self.trials = 0

    @property
    def spec(self) -> Object:
        """The Experiment's spec."""
        spec: Object = self.experiment["spec"]
        return spec

    def trial(self, pod: bool = True, **values: object) -> str:
        """Start a trial with a running pod; return its name."""
        name = f"{self.name}-{self.trials:08x}"
        self.trials += 1
        self.cluster.admin.create(
            TRIAL,
            {
                "apiVersion": TRIAL.api_version,
                "kind": TRIAL.kind,
                "metadata": {
                    "name": name,
                    "labels": {"katib.kubeflow.org/experiment": self.name},
                    "ownerReferences": [_owner(self.experiment)],
                },
                "spec": {
                    "objective": self.spec["objective"],
                    "parameterAssignments": [
                        {"name": key, "value": str(value)} for key, value in values.items()
                    ],
                },
            },
        )
        self._trial_status(name, {"startTime": now()})
        self._condition(name, "Running", "TrialRunning", "Trial is running")
        if pod:
            self.pod(name)
        self.update()
        return name

    def pod(self, trial: str, name: str = "", **status: Any) -> str:
        """Create a trial's pod, running unless given otherwise; return its name."""
        name = name or f"{trial}-chief-0"
        template = self.spec["trialTemplate"]
        container = template["primaryContainerName"]
        self.cluster.admin.create(
            POD,
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": name,
                    "finalizers": [_SLOW],
                    "labels": {
                        "katib.kubeflow.org/experiment": self.name,
                        "katib.kubeflow.org/trial": trial,
                    },
                    "ownerReferences": [_owner(self._get(trial))],
                },
                "spec": {
                    "containers": [
                        {
                            "name": container,
                            "image": "registry.example.com/trainer:1",
                            "resources": {"limits": {"memory": "512Mi"}},
                        },
                        {"name": "metrics-logger-and-collector", "image": "collector:1"},
                    ]
                },
            },
        )
        self.pod_status(name, **(status or {"state": {"running": {"startedAt": now()}}}))
        return name

    def pod_status(self, pod: str, phase: str = "Running", **more: Any) -> None:
        """Write a pod's status.

        Args:
            pod: Its name.
            phase: Its phase.
            more: `state` of the container that trains, or fields of the status.
        """
        state = more.pop("state", None)
        status = {"phase": phase, **more}
        if state is not None:
            status["containerStatuses"] = [
                {
                    "name": self.spec["trialTemplate"]["primaryContainerName"],
                    "image": "registry.example.com/trainer:1",
                    "imageID": "",
                    "ready": "running" in state,
                    "restartCount": 0,
                    "state": state,
                }
            ]
        self.cluster.admin.status(POD, pod, status)

    def succeed(self, trial: str, value: float, **additional: float) -> None:
        """End a trial with a value of the objective."""
        self.observe(trial, value, **additional)
        self._end(trial, "Succeeded", "TrialSucceeded", "Trial has succeeded")

    def stop_early(self, trial: str, value: float) -> None:
        """End a trial that did worse than others."""
        self.observe(trial, value)
        self._end(trial, "EarlyStopped", "TrialEarlyStopped", "Trial is early stopped")

    def lose_metrics(self, trial: str) -> None:
        """End a trial that reported nothing."""
        self._end(trial, "MetricsUnavailable", "MetricsUnavailable", "Metrics are not available")

    def fail(
        self, trial: str, code: int = 1, reason: str = "Error", log: tuple[str, ...] = ()
    ) -> None:
        """End a trial whose pod failed; Katib then deletes the pod."""
        pod = f"{trial}-chief-0"
        container = self.spec["trialTemplate"]["primaryContainerName"]
        logs = self.cluster.logs
        logs.write(self.cluster.namespace, pod, container, *log)
        logs.end(self.cluster.namespace, pod, container)
        ended = {"exitCode": code, "reason": reason, "finishedAt": now()}
        self.pod_status(pod, "Failed", state={"terminated": ended})
        # The launcher's watch needs a moment, as it has on a cluster: two reconciliations.
        threading.Event().wait(0.3)
        message = f"Trial has failed. Job message: TFJob {trial} has failed"
        self._end(trial, "Failed", "TrialFailed. Job reason: TFJobFailed", message)
        self.cluster.admin.delete(POD, pod)

    def observe(self, trial: str, value: float, **additional: float) -> None:
        """Write a trial's observation."""
        metric = self.spec["objective"]["objectiveMetricName"]
        metrics = [_metric(name, found) for name, found in {metric: value, **additional}.items()]
        self._trial_status(trial, {"observation": {"metrics": metrics}})

    def finish(self, reason: str = "ExperimentMaxTrialsReached") -> None:
        """End the Experiment as a success."""
        self._experiment_condition("Succeeded", reason, "Experiment has succeeded")

    def give_up(self, message: str = "Experiment has failed because max failed count") -> None:
        """End the Experiment as a failure."""
        self._experiment_condition("Failed", "ExperimentFailed", message)

    def refuse(self, message: str) -> None:
        """End the Experiment because the algorithm's service rejects it."""
        self.cluster.admin.create(
            SUGGESTION,
            {
                "apiVersion": SUGGESTION.api_version,
                "kind": SUGGESTION.kind,
                "metadata": {
                    "name": self.name,
                    "ownerReferences": [_owner(self.experiment)],
                },
                "spec": {},
            },
        )
        condition = {"type": "Failed", "status": "True", "message": message}
        self.cluster.admin.status(SUGGESTION, self.name, {"conditions": [condition]})
        self.give_up("Suggestion has failed")

    def update(self) -> None:
        """Count the trials in the Experiment's status."""
        found = [
            trial
            for trial in self.cluster.admin.list(TRIAL)
            if trial["metadata"]["labels"]["katib.kubeflow.org/experiment"] == self.name
        ]
        status: Object = {"trials": len(found), **dict.fromkeys(_STATES.values(), 0)}
        best: tuple[float, Object] | None = None
        maximize = self.spec["objective"]["type"] == "maximize"
        for trial in found:
            true = {
                condition["type"]
                for condition in trial.get("status", {}).get("conditions", ())
                if condition["status"] == "True"
            }
            state = next((state for state in _STATES if state in true), "")
            if state:
                status[_STATES[state]] += 1
            metrics = trial.get("status", {}).get("observation", {}).get("metrics", ())
            if metrics:
                value = float(metrics[0]["max" if maximize else "min"])
                if best is None or (value > best[0] if maximize else value < best[0]):
                    best = (value, trial)
        if best is not None:
            status["currentOptimalTrial"] = {
                "bestTrialName": best[1]["metadata"]["name"],
                "parameterAssignments": best[1]["spec"]["parameterAssignments"],
                "observation": best[1]["status"]["observation"],
            }
        self.cluster.admin.status(EXPERIMENT, self.name, status)

    def _end(self, trial: str, condition: str, reason: str, message: str) -> None:
        self._trial_status(trial, {"completionTime": now()})
        self._condition(trial, condition, reason, message)
        self.update()

    def _condition(self, trial: str, kind: str, reason: str, message: str) -> None:
        before = self._get(trial).get("status", {}).get("conditions", [])
        kept = [
            {**entry, "status": "False"} if entry["type"] == "Running" else entry
            for entry in before
        ]
        self._trial_status(trial, {"conditions": [*kept, _condition(kind, reason, message)]})

    def _experiment_condition(self, kind: str, reason: str, message: str) -> None:
        self.update()
        running = {**_condition("Running", "ExperimentRunning", ""), "status": "False"}
        conditions = [running, _condition(kind, reason, message)]
        status = {"conditions": conditions, "completionTime": now()}
        self.cluster.admin.status(EXPERIMENT, self.name, status)

    def _trial_status(self, trial: str, status: Mapping[str, Any]) -> None:
        self.cluster.admin.status(TRIAL, trial, status)

    def _get(self, trial: str) -> Object:
        found = self.cluster.admin.get(TRIAL, trial)
        if found is None:
            raise Refused(f"no trial {trial}: 404 ")
        return found


Script = Callable[[Search], None]


class Katib:
    """Runs a script for each Experiment that appears.

    Attributes:
        searches: Every Experiment that ever was, in order.
    """

    def __init__(self, cluster: Cluster, script: Script) -> None:
        self.searches: list[Search] = []
        self._cluster, self._script = cluster, script
        self._errors: list[str] = []
        self._stop = threading.Event()

    @contextmanager
    def working(self) -> "Iterator[Katib]":
        """Run during the block."""
        threads = [
            threading.Thread(target=target, name="katib", daemon=True)
            for target in (self._watch, self._reconcile)
        ]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(20)
            assert not self._errors, "\n".join(self._errors)

    def search(self) -> Search:
        """Wait for the first Experiment."""
        wait_until(lambda: bool(self.searches), "an Experiment")
        return self.searches[0]

    def _watch(self) -> None:
        seen: set[str] = set()
        while not self._stop.is_set():
            for experiment in self._cluster.admin.list(EXPERIMENT):
                uid = experiment["metadata"]["uid"]
                if uid not in seen:
                    seen.add(uid)
                    self.searches.append(Search(self._cluster, experiment))
                    self._play(self.searches[-1])
            self._stop.wait(0.02)

    def _reconcile(self) -> None:
        """End pods that are deleted, and create what a trial lacks while the trial exists.

        Katib does so even where the trial is being deleted, and only waits for that to be gone.
        """
        again = 0
        while not self._stop.wait(0.02):
            for pod in self._cluster.admin.list(POD):
                metadata = pod["metadata"]
                if (
                    _SLOW not in metadata.get("finalizers", ())
                    or "deletionTimestamp" not in metadata
                ):
                    continue
                labels = metadata["labels"]
                name = labels["katib.kubeflow.org/trial"]
                trial = self._cluster.admin.get(TRIAL, name)
                with suppress(Refused):
                    if trial is not None and trial["metadata"].get("deletionTimestamp"):
                        again += 1
                        search = next(
                            found
                            for found in self.searches
                            if found.name == labels["katib.kubeflow.org/experiment"]
                        )
                        search.pod(name, f"{name}-again-{again}")
                    self._cluster.admin.patch(
                        POD, metadata["name"], {"metadata": {"finalizers": None}}
                    )

    def _play(self, search: Search) -> None:
        try:
            self._script(search)
        except Refused as refused:
            # What is deleted takes its trials along, in the midst of a script.
            if "404" not in str(refused):
                self._errors.append(traceback.format_exc())
        except (AssertionError, KeyError, TypeError, TimeoutError):
            self._errors.append(traceback.format_exc())


def _owner(resource: Object) -> Object:
    return {
        "apiVersion": resource["apiVersion"],
        "kind": resource["kind"],
        "name": resource["metadata"]["name"],
        "uid": resource["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _metric(name: str, value: float) -> Object:
    text = f"{value:g}"
    return {"name": name, "min": text, "max": text, "latest": text}


def _condition(kind: str, reason: str, message: str) -> Object:
    return {
        "type": kind,
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": now(),
        "lastUpdateTime": now(),
    }
