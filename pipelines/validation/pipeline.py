"""The validation pipeline: ingest new data, and check them against a schema and earlier data."""

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
    column_types: dict[str, str] = {},
    csv_delimiter: str = ",",
    csv_encoding: str = "utf-8",
    missing_values: list[str] = [],
    max_rejected_fraction: float = 0.01,
) -> None:
    """Check new data against a schema and the statistics of earlier data.

    Args:
        data_uri: A file, directory or glob; a path that tasks can read, gs://, s3:// or
            minio://.
        schema_uri: The schema that the data must keep to.
        previous_statistics_uri: Statistics of an earlier run, to measure drift against.
        label: The column to predict. Empty: the data have none.
        skew_thresholds: Largest distance between train and eval by feature; * for all.
        drift_thresholds: Largest distance to the earlier statistics by feature.
        fail_on: The severity of anomalies that fails the run: error, warning or never.
        data_format: auto, csv, parquet or tfrecord.
        split_method: hash, time or column.
        split_fractions: Relative weight of each split.
        split_column: The column of times, or of the splits' names.
        split_keys: For hash: columns whose rows stay together. Empty: the whole row.
        split_salt: For hash: another text gives another split.
        split_time_format: For time: how the text is written, as for strptime.
        column_types: integer, number or text for columns whose type is not to be inferred.
        csv_delimiter: One character, or tab.
        csv_encoding: The encoding of CSV.
        missing_values: Texts that mean missing, beside the empty one.
        max_rejected_fraction: More unreadable rows than this share fail the run.
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
        column_types=column_types,
        csv_delimiter=csv_delimiter,
        csv_encoding=csv_encoding,
        missing_values=missing_values,
        max_rejected_fraction=max_rejected_fraction,
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
