"""The settings that every document about pods has: tasks, training jobs and endpoints."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from kfp_tabular.components.common import documents, images
from kfp_tabular.components.common.pods.metadata import check_annotations, check_labels
from kfp_tabular.components.common.pods.scheduling import Toleration, check_extended_resource

_MOST_GPUS = 64


def check_image(value: str) -> None:
    """Check an image reference.

    Raises:
        ValueError: Where it does not fit.

    Example:
        >>> check_image("registry.example.com/ml/train:1.0")
        >>> check_image("https://registry.example.com/ml/train")
        Traceback (most recent call last):
        ...
        ValueError: expected an image reference such as registry.example.com/ml/train:1.0
    """
    if not images.is_reference(value):
        raise ValueError("expected an image reference such as registry.example.com/ml/train:1.0")


def check_names(values: Sequence[str]) -> None:
    """Check names of resources, each given once.

    Raises:
        ValueError: For the first that does not fit.

    Example:
        >>> check_names(["registry", "mirror"])
        >>> check_names(["registry", "registry"])
        Traceback (most recent call last):
        ...
        ValueError: name 'registry' is given twice
    """
    for value in values:
        documents.resource_name(value)
    documents.distinct(values, "name")


@dataclass(frozen=True)
class PodSettings:
    """What a pod asks for, in the documents of tasks, training jobs and endpoints alike.

    Attributes:
        image_pull_policy: `Always`, `IfNotPresent` or `Never`; empty for Kubernetes' default.
        image_pull_secrets: Names of Secrets for the registry.
        gpus: Number of GPUs of each pod.
        gpu_resource: The extended resource that counts as one GPU.
        node_selector: Labels that the pod's node must have.
        tolerations: Taints of nodes that the pod tolerates.
        labels: Labels of the pod.
        annotations: Annotations of the pod.
    """

    image_pull_policy: str = documents.checked(documents.one_of("Always", "IfNotPresent", "Never"))
    image_pull_secrets: tuple[str, ...] = documents.checked(check_names, ())
    gpus: int = documents.checked(documents.between(0, _MOST_GPUS), 0)
    gpu_resource: str = documents.checked(check_extended_resource, "nvidia.com/gpu")
    node_selector: Mapping[str, str] = documents.mapping(check_labels)
    tolerations: tuple[Toleration, ...] = ()
    labels: Mapping[str, str] = documents.mapping(check_labels)
    annotations: Mapping[str, str] = documents.mapping(check_annotations)


@dataclass(frozen=True)
class WorkloadSettings(PodSettings):
    """What training jobs and endpoints ask of the cluster alike.

    Attributes:
        priority_class: Name of the pods' PriorityClass.
        service_account: Name of the pods' ServiceAccount; empty for the namespace's default.
    """

    DOCUMENT: ClassVar[str]
    """What the document is called in messages: the component's argument."""

    priority_class: str = documents.checked(documents.resource_name)
    service_account: str = documents.checked(documents.resource_name)

    @classmethod
    def parse(cls, document: Any, source: str = "") -> Self:
        """Check a document.

        Args:
            document: A mapping from YAML, JSON or a KFP struct; its keys are the attributes of
                this class. Whole numbers may come as floats. None is an empty document.
            source: The document's name in messages; empty for the argument's.

        Raises:
            UserError: For the first key that is unknown (the message names the closest) or whose
                value does not fit.
        """
        return documents.parse(cls, {} if document is None else document, source or cls.DOCUMENT)


def placement(
    settings: WorkloadSettings,
    node_selector: Mapping[str, str] | None = None,
    tolerations: Sequence[Toleration] | None = None,
) -> dict[str, Any]:
    """Return the part of a pod's specification about where it runs and as which account.

    Args:
        settings: The settings.
        node_selector: Replaces that of the settings; None for theirs.
        tolerations: Replace those of the settings; None for theirs.

    Example:
        >>> class Settings(WorkloadSettings):
        ...     DOCUMENT = "job"
        >>> placement(Settings.parse({"service_account": "trainer", "node_selector": {"a": "b"}}))
        {'serviceAccountName': 'trainer', 'nodeSelector': {'a': 'b'}}
    """
    selector = settings.node_selector if node_selector is None else node_selector
    tolerated = settings.tolerations if tolerations is None else tolerations
    entries: dict[str, Any] = {
        "serviceAccountName": settings.service_account,
        "imagePullSecrets": [{"name": name} for name in settings.image_pull_secrets],
        "nodeSelector": dict(selector),
        "tolerations": [toleration.body() for toleration in tolerated],
    }
    return {key: value for key, value in entries.items() if value}
