"""Transformed columns packed into two matrices, one of numbers and one of category ids.

The numbers are those of numeric columns, one each, then those of vector columns, side by side.

Forty inputs of one column each cost forty small operations per step; two matrices cost two. Models,
the input and the export all follow this layout.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_tabular.components.common.errors import UserError, closest

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

_TRANSFORM = "the transformed schema"
_BUCKET = re.compile(r"(?P<number>.+)__bucket(_\d+)?")


@dataclass(frozen=True)
class Categorical:
    """A transformed column of category ids.

    Attributes:
        name: The column's name.
        minimum: The smallest id; usually 0.
        size: Number of ids, counted from `minimum`.
        is_ordered: Whether a larger id means more, such as a later hour.
    """

    name: str
    minimum: int
    size: int
    is_ordered: bool = False


@dataclass(frozen=True)
class Vector:
    """A transformed column that holds several numbers in every row.

    Attributes:
        name: The column's name.
        width: How many numbers.
    """

    name: str
    width: int


@dataclass(frozen=True)
class ColumnLayout:
    """The transformed columns in the order in which they are packed.

    Attributes:
        label: The label's column.
        numeric: The first columns of the float32 matrix, shape `[rows, width]`.
        categorical: Columns of the int32 matrix, shape `[rows, len(categorical)]`; every id there
            counts from 0.
        vectors: The other columns of the float32 matrix, `width` for each vector.
    """

    label: str
    numeric: tuple[str, ...]
    categorical: tuple[Categorical, ...]
    vectors: tuple[Vector, ...] = ()

    @property
    def columns(self) -> list[str]:
        """The columns to read: features first, the label last."""
        ids = [column.name for column in self.categorical]
        vectors = [vector.name for vector in self.vectors]
        return [*self.numeric, *ids, *vectors, self.label]

    @property
    def width(self) -> int:
        """The number of columns of the float32 matrix."""
        return len(self.numeric) + sum(vector.width for vector in self.vectors)

    @property
    def row_bytes(self) -> int:
        """The size of a packed row with its label, in bytes."""
        return 4 * (self.width + len(self.categorical) + 1)

    def vector_slices(self) -> list[tuple[Vector, slice]]:
        """Return each vector with its columns of the float32 matrix.

        Example:
            >>> layout = ColumnLayout("tip", ("fare",), (), (Vector("note", 8), Vector("tags", 2)))
            >>> [(part.start, part.stop) for _, part in layout.vector_slices()]
            [(1, 9), (9, 11)]
        """
        return slices(len(self.numeric), self.vectors)


class PackedRows:
    """Packed rows.

    Attributes:
        numeric: float32, shape `[rows, numeric columns and widths of vectors]`.
        categorical: int32, shape `[rows, categorical columns]`.
        label: int32 class indices or float32 targets, shape `[rows]`.
    """

    __slots__ = ("categorical", "label", "numeric")

    def __init__(
        self,
        numeric: "np.ndarray[Any, Any]",
        categorical: "np.ndarray[Any, Any]",
        label: "np.ndarray[Any, Any]",
    ) -> None:
        self.numeric = numeric
        self.categorical = categorical
        self.label = label

    def __len__(self) -> int:
        return len(self.label)

    def take(self, index: "np.ndarray[Any, Any] | slice") -> "PackedRows":
        """Return some of the rows, by position or as a slice."""
        return PackedRows(self.numeric[index], self.categorical[index], self.label[index])

    @classmethod
    def empty(cls, layout: ColumnLayout, rows: int, *, regression: bool) -> "PackedRows":
        """Return room for a number of rows, not initialized."""
        return cls(
            np.empty((rows, layout.width), np.float32),
            np.empty((rows, len(layout.categorical)), np.int32),
            np.empty(rows, np.float32 if regression else np.int32),
        )

    @classmethod
    def concatenate(cls, parts: "list[PackedRows]") -> "PackedRows":
        """Join packed rows; a single part is returned unchanged."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([part.numeric for part in parts]),
            np.concatenate([part.categorical for part in parts]),
            np.concatenate([part.label for part in parts]),
        )


def slices(first: int, vectors: Iterable[Vector]) -> list[tuple[Vector, slice]]:
    """Return each vector with its columns of a matrix in which the first one starts at `first`."""
    found = []
    for vector in vectors:
        found.append((vector, slice(first, first + vector.width)))
        first += vector.width
    return found


