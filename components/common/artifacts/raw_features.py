"""Raw features: columns of the schema as tensors, in the transform and in serving.

A raw feature is a dense tensor of shape `[batch]`: `float32`, `int64` or `string`. A missing value
is NaN, the smallest int64, or the empty string. So every row has every feature, nothing is sparse,
and the transform graph rather than its caller decides how to replace missing values.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from kfp_tabular.components.common.errors import UserError

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

DType = Literal["float32", "int64", "string"]

MISSING_FLOAT = float("nan")
MISSING_INT = -(2**63)
MISSING_STRING = ""

SCHEMA_FILE = "schema.pbtxt"


@dataclass(frozen=True)
class RawFeature:
    """One column as the model sees it.

    Attributes:
        name: The column's name, as in the data; any text.
        dtype: The tensor's type.
        required: Whether the schema says that every example has a value.
    """

    name: str
    dtype: DType
    required: bool

    @property
    def missing(self) -> float | int | str:
        """The value that means missing."""
        by_dtype: dict[DType, float | int | str] = {
            "float32": MISSING_FLOAT,
            "int64": MISSING_INT,
            "string": MISSING_STRING,
        }
        return by_dtype[self.dtype]


def read_schema(path: str | os.PathLike[str]) -> "schema_pb2.Schema":
    """Read a TensorFlow Metadata schema.

    Args:
        path: A text proto, or a directory that holds `schema.pbtxt`.

    Raises:
        UserError: The file does not exist or cannot be parsed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     text = 'feature { name: "fare" type: FLOAT }'
        ...     _ = (Path(directory) / "schema.pbtxt").write_text(text)
        ...     [feature.name for feature in read_schema(directory).feature]
        ['fare']
        >>> read_schema("missing/schema.pbtxt")
        Traceback (most recent call last):
        ...
        kfp_tabular.components.common.errors.UserError: missing/schema.pbtxt: no schema found.
        validate_data writes one.
    """
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    file = Path(path)
    if file.is_dir():
        file = file / SCHEMA_FILE
    try:
        return text_format.Parse(file.read_text(encoding="utf-8"), schema_pb2.Schema())
    except FileNotFoundError as error:
        raise UserError(f"{file}: no schema found. validate_data writes one.") from error
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise UserError(
            f"{file}: not a TensorFlow Metadata schema in text format: {error}"
        ) from error


def raw_features(schema: "schema_pb2.Schema") -> dict[str, RawFeature]:
    """Return the raw features of a schema by name, in the schema's order.

    Args:
        schema: A TensorFlow Metadata schema with a feature per column.

    Raises:
        UserError: A feature has a type other than INT, FLOAT and BYTES.

    Example:
        >>> from tensorflow_metadata.proto.v0 import schema_pb2
        >>> schema = schema_pb2.Schema()
        >>> _ = schema.feature.add(name="fare", type=schema_pb2.FLOAT)
        >>> raw_features(schema)
        {'fare': RawFeature(name='fare', dtype='float32', required=False)}
    """
    from tensorflow_metadata.proto.v0 import schema_pb2

    dtypes: dict[int, DType] = {
        schema_pb2.INT: "int64",
        schema_pb2.FLOAT: "float32",
        schema_pb2.BYTES: "string",
    }
    found = {}
    for feature in schema.feature:
        if feature.type not in dtypes:
            raise UserError(
                f"schema: feature {feature.name!r} has no type. Set it to INT, FLOAT or BYTES."
            )
        found[feature.name] = RawFeature(
            name=feature.name,
            dtype=dtypes[feature.type],
            required=feature.presence.min_fraction >= 1.0,
        )
    return found
