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
from kfp_tabular.components.common.prediction.column_decoder import Texts
from kfp_tabular.components.common.values import arrays

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
    outputs: Mapping[str, "np.ndarray[Any, Any] | Texts"], spec: ModelSpec
) -> dict[str, pa.Array]:
    """Return predictions by column, as `prediction_schema` describes them.

    Args:
        outputs: The model's outputs by name; classes may be codes.
        spec: The model's description.
    """
    if spec.task == "regression":
        return {PREDICTED: _floats(outputs[PREDICTION])}
    columns = [_classes(outputs[CLASSES])]
    columns += map(_floats, np.asarray(outputs[PROBABILITIES]).T)
    return dict(zip(prediction_schema(spec).names, columns, strict=True))


def _classes(classes: "np.ndarray[Any, Any] | Texts") -> pa.StringArray:
    if isinstance(classes, Texts):
        names = arrays.from_texts([name.decode() for name in classes.distinct])
        return names.take(arrays.from_integers(classes.codes))
    return pc.cast(pa.array(classes.reshape(-1), pa.binary()), pa.string())


def _floats(values: Any) -> pa.FloatArray:
    values = np.ascontiguousarray(values, np.float32).reshape(-1)
    return pa.Array.from_buffers(pa.float32(), len(values), [None, pa.py_buffer(values)])
