"""The KFP interface of data validation."""

from typing import Any, Dict, List

from kfp import dsl

from kfp_tabular.components.common import images
from kfp_tabular.components.common.task.component import component


@component(base_image=images.TFDV)
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
    exclude: List[str] = [],
    fail_on: str = "error",
    processing: Dict[str, Any] = {},
) -> bool:
    """Compute statistics of examples, infer or check their schema, and find anomalies.

    Statistics are TFDV's, for every split. Without `schema_uri`, the component infers a schema
    from all splits: types, presence, domains of texts and of whole-number codes, and points in
    time. With it, the component validates the data against that schema and lists how they differ
    from it. All outputs are written even if the task then fails, so that they can be examined.

    An anomaly is an error or a warning. Errors: data that violate the given schema, NaN and
    infinite numbers, a label that is constant or missing in all rows, a split without rows,
    distances above a threshold. Warnings: columns that have no values or that the given schema
    lacks, rows without a label, and values that the train split lacks in at least 1% of another
    split's rows.

    With a label, a column that alone predicts it as nothing known in advance could, such as a copy
    of the label, is an error among the findings, and one that nearly does a warning. Findings do
    not fail the task.

    Args:
        examples: What `ingest_data` writes: Parquet by split.
        schema: Output. Directory with `schema.pbtxt`, a TensorFlow Metadata schema: the given
            one, or the inferred one, with the label absent from the environment SERVING.
        statistics: Output. Directory with `<split>.binpb`, a DatasetFeatureStatisticsList, for
            every split. Custom statistics add `value_counts` to whole numbers with few distinct
            values, and `quantiles` to numbers.
        anomalies: Output. Directory with `anomalies.pbtxt` for all splits together,
            `<split>/anomalies.pbtxt` for each, and `anomalies.json`, a list of objects with
            `severity`, `column`, `split`, `kind`, `expected`, `found`, `rows` and `message`.
        report: Output. A self-contained HTML page: anomalies, differences from the given schema,
            skew and drift, and every column with its counts and its distribution in each split.
        label: The label's column. Empty: no label, and no checks of one.
        schema_uri: A schema to validate against: a `schema.pbtxt`, or a directory that holds one,
            such as the `schema` output of an earlier run. A local path or a `gs://`, `s3://` or
            `minio://` URI. Empty: infer a schema.
        previous_statistics_uri: The `statistics` output of an earlier run, to measure drift from;
            a path or URI as above. Empty: do not measure drift.
        skew_thresholds: The largest distance allowed between a column's distribution in the train
            split and that in any other split, by column. `*` stands for every column that is not
            named, except points in time. Categorical columns are compared by L-infinity distance,
            numbers by Jensen-Shannon divergence; both go from 0 (equal) to 1. For example
            `{"*": 0.1, "fare": 0.3}`. Columns without a threshold use the `skew_comparator` of
            the given schema, if any. The report shows all distances.
        drift_thresholds: The same between the earlier statistics and each split's, with the
            schema's `drift_comparator`.
        exclude: Columns that the model must not see, such as those that are known only after the
            label.
        fail_on: The least severity of an anomaly that fails the task: `error`, `warning` or
            `never`.
        processing: The engine for rows; by default threads of the task. `{"engine": "spark"}` and
            its settings: see the guide on scaling.

    Returns:
        Whether the data are valid: without errors or, with `fail_on=warning`, without anomalies.

    Raises:
        UserError: Exit code 2. The data have anomalies that fail the task (the message names the
            first), the label is not a column, a threshold names an unknown column or is not
            between 0 and 1, or a schema or statistics cannot be read.

    Example:
        >>> @dsl.pipeline
        ... def validation(data_uri: str):
        ...     examples = dsl.importer(artifact_uri=data_uri, artifact_class=dsl.Dataset)
        ...     validate_data(examples=examples.output, label="tip", drift_thresholds={"*": 0.1})
    """
    from pathlib import Path

    from kfp_tabular.components.common import options
    from kfp_tabular.components.common.artifacts import lineage
    from kfp_tabular.components.common.errors import reported_to_user
    from kfp_tabular.components.common.processing import engines
    from kfp_tabular.components.data_validation import validate
    from kfp_tabular.components.data_validation.options import ValidationOptions

    with reported_to_user(), engines.opened(processing, "validate-data") as opened:
        result = validate.run(
            validate.ValidationRequest(
                examples=Path(examples.path),
                schema=Path(schema.path),
                statistics=Path(statistics.path),
                anomalies=Path(anomalies.path),
                report=Path(report.path),
                options=options.build(ValidationOptions, locals()),
            ),
            opened.engine,
        )
        schema.metadata.update(lineage.metadata(result.lineage["schema"]))
        statistics.metadata.update(lineage.metadata(result.lineage["statistics"]))
        anomalies.metadata.update(lineage.metadata(result.lineage["anomalies"]))
        result.require()
    return result.is_valid
