"""The schema: inferred from the statistics of all splits, or given.

Inferred over all splits, so that it calls none of the data it was made from anomalous. Features
come in the order of the columns and domains are sorted: the same data give the same text.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from kfp_tabular.components.common.artifacts.raw_features import raw_features, read_schema
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.data_validation.scan import TextTime
from kfp_tabular.components.data_validation.statistics import Summary

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

TRAINING, SERVING = "TRAINING", "SERVING"

MOST_TEXTS = 100
"""A text column with more distinct values has no domain; TFDV's own default."""

# What TFDV puts in place of texts that it does not keep.
_STAND_INS = {"__BYTES_VALUE__", "__LARGE_BYTES__"}

# A domain must have been seen: with fewer rows per value, the next file brings another value.
_ROWS_PER_TEXT = 2
_ROWS_PER_CODE = 10
_SPARSE_CODES = 20

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
class Column:
    """What is known of a column over all splits.

    Attributes:
        name: Its name.
        kind: `int64`, `float64` or `string`.
        splits: Its statistics in each split that has rows.
        times: The formats that all its texts fit, best first.
    """

    name: str
    kind: pa.DataType
    splits: tuple[Summary, ...]
    times: Sequence[TextTime] = ()

    @property
    def present(self) -> int:
        """Rows with a value."""
        return sum(summary.present for summary in self.splits)

    @property
    def missing(self) -> int:
        """Rows without."""
        return sum(summary.missing for summary in self.splits)


def infer(columns: Iterable[Column], label: str) -> "schema_pb2.Schema":
    """Makes a schema from what is known of the columns.

    Args:
        columns: In the order of the data.
        label: The label's column, absent when serving. May be empty.

    Returns:
        A feature per column with type and presence and, where the values tell, a domain:

        - texts with at most 100 distinct values that repeat: a `string_domain`;
        - whole numbers 0 and 1: a `bool_domain`;
        - whole numbers with few distinct values, close together or at most 20, that repeat: an
          `int_domain` with `is_categorical`;
        - ISO dates and times in text, or Unix times in whole numbers under a name that says so:
          a `time_domain`.
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
        # Not required of every split where one has none: such a column is nearly empty.
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


def load(path: Path, columns: Iterable[str], label: str) -> "schema_pb2.Schema":
    """Reads a schema that somebody keeps.

    Args:
        path: A text proto, or a directory that holds `schema.pbtxt`.
        columns: The columns of the data.
        label: The label's column; may be empty.

    Raises:
        UserError: Where it cannot be read, holds no feature, names one twice or without a type, or
            lacks the label.
    """
    schema = read_schema(path)
    counts = Counter(feature.name for feature in schema.feature)
    if not counts:
        raise UserError(f"{path}: the schema holds no feature; the data have {_named(columns)}.")
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise UserError(f"{path}: the schema describes {twice[0]!r} more than once; keep one.")
    raw_features(schema)
    if label and label not in counts:
        raise UserError(
            f"{path}: the schema has no feature for the label {label!r}.{closest(label, counts)}"
        )
    return schema


def arrow_type(feature: "schema_pb2.Feature") -> pa.DataType:
    """Gives the type of column that a feature describes."""
    from tensorflow_metadata.proto.v0 import schema_pb2

    types = {schema_pb2.INT: pa.int64(), schema_pb2.FLOAT: pa.float64()}
    return types.get(feature.type, pa.string())


def type_name(feature: "schema_pb2.Feature") -> str:
    """Gives a feature's type as people call it."""
    names = {"int64": "whole numbers", "double": "numbers", "string": "text"}
    return names[str(arrow_type(feature))]


def required(feature: "schema_pb2.Feature") -> bool:
    """Tells whether every row must have a value."""
    return bool(feature.presence.min_fraction >= 1.0)


def texts(schema: "schema_pb2.Schema", feature: "schema_pb2.Feature") -> list[str] | None:
    """Gives the texts that a feature may have, or None where any will do."""
    if feature.HasField("string_domain"):
        return list(feature.string_domain.value)
    for domain in schema.string_domain:
        if feature.domain and domain.name == feature.domain:
            return list(domain.value)
    return None


