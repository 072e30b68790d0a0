"""Products of each member's row with its own matrix, as one product of matrices.

TensorFlow turns an einsum such as `bmw,mwu->bmu` into a transposition and a product for each
member. For a few outputs, one product with a matrix of blocks takes a fifth of the time.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kfp_tabular.components.common.prediction.tabulated.column_sources import Fixed, Known

_MOST_OUTPUTS = 64


def joined(tf: Any, definition: Any, known: Mapping[str, Known]) -> None:
    """Replace such products in the definition of a graph.

    Args:
        tf: The TensorFlow module.
        definition: A `GraphDef`, which is changed.
        known: What is known of the graph's tensors, by name.
    """
    for node in list(definition.node):
        if node.op != "Einsum" or len(node.input) != 2:
            continue
        name = node.input[1]
        weights = known.get(name if ":" in name else f"{name}:0")
        if not isinstance(weights, Fixed) or weights.value is None:
            continue
        if weights.value.ndim != 3 or not _is_of_members(node.attr["equation"].s.decode()):
            continue
        members, width, units = weights.value.shape
        if members * units > _MOST_OUTPUTS:
            continue
        blocks = np.zeros((members, width, members, units), weights.value.dtype)
        for member in range(members):
            blocks[member, :, member] = weights.value[member]
        kind = type(node.attr["T"])()
        kind.CopyFrom(node.attr["T"])
        flat = _add(definition, "Reshape", f"{node.name}/flat", [node.input[0]], T=kind)
        flat.input.append(_constant(tf, definition, f"{flat.name}/shape", [-1, members * width]))
        matrix = blocks.reshape(members * width, members * units)
        product = _add(definition, "MatMul", f"{node.name}/product", [flat.name], T=kind)
        product.input.append(_constant(tf, definition, f"{product.name}/blocks", matrix))
        shape = _constant(tf, definition, f"{node.name}/shape", [-1, members, units])
        replaced = node.name
        node.Clear()
        _set(node, "Reshape", replaced, [product.name, shape], T=kind)


def _is_of_members(equation: str) -> bool:
    """Return whether an equation is one of members.

    Example:
        >>> _is_of_members("bmw,mwu->bmu"), _is_of_members("bcf,cfw->bwc")
        (True, False)
    """
    takes, _, gives = equation.partition("->")
    left, _, right = takes.partition(",")
    if (len(left), len(right)) != (3, 3) or len({*left, *right}) != 4:
        return False
    return right[:2] == left[1:] and gives == left[:2] + right[2]


def _constant(tf: Any, definition: Any, name: str, value: Any) -> str:
    array = np.asarray(value, np.int32 if isinstance(value, list) else None)
    made = _add(definition, "Const", name, [])
    made.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(array))
    made.attr["dtype"].type = made.attr["value"].tensor.dtype
    return name


def _add(definition: Any, op: str, name: str, inputs: list[str], **attributes: Any) -> Any:
    return _set(definition.node.add(), op, name, inputs, **attributes)


def _set(node: Any, op: str, name: str, inputs: list[str], **attributes: Any) -> Any:
    node.op, node.name = op, name
    node.input.extend(inputs)
    for key, value in attributes.items():
        node.attr[key].CopyFrom(value)
    return node
