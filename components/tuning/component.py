"""The interface of `tune_hyperparameters`."""

from typing import Any, Dict, List

from kfp import dsl

from kfp_tabular.components.common import images
from kfp_tabular.components.common.task.component import component


@component(base_image=images.TENSORFLOW)
def tune_hyperparameters(
    transformed_examples: dsl.Input[dsl.Dataset],
    transform_graph: dsl.Input[dsl.Artifact],
    hyperparameters: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
    search_space: List[Any] = [],
    algorithm: str = "tpe",
    algorithm_settings: Dict[str, Any] = {},
    max_trials: int = 0,
    parallel_trials: int = 1,
    max_failed_trials: int = 3,
    objective_metric: str = "",
    objective_goal: str = "",
    objective_strategy: str = "",
    objective_target: str = "",
    additional_metrics: Dict[str, Any] = {},
    early_stopping: str = "medianstop",
    min_trials_required: int = 3,
    start_step: int = 4,
    model_type: str = "auto",
    epochs: int = 0,
    train_steps: int = 0,
    batch_size: int = 256,
    learning_rate: float = 0.0,
    base_hyperparameters: Dict[str, Any] = {},
    class_weights: str = "none",
    early_stopping_patience: int = 5,
    model_fn: str = "",
    seed: int = 0,
    backend: str = "local",
    study_directory: str = "",
    trial_kind: str = "tfjob",
    job: Dict[str, Any] = {},
    resume_policy: str = "Never",
    retain_trials: bool = False,
    run_id: str = "",
) -> None:
    """Search hyperparameters for train_model.

    Each trial is a separate training, with the same seed, on the train split. Trials are compared
    by a metric of the eval split; the test split is not read. With `max_trials=0` nothing is
    searched, and the given hyperparameters are passed on.

    The arguments from `model_type` to `base_hyperparameters` are the base: they apply to what the
    search does not choose. They are also the first trial if the search space contains them (except
    for `grid`), so that a search never ends worse than its base.

    A task that is killed and retried continues its search without repeating finished trials. With
    `backend=local` and `parallel_trials=1`, the same seed gives the same trials, interrupted or
    not.

    Args:
        transformed_examples: The output of transform_features. Trials train on the split `train`
            and are evaluated on `eval`.
        transform_graph: The transform graph of the same task.
        hyperparameters: A JSON object of hyperparameters: the base hyperparameters, with those of
            the best trial in place. An input of train_model.
        report: A page with the best trial, all trials as a table and as parallel coordinates, the
            best objective so far, and each trial's reports.
        metrics: The best objective under its metric's name, the number of the best trial, and the
            number of trials, in all and by how they ended.
        search_space: Hyperparameters to search, in the format of Katib's `parameters`: a list of
            `{"name": "learning_rate", "parameterType": "double", "feasibleSpace": {"min": "0.0001",
            "max": "0.1", "distribution": "logUniform"}}`. Types are `double`, `int`, `categorical`
            and `discrete`. A feasible space has `min`, `max`, `step` and `distribution` (`uniform`,
            `logUniform`, `normal`, `logNormal`), or `list`. Numbers may be text. Empty: a default
            space that fits the model type.
        algorithm: `tpe`, `multivariate-tpe`, `random`, `grid` or `cmaes`; with `katib` also
            `bayesianoptimization`, `sobol` and `hyperband`. A local grid search ends when all
            points are used; with `katib`, `max_trials` must not exceed the number of points.
        algorithm_settings: Settings of the algorithm under Katib's names: `n_startup_trials` and
            `n_ei_candidates` of `multivariate-tpe`; `gamma`, `prior_weight` and `n_EI_candidates`
            of `tpe`; `sigma` and `restart_strategy` of `cmaes`; `base_estimator`,
            `n_initial_points`, `acq_func` and `acq_optimizer` of `bayesianoptimization`; `r_l`,
            `eta` and `resource_name` of `hyperband`. The local `tpe` also has `n_startup_trials`.
        max_trials: Number of trials, including failed ones. 0 passes the given hyperparameters on.
        parallel_trials: Number of trials that run at a time. Local trials share the task's cores.
        max_failed_trials: Number of trials that may fail; one more fails the task.
        objective_metric: Metric to compare trials by, under the name that training reports, such as
            `eval_accuracy`. Empty: `eval_auc` for a binary task, `eval_log_loss` for a multiclass
            task, `eval_rmse` for regression.
        objective_goal: `maximize` or `minimize`. Empty: follows from the metric's name.
        objective_strategy: Which report of a trial counts: `max`, `min` or `latest`. Empty: the
            best one, whose weights training keeps.
        objective_target: A number as text: no trial starts once one has reached it. Empty: no
            target.
        additional_metrics: More metrics to show for each trial. For each name, the report that
            counts: `max`, `min`, `latest`, or empty to choose by the name; such as
            `{"eval_log_loss": "min"}`.
        early_stopping: `medianstop` stops a trial whose best report after `start_step` reports is
            worse than the mean of what successful trials had reported by then; `none` lets every
            trial finish.
        min_trials_required: For `medianstop`: number of trials that must succeed before one is
            stopped.
        start_step: For `medianstop`: number of reports after which a trial is judged.
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
        seed: Seed of the initial weights, the row order and dropout. tune_hyperparameters seeds its
            search with it, too.
        backend: Where trials run: `local`, as processes of this task; or `katib`, as jobs of a
            Katib Experiment in the task's namespace. A retried task continues to wait for its
            Experiment; a cancelled task deletes it.
        study_directory: For `local`: a directory that outlives the task, such as one on a mounted
            volume, to record trials in. It lets a new container resume a search, and a larger
            `max_trials` continue a finished one. Empty: beside the output, removed after the
            search.
        trial_kind: For `katib`: the job of a trial: `tfjob` (Training Operator), `trainjob`
            (Kubeflow Trainer; the Katib controller must be set up for it) or `job`, a plain Job of
            one pod.
        job: For `katib`: what each trial requests from the cluster: `image`, `workers`, `cpu`,
            `memory`, `gpus`, `volumes`, `secrets`, `object_store` and more, as in train_model's
            `job`. Its `deadline_seconds` limits the whole search.
        resume_policy: For `katib`: what happens to the algorithm's service after the search:
            `Never` removes it, `LongRunning` keeps it, `FromVolume` keeps its state on a volume.
        retain_trials: For `katib`: keep the jobs of finished trials, to inspect their pods.
        run_id: For `katib`: ID of the pipeline run, for the Experiment's name and labels; a retried
            task finds its Experiment by it. Empty: read from where KFP stores the outputs. An
            argument that differs from run to run would disable caching.

    Raises:
        UserError: Exit code 2 and one line in the log: a search space, algorithm, setting or
            hyperparameter does not fit (for Katib all of them at once); the task's account lacks a
            permission; or every trial failed for bad input or configuration.
        RuntimeError: Exit code 1: no trial succeeded or too many failed, for other reasons. The
            message names the trials and why they failed: with `local` the last line of each log,
            with `katib` the trial's condition and why its pods failed.
        JobFailedError: Exit code 1: the Experiment did not end in time and was deleted, was deleted
            by another client, or none of its pods could start.

    Example:
        >>> @dsl.pipeline
        ... def search(data: dsl.Input[dsl.Dataset], graph: dsl.Input[dsl.Artifact]):
        ...     tune_hyperparameters(
        ...         transformed_examples=data, transform_graph=graph, max_trials=20
        ...     )
    """
    from pathlib import Path

    from kfp_tabular.components.common import options
    from kfp_tabular.components.common.artifacts import lineage
    from kfp_tabular.components.common.errors import reported_to_user
    from kfp_tabular.components.tuning import tune
    from kfp_tabular.components.tuning.options import TuningOptions
    from kfp_tabular.components.tuning.tuning_request import ArtifactUris, TuningRequest

    with reported_to_user():
        result = tune.run(
            TuningRequest(
                options=options.build(TuningOptions, locals()),
                transformed_examples=Path(transformed_examples.path),
                transform_graph=Path(transform_graph.path),
                hyperparameters=Path(hyperparameters.path),
                report=Path(report.path),
                uris=ArtifactUris(
                    transformed_examples.uri, transform_graph.uri, hyperparameters.uri
                ),
            )
        )
    # The artifact is a single file, without a lineage of its own.
    also = ("objective", "best_trial", "searched", "algorithm", "experiment", "trial")
    hyperparameters.metadata.update(lineage.metadata(result.lineage, also))
    for name, value in result.metrics.items():
        metrics.log_metric(name, value)
