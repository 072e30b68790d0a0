"""A training job, before it is the resource of any kind."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kfp_tabular.components.common.kubernetes import names
from kfp_tabular.components.common.training_job.settings import JobSettings

WORKER_MODULE = "kfp_tabular.components.training.worker"
"""The program that every pod runs."""

SIDECAR_OFF = {"sidecar.istio.io/inject": "false"}
"""A mesh's proxy never ends by itself, so the job would not either; and TensorFlow's own protocol
between the workers gains nothing from it. Newer Istio reads the label, older the annotation."""

_URI = re.compile(r"(?:^|=)(gs|s3|minio)://")


@dataclass(frozen=True)
class TrainingJobSpec:
    """What to run, and where.

    Attributes:
        arguments: The worker program's flags, `--name=value`. Kubernetes would replace `$(NAME)`
            in them; the builders keep such text as it is.
        settings: What the job asks of the cluster.
        name: The resource's name; empty in a template.
        namespace: Its namespace; empty to leave it out.
        labels: Labels of the resource and its pods, beside those of the settings.
        annotations: Annotations of the resource, beside those of the settings.
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
        """Gives the resource's metadata, without what is empty."""
        entries: dict[str, Any] = {
            "name": self.name,
            "namespace": self.namespace,
            "labels": self.all_labels(),
            "annotations": {**self.settings.annotations, **self.annotations},
            "ownerReferences": [dict(self.owner)] if self.owner else [],
        }
        return {key: value for key, value in entries.items() if value}

    def pod_metadata(self) -> dict[str, Any]:
        """Gives the pods' metadata."""
        return {
            "labels": {**self.all_labels(), **SIDECAR_OFF},
            "annotations": {**self.settings.annotations, **SIDECAR_OFF},
        }

    def all_labels(self) -> dict[str, str]:
        """Gives the labels of the resource and its pods; network policies go by the last."""
        own = {names.MANAGED_BY_LABEL: names.MANAGED_BY}
        return {**self.settings.labels, **self.labels, **own}

    def schemes(self) -> frozenset[str]:
        """Gives the schemes of the object stores that the arguments name."""
        found = (_URI.search(argument) for argument in self.arguments)
        return frozenset(match.group(1) for match in found if match)
