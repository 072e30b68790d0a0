"""The options of `predict_batch`."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from kfp_tabular.components.common.documents import one_of
from kfp_tabular.components.common.options import option
from kfp_tabular.components.common.processing.processing_settings import processing_option
from kfp_tabular.components.common.registry.address import TRACKING_URI
from kfp_tabular.components.data_ingestion.options import (
    CsvOptions,
    check_nested,
    check_share,
    data_format_option,
    data_uri_option,
)

ALL_COLUMNS = "*"
REJECT, COUNT, MISSING = "reject", "count", "missing"


@dataclass(frozen=True)
class BatchPredictionOptions:
    """What to predict for, with which model, and what to write."""

    data_uri: str = data_uri_option()
    model: str = option(
        dataclasses.MISSING,
        """The model: its directory, as a local path or a `gs://`, `s3://` or `minio://` URI; or a
        registered one, `models:/NAME@champion` or `models:/NAME/VERSION`, whose bytes are verified.
        """,
    )
    key_columns: list[str] = option(
        [],
        """Columns of the data to write beside the predictions, such as identifiers; `*` stands for
        all. Empty: those that the model does not take.""",
    )
    model_columns: bool = option(
        True, "Whether to write the model's name, version and digest beside each prediction."
    )
    write_csv: bool = option(
        False, "Whether to write the predictions as CSV, too: `_csv/part-*.csv`, in order."
    )
    attributions: bool = option(
        False,
        """Whether to write how much each feature changed the prediction: `attribution_<feature>`,
        by integrated gradients where the model has gradients, else by Shapley values. It takes
        up to some thousand times as long as the predictions.""",
    )
    attribution_baseline: dict[str, Any] = option(
        {},
        """What attributions are measured from: raw values by feature, null for missing. Features
        that are not named are as in the model's typical row; with `"*": null` they are missing.""",
    )
    data_format: str = data_format_option()
    exclude: list[str] = option(
        [], "Columns that are not read, such as nested ones that the model does not take."
    )
    nested: dict[str, str] = option(
        {},
        """How Parquet columns and TFRecord features with several values per row become columns, by
        column: `flatten` or `bag`, as in training. Columns that the model takes as bags are read as
        bags.""",
        check=check_nested,
    )
    csv: CsvOptions = field(default_factory=CsvOptions)
    unseen_values: str = option(
        COUNT,
        """Values that the model's schema does not list: `count` them, or `reject` their rows.""",
        check=one_of(COUNT, REJECT),
    )
    out_of_range: str = option(
        REJECT,
        """Numbers beyond the range that the model's schema states: `count` them, or `reject` their
        rows.""",
        check=one_of(COUNT, REJECT),
    )
    unreadable_values: str = option(
        REJECT,
        """Text where a number, a time or a list is expected that cannot be read as one: `reject`
        its row, or take it as `missing`.""",
        check=one_of(REJECT, MISSING),
    )
    max_rejected_fraction: float = option(
        0.01,
        """The task fails if a larger share of the rows is rejected, from 0 to 1. The predictions
        made so far are kept, so a second attempt with a larger share ends at once.""",
        check=check_share,
    )
    statistics_uri: str = option(
        "",
        """The `statistics` output of the training run, to measure the drift of the scored data
        from; a local path or a `gs://`, `s3://` or `minio://` URI. Empty: do not measure drift.""",
    )
    drift_thresholds: dict[str, float] = option(
        {"*": 0.1},
        """The distance from the training data beyond which a feature is a warning, by feature; `*`
        for every one that is not named, except points in time. Categories are compared by
        L-infinity distance, numbers by Jensen-Shannon divergence; both go from 0 to 1. A distance
        that few rows show by chance is a note.""",
    )
    tracking_uri: str = option("", TRACKING_URI)
    processing: dict[str, Any] = processing_option()
