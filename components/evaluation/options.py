"""The options of `evaluate_model`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common.documents import at_least, between, one_of
from kfp_tabular.components.common.options import option
from kfp_tabular.components.common.outcome_value import OUTCOME_VALUES
from kfp_tabular.components.common.processing.processing_settings import processing_option
from kfp_tabular.components.common.registry.address import TRACKING_URI

HOLM, BENJAMINI_HOCHBERG = "holm", "benjamini-hochberg"


@dataclass(frozen=True)
class EvaluationOptions:
    """The arguments of `evaluate_model` that are not artifacts.

    Example:
        >>> EvaluationOptions(thresholds={"auc": {"min": 0.9}}).bootstrap_samples
        1000
    """

    baseline: str = option(
        "",
        """The registered model to compare with: `champion` or another alias of `model_name`, or
        `models:/NAME@ALIAS` or `models:/NAME/VERSION`. Without a champion yet, the trivial model
        alone. Empty: none.""",
    )
    baseline_model_uri: str = option(
        "",
        """URI of a model to compare with, instead of the artifact `baseline_model`: a directory, a
        local path or on an object store (`gs://`, `s3://`), or `<repository>/<name>` for the newest
        version that `deploy_model` published there. Empty: none.""",
    )
    split: str = option(
        "", "The split to evaluate on. Empty: `test` if it has rows, otherwise `eval`."
    )
    slice_columns: Sequence[str] = option(
        [],
        """Columns for whose values metrics are measured as well. Also excluded ones; `"a,b"`
        crosses two columns. Numbers with more than 50 values are split at their
        quartiles.""",
    )
    thresholds: Mapping[str, Any] = option(
        {},
        """Bounds by metric: `{"auc": {"min": 0.9}, "log_loss": {"max": 0.4}}`. With
        `"slice": "column"` each slice of that column must keep the bound, except slices with fewer
        than `"min_rows"` (100) rows. A list gives several bounds for one metric.""",
    )
    change_thresholds: Mapping[str, Any] = option(
        {},
        """Bounds by metric on the change from the baseline: `{"auc": {"min_change": -0.01}}`, also
        `max_change`, `slice`, `min_rows`, and margins of tests: `superior`, `non_inferior`,
        `not_worse`. Not checked without a baseline.""",
    )
    slice_correction: str = option(
        HOLM,
        """How tests in several slices allow for their number. `holm` bounds the chance of any
        false alarm, `benjamini-hochberg` the share of false ones.""",
        check=one_of(HOLM, BENJAMINI_HOCHBERG),
    )
    entity_columns: Sequence[str] = option(
        [],
        """Columns that name what a row is about, such as a customer. If several rows are about the
        same one, intervals and tests resample all its rows together.""",
    )
    accept: Sequence[str] = option(
        [],
        """What is known and wanted: classes of which the model need not find any row, or codes of
        findings of the evaluation, such as `no-recall` (for all classes) or `calibration`. Accepted
        findings become notes.""",
    )
    max_slices: int = option(
        100,
        "The most slices to measure, the largest ones; 1 to 1000.",
        check=between(1, 1000),
    )
    bootstrap_samples: int = option(
        1000, "Resamples for the intervals, 100 to 100,000.", check=between(100, 100_000)
    )
    explanations: bool = option(
        True,
        """Whether to explain the model. That is the importance of its inputs, how its answers
        depend on the most important ones, and why it answers one row as it does; the
        model card shows that row's values.""",
    )
    explanation_rows: int = option(
        0,
        """Rows for importance, at most 100,000. A random sample; 0 chooses their number, so that
        explaining costs a small share of evaluation; models with many inputs are then
        compared on fewer rows first.""",
        check=between(0, 100_000),
    )
    explanation_repetitions: int = option(
        3,
        "Shuffles of each input, to measure its importance, 1 to 100.",
        check=between(1, 100),
    )
    false_positive_cost: float = option(
        1.0,
        "Binary: the cost of a false positive, in any unit.",
        check=at_least(0),
    )
    false_negative_cost: float = option(
        1.0,
        "Binary: the cost of a false negative, in the same unit.",
        check=at_least(0),
    )
    outcome_values: Mapping[str, Any] = option({}, OUTCOME_VALUES)
    fairness_columns: Sequence[str] = option(
        [],
        """Binary: columns whose values are groups, such as `sex`. The gaps of rates between them
        are measured. They are slice columns, too.""",
    )
    fairness_thresholds: Mapping[str, Any] = option(
        {},
        """The largest gaps for the blessing. By `selection_rate`, `true_positive_rate`,
        `false_positive_rate` and `calibration`: `{"selection_rate": {"max_gap": 0.1}}`, also with
        `column`.""",
    )
    intended_use: str = option("", "What the model is for and what not, as text for its card.")
    seed: int = option(0, "Seed of the resampling and of the shuffles.")
    model_name: str = option(
        "model",
        """The model's name on its card, and the registered model that an alias in `baseline`
        belongs to.""",
    )
    tracking_uri: str = option("", TRACKING_URI)
    processing: Mapping[str, Any] = processing_option()

    def all_slice_columns(self) -> list[str]:
        """Return the slice columns, those of groups included."""
        return list(dict.fromkeys([*self.slice_columns, *self.fairness_columns]))
