"""What the cut of a graph uses of TensorFlow beyond its documented interface."""

from kfp_tabular.components.common.process.tensorflow import import_tensorflow
from tests.private_seams import seam


def test_a_graph_is_flat_after_freezing(tmp_path):
    tf = import_tensorflow()
    module = tf.Module()
    module.weight = tf.Variable([[2.0], [3.0]])
    module.table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(["a", "b"], tf.constant([0, 1], tf.int64)), -1
    )
    inner = tf.function(lambda values: tf.matmul(values, module.weight))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="Shop")])
    def serve(shop):
        return {"out": inner(tf.one_hot(module.table.lookup(shop), 2))}

    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": serve})
    loaded = tf.saved_model.load(str(tmp_path))
    signature = loaded.signatures["serving_default"]
    with seam(
        "tensorflow",
        "convert_to_constants.convert_variables_to_constants_v2 or FuncGraph.internal_captures",
        user="components/common/prediction/graph_parts.py",
    ):
        from tensorflow.python.eager.wrap_function import wrap_function
        from tensorflow.python.framework.convert_to_constants import (
            convert_variables_to_constants_v2,
        )
        from tensorflow.python.framework.errors_impl import OpError

        assert (wrap_function, OpError) == (tf.compat.v1.wrap_function, tf.errors.OpError)
        flat = convert_variables_to_constants_v2(signature)
        operations = {op.type for op in flat.graph.get_operations()}
        assert "MatMul" in operations
        assert not operations & {"ReadVariableOp", "PartitionedCall"}
        captured = {tensor.name for tensor in signature.graph.internal_captures}
        assert len(captured) == len(signature.captured_inputs)
        (raw,) = (tensor for tensor in flat.inputs if tensor.name not in captured)
        assert raw.op.name.casefold() == "shop"
        # The model still answers.
        assert signature(Shop=tf.constant(["a", "b"]))["out"].numpy().tolist() == [[2], [3]]
