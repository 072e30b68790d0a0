"""The interface of `train_model`."""

from typing import Dict

from kfp import dsl
from kfp_tabular.components.common import images


@dsl.component(base_image=images.TENSORFLOW, install_kfp_package=False)
def train_model(
    transformed_examples: dsl.Input[dsl.Dataset],
    transform_graph: dsl.Input[dsl.Artifact],
    model: dsl.Output[dsl.Model],
    training_logs: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    report: dsl.Output[dsl.HTML],
    hyperparameters: dsl.Input[dsl.Artifact] = None,
    model_type: str = "wide_and_deep",
    epochs: int = 10,
    train_steps: int = 0,
    batch_size: int = 256,
    learning_rate: float = 0.001,
    base_hyperparameters: Dict = {},
    class_weights: str = "none",
    early_stopping_patience: int = 3,
    model_fn: str = "",
    workers: int = 1,
    seed: int = 0,
    backend: str = "local",
):
    """Trains and exports the model."""
    from pathlib import Path

    from kfp_tabular.components.common.errors import reported_to_user
    from kfp_tabular.components.common.hyperparameters import Hyperparameters
    from kfp_tabular.components.training import run, train

    with reported_to_user():
        chosen = Hyperparameters().updated(
            {
                "model_type": model_type,
                "epochs": epochs,
                "train_steps": train_steps,
                "batch_size": batch_size,
                "learning_rate": learning_rate,
                **base_hyperparameters,
            }
        )
        if hyperparameters is not None:
            chosen = Hyperparameters.load(hyperparameters.path)
        settings = run.Settings(
            transformed_examples=Path(transformed_examples.path),
            transform_graph=Path(transform_graph.path),
            output=Path(model.path),
            logs=Path(training_logs.path),
            hyperparameters=chosen,
            class_weights=class_weights,
            early_stopping_patience=early_stopping_patience,
            model_fn=model_fn,
            seed=seed,
        )
        result = train.run(
            train.Request(settings, Path(report.path), workers=workers, backend=backend)
        )
    for name, value in result.metrics.items():
        metrics.log_metric(name, value)
    model.metadata.update(result.lineage["model"])
    training_logs.metadata.update(result.lineage["training_logs"])
