"""The validation pipeline: ingest new data, and check them against a schema and earlier data."""

from typing import Any

from kfp import dsl

from kfp_tabular.components import ingest_data, validate_data


@dsl.pipeline(name="kfp-tabular-validation", display_name="Tabular validation")
def validation_pipeline(
    data_uri: str,
    schema_uri: str,
    previous_statistics_uri: str = "",
    label: str = "",
    skew_thresholds: dict[str, float] = {},
    drift_thresholds: dict[str, float] = {},
    fail_on: str = "error",
    data_format: str = "auto",
    split_method: str = "hash",
    split_fractions: dict[str, float] = {"train": 0.7, "eval": 0.15, "test": 0.15},
    split_column: str = "",
    split_keys: list[str] = [],
    split_salt: str = "",
    split_time_format: str = "",
    exclude: list[str] = [],
    nested: dict[str, str] = {},
    column_types: dict[str, str] = {},
    column_formats: dict[str, Any] = {},
    odd_values: str = "missing",
    csv_delimiter: str = "auto",
    csv_quote: str = "auto",
    csv_escape: str = "auto",
    csv_header: str = "auto",
    csv_comment: str = "auto",
    csv_encoding: str = "auto",
    missing_values: list[str] = [],
    max_rejected_fraction: float = 0.01,
    processing: dict[str, Any] = {},
) -> None:
    """Check new data against a schema and the statistics of earlier data.

    Args:
        data_uri: A file, a directory (all files below it) or a glob (`*`, `?`, `**`): a local path
            or a `file://`, `gs://`, `s3://` or `minio://` URI. CSV and TFRecord files may be
            compressed (gzip, bzip2, xz, zstd, lz4, zip). All files have the same format and the
            same columns.
        schema_uri: A schema to validate against: a `schema.pbtxt`, or a directory that holds one,
            such as the `schema` output of an earlier run. A local path or a `gs://`, `s3://` or
            `minio://` URI. Empty: infer a schema.
        previous_statistics_uri: The `statistics` output of an earlier run, to measure drift from; a
            path or URI as above. Empty: do not measure drift.
        label: The column to predict. Empty: the data have none.
        skew_thresholds: The largest distance allowed between a column's distribution in the train
            split and that in any other split, by column. `*` stands for every column that is not
            named, except points in time. Categorical columns are compared by L-infinity distance,
            numbers by Jensen-Shannon divergence; both go from 0 (equal) to 1. For example `{"*":
            0.1, "fare": 0.3}`. Columns without a threshold use the `skew_comparator` of the given
            schema, if any. The report shows all distances.
        drift_thresholds: The same between the earlier statistics and each split's, with the
            schema's `drift_comparator`.
        fail_on: The least severity of an anomaly that fails the task: `error`, `warning` or
            `never`.
        data_format: `csv`, `parquet`, `tfrecord` (of tf.Example), or `auto` to detect it from the
            content.
        split_method: `hash`: by a hash of `split_keys`, the same on every machine and in any row
            order; rows with equal keys stay together. `row`: by the same hash and the row's number
            among those with equal keys, for data of a few kinds of row. `time`: the earliest rows
            by `split_column` go to the first split, and rows of the same time stay together.
            `column`: `split_column` names the split of each row and is left out of the examples.
        split_fractions: Relative weights by split, for `hash`, `row` and `time`. For `time`, the
            order is train, eval, test, then others by name.
        split_column: For `time`, a column of numbers or ISO 8601 text; for `column`, a column of
            split names.
        split_keys: Columns whose values together decide the split, for example to keep all rows of
            a customer in one split. Empty: for `hash`, all columns but the label and identifiers,
            or `row` where there are too few kinds of row to keep equal ones together; for `row`,
            all columns.
        split_salt: A different text gives a different split by hash.
        split_time_format: The format of text in a time column, in `strptime` directives (`%d/%m/%Y
            %H:%M`). Empty: told from the rows. ISO 8601 is always read.
        exclude: Columns that are not read, such as nested ones and those that the model must not
            see. `split_keys`, `split_column`, `keep`, `slice_columns`, `entity_columns` and
            `fairness_columns` are read all the same.
        nested: How Parquet columns and TFRecord features with several values per row become
            columns, by column. `flatten`: a column per field (`address.city`), per position of a
            list (`scores_0`) or per key of a map (`settings.theme`). `bag`: lists of numbers or
            texts stay together as one column.
        column_types: `integer`, `number`, `boolean`, `time` or `text` by column, to override what
            is inferred. `text` keeps the text as it is, with the blanks around it.
        column_formats: By column, an object with how it is written; what is left out is inferred.
            `type`; for numbers `decimal`, `thousands`, `units` (a list) and `percent`; for times
            `format` (of `strptime`), `unit` (`seconds`, ...) and `day_first`; for booleans `true`
            and `false` (lists); `missing` (a list).
        odd_values: What happens to the few values of a column that do not fit its type.
            `missing`: they are missing. `flag`: they are missing, and a column `<name>_odd` marks
            them. `reject`: their rows are rejected. `text`: the column is text.
        csv_delimiter: The character between fields of CSV; `tab` for a tabulator, `auto` to find
            it out from the first lines of each file.
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
        max_rejected_fraction: The task fails if a larger share of the rows is rejected, from 0 to
            1. Rows without a label are left out, too, but do not count.
        processing: The engine for rows; by default threads of the task. `{"engine": "spark"}` and
            its settings: see the guide on scaling.
    """
    ingestion = ingest_data(
        data_uri=data_uri,
        label=label,
        data_format=data_format,
        split_method=split_method,
        split_fractions=split_fractions,
        split_column=split_column,
        split_keys=split_keys,
        split_salt=split_salt,
        split_time_format=split_time_format,
        exclude=exclude,
        nested=nested,
        column_types=column_types,
        column_formats=column_formats,
        odd_values=odd_values,
        csv_delimiter=csv_delimiter,
        csv_quote=csv_quote,
        csv_escape=csv_escape,
        csv_header=csv_header,
        csv_comment=csv_comment,
        csv_encoding=csv_encoding,
        missing_values=missing_values,
        max_rejected_fraction=max_rejected_fraction,
        processing=processing,
    )
    validate_data(
        examples=ingestion.outputs["examples"],
        label=label,
        schema_uri=schema_uri,
        previous_statistics_uri=previous_statistics_uri,
        skew_thresholds=skew_thresholds,
        drift_thresholds=drift_thresholds,
        fail_on=fail_on,
    )
