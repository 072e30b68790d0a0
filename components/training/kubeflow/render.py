"""The job that a training task would create, from a document: for review and for GitOps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import documents
from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.kubernetes import names
from kfp_tabular.components.training.kubeflow import plan as planning
from kfp_tabular.components.training.kubeflow.plan import Artifacts
from kfp_tabular.components.training.settings import Settings


@dataclass(frozen=True)
class TrainingConfig:
    """The arguments of `train_model` that a job depends on.

    Attributes:
        transformed_examples: URI of the input.
        transform_graph: URI of the input.
        model: URI that the model would get.
        namespace: Where the job would be; empty to leave it out.
        run_id: The pipeline run.
        workers: Processes that train together.
        hyperparameters: By name.
        class_weights: `none` or `balanced`.
        early_stopping_patience: Evaluations without improvement before training stops.
        model_fn: One's own model.
        checkpoint_uri: Directory for checkpoints; empty for one of the job's own.
        decision_threshold: From which probability on a binary model answers its second class.
        seed: Seed of weights, order of rows and dropout.
        job: What the job asks of the cluster.
    """

    transformed_examples: str
    transform_graph: str
    model: str
    namespace: str = field(default="", metadata={"check": documents.label_name})
    run_id: str = ""
    workers: int = 1
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    class_weights: str = Settings.class_weights
    early_stopping_patience: int = Settings.early_stopping_patience
    model_fn: str = ""
    checkpoint_uri: str = ""
    decision_threshold: float = Settings.decision_threshold
    seed: int = Settings.seed
    job: Mapping[str, Any] = field(default_factory=dict)


def render_tfjob(config: Any, source: str = "config") -> dict[str, Any]:
    """Gives the TFJob that `train_model(backend="tfjob")` would create.

    Args:
        config: A mapping from YAML or JSON; keys are those of `TrainingConfig`.
        source: How to name it in an error.

    Raises:
        UserError: For a key that is unknown or whose value does not fit.
    """
    return _render(config, source, "tfjob")


def render_trainjob(config: Any, source: str = "config") -> dict[str, Any]:
    """Gives the TrainJob that `train_model(backend="trainjob")` would create.

    Args:
        config: A mapping from YAML or JSON; keys are those of `TrainingConfig`.
        source: How to name it in an error.

    Raises:
        UserError: For a key that is unknown or whose value does not fit.
    """
    return _render(config, source, "trainjob")


def _render(config: Any, source: str, backend: str) -> dict[str, Any]:
    given = documents.parse(TrainingConfig, config, source)
    settings = Settings(
        # A job reads no path of this machine; the URIs below are what it is told.
        transformed_examples=Path(),
        transform_graph=Path(),
        output=Path(),
        logs=Path(),
        checkpoints=given.checkpoint_uri,
        hyperparameters=Hyperparameters().updated(given.hyperparameters),
        class_weights=given.class_weights,
        early_stopping_patience=given.early_stopping_patience,
        model_fn=given.model_fn,
        decision_threshold=given.decision_threshold,
        seed=given.seed,
    )
    settings.check()
    plan = planning.make(
        settings,
        Artifacts(given.transformed_examples, given.transform_graph, given.model),
        backend=backend,
        job=given.job,
        workers=given.workers,
        run_id=given.run_id,
    )
    resource = plan.resource
    metadata = resource["metadata"]
    if given.namespace:
        metadata = {**metadata, "namespace": given.namespace}
    annotations = {
        **metadata.get("annotations", {}),
        names.DIGEST_ANNOTATION: names.spec_digest(resource),
    }
    return {**resource, "metadata": {**metadata, "annotations": annotations}}
