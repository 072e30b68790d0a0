"""A Training Operator and a Trainer, as a training task sees them.

They watch for jobs, make pods with the labels and variables of the real ones, run a function in the
place of each pod's container, and write the status that the real ones would.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kfp_tabular.components.common.kubernetes.client.resource_kinds import (
    POD,
    TFJOB,
    TRAINJOB,
    Kind,
)
from tests.cluster.api_server import ApiServer
from tests.cluster.objects import Refusal

REPLICA_ORDER = ("Chief", "PS", "Worker", "Evaluator")


@dataclass
class Container:
    """A container that is about to run.

    Attributes:
        pod: The pod's name.
        template: The pod's template, with variables filled in by the operator.
        attempt: How often it was started before.
        ended: Set when its pod is deleted.
    """

    pod: str
    template: Mapping[str, Any]
    attempt: int
    ended: threading.Event
    write: Callable[[str], None]

    @property
    def spec(self) -> Mapping[str, Any]:
        """The container's part of the template."""
        spec: Mapping[str, Any] = self.template["spec"]["containers"][0]
        return spec

    @property
    def arguments(self) -> list[str]:
        """Its arguments, as the kubelet passes them."""
        return [argument.replace("$$(", "$(") for argument in self.spec["args"]]

    def flag(self, name: str) -> str:
        """Return the value of a flag."""
        start = f"--{name}="
        found = [value for value in self.arguments if value.startswith(start)]
        assert len(found) == 1, (name, self.arguments)
        return found[0].removeprefix(start)

    def environment(self, secrets: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
        """Return its variables, with those from secrets filled in."""
        found = {}
        for entry in self.spec["env"]:
            if "value" in entry:
                found[entry["name"]] = entry["value"].replace("$$(", "$(")
            elif "secretKeyRef" in entry["valueFrom"]:
                reference = entry["valueFrom"]["secretKeyRef"]
                found[entry["name"]] = secrets[reference["name"]][reference["key"]]
        return found


TrainingSteps = Callable[[Container], int]


@dataclass
class Operator:
    """Runs the jobs of one API server.

    Attributes:
        server: The API server.
        program: What runs in each container; gives its exit code.
        restarts: How often a container that failed is started again.
        hosts: Returns a TF_CONFIG address for each pod; `None` for those of the real operator.
        jobs: Every job seen, in order.
    """

    server: ApiServer
    program: TrainingSteps
    restarts: int = 0
    hosts: Callable[[int], list[str]] | None = None
    jobs: list[Mapping[str, Any]] = field(default_factory=list)
    _known: set[str] = field(default_factory=set)
    _stopping: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator["Operator"]:
        """Watch for the duration of the block."""
        thread = threading.Thread(target=self._watch, name="operator", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stopping.set()
            thread.join(10)

    def _watch(self) -> None:
        store = self.server.store
        while not self._stopping.is_set():
            for kind in (TFJOB, TRAINJOB):
                for job in store.list(kind, ""):
                    if job["metadata"]["uid"] not in self._known:
                        self._known.add(job["metadata"]["uid"])
                        self.jobs.append(job)
                        threading.Thread(target=self._run, args=(kind, job), daemon=True).start()
            with store.changed:
                store.changed.wait(0.05)

    def _run(self, kind: Kind, job: Mapping[str, Any]) -> None:
        metadata = job["metadata"]
        pods = list(self._tfjob_pods(job) if kind is TFJOB else self._trainjob_pods(job))
        created = {"type": "Created", "status": "True", "reason": f"{kind.kind}Created"}
        self._conditions(kind, metadata, [created] if kind is TFJOB else [])
        codes: dict[str, int] = {}
        threads = [
            threading.Thread(
                target=self._run_pod, args=(kind, job, name, labels, template, codes), daemon=True
            )
            for name, labels, template in pods
        ]
        for thread in threads:
            thread.start()
        chief = pods[0][0]
        if kind is TFJOB:
            # The chief decides, and any pod that failed for good.
            while chief not in codes and not any(codes.values()):
                if self._stopping.wait(0.02):
                    return
        else:
            for thread in threads:
                thread.join()
        failed = sum(map(bool, codes.values()))
        self._conditions(kind, metadata, [_verdict(kind, failed)])

    def _run_pod(
        self,
        kind: Kind,
        job: Mapping[str, Any],
        name: str,
        labels: Mapping[str, str],
        template: dict[str, Any],
        codes: dict[str, int],
    ) -> None:
        namespace = job["metadata"]["namespace"]
        container = template["spec"]["containers"][0]["name"]
        owner = {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "name": job["metadata"]["name"],
            "uid": job["metadata"]["uid"],
            "controller": True,
        }
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "labels": {**template["metadata"]["labels"], **labels},
                "ownerReferences": [owner],
            },
            "spec": template["spec"],
        }
        try:
            self.server.store.create(POD, namespace, body)
        except Refusal:
            return
        code, attempt, ended = 1, 0, threading.Event()
        while True:
            last = code if attempt else None
            self._pod_status(namespace, name, _status(container, attempt, None, "", last))
            started = Container(
                name,
                template,
                attempt,
                ended,
                lambda text: self.server.logs.write(namespace, name, container, text),
            )
            code = self.program(started)
            # A TrainJob's runtime has a rule for bad input; a TFJob has none.
            if code == 0 or (code == 2 and kind is TRAINJOB) or attempt >= self.restarts:
                break
            attempt += 1
            self.server.logs.restart(namespace, name, container)
        self.server.logs.end(namespace, name, container)
        self._pod_status(namespace, name, _status(container, attempt, code, ""))
        codes[name] = code

    def _tfjob_pods(self, job: Mapping[str, Any]) -> Iterator[tuple[str, dict, dict]]:
        name, namespace = job["metadata"]["name"], job["metadata"]["namespace"]
        replicas = job["spec"]["tfReplicaSpecs"]
        order = [role for role in REPLICA_ORDER if role in replicas]
        total = sum(replicas[role]["replicas"] for role in order)
        local = self.hosts(total) if self.hosts else []
        cluster = {}
        for role in order:
            kind = role.lower()
            count = replicas[role]["replicas"]
            cluster[kind] = [
                local.pop(0) if local else f"{name}-{kind}-{index}.{namespace}.svc:2222"
                for index in range(count)
            ]
        for role in order:
            kind = role.lower()
            for index in range(replicas[role]["replicas"]):
                template = json.loads(json.dumps(replicas[role]["template"]))
                if total > 1:
                    task = {"type": kind, "index": index}
                    config = {"cluster": cluster, "task": task, "environment": "cloud"}
                    template["spec"]["containers"][0]["env"].append(
                        {"name": "TF_CONFIG", "value": json.dumps(config)}
                    )
                labels = {
                    "training.kubeflow.org/operator-name": "tfjob-controller",
                    "training.kubeflow.org/job-name": name,
                    "training.kubeflow.org/replica-type": kind,
                    "training.kubeflow.org/replica-index": str(index),
                }
                if role == "Chief":
                    labels["training.kubeflow.org/job-role"] = "master"
                yield f"{name}-{kind}-{index}", labels, template

    def _trainjob_pods(self, job: Mapping[str, Any]) -> Iterator[tuple[str, dict, dict]]:
        name, trainer = job["metadata"]["name"], job["spec"]["trainer"]
        patch = job["spec"]["runtimePatches"][0]["trainingRuntimeSpec"]["template"]["spec"]
        patched = patch["replicatedJobs"][0]["template"]["spec"]["template"]
        for index in range(trainer["numNodes"]):
            template = json.loads(json.dumps(patched))
            template["spec"]["containers"][0].update(
                image=trainer["image"],
                command=trainer["command"],
                args=trainer["args"],
                env=[
                    *trainer["env"],
                    {"name": "JOB_COMPLETION_INDEX", "value": str(index)},
                    {"name": "KFP_TABULAR_JOBSET", "value": name},
                ],
            )
            labels = {
                "jobset.sigs.k8s.io/jobset-name": name,
                "jobset.sigs.k8s.io/replicatedjob-name": "node",
                "batch.kubernetes.io/job-completion-index": str(index),
            }
            yield f"{name}-node-0-{index}-abcde", labels, template

    def _conditions(self, kind: Kind, metadata: Mapping[str, Any], conditions: list) -> None:
        for condition in conditions:
            condition["lastTransitionTime"] = _now()

        def change(job: dict[str, Any]) -> dict[str, Any]:
            return {**job, "status": {"conditions": conditions}}

        self._update(kind, metadata["namespace"], metadata["name"], change)

    def _pod_status(self, namespace: str, name: str, status: Mapping[str, Any]) -> None:
        self._update(POD, namespace, name, lambda pod: {**pod, "status": status})

    def _update(self, kind: Kind, namespace: str, name: str, change: Callable) -> None:
        try:
            self.server.store.update(kind, namespace, name, change, status=True)
        except Refusal:
            # It was deleted meanwhile.
            return


def _verdict(kind: Kind, failed: int) -> dict[str, Any]:
    if kind is TFJOB:
        word = "Failed" if failed else "Succeeded"
        message = f"TFJob has failed because {failed} Worker replica(s) failed." if failed else ""
        return {"type": word, "status": "True", "reason": f"TFJob{word}", "message": message}
    if failed:
        reason = "FailedJobs"
        return {"type": "Failed", "status": "True", "reason": reason, "message": "jobset failed"}
    return {"type": "Complete", "status": "True", "reason": "AllJobsCompleted", "message": ""}


def _status(
    container: str, restarts: int, code: int | None, reason: str, last: int | None = None
) -> dict[str, Any]:
    state: dict[str, Any] = {"running": {"startedAt": _now()}}
    phase = "Running"
    if code is not None:
        word = reason or ("Completed" if code == 0 else "Error")
        state = {"terminated": {"exitCode": code, "reason": word, "finishedAt": _now()}}
        phase = "Succeeded" if code == 0 else "Failed"
    entry = {"name": container, "restartCount": restarts, "state": state}
    if last is not None:
        entry["lastState"] = {"terminated": {"exitCode": last, "reason": "Error"}}
    return {"phase": phase, "containerStatuses": [entry]}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
