"""The job that a training task would create, from a document: for review and for GitOps."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import documents
from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.kubernetes import names
from kfp_tabular.components.common.options import build
from kfp_tabular.components.training.kubeflow import job_plan
from kfp_tabular.components.training.options import PlacementOptions, WorkerOptions
from kfp_tabular.components.training.training_request import ArtifactUris
from kfp_tabular.components.training.worker_settings import WorkerSettings


@dataclass(frozen=True)
class TrainingConfig(PlacementOptions, WorkerOptions):
    """The arguments of `train_model` that a job depends on.

    Attributes:
        transformed_examples: URI of the input.
        transform_graph: URI of the input.
        model: URI that the model would get.
        namespace: Namespace of the job; empty to leave it out.
        hyperparameters: By name.
    """

    transformed_examples: str
    transform_graph: str
    model: str
    namespace: str = field(default="", metadata={"check": documents.label_name})
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)


def render_tfjob(config: Any, source: str = "config") -> dict[str, Any]:
    """Return the TFJob that `train_model(backend="tfjob")` would create.

    Args:
        config: A mapping from YAML or JSON; keys are those of `TrainingConfig`.
        source: How to name it in an error.

    Raises:
        UserError: If a key is unknown or its value does not fit.

    Example:
        >>> job = render_tfjob({
        ...     "transformed_examples": "gs://bucket/examples",
        ...     "transform_graph": "gs://bucket/graph",
        ...     "model": "gs://bucket/model",
        ...     "workers": 3,
        ... })
        >>> job["kind"], list(job["spec"]["tfReplicaSpecs"])
        ('TFJob', ['Chief', 'Worker'])
    """
    return _render(config, source, "tfjob")


def render_trainjob(config: Any, source: str = "config") -> dict[str, Any]:
    """Return the TrainJob that `train_model(backend="trainjob")` would create.

    Args:
        config: A mapping from YAML or JSON; keys are those of `TrainingConfig`.
        source: How to name it in an error.

    Raises:
        UserError: If a key is unknown or its value does not fit.

    Example:
        >>> job = render_trainjob({
        ...     "transformed_examples": "gs://bucket/examples",
        ...     "transform_graph": "gs://bucket/graph",
        ...     "model": "gs://bucket/model",
        ...     "workers": 3,
        ... })
        >>> job["kind"], job["spec"]["trainer"]["numNodes"]
        ('TrainJob', 3)
    """
    return _render(config, source, "trainjob")


def _render(config: Any, source: str, backend: str) -> dict[str, Any]:
    given = replace(documents.parse(TrainingConfig, config, source), backend=backend)
    hyperparameters = Hyperparameters().updated(given.hyperparameters)
    settings = build(
        WorkerSettings,
        {
            **vars(given),
            # The worker's flags hold URIs; these paths of the task's own pod are not used.
            "transformed_examples": Path(),
            "transform_graph": Path(),
            "output": Path(),
            "logs": Path(),
            "checkpoints": given.checkpoint_uri,
            "hyperparameters": hyperparameters,
        },
    )
    settings.check()
    request = job_plan.TrainingJobRequest(
        settings, build(PlacementOptions, vars(given)), build(ArtifactUris, vars(given))
    )
    resource = job_plan.make(request).resource
    metadata = resource["metadata"]
    if given.namespace:
        metadata = {**metadata, "namespace": given.namespace}
    annotations = {
        **metadata.get("annotations", {}),
        names.DIGEST_ANNOTATION: names.spec_digest(resource),
    }
    return {**resource, "metadata": {**metadata, "annotations": annotations}}
