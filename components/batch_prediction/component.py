"""The KFP interface of batch prediction."""

from typing import Any, Dict, List

from kfp import dsl

from kfp_tabular.components.common import images
from kfp_tabular.components.common.task.component import component


@component(base_image=images.TENSORFLOW)
def predict_batch(
    predictions: dsl.Output[dsl.Dataset],
    rejected_rows: dsl.Output[dsl.Dataset],
    report: dsl.Output[dsl.HTML],
    data_uri: str,
    model: str,
    key_columns: List[str] = [],
    model_columns: bool = True,
    write_csv: bool = False,
    attributions: bool = False,
    attribution_baseline: Dict[str, Any] = {},
    data_format: str = "auto",
    exclude: List[str] = [],
    nested: Dict[str, str] = {},
    csv_delimiter: str = "auto",
    csv_quote: str = "auto",
    csv_escape: str = "auto",
    csv_header: str = "auto",
    csv_comment: str = "auto",
    csv_encoding: str = "auto",
    missing_values: List[str] = [],
    unseen_values: str = "count",
    out_of_range: str = "reject",
    unreadable_values: str = "reject",
    max_rejected_fraction: float = 0.01,
    statistics_uri: str = "",
    drift_thresholds: Dict[str, float] = {"*": 0.1},
    tracking_uri: str = "",
    processing: Dict[str, Any] = {},
) -> int:
    """Predict for a data set, with the checks of the endpoint.

    Reads any data that `ingest_data` reads, decodes the values as the endpoint does, and writes a
    prediction for each row, in the order of the rows. Rows that the endpoint would refuse are
    rejected with the reason. A piece that is done is not done again by the next attempt, as long
    as what was written is there: with a `shards_uri` in `processing`.

    Args:
        predictions: Output. Parquet by piece with a manifest: the key columns, `prediction` (the
            class as text, or the number), `probability_<class>` for each class, attributions if
            asked for, and the model's name, version and digest.
        rejected_rows: Output. Parquet with the rows that were left out: `file`, `line`, `reason`,
            `text`.
        report: Output. A self-contained HTML page: rows, rejected rows, predictions by class,
            drift from the training data.
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

    Returns:
        The number of rows that were predicted.

    Raises:
        UserError: Exit code 2. A file, a column, an argument or the model is wrong, or too many
            rows are rejected.

    Example:
        >>> @dsl.pipeline
        ... def scoring(data_uri: str):
        ...     predict_batch(data_uri=data_uri, model="s3://models/churn/3", key_columns=["id"])
    """
    from pathlib import Path

    from kfp_tabular.components.batch_prediction import predict
    from kfp_tabular.components.batch_prediction.options import BatchPredictionOptions
    from kfp_tabular.components.common import options
    from kfp_tabular.components.common.artifacts import lineage
    from kfp_tabular.components.common.errors import reported_to_user
    from kfp_tabular.components.common.processing import engines

    with reported_to_user(), engines.opened(processing, "predict-batch") as opened:
        result = predict.run(
            predict.BatchPredictionRequest(
                options=options.build(BatchPredictionOptions, locals()),
                predictions=Path(predictions.path),
                rejected_rows=Path(rejected_rows.path),
                report=Path(report.path),
            ),
            opened.engine,
            opened.shards_uri,
        )
    predictions.metadata.update(lineage.metadata(result.predictions_lineage))
    rejected_rows.metadata.update(lineage.metadata(result.rejected_lineage))
    return result.facts.predicted
