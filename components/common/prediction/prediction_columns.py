"""A model's outputs as columns: the prediction, and the probability of each class."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.artifacts.model_document import (
    CLASSES,
    PREDICTION,
    PROBABILITIES,
    ModelSpec,
)

PREDICTED = "prediction"


def prediction_schema(spec: ModelSpec) -> pa.Schema:
    """Return the columns of a model's predictions: the class as text, or the number.

    Example:
        >>> spec = ModelSpec("binary", "tip", ("no", "yes"), 0.5, (), "")
        >>> prediction_schema(spec).names
        ['prediction', 'probability_no', 'probability_yes']
    """
    if spec.task == "regression":
        return pa.schema([(PREDICTED, pa.float32())])
    probabilities = [(f"probability_{name}", pa.float32()) for name in spec.classes]
    return pa.schema([(PREDICTED, pa.string()), *probabilities])


def prediction_columns(
    outputs: Mapping[str, "np.ndarray[Any, Any]"], spec: ModelSpec
) -> dict[str, pa.Array]:
    """Return predictions by column, as `prediction_schema` describes them.

    Args:
        outputs: The model's outputs by name.
        spec: The model's description.
    """
    if spec.task == "regression":
        return {PREDICTED: pa.array(outputs[PREDICTION].reshape(-1))}
    probabilities = outputs[PROBABILITIES]
    classes = pa.array(outputs[CLASSES].reshape(-1), pa.binary())
    arrays = [pc.cast(classes, pa.string())]
    arrays += [pa.array(np.ascontiguousarray(column)) for column in probabilities.T]
    return dict(zip(prediction_schema(spec).names, arrays, strict=True))
