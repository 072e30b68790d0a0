"""The training pipeline: ingest, validate, transform, tune, train, evaluate, register, deploy."""

from typing import Any

from kfp import dsl

from kfp_tabular.components import (
    deploy_model,
    evaluate_model,
    ingest_data,
    register_model,
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
    positive_class: str = "",
    exclude: list[str] = [],
    keep: list[str] = [],
    data_format: str = "auto",
    split_method: str = "hash",
    split_fractions: dict[str, float] = {"train": 0.7, "eval": 0.15, "test": 0.15},
    split_column: str = "",
    split_keys: list[str] = [],
    split_salt: str = "",
    split_time_format: str = "",
    nested: dict[str, str] = {},
    column_types: dict[str, str] = {},
    column_formats: dict[str, Any] = {},
    odd_values: str = "missing",
    csv_delimiter: str = "auto",
    csv_quote: str = "auto",
    csv_escape: str = "auto",
    csv_header: str = "auto",
    csv_comment: str = "auto",
    csv_encoding: str = "auto",
    missing_values: list[str] = [],
    max_rejected_fraction: float = 0.01,
    schema_uri: str = "",
    previous_statistics_uri: str = "",
    skew_thresholds: dict[str, float] = {},
    drift_thresholds: dict[str, float] = {},
    fail_on: str = "error",
    feature_config: dict[str, Any] = {},
    preprocessing_fn: str = "",
    model_type: str = "auto",
    model_fn: str = "",
    epochs: int = 0,
    train_steps: int = 0,
    batch_size: int = 256,
    learning_rate: float = 0.0,
    hyperparameters: dict[str, Any] = {},
    class_weights: str = "none",
    early_stopping_patience: int = 5,
    decision_threshold: str = "0.5",
    calibration: str = "none",
    training_budget_seconds: int = 0,
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
    slice_correction: str = "holm",
    entity_columns: list[str] = [],
    accept: list[str] = [],
    bootstrap_samples: int = 1000,
    explanations: bool = True,
    explanation_rows: int = 0,
    explanation_repetitions: int = 3,
    false_positive_cost: float = 1.0,
    false_negative_cost: float = 1.0,
    outcome_values: dict[str, Any] = {},
    fairness_columns: list[str] = [],
    fairness_thresholds: dict[str, Any] = {},
    intended_use: str = "",
    baseline: str = "",
    baseline_model_uri: str = "",
    model_name: str = "model",
    model_repository: str = "",
    deployment_backend: str = "local",
    service: dict[str, Any] = {},
    signing_key: str = "",
    tracking_uri: str = "",
    seed: int = 0,
    processing: dict[str, Any] = {},
) -> None:
    """From tabular data to a served TensorFlow model.

    Args:
        data_uri: A file, a directory (all files below it) or a glob (`*`, `?`, `**`): a local path
            or a `file://`, `gs://`, `s3://` or `minio://` URI. CSV and TFRecord files may be
            compressed (gzip, bzip2, xz, zstd, lz4, zip). All files have the same format and the
            same columns.
        label: The column to predict.
        task: `binary`, `multiclass`, `regression`, or `auto`: two distinct labels are binary; text,
            or at most 20 distinct whole numbers, multiclass; everything else regression.
        positive_class: The positive class of a binary task. Empty: the second of 0 and 1, no and
            yes, false and true and the like, the larger of two numbers, otherwise the rarer class.
        exclude: Columns that are not read, such as nested ones and those that are known only after
            the label. Those that options of the split or the evaluation name, or `keep`, are read,
            but the model does not see them.
        keep: Columns to read although `exclude` names them: the model does not see them, but the
            evaluation does, for example in `outcome_values`.
        data_format: `csv`, `parquet`, `tfrecord` (of tf.Example), or `auto` to detect it from the
            content.
        split_method: `hash`: by a hash of `split_keys`, the same on every machine and in any row
            order; rows with equal keys stay together. `row`: by the same hash and the row's number
            among those with equal keys, for data of a few kinds of row. `time`: the earliest rows
            by `split_column` go to the first split, and rows of the same time stay together.
            `column`: `split_column` names the split of each row and is left out of the examples.
        split_fractions: Relative weights by split, for `hash`, `row` and `time`. For `time`, the
            order is train, eval, test, then others by name.
        split_column: For `time`, a column of numbers or ISO 8601 text; for `column`, a column of
            split names.
        split_keys: Columns whose values together decide the split, for example to keep all rows of
            a customer in one split. Empty: for `hash`, all columns but the label and identifiers,
            or `row` where there are too few kinds of row to keep equal ones together; for `row`,
            all columns.
        split_salt: A different text gives a different split by hash.
        split_time_format: The format of text in a time column, in `strptime` directives (`%d/%m/%Y
            %H:%M`). Empty: told from the rows. ISO 8601 is always read.
        nested: How Parquet columns and TFRecord features with several values per row become
            columns, by column. `flatten`: a column per field (`address.city`), per position of a
            list (`scores_0`) or per key of a map (`settings.theme`). `bag`: lists of numbers or
            texts stay together as one column.
        column_types: `integer`, `number`, `boolean`, `time` or `text` by column, to override what
            is inferred. `text` keeps the text as it is, with the blanks around it.
        column_formats: By column, an object with how it is written; what is left out is inferred.
            `type`; for numbers `decimal`, `thousands`, `units` (a list) and `percent`; for times
            `format` (of `strptime`), `unit` (`seconds`, ...) and `day_first`; for booleans `true`
            and `false` (lists); `missing` (a list).
        odd_values: What happens to the few values of a column that do not fit its type.
            `missing`: they are missing. `flag`: they are missing, and a column `<name>_odd` marks
            them. `reject`: their rows are rejected. `text`: the column is text.
        csv_delimiter: The character between fields of CSV; `tab` for a tabulator, `auto` to find
            it out from the first lines of each file.
        csv_quote: The character around fields; `none` for none.
        csv_escape: The character before a quote inside quotes; `none` where quotes are only
            doubled.
        csv_header: Whether the first row holds the names of the columns: `true`, `false` (they are
            called `column_1`, `column_2`, ...), or `auto`.
        csv_comment: What begins lines that are skipped; `none` to skip no lines, nor units below
            the header or totals at the end.
        csv_encoding: The encoding of CSV files, by its Python name. Rows that are not valid in it
            are rejected. `auto`: UTF-8, UTF-16, or cp1252 or latin-1 where a file is not valid
            UTF-8.
        missing_values: Texts that mean missing in every CSV column, in addition to the empty one.
        max_rejected_fraction: The task fails if a larger share of the rows is rejected, from 0 to
            1. Rows without a label are left out, too, but do not count.
        schema_uri: A schema to validate against: a `schema.pbtxt`, or a directory that holds one,
            such as the `schema` output of an earlier run. A local path or a `gs://`, `s3://` or
            `minio://` URI. Empty: infer a schema.
        previous_statistics_uri: The `statistics` output of an earlier run, to measure drift from; a
            path or URI as above. Empty: do not measure drift.
        skew_thresholds: The largest distance allowed between a column's distribution in the train
            split and that in any other split, by column. `*` stands for every column that is not
            named, except points in time. Categorical columns are compared by L-infinity distance,
            numbers by Jensen-Shannon divergence; both go from 0 (equal) to 1. For example `{"*":
            0.1, "fare": 0.3}`. Columns without a threshold use the `skew_comparator` of the given
            schema, if any. The report shows all distances.
        drift_thresholds: The same between the earlier statistics and each split's, with the
            schema's `drift_comparator`.
        fail_on: The least severity of an anomaly that fails the task: `error`, `warning` or
            `never`.
        feature_config: By feature, an object with `kind` (`numeric`, `categorical`, `hash`,
            `timestamp`, `bag`, `text`, `presence`, `drop`; derived by default) and its options.
            numeric: `log` (true, false, "auto"), `buckets` (32; 0 for none). categorical: `top_k`
            (10000), `min_frequency` (2), `oov_buckets` (1), `equal_to` (columns to compare with; []
            for none). hash: `buckets` (4096), `equal_to`. timestamp: `parts` (of `month`, `day`,
            `weekday`, `hour`, `minute`, `utc_hour`, `hour_cycle`, `weekday_cycle`, `month_cycle`,
            `year_cycle`, `age`, `elapsed`), `format` (strptime, or `days` to `nanoseconds` since
            1970), `holidays` (dates, or `12-25` for every year), `reference` (the column that `age`
            is measured to). bag: `separator` (of text), `top_k` (256), `min_frequency` (2). text:
            `words` and `characters` (columns of n-grams, at most 1024; 0 for none), `ngrams` (of
            words, 2), `character_ngrams` ([3, 5]), `length` (bytes read, 8192).
        preprocessing_fn: `package.module:function`, a tf.Transform preprocessing function that
            replaces all derived features. It takes the raw features without the label, as dense
            tensors of shape `[batch]`.
        model_type: `auto` tries `trees` and a network and keeps the best on eval, or their `blend`;
            or `trees` (boosted), `blend`, `linear`, `dnn`, `wide_and_deep`, `dcn_v2`, `tabm`.
        model_fn: Your own model as `package.module:function`, used instead of `model_type`; see the
            guide on model functions.
        epochs: Maximum number of passes over the train split. 0 chooses: 10, or on small data as
            many as 500 steps take; for `tabm`, 500,000 rows, 2,000 steps at most, 4 to 150 passes.
        train_steps: Number of training steps; overrides `epochs`. 0 leaves the length to `epochs`.
        batch_size: Rows per step, over all workers; at most the rows of the train split.
        learning_rate: Peak learning rate of the schedule. 0 chooses: 0.001, or 0.005 for `tabm`.
        hyperparameters: More hyperparameters by name: `learning_rate_schedule`, `hidden_units`
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
        decision_threshold: A binary model predicts the positive class, the second one, from this
            probability on, between 0 and 1: at the endpoint and in the evaluation. `value`: the one
            of highest value on the eval split, by `outcome_values`.
        calibration: How probabilities are calibrated on the eval split, inside the exported model:
            `temperature` divides the logits, `isotonic` (two classes) maps them by a rising
            function and needs about a thousand rows of each class. Evaluate on another split.
        training_budget_seconds: Most seconds that reading and training take, for all candidates of
            `auto` together. One that would take more than its share is stopped and kept at its best
            state so far, which a finding reports; the result then depends on the machine. Choosing
            and writing the model come on top. 0 bounds the work by rules on rows and columns only.
        workers: Worker processes that train together, the chief included. Each takes an equal share
            of the rows.
        training_backend: Where training runs: `local` (processes of this task), or as a job on the
            cluster: `tfjob` (Training Operator) or `trainjob` (Kubeflow Trainer). The outputs are
            the same.
        training_job: What the job asks of the cluster: `image`, `cpu`, `memory`, `gpus`,
            `node_selector`, `tolerations`, `volumes`, `secrets`, `object_store`, `deadline_seconds`
            and more; see the guide on distributed training. `local` ignores it.
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
        study_directory: For `local`: a directory that outlives the task, such as one on a mounted
            volume, to record trials in. It lets a new container resume a search, and a larger
            `max_trials` continue a finished one. Empty: beside the output, removed after the
            search.
        tuning_backend: Where trials run: `local`, as processes of this task; or `katib`, as jobs of
            a Katib Experiment in the task's namespace. A retried task continues to wait for its
            Experiment; a cancelled task deletes it.
        trial_kind: For `katib`: the job of a trial: `tfjob` (Training Operator), `trainjob`
            (Kubeflow Trainer; the Katib controller must be set up for it) or `job`, a plain Job of
            one pod.
        trial_job: For `katib`: what each trial requests from the cluster: `image`, `workers`,
            `cpu`, `memory`, `gpus`, `volumes`, `secrets`, `object_store` and more, as in
            train_model's `job`. Its `deadline_seconds` limits the whole search.
        resume_policy: For `katib`: what happens to the algorithm's service after the search:
            `Never` removes it, `LongRunning` keeps it, `FromVolume` keeps its state on a volume.
        retain_trials: For `katib`: keep the jobs of finished trials, to inspect their pods.
        evaluation_split: The split to evaluate on. Empty: `test` if it has rows, otherwise `eval`.
        slice_columns: Columns for whose values metrics are measured as well. Also excluded ones;
            `"a,b"` crosses two columns. Numbers with more than 50 values are split at their
            quartiles.
        thresholds: Bounds by metric: `{"auc": {"min": 0.9}, "log_loss": {"max": 0.4}}`. With
            `"slice": "column"` each slice of that column must keep the bound, except slices with
            fewer than `"min_rows"` (100) rows. A list gives several bounds for one metric.
        change_thresholds: Bounds by metric on the change from the baseline: `{"auc": {"min_change":
            -0.01}}`, also `max_change`, `slice`, `min_rows`, and margins of tests: `superior`,
            `non_inferior`, `not_worse`. Not checked without a baseline.
        slice_correction: How tests in several slices allow for their number. `holm` bounds the
            chance of any false alarm, `benjamini-hochberg` the share of false ones.
        entity_columns: Columns that name what a row is about, such as a customer. If several rows
            are about the same one, intervals and tests resample all its rows together.
        accept: What is known and wanted: classes of which the model need not find any row, or codes
            of findings of the evaluation, such as `no-recall` (for all classes) or `calibration`.
            Accepted findings become notes.
        bootstrap_samples: Resamples for the intervals, 100 to 100,000.
        explanations: Whether to explain the model. That is the importance of its inputs, how its
            answers depend on the most important ones, and why it answers one row as it does; the
            model card shows that row's values.
        explanation_rows: Rows for importance, at most 100,000. A random sample; 0 chooses their
            number, so that explaining costs a small share of evaluation; models with many inputs
            are then compared on fewer rows first.
        explanation_repetitions: Shuffles of each input, to measure its importance, 1 to 100.
        false_positive_cost: Binary: the cost of a false positive, in any unit.
        false_negative_cost: Binary: the cost of a false negative, in the same unit.
        outcome_values: Binary: what outcomes are worth. By `true_positive`, `false_positive`,
            `true_negative` and `false_negative`: a number, or an expression of columns such as
            `"0.1 * amount - 5"`. For the profit of each threshold, and for `decision_threshold`
            `value`.
        fairness_columns: Binary: columns whose values are groups, such as `sex`. The gaps of rates
            between them are measured. They are slice columns, too.
        fairness_thresholds: The largest gaps for the blessing. By `selection_rate`,
            `true_positive_rate`, `false_positive_rate` and `calibration`: `{"selection_rate":
            {"max_gap": 0.1}}`, also with `column`.
        intended_use: What the model is for and what not, as text for its card.
        baseline: The registered model to compare with: `champion` or another alias of
            `model_name`, or `models:/NAME@ALIAS` or `models:/NAME/VERSION`. Without a champion yet,
            the trivial model alone. Empty: none.
        baseline_model_uri: URI of a model to compare with, instead of the artifact
            `baseline_model`: a directory, a local path or on an object store (`gs://`, `s3://`), or
            `<repository>/<name>` for the newest version that `deploy_model` published there. Empty:
            none.
        model_name: Name of the model and of its endpoint: at most 50 lower-case letters, digits and
            hyphens. For `kserve` at most 46, the first one a letter.
        model_repository: Directory of the model repository. For `local` a path or `file://`,
            created if it does not exist. For `kserve` also `s3://`, `minio://` or `gs://`; empty
            serves the model artifact where it is.
        deployment_backend: `local` publishes to a model repository; `kserve` rolls out to a KServe
            endpoint.
        service: For `kserve`: resources of the endpoint and the rollout strategy, such as
            `{"strategy": "canary", "steps": [10, 50, 100], "soak_seconds": 120}`. The deployment
            guide lists all keys.
        signing_key: File of a private key (PEM, an elliptic curve) to sign the model with: a
            mounted secret. The endpoint verifies the signature if it has the public key. Empty: not
            signed.
        tracking_uri: The registry of models: an MLflow server (`http://`), a file
            (`sqlite:///...`), Kubeflow's Model Registry (`model-registry+http://`), or `none`.
            Empty: that of `MLFLOW_TRACKING_URI`, or of the local run; on a cluster without it none.
        seed: Seed of training, search and evaluation.
        processing: The engine for rows; by default threads of the task. `{"engine": "spark"}` and
            its settings: see the guide on scaling.
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
        exclude=exclude,
        keep=keep,
        slice_columns=slice_columns,
        entity_columns=entity_columns,
        fairness_columns=fairness_columns,
        nested=nested,
        column_types=column_types,
        column_formats=column_formats,
        odd_values=odd_values,
        csv_delimiter=csv_delimiter,
        csv_quote=csv_quote,
        csv_escape=csv_escape,
        csv_header=csv_header,
        csv_comment=csv_comment,
        csv_encoding=csv_encoding,
        missing_values=missing_values,
        max_rejected_fraction=max_rejected_fraction,
        processing=processing,
    )
    examples = ingestion.outputs["examples"]
    validation = validate_data(
        examples=examples,
        label=label,
        schema_uri=schema_uri,
        previous_statistics_uri=previous_statistics_uri,
        skew_thresholds=skew_thresholds,
        drift_thresholds=drift_thresholds,
        exclude=exclude,
        fail_on=fail_on,
        processing=processing,
    )
    features = transform_features(
        examples=examples,
        schema=validation.outputs["schema"],
        label=label,
        task=task,
        positive_class=positive_class,
        exclude=exclude,
        feature_config=feature_config,
        preprocessing_fn=preprocessing_fn,
        processing=processing,
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
        examples=examples,
        hyperparameters=tuning.outputs["hyperparameters"],
        class_weights=class_weights,
        early_stopping_patience=early_stopping_patience,
        model_fn=model_fn,
        decision_threshold=decision_threshold,
        calibration=calibration,
        budget_seconds=training_budget_seconds,
        outcome_values=outcome_values,
        workers=workers,
        backend=training_backend,
        job=training_job,
        seed=seed,
    )
    evaluation = evaluate_model(
        examples=examples,
        model=training.outputs["model"],
        baseline=baseline,
        baseline_model_uri=baseline_model_uri,
        model_name=model_name,
        tracking_uri=tracking_uri,
        split=evaluation_split,
        slice_columns=slice_columns,
        thresholds=thresholds,
        change_thresholds=change_thresholds,
        slice_correction=slice_correction,
        entity_columns=entity_columns,
        accept=accept,
        bootstrap_samples=bootstrap_samples,
        explanations=explanations,
        explanation_rows=explanation_rows,
        explanation_repetitions=explanation_repetitions,
        false_positive_cost=false_positive_cost,
        false_negative_cost=false_negative_cost,
        outcome_values=outcome_values,
        fairness_columns=fairness_columns,
        fairness_thresholds=fairness_thresholds,
        intended_use=intended_use,
        seed=seed,
        processing=processing,
    )
    registration = register_model(
        model=training.outputs["model"],
        evaluation=evaluation.outputs["evaluation"],
        golden_examples=evaluation.outputs["golden_examples"],
        training_logs=training.outputs["training_logs"],
        tuning_report=tuning.outputs["report"],
        evaluation_report=evaluation.outputs["report"],
        blessed=evaluation.outputs["Output"],
        model_name=model_name,
        tracking_uri=tracking_uri,
        run_id=dsl.PIPELINE_JOB_NAME_PLACEHOLDER,
    )
    with dsl.If(evaluation.outputs["Output"] == True, name="blessed"):  # noqa: E712 - a KFP condition
        deploy_model(
            model=training.outputs["model"],
            golden_examples=evaluation.outputs["golden_examples"],
            model_name=model_name,
            model_repository=model_repository,
            backend=deployment_backend,
            service=service,
            registered_version=registration.outputs["version"],
            signing_key=signing_key,
            tracking_uri=tracking_uri,
            run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        )
