"""A training job before it becomes a resource: what to run, and where."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kfp_tabular.components.common.kubernetes import names
from kfp_tabular.components.common.pods import job_pods
from kfp_tabular.components.common.pods.job_pods import SIDECAR_OFF
from kfp_tabular.components.common.training_job.job_settings import JobSettings
from kfp_tabular.components.common.training_options import WORKER_MODULE


@dataclass(frozen=True)
class TrainingJobSpec:
    """What to run, and where.

    Attributes:
        arguments: The worker program's flags, `--name=value`. They may hold `$(NAME)`, which
            Kubernetes would expand; the builders keep it as it is.
        settings: What the job requests from the cluster.
        name: The resource's name; empty in a template.
        namespace: Its namespace; empty to leave it out.
        labels: Labels of the resource and its pods, in addition to those of the settings.
        annotations: Annotations of the resource, in addition to those of the settings.
        owner: The owner reference; None for none.
        module: The Python module that every pod runs.
    """

    arguments: Sequence[str]
    settings: JobSettings = field(default_factory=JobSettings)
    name: str = ""
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    owner: Mapping[str, Any] | None = None
    module: str = WORKER_MODULE

    def metadata(self) -> dict[str, Any]:
        """Return the resource's metadata, without empty entries."""
        entries: dict[str, Any] = {
            "name": self.name,
            "namespace": self.namespace,
            "labels": self.all_labels(),
            "annotations": {**self.settings.annotations, **self.annotations},
            "ownerReferences": [dict(self.owner)] if self.owner else [],
        }
        return {key: value for key, value in entries.items() if value}

    def pod_metadata(self) -> dict[str, Any]:
        """Return the pods' metadata."""
        return {
            "labels": {**self.all_labels(), **SIDECAR_OFF},
            "annotations": {**self.settings.annotations, **SIDECAR_OFF},
        }

    def all_labels(self) -> dict[str, str]:
        """Return the labels of the resource and its pods.

        Network policies select pods by the last one, `app.kubernetes.io/managed-by`.
        """
        own = {names.MANAGED_BY_LABEL: names.MANAGED_BY}
        return {**self.settings.labels, **self.labels, **own}

    def lifecycle(self) -> dict[str, Any]:
        """Return the fields about a job's lifetime, which Job, TFJob and TrainJob share.

        Example:
            >>> TrainingJobSpec((), JobSettings(deadline_seconds=60, suspend=True)).lifecycle()
            {'activeDeadlineSeconds': 60, 'suspend': True}
        """
        settings = self.settings
        active = settings.active_deadline_seconds
        fields: dict[str, Any] = {
            "activeDeadlineSeconds": settings.deadline_seconds if active is None else active
        }
        if settings.ttl_seconds is not None:
            fields["ttlSecondsAfterFinished"] = settings.ttl_seconds
        if settings.suspend:
            fields["suspend"] = True
        if settings.managed_by:
            fields["managedBy"] = settings.managed_by
        return fields

    def schemes(self) -> frozenset[str]:
        """Return the URI schemes of the object stores that the arguments refer to."""
        return job_pods.schemes(self.arguments)
