"""The options of `transform_features`."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common import options
from kfp_tabular.components.common.artifacts.supervised_task import TASK_KINDS
from kfp_tabular.components.common.documents import one_of
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.options import option
from kfp_tabular.components.common.processing.processing_settings import processing_option
from kfp_tabular.components.feature_engineering.features.feature_config import (
    BAG_TOP_K,
    BUCKETS,
    HASH_BUCKETS,
    MIN_FREQUENCY,
    OOV_BUCKETS,
    TOP_K,
)
from kfp_tabular.components.feature_engineering.features.text_features import (
    TEXT_COLUMNS,
    TEXT_LENGTH,
    TEXT_NGRAMS,
)

AUTO = "auto"
TASKS = (AUTO, *TASK_KINDS)


@dataclass(frozen=True)
class TransformOptions:
    """Which label to predict, and how to derive features."""

    label: str = option(dataclasses.MISSING, "The label's column.")
    task: str = option(
        AUTO,
        """`binary`, `multiclass`, `regression`, or `auto`: two distinct labels are binary; text,
        or at most 20 distinct whole numbers, multiclass; everything else regression.""",
        check=one_of(*TASKS),
    )
    positive_class: str = option(
        "",
        """The positive class of a binary task. Empty: the second of 0 and 1, no and yes, false and
        true and the like, the larger of two numbers, otherwise the rarer class.""",
    )
    exclude: list[str] = option(
        [],
        """Columns that the model must not see, such as those that are known only after the
        label.""",
    )
    feature_config: dict[str, Any] = option(
        {},
        f"""By feature, an object with `kind` (`numeric`, `categorical`, `hash`, `timestamp`, `bag`,
        `text`, `presence`, `drop`; derived by default) and its options. numeric: `log` (true,
        false, "auto"), `buckets` ({BUCKETS}; 0 for none). categorical: `top_k` ({TOP_K}),
        `min_frequency` ({MIN_FREQUENCY}), `oov_buckets` ({OOV_BUCKETS}), `equal_to` (columns to
        compare with; [] for none). hash: `buckets` ({HASH_BUCKETS}), `equal_to`. timestamp: `parts`
        (of `month`, `day`, `weekday`, `hour`, `minute`, `utc_hour`, `hour_cycle`, `weekday_cycle`,
        `month_cycle`, `year_cycle`, `age`, `elapsed`), `format` (strptime, or `days` to
        `nanoseconds` since 1970), `holidays` (dates, or `12-25` for every year), `reference` (the
        column that `age` is measured to). bag: `separator` (of text), `top_k` ({BAG_TOP_K}),
        `min_frequency` ({MIN_FREQUENCY}). text: `words` and `characters` (columns of n-grams, at
        most {TEXT_COLUMNS}; 0 for none), `ngrams` (of words, {TEXT_NGRAMS}), `character_ngrams`
        ([3, 5]), `length` (bytes read, {TEXT_LENGTH}).""",
    )
    preprocessing_fn: str = option(
        "",
        """`package.module:function`, a tf.Transform preprocessing function that replaces all
        derived features. It takes the raw features without the label, as dense tensors of shape
        `[batch]`.""",
    )
    processing: dict[str, Any] = processing_option()

    def check(self) -> None:
        """Check each option, and that none contradicts another.

        Raises:
            UserError: For the first that does not fit.

        Example:
            >>> TransformOptions("churn", exclude=["churn"]).check()
            Traceback (most recent call last):
            ...
            kfp_tabular.components.common.errors.UserError: exclude: 'churn' is the label. Remove it
            from the list.
        """
        options.check(self)
        if self.label and self.label in self.exclude:
            raise UserError(f"exclude: {self.label!r} is the label. Remove it from the list.")
        if self.label in self.feature_config:
            raise UserError(f"feature_config: {self.label!r} is the label, not a feature.")
        if self.preprocessing_fn and self.feature_config:
            raise UserError(
                "feature_config: has no effect together with preprocessing_fn. Remove one of them."
            )
