"""The training pipeline: ingest, validate, transform, tune, train, evaluate, deploy."""

from typing import Any

from kfp import dsl

from kfp_tabular.components import (
    deploy_model,
    evaluate_model,
    ingest_data,
    train_model,
    transform_features,
    tune_hyperparameters,
    validate_data,
)


@dsl.pipeline(name="kfp-tabular-training", display_name="Tabular training")
def training_pipeline(
    data_uri: str,
    label: str,
    task: str = "auto",
    exclude: list[str] = [],
    data_format: str = "auto",
    split_method: str = "hash",
    split_fractions: dict[str, float] = {"train": 0.7, "eval": 0.15, "test": 0.15},
    split_column: str = "",
    split_keys: list[str] = [],
    split_salt: str = "",
    split_time_format: str = "",
    column_types: dict[str, str] = {},
    csv_delimiter: str = ",",
    csv_encoding: str = "utf-8",
    missing_values: list[str] = [],
    max_rejected_fraction: float = 0.01,
    schema_uri: str = "",
    previous_statistics_uri: str = "",
    skew_thresholds: dict[str, float] = {},
    drift_thresholds: dict[str, float] = {},
    fail_on: str = "error",
    feature_config: dict[str, Any] = {},
    preprocessing_fn: str = "",
    model_type: str = "wide_and_deep",
    model_fn: str = "",
    epochs: int = 0,
    train_steps: int = 0,
    batch_size: int = 256,
    learning_rate: float = 0.001,
    hyperparameters: dict[str, Any] = {},
    class_weights: str = "none",
    early_stopping_patience: int = 5,
    decision_threshold: float = 0.5,
    workers: int = 1,
    training_backend: str = "local",
    training_job: dict[str, Any] = {},
    search_space: list[Any] = [],
    algorithm: str = "tpe",
    algorithm_settings: dict[str, Any] = {},
    max_trials: int = 0,
    parallel_trials: int = 1,
    max_failed_trials: int = 3,
    objective_metric: str = "",
    objective_goal: str = "",
    objective_strategy: str = "",
    objective_target: str = "",
    additional_metrics: dict[str, Any] = {},
    early_stopping: str = "medianstop",
    min_trials_required: int = 3,
    start_step: int = 4,
    study_directory: str = "",
    tuning_backend: str = "local",
    trial_kind: str = "tfjob",
    trial_job: dict[str, Any] = {},
    resume_policy: str = "Never",
    retain_trials: bool = False,
    evaluation_split: str = "",
    slice_columns: list[str] = [],
    thresholds: dict[str, Any] = {},
    change_thresholds: dict[str, Any] = {},
    bootstrap_samples: int = 1000,
    baseline_model_uri: str = "",
    model_name: str = "model",
    model_repository: str = "",
    deployment_backend: str = "local",
    service: dict[str, Any] = {},
    seed: int = 0,
) -> None:
    """From tabular data to a served TensorFlow model.

    Args:
        data_uri: A file, directory or glob; a path that tasks can read, gs://, s3:// or
            minio://.
        label: The column to predict.
        task: auto, binary, multiclass or regression. auto decides by the label.
        exclude: Columns that the model must not use.
        data_format: auto, csv, parquet or tfrecord.
        split_method: hash, time or column.
        split_fractions: Relative weight of each split.
        split_column: The column of times, or of the splits' names.
        split_keys: For hash: columns whose rows stay together. Empty: the whole row.
        split_salt: For hash: another text gives another split.
        split_time_format: For time: how the text is written, as for strptime.
        column_types: integer, number or text for columns whose type is not to be inferred.
        csv_delimiter: One character, or tab.
        csv_encoding: The encoding of CSV.
        missing_values: Texts that mean missing, beside the empty one.
        max_rejected_fraction: More unreadable rows than this share fail the run.
        schema_uri: The schema that the data must keep to. Empty: it is inferred.
        previous_statistics_uri: Statistics of an earlier run, to measure drift against.
        skew_thresholds: Largest distance between train and eval by feature; * for all.
        drift_thresholds: Largest distance to the earlier statistics by feature.
        fail_on: The severity of anomalies that fails the run: error, warning or never.
        feature_config: How to treat single features; others are treated by the schema.
        preprocessing_fn: package.module:function to use instead.
        model_type: linear, dnn, wide_and_deep or dcn_v2.
        model_fn: package.module:function that builds the model instead.
        epochs: Passes over the train split, at most; 0 chooses by the size of the data.
        train_steps: Steps in all; 0 leaves it to epochs.
        batch_size: Rows per step, over all workers.
        learning_rate: The highest learning rate of the schedule.
        hyperparameters: Further hyperparameters by name; they win over the four above.
        class_weights: none or balanced.
        early_stopping_patience: Checks without improvement before training stops; 0 for never.
        decision_threshold: From which probability on a binary model answers the positive class.
        workers: Training processes.
        training_backend: local, tfjob or trainjob.
        training_job: What a TFJob or TrainJob asks of the cluster.
        search_space: Hyperparameters to search, in Katib's words.
        algorithm: The search algorithm, in Katib's words.
        algorithm_settings: Its settings.
        max_trials: Trials of the search; 0 trains with the hyperparameters as given.
        parallel_trials: Trials at a time.
        max_failed_trials: More failed trials than this fail the search.
        objective_metric: What the search improves. Empty: by the task.
        objective_goal: maximize or minimize. Empty: by the metric.
        objective_strategy: Which of a trial's reports counts: max, min or latest. Empty: the
            best.
        objective_target: With Katib: the search ends once a trial is this good. Empty: never.
        additional_metrics: With Katib: further metrics to record, with a strategy for each.
        early_stopping: medianstop or none.
        min_trials_required: For medianstop: so many trials must have ended.
        start_step: For medianstop: the first so many reports of a trial are not judged.
        study_directory: Where local trials are recorded, to outlive the task.
        tuning_backend: local or katib.
        trial_kind: What Katib's trials are: tfjob, trainjob or job.
        trial_job: What each of them asks of the cluster.
        resume_policy: Of the Experiment: Never, LongRunning or FromVolume.
        retain_trials: Whether finished trials' jobs stay.
        evaluation_split: The split to evaluate on. Empty: test or, without one, eval.
        slice_columns: Columns to evaluate by; a,b crosses two.
        thresholds: What a metric must reach for the model to be blessed.
        change_thresholds: How far a metric may fall behind the baseline model.
        bootstrap_samples: Resamples for confidence intervals, 100 to 100,000.
        baseline_model_uri: The model to compare with.
        model_name: The name to publish the model under.
        model_repository: Where models are published. With kserve, empty serves the artifact.
        deployment_backend: local or kserve.
        service: What a KServe endpoint asks of the cluster, and how it is rolled out.
        seed: Seed of training, search and evaluation.
    """
    ingestion = ingest_data(
        data_uri=data_uri,
        label=label,
        data_format=data_format,
        split_method=split_method,
        split_fractions=split_fractions,
        split_column=split_column,
        split_keys=split_keys,
        split_salt=split_salt,
        split_time_format=split_time_format,
        column_types=column_types,
        csv_delimiter=csv_delimiter,
        csv_encoding=csv_encoding,
        missing_values=missing_values,
        max_rejected_fraction=max_rejected_fraction,
    )
    examples = ingestion.outputs["examples"]
    validation = validate_data(
        examples=examples,
        label=label,
        schema_uri=schema_uri,
        previous_statistics_uri=previous_statistics_uri,
        skew_thresholds=skew_thresholds,
        drift_thresholds=drift_thresholds,
        fail_on=fail_on,
    )
    features = transform_features(
        examples=examples,
        schema=validation.outputs["schema"],
        label=label,
        task=task,
        exclude=exclude,
        feature_config=feature_config,
        preprocessing_fn=preprocessing_fn,
    )
    transformed = {
        "transformed_examples": features.outputs["transformed_examples"],
        "transform_graph": features.outputs["transform_graph"],
    }
    tuning = tune_hyperparameters(
        **transformed,
        search_space=search_space,
        algorithm=algorithm,
        algorithm_settings=algorithm_settings,
        max_trials=max_trials,
        parallel_trials=parallel_trials,
        max_failed_trials=max_failed_trials,
        objective_metric=objective_metric,
        objective_goal=objective_goal,
        objective_strategy=objective_strategy,
        objective_target=objective_target,
        additional_metrics=additional_metrics,
        early_stopping=early_stopping,
        min_trials_required=min_trials_required,
        start_step=start_step,
        study_directory=study_directory,
        backend=tuning_backend,
        trial_kind=trial_kind,
        job=trial_job,
        resume_policy=resume_policy,
        retain_trials=retain_trials,
        class_weights=class_weights,
        early_stopping_patience=early_stopping_patience,
        model_fn=model_fn,
        model_type=model_type,
        epochs=epochs,
        train_steps=train_steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        base_hyperparameters=hyperparameters,
        seed=seed,
    )
    training = train_model(
        **transformed,
        hyperparameters=tuning.outputs["hyperparameters"],
        class_weights=class_weights,
        early_stopping_patience=early_stopping_patience,
        model_fn=model_fn,
        decision_threshold=decision_threshold,
        workers=workers,
        backend=training_backend,
        job=training_job,
        seed=seed,
    )
    evaluation = evaluate_model(
        examples=examples,
        model=training.outputs["model"],
        baseline_model_uri=baseline_model_uri,
        split=evaluation_split,
        slice_columns=slice_columns,
        thresholds=thresholds,
        change_thresholds=change_thresholds,
        bootstrap_samples=bootstrap_samples,
        seed=seed,
    )
    with dsl.If(evaluation.outputs["Output"] == True, name="blessed"):  # noqa: E712 - a KFP condition
        deploy_model(
            model=training.outputs["model"],
            golden_examples=evaluation.outputs["golden_examples"],
            model_name=model_name,
            model_repository=model_repository,
            backend=deployment_backend,
            service=service,
            run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        )
