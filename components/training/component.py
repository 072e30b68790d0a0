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
    epochs: int = 0,
    train_steps: int = 0,
    batch_size: int = 256,
    learning_rate: float = 0.001,
    base_hyperparameters: Dict = {},  # type: ignore[type-arg]
    class_weights: str = "none",
    early_stopping_patience: int = 5,
    model_fn: str = "",
    workers: int = 1,
    checkpoint_uri: str = "",
    decision_threshold: float = 0.5,
    seed: int = 0,
    backend: str = "local",
    job: Dict = {},  # type: ignore[type-arg]
    run_id: str = "",
) -> None:
    """Trains a model and exports it as a SavedModel that takes raw features.

    The network reads the transformed columns; the exported model holds the transform graph, the
    vocabularies and the network, so it takes features as they are in the data. The weights kept
    are those that did best on the eval split, by AUC for a binary task, log loss for more
    classes, RMSE for regression.

    A task that is killed and retried with the same output paths, or with the same
    `checkpoint_uri`, goes on from its last checkpoint.

    Args:
        transformed_examples: What transform_features wrote; the splits `train` and, for early
            stopping, `eval` are read.
        transform_graph: The transform graph of the same task.
        model: The SavedModel: signatures `serving_default` (raw features by name, tensors of
            shape [batch]) and `serving_examples` (serialized tf.Example), with `model.json` and
            `schema.pbtxt` beside it.
        training_logs: TensorBoard events, `training.json` with every measurement, the workers'
            logs, and the checkpoints as long as training is not done.
        metrics: Final metrics on both splits (`eval_auc`, `train_log_loss`, ...), `steps`,
            `best_step`, `epochs`, `seconds` and `rows_per_second`.
        report: Learning curves, configuration and facts of the data, in one HTML page.
        hyperparameters: A JSON object of hyperparameters, as tune_hyperparameters writes it. It
            wins over `model_type`, `epochs`, `train_steps`, `batch_size`, `learning_rate` and
            `base_hyperparameters`.
        model_type: `linear`, `dnn`, `wide_and_deep` or `dcn_v2`.
        epochs: Passes over the train split, at most. 0 chooses: 10, or on small data as many as
            500 steps take.
        train_steps: Steps in all, whatever `epochs` says; 0 leaves it to `epochs`.
        batch_size: Rows per step, over all workers; at most the rows of the train split.
        learning_rate: The highest learning rate of the schedule.
        base_hyperparameters: More hyperparameters by name: `learning_rate_schedule`,
            `hidden_units` (such as "256,128"), `dropout`, `l2`, `cross_layers`,
            `embedding_dimension`.
        class_weights: `none`, or `balanced`: every class counts the same in sum. Balanced
            probabilities are no longer calibrated.
        early_stopping_patience: Evaluations on the eval split without improvement before training
            stops; 0 trains to the end. There is one evaluation per epoch, at least 10 and at most
            50 in all, on at most 50,000 rows. Without an eval split it is off.
        model_fn: One's own model as `package.module:function`, in place of `model_type`; see the
            guide on model functions.
        workers: Worker processes that train together, the chief included. Each takes an equal
            share of the rows.
        checkpoint_uri: Directory for checkpoints that outlives the task, such as one on a mounted
            volume; several workers on several machines must share it. Empty for a directory in
            `training_logs`, or with a job for one of its own. Removed once the model is written.
        decision_threshold: A binary model answers the positive class, the second one, where its
            probability is at least this, between 0 and 1. The endpoint and the evaluation's
            `precision`, `recall` and `f1` go by it; training and `auc` do not.
        seed: Seed of weights, order of rows and dropout.
        backend: Where training runs: `local` (processes of this task), or as a job on the cluster:
            `tfjob` (Training Operator) or `trainjob` (Kubeflow Trainer). The outputs are the same.
        job: What the job asks of the cluster: `image`, `cpu`, `memory`, `gpus`, `node_selector`,
            `tolerations`, `volumes`, `secrets`, `object_store`, `deadline_seconds` and more; see
            the guide on distributed training. `local` has no use for it.
        run_id: The pipeline run, which the job is named and labelled after; a retried task finds
            its job again. Empty reads it from where KFP stores the outputs: an argument that
            differs from run to run would keep the task from ever being cached.

    Raises:
        UserError: Exit code 2: an empty train split, a column that does not fit the transform
            graph, a label that is not encoded, an unknown hyperparameter or one out of range, a
            decision threshold of a task that is not binary, a model function that cannot be
            imported or gives no fit model, training that diverges; a `job` that is not understood,
            or a permission that the task's account lacks.
        JobFailedError: The job on the cluster failed; the message says which pod and why.
    """
    from pathlib import Path

    from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
    from kfp_tabular.components.common.errors import reported_to_user
    from kfp_tabular.components.common.kubernetes.names import run_of
    from kfp_tabular.components.training import train
    from kfp_tabular.components.training.kubeflow.plan import Artifacts
    from kfp_tabular.components.training.settings import Settings

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
        settings = Settings(
            transformed_examples=Path(transformed_examples.path),
            transform_graph=Path(transform_graph.path),
            output=Path(model.path),
            logs=Path(training_logs.path),
            hyperparameters=chosen,
            class_weights=class_weights,
            early_stopping_patience=early_stopping_patience,
            model_fn=model_fn,
            checkpoints=checkpoint_uri,
            decision_threshold=decision_threshold,
            seed=seed,
        )
        artifacts = Artifacts(transformed_examples.uri, transform_graph.uri, model.uri)
        run = run_id or run_of(model.uri)
        result = train.run(
            train.Request(settings, Path(report.path), workers, backend, artifacts, job, run)
        )
    for name, value in result.metrics.items():
        metrics.log_metric(name, value)
    model.metadata.update(result.lineage["model"])
    training_logs.metadata.update(result.lineage["training_logs"])
