"""The options of `validate_data`."""

from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common.documents import one_of
from kfp_tabular.components.common.options import option
from kfp_tabular.components.common.processing.processing_settings import processing_option

FAIL_ON = ("error", "warning", "never")


@dataclass(frozen=True)
class ValidationOptions:
    """What to validate, against what, and when to fail."""

    label: str = option("", "The label's column. Empty: no label, and no checks of one.")
    schema_uri: str = option(
        "",
        """A schema to validate against: a `schema.pbtxt`, or a directory that holds one, such as
        the `schema` output of an earlier run. A local path or a `gs://`, `s3://` or `minio://`
        URI. Empty: infer a schema.""",
    )
    previous_statistics_uri: str = option(
        "",
        """The `statistics` output of an earlier run, to measure drift from; a path or URI as
        above. Empty: do not measure drift.""",
    )
    skew_thresholds: dict[str, float] = option(
        {},
        """The largest distance allowed between a column's distribution in the train split and
        that in any other split, by column. `*` stands for every column that is not named, except
        points in time. Categorical columns are compared by L-infinity distance, numbers by
        Jensen-Shannon divergence; both go from 0 (equal) to 1. For example
        `{"*": 0.1, "fare": 0.3}`. Columns without a threshold use the `skew_comparator` of the
        given schema, if any. The report shows all distances.""",
    )
    drift_thresholds: dict[str, float] = option(
        {},
        """The same between the earlier statistics and each split's, with the schema's
        `drift_comparator`.""",
    )
    exclude: list[str] = option(
        [],
        """Columns that the model must not see, such as those that are known only after the
        label.""",
    )
    fail_on: str = option(
        "error",
        "The least severity of an anomaly that fails the task: `error`, `warning` or `never`.",
        check=one_of(*FAIL_ON),
    )
    processing: dict[str, Any] = processing_option()
