"""What a schema says about its features, and how to name that."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

TRAINING, SERVING = "TRAINING", "SERVING"


def arrow_type(feature: "schema_pb2.Feature") -> pa.DataType:
    """Return the Arrow type of the column that a feature describes.

    Example:
        >>> from tensorflow_metadata.proto.v0 import schema_pb2
        >>> arrow_type(schema_pb2.Feature(type=schema_pb2.FLOAT))
        DataType(double)
    """
    from tensorflow_metadata.proto.v0 import schema_pb2

    types = {schema_pb2.INT: pa.int64(), schema_pb2.FLOAT: pa.float64()}
    return types.get(feature.type, pa.string())


def type_name(feature: "schema_pb2.Feature") -> str:
    """Return a feature's type in words: `whole numbers`, `numbers` or `text`.

    Example:
        >>> from tensorflow_metadata.proto.v0 import schema_pb2
        >>> type_name(schema_pb2.Feature(type=schema_pb2.INT))
        'whole numbers'
    """
    names = {"int64": "whole numbers", "double": "numbers", "string": "text"}
    return names[str(arrow_type(feature))]


def is_required(feature: "schema_pb2.Feature") -> bool:
    """Return whether every row must have a value.

    Example:
        >>> from tensorflow_metadata.proto.v0 import schema_pb2
        >>> is_required(schema_pb2.Feature(presence=schema_pb2.FeaturePresence(min_fraction=0.9)))
        False
    """
    return bool(feature.presence.min_fraction >= 1.0)


def texts(schema: "schema_pb2.Schema", feature: "schema_pb2.Feature") -> list[str] | None:
    """Return the texts that a feature may hold; None where it may hold any text.

    Example:
        >>> from tensorflow_metadata.proto.v0 import schema_pb2
        >>> schema = schema_pb2.Schema()
        >>> _ = schema.string_domain.add(name="payments", value=["card", "cash"])
        >>> texts(schema, schema.feature.add(name="paid", domain="payments"))
        ['card', 'cash']
    """
    if feature.HasField("string_domain"):
        return list(feature.string_domain.value)
    for domain in schema.string_domain:
        if feature.domain and domain.name == feature.domain:
            return list(domain.value)
    return None


def environment(schema: "schema_pb2.Schema") -> str | None:
    """Return the environment of training data; None where the schema declares none.

    Example:
        >>> from tensorflow_metadata.proto.v0 import schema_pb2
        >>> environment(schema_pb2.Schema(default_environment=[TRAINING, SERVING]))
        'TRAINING'
    """
    declared = set(schema.default_environment)
    for feature in schema.feature:
        declared.update(feature.in_environment)
    return TRAINING if TRAINING in declared else None


def is_expected(schema: "schema_pb2.Schema", feature: "schema_pb2.Feature") -> bool:
    """Return whether training data should have a feature.

    Example:
        >>> from tensorflow_metadata.proto.v0 import schema_pb2
        >>> schema = schema_pb2.Schema(default_environment=[TRAINING, SERVING])
        >>> is_expected(schema, schema.feature.add(name="tip", not_in_environment=[SERVING]))
        True
        >>> is_expected(schema, schema.feature.add(name="id", not_in_environment=[TRAINING]))
        False
    """
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
    """Describe the values that a feature may hold; empty where it may hold any.

    Example:
        >>> from tensorflow_metadata.proto.v0 import schema_pb2
        >>> hour = schema_pb2.Feature(name="hour", type=schema_pb2.INT)
        >>> hour.int_domain.min, hour.int_domain.max = 0, 23
        >>> describe_domain(schema_pb2.Schema(), hour)
        '0 to 23'
    """
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
