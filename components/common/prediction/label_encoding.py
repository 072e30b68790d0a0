"""The label column of examples, decoded to class indices or numbers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.errors import UserError


@dataclass(frozen=True)
class DecodedLabels:
    """Labels of a batch.

    Attributes:
        values: Class indices (int64) or numbers (float64) of the rows that have a usable label.
        usable: Mask of these rows, shape `[rows of the batch]`.
        missing: Number of rows without a label.
        unknown: Number of rows whose class the model does not know.
    """

    values: npt.NDArray[Any]
    usable: npt.NDArray[np.bool_]
    missing: int
    unknown: int


def decode(column: pa.Array, spec: ModelSpec) -> DecodedLabels:
    """Decode the labels of a batch.

    Args:
        column: The label column of examples.
        spec: The description of the model, with its classes.

    Raises:
        UserError: If the column's type does not fit the model's task or classes.

    Example:
        >>> spec = ModelSpec("binary", "y", ("no", "yes"), 0.5, (), "sha256:0")
        >>> decode(pa.array(["yes", None, "no", "maybe"]), spec).values
        array([1, 0])
    """
    if spec.task == "regression":
        return _numbers(column, spec.label)
    index = pc.index_in(column, value_set=_classes(column.type, spec.classes))
    usable = _numpy(pc.is_valid(index))
    values = _numpy(pc.fill_null(index, 0)).astype(np.int64)
    return DecodedLabels(
        values=values[usable],
        usable=usable,
        missing=column.null_count,
        unknown=int(len(column) - usable.sum() - column.null_count),
    )


def _classes(kind: pa.DataType, classes: tuple[str, ...]) -> pa.Array:
    try:
        return pa.array(classes, pa.string()).cast(kind)
    except pa.ArrowInvalid as error:
        raise UserError(
            f"label: the examples hold {kind} values, but the model's classes are text: "
            f"{', '.join(repr(name) for name in classes[:5])}. Use examples whose label has the "
            "type that the model was trained with."
        ) from error


def _numbers(column: pa.Array, name: str) -> DecodedLabels:
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise UserError(
            f"label {name!r}: a regression model needs numbers; the examples hold {column.type}."
        )
    values = _numpy(pc.fill_null(column.cast(pa.float64(), safe=False), np.nan))
    usable = np.isfinite(values)
    return DecodedLabels(
        values=values[usable],
        usable=usable,
        missing=int(len(column) - usable.sum()),
        unknown=0,
    )


def _numpy(column: pa.Array) -> npt.NDArray[Any]:
    return np.asarray(column.to_numpy(zero_copy_only=False))
