"""Reshapes move behind the bias and the activation of a layer."""

import numpy as np
import pytest

from kfp_tabular.components.common.prediction import graph_parts
from kfp_tabular.components.common.prediction.tabulated import fused_layers
from kfp_tabular.components.common.process.tensorflow import import_tensorflow


@pytest.mark.parametrize("is_shared", [False, True])
def test_reshapes_move_behind_layers(is_shared):
    tf = import_tensorflow()
    random = np.random.default_rng(0)
    weights = random.normal(size=(5, 3)).astype(np.float32)
    bias = random.normal(size=3).astype(np.float32)

    @tf.function(input_signature=[tf.TensorSpec([None, 4, 5])])
    def called(rows):
        product = tf.reshape(rows, [-1, 5]) @ weights
        found = tf.nn.relu(tf.nn.bias_add(tf.reshape(product, [-1, 4, 3]), bias))
        return found + tf.reshape(product, [-1, 4, 3]) if is_shared else found

    graph = called.get_concrete_function().graph
    (end,) = called.get_concrete_function().outputs
    while end.op.type == "Identity":
        end = end.op.inputs[0]
    order = []

    def change(definition):
        fused_layers.moved(definition, {end.op.name})
        nodes = {node.name: node for node in definition.node}
        name = end.op.name
        while name in nodes and nodes[name].op != "MatMul":
            order.append(nodes[name].op)
            name = nodes[name].input[0].partition(":")[0]

    changed = graph_parts.between(tf, graph, graph.inputs, [end], change)
    rows = random.normal(size=(7, 4, 5)).astype(np.float32)
    np.testing.assert_allclose(changed(tf.constant(rows))[0], called(rows), atol=1e-6)
    assert order == (
        ["AddV2", "Relu", "BiasAdd", "Reshape"] if is_shared else ["Reshape", "Relu", "BiasAdd"]
    )
