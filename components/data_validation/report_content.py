"""The content of the page of a validation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.artifacts.findings import Finding
from kfp_tabular.components.common.statistics.column_summary import SplitSummaries
from kfp_tabular.components.common.statistics.distances import Distance
from kfp_tabular.components.common.values.identifiers import IdentifierKind
from kfp_tabular.components.data_validation.anomalies import Anomaly
from kfp_tabular.components.data_validation.schema_changes import SchemaChange

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ReportContent:
    """The content of the page.

    Attributes:
        label: The label's column; may be empty.
        rows: Rows by split.
        columns: The columns' names, in the order of the data.
        schema: The schema that the data were compared with.
        schema_uri: The URI of a given schema; empty for an inferred one.
        summaries: Statistics by split and column.
        samples: Values for the charts, by split and column of numbers.
        changes: Differences between a given schema and the data.
        distances: Skew and drift.
        anomalies: The anomalies found, most severe first.
        is_valid: Whether the data are valid.
        findings: What a person should know, from anomalies and beyond them.
        times: Points in time for the charts, in seconds since 1970, by split and column.
        identifiers: What columns of identifiers identify, by column: `row` or `entity`.
    """

    label: str
    rows: Mapping[str, int]
    columns: Sequence[str]
    schema: "schema_pb2.Schema"
    schema_uri: str
    summaries: SplitSummaries
    samples: Mapping[str, Mapping[str, Floats]]
    changes: Sequence[SchemaChange]
    distances: Sequence[Distance]
    anomalies: Sequence[Anomaly]
    is_valid: bool
    findings: Sequence[Finding] = ()
    times: Mapping[str, Mapping[str, Floats]] = field(default_factory=dict)
    identifiers: Mapping[str, IdentifierKind] = field(default_factory=dict)
