"""Calls of a model's signature with one tensor per type instead of one per feature.

Passing a tensor to TensorFlow costs about 15 µs whatever its size, and a model may take a hundred.
So features of one type are packed into one tensor, and a few operations in the graph unpack it.
With 16 features, that makes a call with one row 0.25 ms shorter, from 0.63 ms.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kfp_tabular.components.common.artifacts.model_document import ModelInput
from kfp_tabular.serving.protocol.model_interface import Arrays


def pack_signature(
    tf: Any, signature: Any, inputs: Sequence[ModelInput]
) -> Callable[[Arrays], Any]:
    """Return a function that calls a signature with one tensor per type.

    Args:
        tf: The TensorFlow module.
        signature: A signature that takes a tensor of shape `[batch]` per input.
        inputs: The inputs, with their types; at least one.

    Returns:
        A function that takes an array of shape `[batch]` for each input, by `ModelInput.input`, and
        returns the signature's outputs by name.
    """
    names: dict[str, list[str]] = {}
    for model_input in inputs:
        names.setdefault(model_input.dtype, []).append(model_input.input)
    types = sorted(names)

    def unpack_and_call(*packed: Any) -> Any:
        tensors = {
            name: tensor
            for dtype, group in zip(types, packed, strict=True)
            for name, tensor in zip(names[dtype], tf.unstack(group, len(names[dtype])), strict=True)
        }
        return signature(**tensors)

    call = tf.function(
        unpack_and_call,
        input_signature=[tf.TensorSpec([len(names[dtype]), None], dtype) for dtype in types],
        autograph=False,
    ).get_concrete_function()

    def predict(arrays: Arrays) -> Any:
        return call(
            *(tf.constant(np.stack([arrays[name] for name in names[dtype]])) for dtype in types)
        )

    return predict