def bucket_copies(numeric: Collection[str], categorical: Sequence[Categorical]) -> list[int]:
    """Return which categorical columns are buckets of a numeric one, whose ids are ordered.

    Example:
        >>> columns = (Categorical("paid", 0, 3), Categorical("fare__bucket", 0, 32))
        >>> bucket_copies(["fare"], columns), bucket_copies(["miles"], columns)
        ([1], [])
    """
    numbers = set(numeric)
    return [
        index
        for index, column in enumerate(categorical)
        if (found := _BUCKET.fullmatch(column.name)) and found["number"] in numbers
    ]


def from_schema(schema: "schema_pb2.Schema", label: str) -> ColumnLayout:
    """Return the layout for a schema of transformed columns.

    FLOAT columns are numeric, or vectors if they have a width. INT columns with an `int_domain` are
    categorical; those without one are numeric. A domain without `is_categorical` is ordered.

    Args:
        schema: `TFTransformOutput(...).transformed_metadata.schema`.
        label: The label's column.

    Raises:
        UserError: If the label or every feature is missing, or a column is text, or does not have
            one value or one vector per row.

    Example:
        >>> from google.protobuf import text_format
        >>> from tensorflow_metadata.proto.v0 import schema_pb2
        >>> text = '''
        ... feature { name: "fare" type: FLOAT shape {} }
        ... feature { name: "day" type: INT int_domain { min: 0 max: 6 } shape {} }
        ... feature { name: "tip" type: INT shape {} }
        ... '''
        >>> layout = from_schema(text_format.Parse(text, schema_pb2.Schema()), label="tip")
        >>> layout.numeric, layout.categorical
        (('fare',), (Categorical(name='day', minimum=0, size=7, is_ordered=True),))
    """
    numeric, categorical, vectors = [], [], []
    names = [feature.name for feature in schema.feature]
    if label not in names:
        raise UserError(
            f"{_TRANSFORM} has no label column {label!r}; the preprocessing function must "
            "return it." + closest(label, names)
        )
    for feature in schema.feature:
        if feature.name == label:
            continue
        width = _width(feature)
        if width is not None:
            vectors.append(Vector(feature.name, width))
            continue
        # Without a maximum, the number of ids is unknown.
        domain = feature.int_domain
        if feature.HasField("int_domain") and domain.HasField("max"):
            size, is_ordered = domain.max - domain.min + 1, not domain.is_categorical
            categorical.append(Categorical(feature.name, domain.min, size, is_ordered))
        else:
            numeric.append(feature.name)
    if not numeric and not categorical and not vectors:
        raise UserError(
            f"{_TRANSFORM} has no column but the label {label!r}; a model needs a feature."
        )
    return ColumnLayout(label, tuple(numeric), tuple(categorical), tuple(vectors))


def _width(feature: Any) -> int | None:
    """Return the width of a vector; None for a column of one value per row."""
    from tensorflow_metadata.proto.v0 import schema_pb2

    if feature.type == schema_pb2.BYTES:
        raise UserError(
            f"{_TRANSFORM}: column {feature.name!r} is text. Map it to numbers in the "
            "preprocessing function, as with tft.compute_and_apply_vocabulary."
        )
    dims = [dim.size for dim in feature.shape.dim]
    if feature.HasField("shape") and not dims:
        return None
    if len(dims) == 1 and dims[0] > 0 and feature.type == schema_pb2.FLOAT:
        return int(dims[0])
    raise UserError(
        f"{_TRANSFORM}: column {feature.name!r} does not have one value or one vector of numbers "
        "per row. Return tensors of shape [batch], or float32 [batch, width], from the "
        "preprocessing function."
    )


def pack(values: Mapping[str, Any], layout: ColumnLayout) -> tuple[Any, Any]:
    """Pack transformed tensors into the two matrices, inside a TensorFlow graph.

    Args:
        values: Tensors by column: of shape `[batch]`, and `[batch, width]` for vectors.
        layout: The columns and their order.

    Returns:
        float32 `[batch, layout.width]` and int32 `[batch, categorical columns]`.
    """
    import tensorflow as tf

    def matrix(names: list[str], dtype: Any) -> Any:
        if not names:
            rows = tf.shape(next(iter(values.values())))[0]
            return tf.zeros([rows, 0], dtype)
        # The transform graph loses the static shape of vocabulary lookups.
        return tf.stack([tf.reshape(tf.cast(values[name], dtype), [-1]) for name in names], axis=1)

    ids = matrix([column.name for column in layout.categorical], tf.int32)
    minima = [column.minimum for column in layout.categorical]
    if any(minima):
        ids -= tf.constant(minima, tf.int32)
    numbers = matrix(list(layout.numeric), tf.float32)
    if layout.vectors:
        wide = [
            tf.reshape(tf.cast(values[vector.name], tf.float32), [-1, vector.width])
            for vector in layout.vectors
        ]
        numbers = tf.concat([numbers, *wide], axis=1)
    return numbers, ids
