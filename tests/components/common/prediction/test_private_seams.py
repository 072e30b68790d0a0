"""What loading a model uses of TensorFlow beyond its documented interface."""

import json
import subprocess
import sys
from pathlib import Path

from tests.private_seams import seam

_MODEL = """
import sys
import tensorflow as tf

class Model(tf.Module):
    def __init__(self, vocabulary):
        self.table = tf.lookup.StaticVocabularyTable(
            tf.lookup.TextFileInitializer(
                vocabulary, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE,
                tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER), 1)
        self.dense = tf.keras.layers.Dense(2)
        self.dense.build([None, 2])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string), tf.TensorSpec([None])])
    def __call__(self, text, number):
        ids = tf.cast(self.table.lookup(text), tf.float32)
        return {"outputs": self.dense(tf.stack([ids, number], axis=1))}

model = Model(sys.argv[1])
tf.saved_model.save(model, sys.argv[2], signatures={"serving_default": model.__call__})
"""

_PREDICT = """
import json, sys
from kfp_tabular.components.common.process import tensorflow

tf = getattr(tensorflow, sys.argv[2])()
loaded = tf.saved_model.load(sys.argv[1])
signature = loaded.signatures["serving_default"]
assert issubclass(tf.errors.NotFoundError, tf.errors.OpError)
outputs = signature(text=tf.constant(["b", "?"]), number=tf.constant([1.5, -2.0]))
modules = [name for name in sys.modules if name.startswith(("tensorflow", "tf_keras"))]
before = len(modules), "tf_keras" in sys.modules
print(json.dumps([outputs["outputs"].numpy().tolist(), *before]))
# A name that TensorFlow has otherwise.
assert tf.keras.layers.Dense(1) is not None and tf.__version__
"""


def test_part_of_tensorflow_predicts_as_the_whole_does(tmp_path: Path) -> None:
    vocabulary = tmp_path / "vocabulary.txt"
    vocabulary.write_text("a\nb\n")
    model = str(tmp_path / "model")
    subprocess.run([sys.executable, "-c", _MODEL, str(vocabulary), model], check=True)

    def predicted(how: str) -> tuple[list[list[float]], int, bool]:
        answer = subprocess.check_output([sys.executable, "-c", _PREDICT, model, how], text=True)
        outputs, modules, has_keras = json.loads(answer.splitlines()[-1])
        return outputs, modules, has_keras

    whole, all_modules, has_keras = predicted("import_tensorflow")
    assert has_keras
    with seam(
        "tensorflow",
        "`from MODULE import NAME` in its __init__.py, or tensorflow.python.compat.v2_compat",
        user="components/common/process/tensorflow.py",
    ):
        part, modules, has_keras = predicted("import_tensorflow_runtime")
        assert part == whole
        assert not has_keras
        assert modules < all_modules * 0.6


def test_functions_are_graphs_and_operations_are_described() -> None:
    from kfp_tabular.components.common.process.tensorflow import import_tensorflow

    tf = import_tensorflow()

    @tf.function(input_signature=[tf.TensorSpec([None])])
    def double(values):
        return 2 * values

    @tf.function(input_signature=[tf.TensorSpec([None])])
    def call(values):
        return double(values)

    graph = call.get_concrete_function().graph
    with seam(
        "tensorflow",
        "function_def_to_graph, or op_def_registry.get",
        user="components/common/prediction/tabulated",
    ):
        from tensorflow.python.framework import op_def_registry
        from tensorflow.python.framework.function_def_to_graph import function_def_to_graph

        (operation,) = (op for op in graph.get_operations() if "PartitionedCall" in op.type)
        name = operation.get_attr("f").name
        (definition,) = (
            each for each in graph.as_graph_def().library.function if each.signature.name == name
        )
        with graph.as_default():
            body = function_def_to_graph(
                definition,
                input_shapes=[tensor.shape for tensor in operation.inputs],
                include_library_functions=True,
            )
        assert "Mul" in [op.type for op in body.get_operations()]
        assert len(body.inputs) == len(body.outputs) == 1
        assert op_def_registry.get("Assert").is_stateful
        assert not op_def_registry.get("Mul").is_stateful
