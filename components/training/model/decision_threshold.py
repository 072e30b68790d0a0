"""The decision threshold of an exported model: a constant of its graph that can be replaced.

The threshold with the highest expected value is known only once the model answers raw rows. Writing
one number into the graph costs nothing; exporting the model again would need it in memory, which a
task that trains on the cluster has not.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAME = "kfp_tabular_decision_threshold"
"""The name of the constant."""

_GRAPH, _FINGERPRINT = "saved_model.pb", "fingerprint.pb"


def constant(threshold: float) -> Any:
    """Return the threshold as the constant that `write` finds again."""
    import tensorflow as tf

    return tf.constant(threshold, tf.float32, name=NAME)


def write(directory: str | os.PathLike[str], threshold: float) -> None:
    """Replace the threshold in the graph of a SavedModel.

    Args:
        directory: The SavedModel.
        threshold: The threshold, from 0 to 1.

    Raises:
        ValueError: If its graph has no such constant.
    """
    import tensorflow as tf
    from tensorflow.core.protobuf import saved_model_pb2
    from tensorflow.python.saved_model import fingerprinting_utils

    file = Path(directory) / _GRAPH
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    found = list(_constants(model))
    if not found:
        raise ValueError(f"{file}: no constant {NAME!r}")
    for node in found:
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(threshold, tf.float32, []))
    file.write_bytes(model.SerializeToString(deterministic=True))
    # Its checksum is that of the graph.
    if (Path(directory) / _FINGERPRINT).exists():
        fingerprinting_utils.write_fingerprint(os.fspath(directory))


def _constants(model: Any) -> Iterator[Any]:
    for graph in model.meta_graphs:
        nodes = [graph.graph_def.node]
        nodes += [function.node_def for function in graph.graph_def.library.function]
        for each in nodes:
            yield from (node for node in each if node.op == "Const" and node.name == NAME)
