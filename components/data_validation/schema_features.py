"""What a schema says about its features, and how to name that."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

TRAINING, SERVING = "TRAINING", "SERVING"


def arrow_type(feature: "schema_pb2.Feature") -> pa.DataType:
    """Return the Arrow type of the column that a feature describes."""
    from tensorflow_metadata.proto.v0 import schema_pb2

    types = {schema_pb2.INT: pa.int64(), schema_pb2.FLOAT: pa.float64()}
    return types.get(feature.type, pa.string())


def type_name(feature: "schema_pb2.Feature") -> str:
    """Return a feature's type in words: `whole numbers`, `numbers` or `text`."""
    names = {"int64": "whole numbers", "double": "numbers", "string": "text"}
    return names[str(arrow_type(feature))]


def is_required(feature: "schema_pb2.Feature") -> bool:
    """Return whether every row must have a value."""
    return bool(feature.presence.min_fraction >= 1.0)


def texts(schema: "schema_pb2.Schema", feature: "schema_pb2.Feature") -> list[str] | None:
    """Return the texts that a feature may hold; None where it may hold any text."""
    if feature.HasField("string_domain"):
        return list(feature.string_domain.value)
    for domain in schema.string_domain:
        if feature.domain and domain.name == feature.domain:
            return list(domain.value)
    return None


def environment(schema: "schema_pb2.Schema") -> str | None:
    """Return the environment of training data; None where the schema declares none."""
    declared = set(schema.default_environment)
    for feature in schema.feature:
        declared.update(feature.in_environment)
    return TRAINING if TRAINING in declared else None


def is_expected(schema: "schema_pb2.Schema", feature: "schema_pb2.Feature") -> bool:
    """Return whether training data should have a feature."""
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
    """Describe the values that a feature may hold; empty where it may hold any."""
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
    """Return the first values as text, and how many more there are.

    Example:
        >>> listed(["a", "b", "c"], most=2)
        "'a', 'b' and 1 more"
    """
    named = ", ".join(repr(value) for value in values[:most])
    more = len(values) - most
    return f"{named} and {more} more" if more > 0 else named
