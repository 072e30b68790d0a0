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
    decision_threshold: float = 0.5,
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
        decision_threshold: A binary model predicts the positive class, the second one, from this
            probability on, between 0 and 1. The endpoint uses it, and so do the evaluation's
            `precision`, `recall` and `f1`; training and `auc` do not.
        max_trials: Number of trials, including failed ones. 0 passes the given hyperparameters on.
        objective_metric: Metric to compare trials by, under the name that training reports, such as
            `eval_accuracy`. Empty: `eval_auc` for a binary task, `eval_log_loss` for a multiclass
            task, `eval_rmse` for regression.
        evaluation_split: The split to evaluate on. Empty: `test` if it has rows, otherwise `eval`.
        slice_columns: Columns of the examples, including excluded ones, for whose values the
            metrics are measured as well; `"a,b"` crosses two columns. Numbers with more than 50
            values are split at their quartiles.
        thresholds: Bounds by metric: `{"auc": {"min": 0.9}, "log_loss": {"max": 0.4}}`. With
            `"slice": "column"` each slice of that column must keep the bound, except slices with
            fewer than `"min_rows"` (100) rows. A list gives several bounds for one metric.
        change_thresholds: Bounds by metric on the change from the baseline: `{"auc": {"min_change":
            -0.01}}`, also `max_change`, `slice` and `min_rows`. Not checked without a baseline.

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
