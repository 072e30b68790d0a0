"""The interface of `validate_data`."""

from typing import Dict

from kfp import dsl

from kfp_tabular.components.common import images


@dsl.component(base_image=images.TFDV, install_kfp_package=False)
def validate_data(
    examples: dsl.Input[dsl.Dataset],
    schema: dsl.Output[dsl.Artifact],
    statistics: dsl.Output[dsl.Artifact],
    anomalies: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
    label: str = "",
    schema_uri: str = "",
    previous_statistics_uri: str = "",
    skew_thresholds: Dict[str, float] = {},
    drift_thresholds: Dict[str, float] = {},
    fail_on: str = "error",
) -> bool:
    """Computes statistics of examples, infers or checks their schema, and finds anomalies.

    TFDV statistics are computed for every split. Without `schema_uri` a schema is inferred from
    all splits: types, presence, domains of texts and of whole-number codes, points in time. With
    it the data are validated against that schema, and how they differ from it is listed. All
    outputs are written even where the task then fails, so that one can look.

    What is found is an error or a warning. Errors: data that break the given schema, NaN and
    infinite numbers, a label that is constant or missing in all rows, a split without rows,
    distances above a threshold. Warnings: columns without any value or that the given schema
    lacks, rows without a label, values that the train split lacks in at least 1 % of the rows of
    another.

    Args:
        examples: What `ingest_data` writes: Parquet by split.
        schema: Output. Directory with `schema.pbtxt`, a TensorFlow Metadata schema: the given one,
            or the inferred one, with the label absent from the environment SERVING.
        statistics: Output. Directory with `<split>.binpb` for every split, a
            DatasetFeatureStatisticsList each. Whole numbers with few distinct values carry their
            `value_counts`, numbers their `quantiles`, as custom statistics.
        anomalies: Output. Directory with `anomalies.pbtxt` for all splits together,
            `<split>/anomalies.pbtxt` for each, and `anomalies.json`, a list of objects with
            `severity`, `column`, `split`, `kind`, `expected`, `found`, `rows` and `message`.
        report: Output. A self-contained page: anomalies, schema changes, skew and drift, and every
            column with its counts and its distribution in each split.
        label: The label's column. Default: none, and nothing of it is checked.
        schema_uri: A schema to validate against: a `schema.pbtxt`, or a directory that holds one,
            such as an earlier run's output. A local path or a `gs://`, `s3://` or `minio://` URI.
            Default: a schema is inferred.
        previous_statistics_uri: The `statistics` output of an earlier run, to compare with; a path
            or URI as above. Default: none.
        skew_thresholds: How far a column's distribution in any other split may be from that in
            the train split, by column; `*` stands for every column not named, except points in
            time. L-infinity distance for categorical columns, Jensen-Shannon divergence for
            numbers, both from 0 (the same) to 1. For example `{"*": 0.1, "fare": 0.3}`.
            Default: those that the given schema has as `skew_comparator`, else nothing is
            checked; the distances are in the report anyway.
        drift_thresholds: The same between the earlier statistics and each split's.
        fail_on: From which severity on the task fails: `error` (the default), `warning`, or
            `never`.

    Returns:
        Whether the data are valid: without errors or, with `fail_on=warning`, without anything.

    Raises:
        UserError: Exit code 2. Where the data have anomalies to fail on (the message names the
            first), the label is not a column, a threshold names no column or is not between 0 and
            1, or a schema or statistics cannot be read.
    """
    from pathlib import Path

    from kfp_tabular.components.common.errors import reported_to_user
    from kfp_tabular.components.data_validation import validate

    with reported_to_user():
        result = validate.run(
            validate.Request(
                examples=Path(examples.path),
                schema=Path(schema.path),
                statistics=Path(statistics.path),
                anomalies=Path(anomalies.path),
                report=Path(report.path),
                label=label,
                schema_uri=schema_uri,
                previous_statistics_uri=previous_statistics_uri,
                skew_thresholds=skew_thresholds,
                drift_thresholds=drift_thresholds,
                fail_on=fail_on,
            )
        )
        schema.metadata.update(result.lineage["schema"])
        statistics.metadata.update(result.lineage["statistics"])
        anomalies.metadata.update(result.lineage["anomalies"])
        result.require()
    return result.valid
