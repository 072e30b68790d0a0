"""What the schema says about each column."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kfp_tabular.components.common.artifacts.raw_features import RawFeature, raw_features
from kfp_tabular.components.common.values.column_format import ColumnFormat, TimeFormat

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2


@dataclass(frozen=True)
class SchemaColumn:
    """What the schema says about a column.

    Attributes:
        feature: The raw feature.
        categorical: Whether its numbers are codes.
        time: Its strptime format, or one of `timestamp_formats.UNITS`; empty for other columns.
        spellings: How its times are written, as ingestion found; None where that is not known.
        live: False if the schema calls the feature deprecated, planned or disabled.
        is_bag: Whether its text is a bag, as ingestion writes it.
    """

    feature: RawFeature
    categorical: bool = False
    time: str = ""
    spellings: TimeFormat | None = None
    live: bool = True
    is_bag: bool = False


def schema_columns(
    schema: "schema_pb2.Schema", formats: Mapping[str, ColumnFormat] | None = None
) -> dict[str, SchemaColumn]:
    """Return what a schema says about its columns, by name, in the schema's order.

    Args:
        schema: The schema.
        formats: How the columns are written, as ingestion found.

    Raises:
        UserError: A feature has no type.

    Example:
        >>> from tensorflow_metadata.proto.v0 import schema_pb2
        >>> schema = schema_pb2.Schema()
        >>> feature = schema.feature.add(name="date", type=schema_pb2.BYTES)
        >>> feature.time_domain.string_format = "%Y-%m-%d"
        >>> schema_columns(schema)["date"].time
        '%Y-%m-%d'
    """
    from tensorflow_metadata.proto.v0 import schema_pb2

    stages = {
        schema_pb2.UNKNOWN_STAGE,
        schema_pb2.ALPHA,
        schema_pb2.BETA,
        schema_pb2.PRODUCTION,
        schema_pb2.DEBUG_ONLY,
    }
    raw = raw_features(schema)
    times = {name: given.time for name, given in (formats or {}).items()}
    bags = {name for name, given in (formats or {}).items() if given.kind == "bag"}
    return {
        feature.name: SchemaColumn(
            feature=raw[feature.name],
            categorical=feature.int_domain.is_categorical or feature.float_domain.is_categorical,
            time=_time_format(feature),
            spellings=times.get(feature.name),
            live=feature.lifecycle_stage in stages,
            is_bag=feature.name in bags,
        )
        for feature in schema.feature
    }


def _time_format(feature: "schema_pb2.Feature") -> str:
    from tensorflow_metadata.proto.v0 import schema_pb2

    if not feature.HasField("time_domain"):
        return ""
    domain = feature.time_domain
    if feature.type == schema_pb2.BYTES:
        return str(domain.string_format)
    units = {
        schema_pb2.TimeDomain.UNIX_DAYS: "days",
        schema_pb2.TimeDomain.UNIX_SECONDS: "seconds",
        schema_pb2.TimeDomain.UNIX_MILLISECONDS: "milliseconds",
        schema_pb2.TimeDomain.UNIX_MICROSECONDS: "microseconds",
        schema_pb2.TimeDomain.UNIX_NANOSECONDS: "nanoseconds",
    }
    return units.get(domain.integer_format, "") if feature.type == schema_pb2.INT else ""