def environment(schema: "schema_pb2.Schema") -> str | None:
    """Gives the environment to validate training data in, where the schema has such a thing."""
    declared = set(schema.default_environment)
    for feature in schema.feature:
        declared.update(feature.in_environment)
    return TRAINING if TRAINING in declared else None


def expected(schema: "schema_pb2.Schema", feature: "schema_pb2.Feature") -> bool:
    """Tells whether training data are to have a feature."""
    from tensorflow_metadata.proto.v0 import schema_pb2

    if feature.lifecycle_stage in (schema_pb2.DEPRECATED, schema_pb2.DISABLED, schema_pb2.PLANNED):
        return False
    here = environment(schema)
    if here is None:
        return True
    if here in feature.not_in_environment:
        return False
    return here in schema.default_environment or here in feature.in_environment


def describe_domain(schema: "schema_pb2.Schema", feature: "schema_pb2.Feature") -> str:
    """Says in words which values a feature may have; empty where any will do."""
    from tensorflow_metadata.proto.v0 import schema_pb2

    allowed = texts(schema, feature)
    if allowed is not None:
        return f"{len(allowed)} values: {listed(allowed)}"
    kind = feature.WhichOneof("domain_info")
    if kind == "bool_domain":
        return "0 or 1"
    if kind in ("int_domain", "float_domain"):
        domain = getattr(feature, kind)
        low = f"{domain.min:g}" if domain.HasField("min") else ""
        high = f"{domain.max:g}" if domain.HasField("max") else ""
        span = f"{low} to {high}" if low or high else ""
        return f"codes {span}".strip() if domain.is_categorical else span
    if kind == "time_domain":
        written = feature.time_domain.string_format
        if written:
            return f"time as {written}"
        units = schema_pb2.TimeDomain.IntegerTimeFormat
        return f"time in {units.Name(feature.time_domain.integer_format)}"
    return ""


def listed(values: Sequence[object], most: int = 5) -> str:
    """Names the first values, and how many more there are."""
    named = ", ".join(repr(value) for value in values[:most])
    more = len(values) - most
    return f"{named} and {more} more" if more > 0 else named


def _add_domain(feature: "schema_pb2.Feature", column: Column) -> None:
    from tensorflow_metadata.proto.v0 import schema_pb2

    if column.times:
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
        units = schema_pb2.TimeDomain.IntegerTimeFormat
        feature.time_domain.integer_format = units.Value(unit)
    elif codes == [0, 1]:
        feature.bool_domain.SetInParent()
    elif codes and _look_like_codes(codes, column.present):
        feature.int_domain.name = column.name
        feature.int_domain.min, feature.int_domain.max = codes[0], codes[-1]
        feature.int_domain.is_categorical = True


def _text_domain(column: Column) -> list[str]:
    values = {text for summary in column.splits for text, _ in summary.ranked}
    complete = all(summary.distinct <= len(summary.ranked) for summary in column.splits)
    usual = len(values) <= MOST_TEXTS and column.present >= _ROWS_PER_TEXT * len(values)
    if not complete or not usual or values & _STAND_INS:
        return []
    return sorted(values)


def _codes(column: Column) -> list[int]:
    """Gives the distinct values of a column of whole numbers, where there are few."""
    if any(summary.present and not summary.ranked for summary in column.splits):
        return []
    return sorted({int(value) for summary in column.splits for value, _ in summary.ranked})


def _look_like_codes(values: Sequence[int], rows: int) -> bool:
    close = values[-1] - values[0] < 2 * len(values)
    return rows >= _ROWS_PER_CODE * len(values) and (close or len(values) <= _SPARSE_CODES)


def _epoch_unit(column: Column) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column.name).lower()
    if not _TIME_NAME.search(words):
        return ""
    low = min(summary.low for summary in column.splits if summary.present)
    high = max(summary.high for summary in column.splits if summary.present)
    for unit, per_second in _EPOCH_UNITS:
        if low >= _EARLIEST * per_second and high <= _LATEST * per_second:
            return unit
    return ""


def _named(columns: Iterable[str]) -> str:
    return listed(list(columns))
