"""The interface of `train_model`."""

from typing import Any, Dict

from kfp import dsl

from kfp_tabular.components.common import images
from kfp_tabular.components.common.task.component import component


@component(base_image=images.TENSORFLOW)
def train_model(
    transformed_examples: dsl.Input[dsl.Dataset],
    transform_graph: dsl.Input[dsl.Artifact],
    model: dsl.Output[dsl.Model],
    training_logs: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    report: dsl.Output[dsl.HTML],
    hyperparameters: dsl.Input[dsl.Artifact] = None,
    examples: dsl.Input[dsl.Dataset] = None,
    model_type: str = "auto",
    epochs: int = 0,
    train_steps: int = 0,
    batch_size: int = 256,
    learning_rate: float = 0.0,
    base_hyperparameters: Dict = {},  # type: ignore[type-arg]
    class_weights: str = "none",
    early_stopping_patience: int = 5,
    model_fn: str = "",
    workers: int = 1,
    checkpoint_uri: str = "",
    decision_threshold: str = "0.5",
    calibration: str = "none",
    budget_seconds: int = 0,
    outcome_values: Dict[str, Any] = {},
    seed: int = 0,
    backend: str = "local",
    job: Dict = {},  # type: ignore[type-arg]
    run_id: str = "",
) -> None:
    """Train a model and export it as a SavedModel that takes raw features.

    The model reads the transformed columns; the export holds the transform graph, the vocabularies
    and the model, so it takes features as they are in the data. By default boosted trees and a
    network are trained, and the best on the eval split is kept, or a blend of both, by log loss or
    RMSE. The guide "Which model is trained" has the rules.

    A task that is killed and retried with the same output paths, or with the same
    `checkpoint_uri`, resumes from its last checkpoint.

    Args:
        transformed_examples: Output of transform_features; the splits `train` and, for early
            stopping, `eval` are read.
        transform_graph: The transform graph of the same task.
        model: The SavedModel: signatures `serving_default` (raw features by name, tensors of
            shape [batch]) and `serving_examples` (serialized tf.Example), with `model.json` and
            `schema.pbtxt` beside it.
        training_logs: TensorBoard events, `training.json` with every measurement and the
            leaderboard, the workers' logs, and, until training is done, the checkpoints.
        metrics: Final metrics on both splits (`eval_auc`, `train_log_loss`, ...), `steps`,
            `best_step`, `epochs`, `seconds` and `rows_per_second`, and each candidate's score.
        report: Leaderboard, learning curves, configuration and facts of the data, in one page.
        hyperparameters: A JSON object of hyperparameters, as tune_hyperparameters writes it. It
            overrides `model_type`, `epochs`, `train_steps`, `batch_size`, `learning_rate` and
            `base_hyperparameters`.
        examples: The raw examples, of which the transformed ones were made; only needed for
            `decision_threshold` `value`.
        model_type: `auto` tries `trees` and a network and keeps the best on eval, or their `blend`;
            or `trees` (boosted), `blend`, `linear`, `dnn`, `wide_and_deep`, `dcn_v2`, `tabm`.
        epochs: Maximum number of passes over the train split. 0 chooses: 10, or on small data as
            many as 500 steps take; for `tabm`, 500,000 rows, 2,000 steps at most, 4 to 150 passes.
        train_steps: Number of training steps; overrides `epochs`. 0 leaves the length to `epochs`.
        batch_size: Rows per step, over all workers; at most the rows of the train split.
        learning_rate: Peak learning rate of the schedule. 0 chooses: 0.001, or 0.005 for `tabm`.
        base_hyperparameters: More hyperparameters by name: `learning_rate_schedule`, `hidden_units`
            (such as "256,128"), `dropout`, `l2`, `cross_layers`, `members`, `embedding_dimension`,
            `label_transform` (`log` or `rank`); of trees, `tree_count`, `tree_depth`,
            `tree_learning_rate`, `tree_l2`, `tree_rows`. They override the arguments of the same
            name.
        class_weights: `none`, or `balanced`: all classes have the same total weight in the loss.
            The probabilities of a balanced model are not calibrated.
        early_stopping_patience: Evaluations on the eval split without improvement before training
            stops; 0 trains to the end. There is one evaluation per epoch, at least 10 and at most
            50 in all (25 for `tabm`), on at most 50,000 rows. Without an eval split `auto`, `trees`
            and `blend` hold out train rows; others do not stop early.
        model_fn: Your own model as `package.module:function`, used instead of `model_type`; see the
            guide on model functions.
        workers: Worker processes that train together, the chief included. Each takes an equal share
            of the rows.
        checkpoint_uri: Directory for checkpoints that outlives the task, such as one on a mounted
            volume. Workers on several machines must share it. Empty uses a directory in
            `training_logs`, or one of the job's own. Removed once the model is written.
        decision_threshold: A binary model predicts the positive class, the second one, from this
            probability on, between 0 and 1: at the endpoint and in the evaluation. `value`: the one
            of highest value on the eval split, by `outcome_values`.
        calibration: How probabilities are calibrated on the eval split, inside the exported model:
            `temperature` divides the logits, `isotonic` (two classes) maps them by a rising
            function and needs about a thousand rows of each class. Evaluate on another split.
        budget_seconds: Most seconds that reading and training take, for all candidates of `auto`
            together. One that would take more than its share is stopped and kept at its best state
            so far, which a finding reports; the result then depends on the machine. Choosing and
            writing the model come on top. 0 bounds the work by rules on rows and columns only.
        outcome_values: Binary: what outcomes are worth. By `true_positive`, `false_positive`,
            `true_negative` and `false_negative`: a number, or an expression of columns such as
            `"0.1 * amount - 5"`. For the profit of each threshold, and for `decision_threshold`
            `value`.
        seed: Seed of the initial weights, the row order and dropout. tune_hyperparameters seeds its
            search with it, too.
        backend: Where training runs: `local` (processes of this task), or as a job on the cluster:
            `tfjob` (Training Operator) or `trainjob` (Kubeflow Trainer). The outputs are the same.
        job: What the job asks of the cluster: `image`, `cpu`, `memory`, `gpus`, `node_selector`,
            `tolerations`, `volumes`, `secrets`, `object_store`, `deadline_seconds` and more; see
            the guide on distributed training. `local` ignores it.
        run_id: The pipeline run, used in the job's name and labels; a retried task finds its job by
            it. Empty derives it from the outputs' URIs: an argument that differs from run to run
            would keep the task from being cached.

    Raises:
        UserError: Exit code 2: an empty train split, a column that does not fit the transform
            graph, a label that is not encoded, an unknown hyperparameter or one out of range, a
            decision threshold for a task that is not binary, `value` without `outcome_values`, a
            model function that cannot be imported or returns an unsuitable model, trees with
            several workers, training that diverges, an invalid `job`, or a permission that the
            task's account lacks.
        JobFailedError: The job on the cluster failed; the message names the pod and the reason.

    Example:
        >>> @dsl.pipeline
        ... def training(examples: dsl.Input[dsl.Dataset], graph: dsl.Input[dsl.Artifact]):
        ...     train_model(transformed_examples=examples, transform_graph=graph, epochs=3)
    """
    from pathlib import Path

    from kfp_tabular.components.common.artifacts import lineage
    from kfp_tabular.components.common.errors import reported_to_user
    from kfp_tabular.components.common.options import build
    from kfp_tabular.components.training import train
    from kfp_tabular.components.training.options import TrainingOptions
    from kfp_tabular.components.training.training_request import ArtifactUris, TrainingRequest

    with reported_to_user():
        request = TrainingRequest(
            options=build(TrainingOptions, locals()),
            transformed_examples=Path(transformed_examples.path),
            transform_graph=Path(transform_graph.path),
            model=Path(model.path),
            training_logs=Path(training_logs.path),
            report=Path(report.path),
            hyperparameters=Path(hyperparameters.path) if hyperparameters else None,
            examples=Path(examples.path) if examples else None,
            uris=ArtifactUris(transformed_examples.uri, transform_graph.uri, model.uri),
        )
        result = train.run(request)
    for name, value in result.metrics.items():
        metrics.log_metric(name, value)
    model.metadata.update(lineage.metadata(result.lineage["model"]))
    training_logs.metadata.update(lineage.metadata(result.lineage["training_logs"]))
