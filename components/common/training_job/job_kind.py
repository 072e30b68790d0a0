"""What is known about a kind of Kubernetes job that trains, in one dataclass.

`job_kinds.JOB_KINDS` lists the kinds. Training's backends launch them; Katib's trials use
them as templates.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common.kubernetes.client.resource_kinds import Kind
from kfp_tabular.components.common.kubernetes.jobs.launch_spec import Verdict
from kfp_tabular.components.common.training_job.job_spec import TrainingJobSpec

_SET_BY_KATIB = ("name", "namespace", "ownerReferences")
"""Metadata that Katib sets for each trial."""


@dataclass(frozen=True)
class JobKind:
    """A kind of Kubernetes job that trains.

    Attributes:
        resource: The kind of Kubernetes resource.
        container: Name of the training container, in every pod.
        name_label: Label of a job's pods that holds the job's name.
        chief_labels: Labels that tell the chief's pod from the others; empty if there is one pod.
        succeeded: Type of the condition that a job has once it succeeded.
        build_spec: Builds the resource's `spec`. Raises `UserError` for settings that the kind
            cannot express.
        training_containers: Finds the objects in a resource that hold the `command` and `args` of
            its pods.
        failed: Type of the condition that a job has once it failed.
    """

    resource: Kind
    container: str
    name_label: str
    chief_labels: Mapping[str, str]
    succeeded: str
    build_spec: Callable[[TrainingJobSpec], dict[str, Any]]
    training_containers: Callable[[Mapping[str, Any]], list[dict[str, Any]]]
    failed: str = "Failed"

    def build(self, job: TrainingJobSpec) -> dict[str, Any]:
        """Return the resource of a job.

        Args:
            job: What to run, and where.

        Raises:
            UserError: For settings that this kind cannot express.
        """
        return {
            "apiVersion": self.resource.api_version,
            "kind": self.resource.kind,
            "metadata": job.metadata(),
            "spec": self.build_spec(job),
        }

    def template(self, job: TrainingJobSpec) -> dict[str, Any]:
        """Return the resource without name, namespace and owner, as Katib's trials need it.

        Args:
            job: What to run, and where.

        Raises:
            UserError: For settings that this kind cannot express.
        """
        resource = self.build(job)
        metadata = resource["metadata"]
        kept = {key: value for key, value in metadata.items() if key not in _SET_BY_KATIB}
        return {**resource, "metadata": kept}

    def judge(self, resource: Mapping[str, Any]) -> Verdict:
        """Return whether a job is running, succeeded or failed, and why.

        Args:
            resource: The job as the API returns it; it may have no status yet. If the conditions
                of success and failure are both true, the job failed.
        """
        status = resource.get("status") or {}
        true = {
            condition["type"]: condition
            for condition in status.get("conditions") or ()
            if condition.get("status") == "True"
        }
        if self.failed in true:
            found = true[self.failed]
            return Verdict("failed", found.get("reason", ""), found.get("message", ""))
        if self.succeeded in true:
            return Verdict("succeeded", true[self.succeeded].get("reason", ""))
        last: Mapping[str, Any] = next(reversed(true.values()), {})
        return Verdict("running", last.get("reason", ""), last.get("message", ""))

    def pod_selector(self, name: str) -> str:
        """Return the label selector of a job's pods.

        Args:
            name: The job's name.
        """
        return f"{self.name_label}={name}"

    def chief_selector(self, name: str) -> str:
        """Return the label selector of the chief's pod.

        Args:
            name: The job's name.
        """
        labels = {self.name_label: name, **self.chief_labels}
        return ",".join(f"{key}={value}" for key, value in labels.items())
