"""Calls a model's signature with one tensor per type instead of one per feature.

Handing a tensor to TensorFlow and having it checked costs some 15 µs whatever its size, and a model
may take a hundred. Features of one type go in as one tensor, and a few operations in the graph take
it apart. On a model of 16 features that makes a call of one row 0.25 ms shorter, of 0.63 ms.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kfp_tabular.components.common.artifacts.model_document import ModelInput
from kfp_tabular.serving.protocol.model_interface import Arrays


def packed(tf: Any, signature: Any, inputs: Sequence[ModelInput]) -> Callable[[Arrays], Any]:
    """Makes a function that calls a signature.

    Args:
        tf: TensorFlow.
        signature: A signature that takes a tensor of shape `[batch]` per input.
        inputs: The inputs, with their types; at least one.

    Returns:
        Takes an array of shape `[batch]` for every input, by `ModelInput.input`, and gives the
        signature's outputs by name.
    """
    names: dict[str, list[str]] = {}
    for model_input in inputs:
        names.setdefault(model_input.dtype, []).append(model_input.input)
    types = sorted(names)

    def unpacked(*groups: Any) -> Any:
        tensors = {
            name: tensor
            for kind, group in zip(types, groups, strict=True)
            for name, tensor in zip(names[kind], tf.unstack(group, len(names[kind])), strict=True)
        }
        return signature(**tensors)

    call = tf.function(
        unpacked,
        input_signature=[tf.TensorSpec([len(names[kind]), None], kind) for kind in types],
        autograph=False,
    ).get_concrete_function()

    def predict(tensors: Arrays) -> Any:
        return call(
            *(tf.constant(np.stack([tensors[name] for name in names[kind]])) for kind in types)
        )

    return predict
