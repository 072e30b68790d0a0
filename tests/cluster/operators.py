"""An operator and a kubelet in one, which treat each job as a script tells them."""

import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common.kubernetes.client.resource_kinds import EVENT, POD
from kfp_tabular.components.common.kubernetes.jobs.launch_spec import Launch
from tests.cluster.clusters import Cluster, Refused

Object = dict[str, Any]


@dataclass(frozen=True)
class Flavour:
    """A kind of job, as a launcher makes it and as its operator treats it.

    Attributes:
        path: Where it is found: `module:attribute`. Processes of their own load it from there.
        launch: Makes a launch from keyword arguments that override `Launch`'s fields, with
            `variant` to get a resource of the same name that asks for something else.
        chief_labels: The labels that the operator gives the chief's pod, by the job.
        worker_labels: Those of another pod.
        status: The job's status in a phase: `running`, `succeeded` or `failed`, with a message.
        container: The container that works.
    """

    path: str
    launch: Callable[..., Launch]
    chief_labels: Callable[[Object], dict[str, str]]
    worker_labels: Callable[[Object], dict[str, str]]
    status: Callable[[str, str], Mapping[str, Any]]
    container: str

    @property
    def kind(self) -> Any:
        """The kind of the job."""
        return self.launch().kind


Script = Callable[["Job"], None]


class Job:
    """A job on the cluster, for a script to act on."""

    def __init__(self, cluster: Cluster, flavour: Flavour, resource: Object) -> None:
        self.cluster = cluster
        self.flavour = flavour
        self.resource = resource
        self.name = resource["metadata"]["name"]
        self.uid = resource["metadata"]["uid"]

    def status(self, phase: str, message: str = "") -> None:
        """Write the job's status."""
        status = self.flavour.status(phase, message)
        self.cluster.admin.status(self.flavour.kind, self.name, status)

    def pod(self, role: str = "chief", **status: Any) -> str:
        """Make a pod; return its name.

        Args:
            role: `chief` or anything else.
            status: The pod's status; see `running` and `terminated`.
        """
        node = {} if "conditions" in status else {"nodeName": self.cluster.node}
        labels = self.flavour.chief_labels if role == "chief" else self.flavour.worker_labels
        name = f"{self.name}-{role}"
        kind = self.flavour.kind
        self.cluster.admin.create(
            POD,
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": name,
                    "labels": labels(self.resource),
                    "ownerReferences": [
                        {
                            "apiVersion": kind.api_version,
                            "kind": kind.kind,
                            "name": self.name,
                            "uid": self.uid,
                            "controller": True,
                            "blockOwnerDeletion": True,
                        }
                    ],
                },
                "spec": {
                    **node,
                    "restartPolicy": "Never",
                    "terminationGracePeriodSeconds": 0,
                    "containers": [
                        {
                            "name": self.flavour.container,
                            "image": "registry.example.com/trainer:1",
                            "resources": {"limits": {"memory": "512Mi"}},
                        }
                    ],
                },
            },
        )
        if status:
            self.set_pod(name, **status)
        return name

    def set_pod(self, name: str, **status: Any) -> None:
        """Write a pod's status."""
        self.cluster.admin.status(POD, name, status)

    def running(self, restarts: int = 0, last: Object | None = None) -> Object:
        """Return the status of a pod whose container runs."""
        return self._status("Running", {"running": {"startedAt": now()}}, restarts, last)

    def waiting(self, reason: str, message: str = "", restarts: int = 0) -> Object:
        """Return the status of a pod whose container waits."""
        return self._status(
            "Pending", {"waiting": {"reason": reason, "message": message}}, restarts, None
        )

    def terminated(self, code: int, reason: str = "", message: str = "") -> Object:
        """Return the status of a pod whose container has ended."""
        state = {
            "exitCode": code,
            "reason": reason or ("Error" if code else "Completed"),
            "message": message,
            "startedAt": now(),
            "finishedAt": now(),
        }
        return self._status("Failed" if code else "Succeeded", {"terminated": state}, 0, None)

    def unschedulable(self, message: str) -> Object:
        """Return the status of a pod that no node has room for."""
        return {
            "phase": "Pending",
            "conditions": [
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "Unschedulable",
                    "message": message,
                    "lastTransitionTime": now(),
                }
            ],
        }

    def log(self, pod: str, *lines: str) -> None:
        """Write lines as a pod's container."""
        self.cluster.logs.write(self.cluster.namespace, pod, self.flavour.container, *lines)

    def end(self, pod: str, code: int = 0, reason: str = "", message: str = "") -> None:
        """End a pod's container."""
        self.cluster.logs.end(self.cluster.namespace, pod, self.flavour.container)
        self.set_pod(pod, **self.terminated(code, reason, message))

    def event(self, name: str, reason: str, message: str) -> None:
        """Write a warning about an object."""
        self.cluster.admin.create(
            EVENT,
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": f"{name}.{time.monotonic_ns():x}"},
                "involvedObject": {"name": name, "namespace": self.cluster.namespace},
                "reason": reason,
                "message": message,
                "type": "Warning",
                "lastTimestamp": now(),
            },
        )

    def _status(self, phase: str, state: Object, restarts: int, last: Object | None) -> Object:
        status = {
            "name": self.flavour.container,
            "image": "registry.example.com/trainer:1",
            "imageID": "",
            "ready": "running" in state,
            "restartCount": restarts,
            "state": state,
        }
        if last:
            status["lastState"] = {"terminated": last}
        return {"phase": phase, "containerStatuses": [status]}


class Operator:
    """Runs a script for each job that appears.

    Attributes:
        jobs: Every job that ever was, in order.
        errors: What went wrong in scripts.
    """

    def __init__(self, cluster: Cluster, flavour: Flavour, script: Script) -> None:
        self.jobs: list[Job] = []
        self.errors: list[str] = []
        self._cluster, self._flavour, self._script = cluster, flavour, script
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    @contextmanager
    def working(self) -> "Iterator[Operator]":
        """Work for the duration of the block."""
        watcher = threading.Thread(target=self._watch, name="operator", daemon=True)
        watcher.start()
        try:
            yield self
        finally:
            self._stop.set()
            watcher.join(10)
            for thread in self._threads:
                thread.join(10)
            assert not self.errors, "\n".join(self.errors)

    def job(self, seconds: float = 10) -> Job:
        """Wait for the first job."""
        wait_until(lambda: bool(self.jobs), "a job", seconds)
        return self.jobs[0]

    def _watch(self) -> None:
        seen: set[str] = set()
        while not self._stop.is_set():
            for resource in self._cluster.admin.list(self._flavour.kind):
                uid = resource["metadata"]["uid"]
                if uid not in seen:
                    seen.add(uid)
                    job = Job(self._cluster, self._flavour, resource)
                    self.jobs.append(job)
                    thread = threading.Thread(target=self._play, args=(job,), daemon=True)
                    self._threads.append(thread)
                    thread.start()
            self._stop.wait(0.02)

    def _play(self, job: Job) -> None:
        try:
            self._script(job)
        except Refused as refused:
            # A job that is deleted takes its pods along, in the midst of a script.
            if " 404 " not in str(refused):
                self.errors.append(traceback.format_exc())
        except Exception:  # noqa: BLE001 - the test reports it
            self.errors.append(traceback.format_exc())


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"no {what} within {seconds} s")
        time.sleep(0.01)


def now() -> str:
    """Return the time as Kubernetes writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
