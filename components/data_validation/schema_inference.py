"""Infers a schema from the statistics of all splits.

All splits count, so the data that a schema is inferred from have no anomalies against it. Features
have the order of the columns and domains are sorted: the same data give the same text.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from kfp_tabular.components.common.statistics.column_summary import ColumnSummary
from kfp_tabular.components.common.statistics.text_times import TextTimeFormat
from kfp_tabular.components.common.values.codes import are_codes
from kfp_tabular.components.common.values.column_format import ColumnFormat
from kfp_tabular.components.data_validation.schema_features import SERVING, TRAINING

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

MOST_TEXTS = 100
"""A text column with more distinct values gets no domain. TFDV has the same default."""

# TFDV writes these in place of texts that it does not keep.
_PLACEHOLDERS = {"__BYTES_VALUE__", "__LARGE_BYTES__"}

# With fewer rows per value, the next file is likely to hold a value that this one lacks.
_ROWS_PER_TEXT = 2

_TIME_NAME = re.compile(
    r"(^|[^a-z])(ts|time|timestamp|datetime|date|epoch|at|when|created|updated|modified)([^a-z]|$)"
)
_EARLIEST, _LATEST = 631_152_000, 4_102_444_800  # 1990-01-01 and 2100-01-01 in Unix seconds
_EPOCH_UNITS = (
    ("UNIX_SECONDS", 1),
    ("UNIX_MILLISECONDS", 10**3),
    ("UNIX_MICROSECONDS", 10**6),
    ("UNIX_NANOSECONDS", 10**9),
)


@dataclass(frozen=True)
class ColumnEvidence:
    """What the data of all splits show about a column.

    Attributes:
        name: The column's name.
        kind: `int64`, `float64` or `string`.
        splits: Its summary in each split that has rows.
        times: The formats that all its texts fit, most specific first.
        given: How it is written, as ingestion found; None where that is not known.
    """

    name: str
    kind: pa.DataType
    splits: tuple[ColumnSummary, ...]
    times: Sequence[TextTimeFormat] = ()
    given: ColumnFormat | None = None

    @property
    def present(self) -> int:
        """Rows with a value."""
        return sum(summary.present for summary in self.splits)

    @property
    def missing(self) -> int:
        """Rows without a value."""
        return sum(summary.missing for summary in self.splits)


def infer(columns: Iterable[ColumnEvidence], label: str) -> "schema_pb2.Schema":
    """Infer a schema from what the data show about the columns.

    Args:
        columns: The columns, in the order of the data.
        label: The label's column, absent in the environment SERVING. Empty for no label.

    Returns:
        A feature per column with type and presence and, where the values suggest one, a domain:

        - texts with at most 100 distinct values that repeat: a `string_domain`; bags get none;
        - whole numbers 0 and 1: a `bool_domain`;
        - whole numbers that are codes, by their name or by few values with gaps: an `int_domain`
          with `is_categorical`; quantities, such as ages, get none;
        - points in time, as ingestion found; without its formats, ISO dates and times in text, or
          Unix times in whole numbers in a column whose name suggests a time: a `time_domain`.

    Example:
        >>> codes = ColumnSummary(
        ...     rows=90, missing=0, numeric=True, low=0, high=1, ranked=(("0", 80), ("1", 10))
        ... )
        >>> (feature,) = infer([ColumnEvidence("tip", pa.int64(), (codes,))], label="").feature
        >>> feature.WhichOneof("domain_info"), feature.presence.min_fraction
        ('bool_domain', 1.0)
    """
    from tensorflow_metadata.proto.v0 import schema_pb2

    schema = schema_pb2.Schema(default_environment=[TRAINING, SERVING])
    types = {
        pa.int64(): schema_pb2.INT,
        pa.float64(): schema_pb2.FLOAT,
        pa.string(): schema_pb2.BYTES,
    }
    for column in columns:
        feature = schema.feature.add(name=column.name, type=types[column.kind])
        # A split without a value means the column is nearly empty: do not require it anywhere.
        feature.presence.min_count = min([1, *(split.present for split in column.splits)])
        if column.present and not column.missing:
            feature.presence.min_fraction = 1.0
            feature.shape.dim.add(size=1)
        else:
            feature.value_count.min = feature.value_count.max = 1
        if column.name == label:
            feature.not_in_environment.append(SERVING)
        _add_domain(feature, column)
    return schema


def _add_domain(feature: "schema_pb2.Feature", column: ColumnEvidence) -> None:
    from tensorflow_metadata.proto.v0 import schema_pb2

    if column.given is not None and column.given.kind == "bag":
        return  # The next bag is likely to combine items in another way.
    units = schema_pb2.TimeDomain.IntegerTimeFormat
    time = column.given.time if column.given is not None else None
    if time is not None and not time.unit and pa.types.is_string(column.kind):
        feature.time_domain.string_format = time.canonical
        return
    if time is not None and time.unit and pa.types.is_integer(column.kind):
        feature.time_domain.integer_format = units.Value(f"UNIX_{time.unit.upper()}")
        return
    if column.times and (column.given is None or column.given.kind != "text"):
        feature.time_domain.string_format = column.times[0].string_format
        return
    if pa.types.is_string(column.kind):
        found = _text_domain(column)
        if found:
            feature.string_domain.name = column.name
            feature.string_domain.value.extend(found)
        return
    if not pa.types.is_integer(column.kind) or not column.present:
        return
    unit = _epoch_unit(column)
    codes = _codes(column)
    if unit:
        feature.time_domain.integer_format = units.Value(unit)
    elif codes == [0, 1]:
        feature.bool_domain.SetInParent()
    elif are_codes(column.name, codes, column.present):
        feature.int_domain.name = column.name
        feature.int_domain.min, feature.int_domain.max = codes[0], codes[-1]
        feature.int_domain.is_categorical = True


def _text_domain(column: ColumnEvidence) -> list[str]:
    values = {text for summary in column.splits for text, _ in summary.ranked}
    complete = all(summary.distinct <= len(summary.ranked) for summary in column.splits)
    usual = len(values) <= MOST_TEXTS and column.present >= _ROWS_PER_TEXT * len(values)
    if not complete or not usual or values & _PLACEHOLDERS:
        return []
    return sorted(values)


def _codes(column: ColumnEvidence) -> list[int]:
    """Return the distinct values of a column of whole numbers; empty where there are many."""
    if any(summary.present and not summary.ranked for summary in column.splits):
        return []
    return sorted({int(value) for summary in column.splits for value, _ in summary.ranked})


def _epoch_unit(column: ColumnEvidence) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column.name).lower()
    if not _TIME_NAME.search(words):
        return ""
    low = min(summary.low for summary in column.splits if summary.present)
    high = max(summary.high for summary in column.splits if summary.present)
    for unit, per_second in _EPOCH_UNITS:
        if low >= _EARLIEST * per_second and high <= _LATEST * per_second:
            return unit
    return ""
