"""The KFP interface of model evaluation."""

from typing import Any, Dict, List

from kfp import dsl

from kfp_tabular.components.common import images
from kfp_tabular.components.common.task.component import component


@component(base_image=images.TENSORFLOW)
def evaluate_model(
    examples: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    classification_metrics: dsl.Output[dsl.ClassificationMetrics],
    golden_examples: dsl.Output[dsl.Artifact],
    evaluation: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
    model_card: dsl.Output[dsl.HTML],
    baseline_model: dsl.Input[dsl.Model] = None,
    baseline: str = "",
    baseline_model_uri: str = "",
    split: str = "",
    slice_columns: List[str] = [],
    thresholds: Dict[str, Any] = {},
    change_thresholds: Dict[str, Any] = {},
    slice_correction: str = "holm",
    entity_columns: List[str] = [],
    accept: List[str] = [],
    max_slices: int = 100,
    bootstrap_samples: int = 1000,
    explanations: bool = True,
    explanation_rows: int = 0,
    explanation_repetitions: int = 3,
    false_positive_cost: float = 1.0,
    false_negative_cost: float = 1.0,
    outcome_values: Dict[str, Any] = {},
    fairness_columns: List[str] = [],
    fairness_thresholds: Dict[str, Any] = {},
    intended_use: str = "",
    seed: int = 0,
    model_name: str = "model",
    tracking_uri: str = "",
    processing: Dict[str, Any] = {},
) -> bool:
    """Measure a model on held-out examples and decide whether it is blessed.

    The model predicts from the raw examples through its exported signature, exactly as it will when
    it is served. Rows are streamed, so memory use does not grow with their number. Each metric
    comes with a 95% bootstrap interval.

    - Binary: `accuracy`, `auc`, `pr_auc`, `log_loss`, `brier`, `ece`, and `precision`, `recall` and
      `f1` at the model's decision threshold.
    - Multiclass: `accuracy`, `auc` (mean of one class against the rest), `log_loss`, and
      `precision`, `recall` and `f1`, each as the mean over the classes and, with the suffix
      `_weighted`, weighted by the rows of the classes.
    - Regression: `rmse`, `mae`, `r2` and `bias`.

    Without `thresholds` a model is blessed if it is worth something. It saves at least 1% of the
    log loss of always answering the shares of the classes (or of the squared error of always
    answering the mean), and more than 0 at the lower end of the interval; intercepts are fitted to
    the evaluated rows first, since balanced class weights shift them. And it finds rows of every
    class with at least 5 rows, except a rare one of two (below 20%), unless `accept` names it.
    With a baseline and without `change_thresholds`, it must also not be worse than the baseline by
    more than the interval.

    What a careful colleague would say is among the findings: no skill, constant answers, classes
    that are never found, accuracy below that of always answering the most frequent class, too few
    rows of a class, probabilities far off, a large gap to the train split, and a result that is too
    good to be true.

    Args:
        examples: Raw examples, as `ingest_data` writes them.
        model: The model, as `train_model` writes it.
        metrics: The metrics on all rows.
        classification_metrics: ROC curve (binary, at most 200 points) and confusion matrix (at
            most 50 classes, the largest). Empty for regression.
        golden_examples: `golden.json` with up to 32 rows and the model's predictions for them;
            `deploy_model` compares the deployed model with them.
        evaluation: `evaluation.json` with all measurements, and the model card.
        report: A page with curves, slices, and why the model is blessed or not.
        model_card: A page on the model for its users: what it is, what it was measured on, what it
            relies on, one prediction explained, and its limits. `evaluation` has it as Markdown,
            too.
        baseline_model: A model to compare with, on the same rows.
        baseline: The registered model to compare with: `champion` or another alias of
            `model_name`, or `models:/NAME@ALIAS` or `models:/NAME/VERSION`. Without a champion yet,
            the trivial model alone. Empty: none.
        baseline_model_uri: URI of a model to compare with, instead of the artifact
            `baseline_model`: a directory, a local path or on an object store (`gs://`, `s3://`), or
            `<repository>/<name>` for the newest version that `deploy_model` published there.
            Empty: none.
        split: The split to evaluate on. Empty: `test` if it has rows, otherwise `eval`.
        slice_columns: Columns for whose values metrics are measured as well. Also excluded ones;
            `"a,b"` crosses two columns. Numbers with more than 50 values are split at their
            quartiles.
        thresholds: Bounds by metric: `{"auc": {"min": 0.9}, "log_loss": {"max": 0.4}}`. With
            `"slice": "column"` each slice of that column must keep the bound, except slices with
            fewer than `"min_rows"` (100) rows. A list gives several bounds for one metric.
        change_thresholds: Bounds by metric on the change from the baseline:
            `{"auc": {"min_change": -0.01}}`, also `max_change`, `slice`, `min_rows`, and margins of
            tests: `superior`, `non_inferior`, `not_worse`. Not checked without a baseline.
        slice_correction: How tests in several slices allow for their number. `holm` bounds the
            chance of any false alarm, `benjamini-hochberg` the share of false ones.
        entity_columns: Columns that name what a row is about, such as a customer. If several rows
            are about the same one, intervals and tests resample all its rows together.
        accept: What is known and wanted: classes of which the model need not find any row, or codes
            of findings of the evaluation, such as `no-recall` (for all classes) or `calibration`.
            Accepted findings become notes.
        max_slices: The most slices to measure, the largest ones; 1 to 1000.
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
        seed: Seed of the resampling and of the shuffles.
        model_name: The model's name on its card, and the registered model that an alias in
            `baseline` belongs to.
        tracking_uri: The registry of models: an MLflow server (`http://`), a file
            (`sqlite:///...`), Kubeflow's Model Registry (`model-registry+http://`), or `none`.
            Empty: that of `MLFLOW_TRACKING_URI`, or of the local run; on a cluster without it none.
        processing: The engine for rows; by default threads of the task. `{"engine": "spark"}` and
            its settings: see the guide on scaling.

    Returns:
        Whether the model is blessed. The task succeeds in either case.

    Raises:
        UserError: If the split does not exist or is empty, the examples lack the label or an input
            of the model, an argument does not fit, or predictions are not finite.

    Example:
        >>> @dsl.pipeline
        ... def compare(examples: dsl.Input[dsl.Dataset], model: dsl.Input[dsl.Model]):
        ...     evaluate_model(examples=examples, model=model, thresholds={"auc": {"min": 0.9}})
    """
    from pathlib import Path

    from kfp_tabular.components.common import options
    from kfp_tabular.components.common.artifacts import lineage
    from kfp_tabular.components.common.errors import reported_to_user
    from kfp_tabular.components.common.processing import engines
    from kfp_tabular.components.evaluation import evaluate
    from kfp_tabular.components.evaluation.options import EvaluationOptions
    from kfp_tabular.components.evaluation.report import kfp_metrics

    request = evaluate.EvaluationRequest(
        examples=Path(examples.path),
        model=Path(model.path),
        evaluation=Path(evaluation.path),
        golden_examples=Path(golden_examples.path),
        report=Path(report.path),
        baseline_model=None if baseline_model is None else Path(baseline_model.path),
        card=Path(model_card.path),
        options=options.build(EvaluationOptions, locals()),
    )
    with reported_to_user(), engines.opened(processing, "evaluate-model") as opened:
        evaluated = evaluate.run(request, opened.engine)
    kfp_metrics.log(evaluated.document, metrics, classification_metrics)
    golden_examples.metadata.update(lineage.metadata(evaluated.lineage["golden_examples"]))
    evaluation.metadata.update(lineage.metadata(evaluated.lineage["evaluation"]))
    evaluation.metadata["why"] = evaluated.document["why"]
    evaluation.metadata["constant_answer"] = evaluated.document["constant_answer"]
    return evaluated.is_blessed
