"""The options of `predict_batch`."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from kfp_tabular.components.common.documents import one_of
from kfp_tabular.components.common.options import option
from kfp_tabular.components.common.processing.processing_settings import processing_option
from kfp_tabular.components.data_ingestion.nested_ways import NESTED_WAYS
from kfp_tabular.components.data_ingestion.options import AUTO, DATA_FORMATS, CsvOptions

ALL_COLUMNS = "*"
REJECT, COUNT, MISSING = "reject", "count", "missing"


def _check_share(value: Any) -> None:
    if not 0 <= value <= 1:
        raise ValueError("expected a share from 0 to 1")


def _check_nested(value: Any) -> None:
    for way in value.values():
        if way not in NESTED_WAYS:
            raise ValueError("expected bag or flatten for each column")


@dataclass(frozen=True)
class BatchPredictionOptions:
    """What to predict for, with which model, and what to write."""

    data_uri: str = option(
        dataclasses.MISSING,
        """A file, a directory (all files below it) or a glob (`*`, `?`, `**`): a local path or a
        `file://`, `gs://`, `s3://` or `minio://` URI. CSV and TFRecord files may be compressed
        (gzip, bzip2, xz, zstd, lz4, zip). All files have the same format and the same columns.""",
    )
    model: str = option(
        dataclasses.MISSING,
        """The model: its directory, as a local path or a `gs://`, `s3://` or `minio://` URI.""",
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
    data_format: str = option(
        AUTO,
        "`csv`, `parquet`, `tfrecord` (of tf.Example), or `auto` to detect it from the content.",
        check=one_of(*DATA_FORMATS),
    )
    exclude: list[str] = option(
        [], "Columns that are not read, such as nested ones that the model does not take."
    )
    nested: dict[str, str] = option(
        {},
        """How Parquet columns and TFRecord features with several values per row become columns, by
        column: `flatten` or `bag`, as in training. Columns that the model takes as bags are read as
        bags.""",
        check=_check_nested,
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
        check=_check_share,
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
        L-infinity distance, numbers by Jensen-Shannon divergence; both go from 0 to 1.""",
    )
    processing: dict[str, Any] = processing_option()
