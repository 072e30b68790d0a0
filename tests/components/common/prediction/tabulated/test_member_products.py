"""Products of members' rows are replaced by equal ones."""

import numpy as np
import pytest

from kfp_tabular.components.common.prediction import graph_parts
from kfp_tabular.components.common.prediction.tabulated import column_sources, member_products
from kfp_tabular.components.common.process.tensorflow import import_tensorflow


@pytest.mark.parametrize(
    ("equation", "shape", "is_replaced"),
    [
        ("bmw,mwu->bmu", (4, 5, 2), True),
        ("abc,bcd->abd", (4, 5, 1), True),
        ("bmw,mwu->bum", (4, 5, 2), False),
        ("bmw,mwu->bmu", (4, 5, 17), False),
    ],
)
def test_products_of_members(equation, shape, is_replaced):
    tf = import_tensorflow()
    weights = np.random.default_rng(0).normal(size=shape).astype(np.float32)

    @tf.function(input_signature=[tf.TensorSpec([None, 4, 5])])
    def called(rows):
        return tf.einsum(equation, rows, tf.constant(weights))

    graph = called.get_concrete_function().graph
    known = column_sources.of_columns(tf, graph, {})
    operations = []

    def change(definition):
        member_products.joined(tf, definition, known)
        operations.extend(node.op for node in definition.node)

    (end,) = (op.outputs[0] for op in graph.get_operations() if op.type == "Einsum")
    changed = graph_parts.between(tf, graph, graph.inputs, [end], change)
    rows = np.random.default_rng(1).normal(size=(7, 4, 5)).astype(np.float32)
    np.testing.assert_allclose(changed(tf.constant(rows))[0], called(rows), atol=1e-6)
    assert ("Einsum" not in operations) == is_replaced
