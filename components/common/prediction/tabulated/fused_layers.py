"""Layers of tensors with more than two dimensions, so that TensorFlow computes each at once.

Keras writes such a layer as a product of matrices, a reshape, a bias and a `relu`. TensorFlow does
the product, the bias and the `relu` in one pass over memory, if nothing is between them.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any


def moved(definition: Any, kept: Collection[str]) -> None:
    """Move reshapes behind the bias and the `relu`, in the definition of a graph.

    Args:
        definition: A `GraphDef`, which is changed.
        kept: The operations whose results are asked for.
    """
    nodes = {node.name: node for node in definition.node}
    used = Counter(_name(each) for node in definition.node for each in node.input)
    used.update(kept)
    for relu in list(definition.node):
        if relu.op != "Relu":
            continue
        bias = _single(relu.input[0], "BiasAdd", nodes, used)
        shaped = bias and _single(bias.input[0], "Reshape", nodes, used)
        product = shaped and _single(shaped.input[0], "MatMul", nodes, used)
        if not product:
            continue
        # The bias belongs to the last dimension, which is that of the product.
        flat = definition.node.add()
        flat.CopyFrom(relu)
        flat.name = f"{relu.name}/flat"
        shape, kind = shaped.input[1], shaped.attr["Tshape"]
        bias.input[0] = shaped.input[0]
        relu.input[:] = [flat.name, shape]
        relu.op = "Reshape"
        for name in list(relu.attr):
            if name != "T":
                del relu.attr[name]
        relu.attr["Tshape"].CopyFrom(kind)


def _single(name: str, kind: str, nodes: Mapping[str, Any], used: Mapping[str, int]) -> Any:
    """Return an operation of a kind whose result is used once; None for another."""
    node = nodes.get(_name(name))
    if node is None or node.op != kind or used[node.name] != 1:
        return None
    return node


def _name(tensor: str) -> str:
    """Return the name of a tensor's operation.

    Example:
        >>> _name("hidden/MatMul:0"), _name("hidden/MatMul")
        ('hidden/MatMul', 'hidden/MatMul')
    """
    return tensor.partition(":")[0].removeprefix("^")
