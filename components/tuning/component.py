"""The KFP interface of hyperparameter tuning."""

from typing import Any, Dict, List

from kfp import dsl

from kfp_tabular.components.common import images


@dsl.component(base_image=images.TENSORFLOW, install_kfp_package=False)
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
    model_type: str = "wide_and_deep",
    epochs: int = 0,
    train_steps: int = 0,
    batch_size: int = 256,
    learning_rate: float = 0.001,
    base_hyperparameters: Dict[str, Any] = {},
    class_weights: str = "none",
    early_stopping_patience: int = 5,
    model_fn: str = "",
    study_directory: str = "",
    seed: int = 0,
    backend: str = "local",
    trial_kind: str = "tfjob",
    job: Dict[str, Any] = {},
    resume_policy: str = "Never",
    retain_trials: bool = False,
    run_id: str = "",
) -> None:
    """Searches the hyperparameters that train_model then trains with.

    Every trial is a training of its own, with the same seed, on the train split; it is judged by
    a metric of the eval split. The test split is never looked at. With `max_trials=0` nothing is
    searched and the given hyperparameters are passed on.

    A task that is killed and retried continues its search: finished trials are not repeated. With
    `backend=local` and `parallel_trials=1` the search gives the same trials for the same seed,
    interrupted or not.

    Args:
        transformed_examples: Parquet shards by split, as transform_features writes them. Trials
            train on `train` and are judged on `eval`.
        transform_graph: The transform graph that goes with them, with its `task.json`.
        hyperparameters: A file with a JSON object: the base hyperparameters with those of the
            best trial in place. An input of train_model.
        report: A page: the best trial, all trials as a table and as parallel coordinates, the
            best objective so far, and each trial's reports.
        metrics: The best objective under its own name, the number of the best trial, and how
            many trials there were, in all and by how they ended.
        search_space: What to search, in the vocabulary of Katib's `parameters`: a list of
            `{"name": "learning_rate", "parameterType": "double", "feasibleSpace": {"min":
            "0.0001", "max": "0.1", "distribution": "logUniform"}}`. Types are `double`, `int`,
            `categorical` and `discrete`; a feasible space has `min`, `max`, `step` and
            `distribution` (`uniform`, `logUniform`, `normal`, `logNormal`), or `list`. Numbers
            may be text. Empty searches a default space that fits the model type.
        algorithm: `tpe`, `multivariate-tpe`, `random`, `grid` or `cmaes`; with `katib` also
            `bayesianoptimization`, `sobol` and `hyperband`. A local grid ends when its points are
            used up; Katib wants no more trials than points.
        algorithm_settings: Katib's settings of the algorithm by name: `n_startup_trials` and
            `n_ei_candidates` of `multivariate-tpe`; `gamma`, `prior_weight` and
            `n_EI_candidates` of `tpe`; `sigma` and `restart_strategy` of `cmaes`;
            `base_estimator`, `n_initial_points`, `acq_func` and `acq_optimizer` of
            `bayesianoptimization`; `r_l`, `eta` and `resource_name` of `hyperband`. The local
            `tpe` has `n_startup_trials`, too.
        max_trials: How many trials to run in all, failed ones included. 0 passes the given
            hyperparameters on.
        parallel_trials: How many trials run at a time; with `local` they share the task's cores.
        max_failed_trials: The task fails once more trials than this have failed.
        objective_metric: The metric to judge trials by, under the name that training reports it,
            such as `eval_accuracy`. Empty: `eval_auc` for a binary task, `eval_log_loss` for a
            multiclass one, `eval_rmse` for regression.
        objective_goal: `maximize` or `minimize`. Empty where it follows from the metric's name.
        objective_strategy: Which report of a trial counts: `max`, `min` or `latest`. Empty for
            the best one, after which training keeps its weights.
        objective_target: A number as text; no trial is started once one is as good. Empty: none.
        additional_metrics: Further metrics to show for each trial, by name, each with the report
            that counts (`max`, `min` or `latest`; empty chooses by the metric's name), such as
            `{"eval_log_loss": "min"}`.
        early_stopping: `medianstop` ends a trial whose best report after `start_step` of them is
            worse than the mean of what succeeded trials had reported by then; `none` lets every
            trial end by itself.
        min_trials_required: Of `medianstop`: so many trials must have succeeded before one is
            ended.
        start_step: Of `medianstop`: after how many reports a trial is judged.
        model_type: Base value: `linear`, `dnn`, `wide_and_deep` or `dcn_v2`.
        epochs: Base value: passes over the train split, at most; 0 as in train_model.
        train_steps: Base value: steps in all; 0 leaves it to `epochs`.
        batch_size: Base value: rows per step.
        learning_rate: Base value: the highest learning rate of the schedule.
        base_hyperparameters: More base values by name; they win over the five above. The base is
            also the first trial where the search space holds it (but for `grid`), so a search
            does not end worse than its base.
        class_weights: As of train_model; every trial trains with it.
        early_stopping_patience: As of train_model; every trial trains with it.
        model_fn: As of train_model; every trial trains with it.
        study_directory: Of `local`: a directory that outlives the task, such as a mounted volume,
            to record trials in. With it a search is resumed in a new container too, and one with
            a larger `max_trials` goes on where the smaller one ended. Empty: beside the output,
            and removed once the search is done.
        seed: The seed of the search and of every trial's training.
        backend: Where trials run: `local`, as processes of this task; or `katib`, as jobs of a
            Katib Experiment in the task's namespace. A retried task goes on waiting for its
            Experiment; one that is stopped deletes it. The other arguments below are for Katib.
        trial_kind: What a trial is: `tfjob` (Training Operator), `trainjob` (Kubeflow Trainer; the
            Katib controller must know it) or `job`, a plain Job of one pod.
        job: What each trial asks of the cluster: `image`, `workers`, `cpu`, `memory`, `gpus`,
            `volumes`, `secrets`, `object_store` and more, as in train_model's `job`. Its
            `deadline_seconds` is that of the whole search.
        resume_policy: What becomes of Katib's service for the algorithm when the search is done:
            `Never`, `LongRunning` or `FromVolume`.
        retain_trials: Keep the jobs of finished trials, to look at their pods.
        run_id: The pipeline run, which the Experiment is named and labelled after; a retried task
            finds its Experiment again. Empty reads it from where KFP stores the outputs: an
            argument that differs from run to run would keep the task from ever being cached.

    Raises:
        UserError: Exit code 2, in one line of the log: a search space, algorithm, setting or
            base value that cannot be used, for Katib all of them at once; another backend; a
            permission that the task's account lacks; no trial succeeded, each for bad input or
            configuration.
        RuntimeError: Exit code 1: no trial succeeded or too many failed, for other reasons. The
            message says which and why: with `local` the last line of each one's log, with `katib`
            its condition and what its pods ended with.
        JobFailedError: Exit code 1: the Experiment did not end in time (it is deleted), was
            deleted by somebody else, or none of its pods could start.
    """
    from pathlib import Path

    from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
    from kfp_tabular.components.common.errors import reported_to_user
    from kfp_tabular.components.common.kubernetes.names import run_of
    from kfp_tabular.components.tuning import limits, tune

    with reported_to_user():
        base = Hyperparameters().updated(
            {
                "model_type": model_type,
                "epochs": epochs,
                "train_steps": train_steps,
                "batch_size": batch_size,
                "learning_rate": learning_rate,
                **base_hyperparameters,
            }
        )
        result = tune.run(
            tune.Request(
                transformed_examples=Path(transformed_examples.path),
                transform_graph=Path(transform_graph.path),
                hyperparameters=Path(hyperparameters.path),
                report=Path(report.path),
                base=base,
                search_space=search_space,
                algorithm=algorithm,
                algorithm_settings=algorithm_settings,
                limits=limits.Limits(max_trials, parallel_trials, max_failed_trials),
                objective_metric=objective_metric,
                objective_goal=objective_goal,
                objective_strategy=objective_strategy,
                objective_target=objective_target,
                additional_metrics=additional_metrics,
                early_stopping=early_stopping,
                min_trials_required=min_trials_required,
                start_step=start_step,
                training_flags={
                    "class-weights": class_weights,
                    "early-stopping-patience": str(early_stopping_patience),
                    "model-fn": model_fn,
                },
                study_directory=Path(study_directory) if study_directory else None,
                seed=seed,
                backend=backend,
                artifacts=tune.Artifacts(transformed_examples.uri, transform_graph.uri),
                trial_kind=trial_kind,
                job=job,
                resume_policy=resume_policy,
                retain_trials=retain_trials,
                run_id=run_id or run_of(hyperparameters.uri),
            )
        )
    hyperparameters.metadata.update(result.lineage)
    for name, value in result.metrics.items():
        metrics.log_metric(name, value)
