"""The batch prediction pipeline: a model's predictions for a data set."""

from typing import Any

from kfp import dsl

from kfp_tabular.components import predict_batch


@dsl.pipeline(name="kfp-tabular-batch-prediction", display_name="Tabular batch prediction")
def batch_prediction_pipeline(
    data_uri: str,
    model: str,
    key_columns: list[str] = [],
    model_columns: bool = True,
    write_csv: bool = False,
    attributions: bool = False,
    attribution_baseline: dict[str, Any] = {},
    data_format: str = "auto",
    exclude: list[str] = [],
    nested: dict[str, str] = {},
    csv_delimiter: str = "auto",
    csv_quote: str = "auto",
    csv_escape: str = "auto",
    csv_header: str = "auto",
    csv_comment: str = "auto",
    csv_encoding: str = "auto",
    missing_values: list[str] = [],
    unseen_values: str = "count",
    out_of_range: str = "reject",
    unreadable_values: str = "reject",
    max_rejected_fraction: float = 0.01,
    statistics_uri: str = "",
    drift_thresholds: dict[str, float] = {"*": 0.1},
    tracking_uri: str = "",
    processing: dict[str, Any] = {},
) -> None:
    """Predict for a data set, with the checks of the endpoint.

    Args:
        data_uri: A file, a directory (all files below it) or a glob (`*`, `?`, `**`): a local path
            or a `file://`, `gs://`, `s3://` or `minio://` URI. CSV and TFRecord files may be
            compressed (gzip, bzip2, xz, zstd, lz4, zip). All files have the same format and the
            same columns.
        model: The model: its directory, as a local path or a `gs://`, `s3://` or `minio://` URI; or
            a registered one, `models:/NAME@champion` or `models:/NAME/VERSION`, whose bytes are
            verified.
        key_columns: Columns of the data to write beside the predictions, such as identifiers; `*`
            stands for all. Empty: those that the model does not take.
        model_columns: Whether to write the model's name, version and digest beside each prediction.
        write_csv: Whether to write the predictions as CSV, too: `_csv/part-*.csv`, in order.
        attributions: Whether to write how much each feature changed the prediction:
            `attribution_<feature>`, by integrated gradients where the model has gradients, else by
            Shapley values. It takes up to some thousand times as long as the predictions.
        attribution_baseline: What attributions are measured from: raw values by feature, null for
            missing. Features that are not named are as in the model's typical row; with
            `"*": null` they are missing.
        data_format: `csv`, `parquet`, `tfrecord` (of tf.Example), or `auto` to detect it from the
            content.
        exclude: Columns that are not read, such as nested ones that the model does not take.
        nested: How Parquet columns and TFRecord features with several values per row become
            columns, by column: `flatten` or `bag`, as in training. Columns that the model takes as
            bags are read as bags.
        csv_delimiter: The character between fields of CSV; `tab` for a tabulator, `auto` to find it
            out from the first lines of each file.
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
        unseen_values: Values that the model's schema does not list: `count` them, or `reject` their
            rows.
        out_of_range: Numbers beyond the range that the model's schema states: `count` them, or
            `reject` their rows.
        unreadable_values: Text where a number, a time or a list is expected that cannot be read as
            one: `reject` its row, or take it as `missing`.
        max_rejected_fraction: The task fails if a larger share of the rows is rejected, from 0 to
            1. The predictions made so far are kept, so a second attempt with a larger share ends at
            once.
        statistics_uri: The `statistics` output of the training run, to measure the drift of the
            scored data from; a local path or a `gs://`, `s3://` or `minio://` URI. Empty: do not
            measure drift.
        drift_thresholds: The distance from the training data beyond which a feature is a warning,
            by feature; `*` for every one that is not named, except points in time. Categories are
            compared by L-infinity distance, numbers by Jensen-Shannon divergence; both go from 0 to
            1. A distance that few rows show by chance is a note.
        tracking_uri: The registry of models: an MLflow server (`http://`), a file
            (`sqlite:///...`), Kubeflow's Model Registry (`model-registry+http://`), or `none`.
            Empty: that of `MLFLOW_TRACKING_URI`, or of the local run; on a cluster without it none.
        processing: The engine for rows; by default threads of the task. `{"engine": "spark"}` and
            its settings: see the guide on scaling.
    """
    predict_batch(
        data_uri=data_uri,
        model=model,
        key_columns=key_columns,
        model_columns=model_columns,
        write_csv=write_csv,
        attributions=attributions,
        attribution_baseline=attribution_baseline,
        data_format=data_format,
        exclude=exclude,
        nested=nested,
        csv_delimiter=csv_delimiter,
        csv_quote=csv_quote,
        csv_escape=csv_escape,
        csv_header=csv_header,
        csv_comment=csv_comment,
        csv_encoding=csv_encoding,
        missing_values=missing_values,
        unseen_values=unseen_values,
        out_of_range=out_of_range,
        unreadable_values=unreadable_values,
        max_rejected_fraction=max_rejected_fraction,
        statistics_uri=statistics_uri,
        drift_thresholds=drift_thresholds,
        tracking_uri=tracking_uri,
        processing=processing,
    )
