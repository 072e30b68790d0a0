"""Calls of a signature with whole columns: one tensor per type, and texts as codes.

A text of Python costs 0.2 µs on its way to TensorFlow, with the interpreter's lock held. A column
of categories has few distinct ones, so those go there once and are spread in the graph.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kfp_tabular.components.common.artifacts.model_document import ModelInput
from kfp_tabular.components.common.prediction.column_decoder import Texts

Columns = Mapping[str, "np.ndarray[Any, Any] | Texts"]
"""The values by the signature's input, as `ColumnDecoder` returns them."""


def pack_columns(
    tf: Any, signature: Any, inputs: Sequence[ModelInput]
) -> Callable[[Columns], dict[str, Any]]:
    """Return a function that calls a signature with decoded columns.

    Args:
        tf: The TensorFlow module.
        signature: A signature that takes a tensor of shape `[batch]` per input.
        inputs: The inputs, with their types.

    Returns:
        A function that takes values by input and returns the signature's outputs by name, as
        tensors.
    """
    names = {
        dtype: [entry.input for entry in inputs if entry.dtype == dtype]
        for dtype in ("float32", "int64", "string")
    }
    specs = {
        "floats": tf.TensorSpec([len(names["float32"]), None], "float32"),
        "integers": tf.TensorSpec([len(names["int64"]), None], "int64"),
        "codes": tf.TensorSpec([len(names["string"]), None], "int32"),
        "distinct": tf.TensorSpec([None], "string"),
    }

    def unpack_and_call(floats: Any, integers: Any, codes: Any, distinct: Any) -> Any:
        packed = {"float32": floats, "int64": integers}
        if names["string"]:
            packed["string"] = tf.gather(distinct, codes)
        tensors = {
            name: tensor
            for dtype, group in packed.items()
            for name, tensor in zip(names[dtype], tf.unstack(group, len(names[dtype])), strict=True)
        }
        return signature(**tensors)

    call = tf.function(
        unpack_and_call, input_signature=list(specs.values()), autograph=False
    ).get_concrete_function()

    def predict(columns: Columns) -> dict[str, Any]:
        rows = _length(next(iter(columns.values())))
        distinct: list[bytes] = []
        codes = np.empty((len(names["string"]), rows), np.int32)
        for place, name in enumerate(names["string"]):
            texts = columns[name]
            if not isinstance(texts, Texts):
                raise TypeError(f"input {name!r}: expected texts")
            np.add(texts.codes, len(distinct), out=codes[place])
            distinct += texts.distinct
        outputs: dict[str, Any] = call(
            tf.constant(_stacked(columns, names["float32"], rows, np.float32)),
            tf.constant(_stacked(columns, names["int64"], rows, np.int64)),
            tf.constant(codes),
            tf.constant(distinct, tf.string),
        )
        return outputs

    return predict


def rows_of(columns: Columns, rows: "slice | np.ndarray[Any, Any]") -> Columns:
    """Return some rows of decoded columns.

    Example:
        >>> part = rows_of({"fare": np.array([1.5, 2.5, 3.5], np.float32)}, slice(1, 3))
        >>> part["fare"].tolist()
        [2.5, 3.5]
    """
    return {
        name: _part_of(values, rows) if isinstance(values, Texts) else values[rows]
        for name, values in columns.items()
    }


def _part_of(texts: Texts, rows: "slice | np.ndarray[Any, Any]") -> Texts:
    codes = texts.codes[rows]
    if len(texts.distinct) <= len(codes):
        return Texts(codes, texts.distinct)
    # Mostly distinct texts: take those of these rows only.
    used, places = np.unique(codes, return_inverse=True)
    return Texts(places.astype(np.int32), tuple(texts.distinct[code] for code in used.tolist()))


def _stacked(
    columns: Columns, names: Sequence[str], rows: int, kind: Any
) -> "np.ndarray[Any, Any]":
    stacked = np.empty((len(names), rows), kind)
    for place, name in enumerate(names):
        stacked[place] = columns[name]
    return stacked


def _length(values: "np.ndarray[Any, Any] | Texts") -> int:
    return len(values.codes if isinstance(values, Texts) else values)
