"""The KFP interface of `check_parameters`."""

from typing import Any, Dict, List

from kfp import dsl

from kfp_tabular.components.common import images
from kfp_tabular.components.common.task.component import component


@component(base_image=images.TENSORFLOW)
def check_parameters(
    outline: dsl.Input[dsl.Dataset],
    summary: dsl.Output[dsl.Markdown],
    label: str = "",
    task: str = "auto",
    model_type: str = "auto",
    model_fn: str = "",
    hyperparameters: Dict[str, Any] = {},
    class_weights: str = "none",
    decision_threshold: str = "0.5",
    workers: int = 1,
    training_backend: str = "local",
    training_job: Dict[str, Any] = {},
    search_space: List[Any] = [],
    algorithm: str = "tpe",
    algorithm_settings: Dict[str, Any] = {},
    tuning_backend: str = "local",
    trial_job: Dict[str, Any] = {},
    max_trials: int = 0,
    objective_metric: str = "",
    evaluation_split: str = "",
    slice_columns: List[str] = [],
    thresholds: Dict[str, Any] = {},
    change_thresholds: Dict[str, Any] = {},
) -> None:
    """Check the parameters of all tasks against the data, before the long tasks.

    A misspelt metric or a column that does not exist would otherwise end the run in the task that
    uses it. Pipelines compiled with this project's configuration have this task; a run on one
    machine makes the same checks itself.

    Args:
        outline: The outline of the examples, as `ingest_data` writes it.
        summary: What was checked.
        label: The label's column.
        task: `binary`, `multiclass`, `regression`, or `auto`: two distinct labels are binary; text,
            or at most 20 distinct whole numbers, multiclass; everything else regression.
        model_type: `auto` tries `trees` and a network and keeps the best on eval, or their `blend`;
            or `trees` (boosted), `blend`, `linear`, `dnn`, `wide_and_deep`, `dcn_v2`, `tabm`.
        model_fn: Your own model as `package.module:function`, used instead of `model_type`; see the
            guide on model functions.
        hyperparameters: More hyperparameters by name: `learning_rate_schedule`, `hidden_units`
            (such as "256,128"), `dropout`, `l2`, `cross_layers`, `members`, `embedding_dimension`,
            `label_transform` (`log` or `rank`); of trees, `tree_count`, `tree_depth`,
            `tree_learning_rate`, `tree_l2`, `tree_rows`. They override the arguments of the same
            name.
        class_weights: `none`, or `balanced`: all classes have the same total weight in the loss.
            The probabilities of a balanced model are not calibrated.
        decision_threshold: A binary model predicts the positive class, the second one, from this
            probability on, between 0 and 1: at the endpoint and in the evaluation. `value`: the one
            of highest value on the eval split, by `outcome_values`.
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
        tuning_backend: Where trials run: `local`, as processes of this task; or `katib`, as jobs of
            a Katib Experiment in the task's namespace. A retried task continues to wait for its
            Experiment; a cancelled task deletes it.
        trial_job: For `katib`: what each trial requests from the cluster: `image`, `workers`,
            `cpu`, `memory`, `gpus`, `volumes`, `secrets`, `object_store` and more, as in
            train_model's `job`. Its `deadline_seconds` limits the whole search.
        max_trials: Number of trials, including failed ones. 0 passes the given hyperparameters on.
        objective_metric: Metric to compare trials by, under the name that training reports, such as
            `eval_accuracy`. Empty: `eval_auc` for a binary task, `eval_log_loss` for a multiclass
            task, `eval_rmse` for regression.
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

    Raises:
        UserError: If a parameter does not fit. The message names the task, the parameter, the value
            and the closest match.

    Example:
        >>> from kfp_tabular.components import ingest_data
        >>> @dsl.pipeline
        ... def checked(data_uri: str, label: str):
        ...     ingestion = ingest_data(data_uri=data_uri, label=label)
        ...     check_parameters(outline=ingestion.outputs["outline"], label=label)
    """
    from pathlib import Path

    from kfp_tabular.components.common import options
    from kfp_tabular.components.common.errors import reported_to_user
    from kfp_tabular.components.parameters import check
    from kfp_tabular.components.parameters.options import ParameterOptions

    with reported_to_user():
        check.run(
            check.ParameterRequest(
                outline=Path(outline.path),
                summary=Path(summary.path),
                options=options.build(ParameterOptions, locals()),
            )
        )
