"""The kinds of job that a trial can be, as Katib needs to know them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common.kubernetes.client.kinds import EXPERIMENT, Kind
from kfp_tabular.components.common.training_job import job, tfjob, trainjob
from kfp_tabular.components.common.training_job.spec import TrainingJobSpec
from kfp_tabular.components.tuning.katib import shell

_CONDITION = 'status.conditions.#(type=="%s")#|#(status=="True")#'
"""A GJSON path, as Katib's own defaults have it."""

_TRIAL_SUFFIX = len("-12345678")
"""Katib names a trial, and its job, after the Experiment."""


@dataclass(frozen=True)
class TrialKind:
    """A kind of job that a trial can be.

    Attributes:
        kind: The resource.
        container: The container that trains, in every pod.
        primary_pod_labels: Labels of the pod that reports; empty where there is only one.
        succeeded: Type of the condition of success.
        build: Gives the job without name and namespace.
        containers: Finds in a job what has the `command` and `args` of each pod.
    """

    kind: Kind
    container: str
    primary_pod_labels: Mapping[str, str]
    succeeded: str
    build: Callable[[TrainingJobSpec], dict[str, Any]]
    containers: Callable[[Mapping[str, Any]], list[dict[str, Any]]]

    @property
    def success_condition(self) -> str:
        """How Katib sees that a job succeeded."""
        return _CONDITION % self.succeeded

    @property
    def failure_condition(self) -> str:
        """How Katib sees that a job failed."""
        return _CONDITION % "Failed"

    @property
    def name_limit(self) -> int:
        """The longest name of an Experiment whose trials are jobs of this kind, in characters."""
        return min(EXPERIMENT.name_limit, self.kind.name_limit - _TRIAL_SUFFIX)

    def template(self, spec: TrainingJobSpec, searched: Sequence[str]) -> dict[str, Any]:
        """Gives the job of a trial.

        Args:
            spec: The job; its arguments are those of all trials.
            searched: Arguments with Katib's placeholders.

        Raises:
            UserError: For settings that this kind cannot express.
        """
        template = self.build(spec)
        for container in self.containers(template):
            words = [*container["command"], *spec.arguments]
            container["command"] = shell.script(words, searched)
            container.pop("args", None)
        return template


def _of_tfjob(resource: Mapping[str, Any]) -> list[dict[str, Any]]:
    replicas = resource["spec"]["tfReplicaSpecs"].values()
    return [
        container
        for replica in replicas
        for container in replica["template"]["spec"]["containers"]
        if container["name"] == tfjob.CONTAINER
    ]


def _of_trainjob(resource: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [resource["spec"]["trainer"]]


def _of_job(resource: Mapping[str, Any]) -> list[dict[str, Any]]:
    containers: list[dict[str, Any]] = resource["spec"]["template"]["spec"]["containers"]
    return containers


TRIAL_KINDS: Mapping[str, TrialKind] = {
    "tfjob": TrialKind(
        tfjob.KIND, tfjob.CONTAINER, tfjob.CHIEF_LABELS, "Succeeded", tfjob.template, _of_tfjob
    ),
    "trainjob": TrialKind(
        trainjob.KIND,
        trainjob.CONTAINER,
        trainjob.CHIEF_LABELS,
        "Complete",
        trainjob.template,
        _of_trainjob,
    ),
    "job": TrialKind(job.KIND, job.CONTAINER, job.CHIEF_LABELS, "Complete", job.template, _of_job),
}
"""By the name that the argument `trial_kind` has for it."""
