"""The KFP interface of model evaluation."""

from typing import Any, Dict, List

from kfp import dsl

from kfp_tabular.components.common import images


@dsl.component(base_image=images.TENSORFLOW, install_kfp_package=False)
def evaluate_model(
    examples: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    classification_metrics: dsl.Output[dsl.ClassificationMetrics],
    golden_examples: dsl.Output[dsl.Artifact],
    evaluation: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
    baseline_model: dsl.Input[dsl.Model] = None,
    baseline_model_uri: str = "",
    split: str = "",
    slice_columns: List[str] = [],
    thresholds: Dict[str, Any] = {},
    change_thresholds: Dict[str, Any] = {},
    max_slices: int = 100,
    bootstrap_samples: int = 1000,
    seed: int = 0,
) -> bool:
    """Measures a model on held-out examples and decides whether it is blessed.

    The model predicts from the raw examples through its exported signature, exactly as it will when
    served. Rows stream through, so memory does not grow with them. Each metric comes with a 95 %
    bootstrap interval.

    - Binary: `accuracy`, `auc`, `pr_auc`, `log_loss`, `brier`, `ece`, and `precision`, `recall` and
      `f1` at the model's decision threshold.
    - Multiclass: `accuracy`, `auc` (mean of one class against the rest), `log_loss`, and
      `precision`, `recall` and `f1`, each as the mean over the classes and, with the ending
      `_weighted`, weighted by the classes' rows.
    - Regression: `rmse`, `mae`, `r2` and `bias`.

    Without `thresholds` a model is blessed where it beats a constant answer by more than the
    interval: the lower end of the interval of `auc` is above 0.5, or that of `r2` above 0. With a
    baseline and without `change_thresholds`, it must also not be worse than the baseline by more
    than the interval.

    Args:
        examples: Raw examples, as `ingest_data` writes them.
        model: The model, as `train_model` writes it.
        metrics: The metrics on all rows.
        classification_metrics: ROC curve (binary, at most 200 points) and confusion matrix (at
            most 50 classes, the largest). Empty for regression.
        golden_examples: `golden.json` with up to 32 rows and what the model answered for them;
            `deploy_model` asks the model again before it publishes it.
        evaluation: `evaluation.json` with everything that was measured.
        report: A page with curves, slices, and why the model is blessed or not.
        baseline_model: A model to compare with, on the same rows.
        baseline_model_uri: Where such a model lies, instead of an artifact: a directory, local or
            in an object store (`gs://`, `s3://`), or `<repository>/<name>` for the newest version
            that `deploy_model` published there. Empty for none.
        split: The split to evaluate on. Default: `test` where it holds rows, else `eval`.
        slice_columns: Columns of the examples, also excluded ones, for whose values the metrics
            are measured too; `"a,b"` crosses two columns. Numbers with more than 50 values are
            cut at their quartiles.
        thresholds: By metric what it must reach: `{"auc": {"min": 0.9}, "log_loss": {"max": 0.4}}`.
            With `"slice": "column"` each slice of that column must, those with fewer than
            `"min_rows"` (100) excepted. A list gives several bounds for one metric.
        change_thresholds: By metric how it may change against the baseline:
            `{"auc": {"min_change": -0.01}}`, also `max_change`, `slice` and `min_rows`. Not
            checked where there is no baseline.
        max_slices: At most so many slices are measured in all, the largest, 1 to 1000.
        bootstrap_samples: Resamples for the intervals, 100 to 100,000.
        seed: What the intervals' randomness starts from.

    Returns:
        Whether the model is blessed. An unblessed model is no failure of the task.

    Raises:
        UserError: Where the split is absent or empty, the examples lack the label or an input of
            the model, an argument is not fit, or predictions are not finite.
    """
    from pathlib import Path

    from kfp_tabular.components.common.errors import reported_to_user
    from kfp_tabular.components.evaluation import evaluate
    from kfp_tabular.components.evaluation.report import kfp_metrics

    with reported_to_user():
        result = evaluate.run(
            evaluate.Request(
                examples=Path(examples.path),
                model=Path(model.path),
                evaluation=Path(evaluation.path),
                golden_examples=Path(golden_examples.path),
                report=Path(report.path),
                baseline_model=None if baseline_model is None else Path(baseline_model.path),
                baseline_model_uri=baseline_model_uri,
                split=split,
                slice_columns=slice_columns,
                max_slices=max_slices,
                thresholds=thresholds,
                change_thresholds=change_thresholds,
                bootstrap_samples=bootstrap_samples,
                seed=seed,
            )
        )
    for name, value in kfp_metrics.scalars(result.document).items():
        metrics.log_metric(name, value)
    curve = kfp_metrics.roc_curve(result.document)
    if curve is not None:
        classification_metrics.log_roc_curve(*curve)
    matrix = kfp_metrics.confusion_matrix(result.document)
    if matrix is not None:
        classification_metrics.log_confusion_matrix(*matrix)
    golden_examples.metadata.update(result.lineage["golden_examples"])
    evaluation.metadata.update(result.lineage["evaluation"])
    return result.blessed
