"""Names of a saved graph's functions do not tell what the process did before."""

import hashlib

import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from kfp_tabular.components.feature_engineering.graph import function_names


def counted(values):
    """Add 1 in a loop, which TensorFlow saves as functions."""
    (_, found) = tf.while_loop(
        lambda step, _: step < 1, lambda step, values: (step + 1, values + 1), (0, values)
    )
    return found


def save(folder, before):
    """Save a graph with two functions and a table, after some other work."""
    for _ in range(before):
        tf.function(lambda x: x * 2)(tf.constant(1.0))
    module = tf.Module()
    keys = tf.constant(["a", "b"])
    module.table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(keys, tf.constant([1, 2], tf.int64)), -1
    )
    inner = tf.function(lambda x: counted(module.table.lookup(x)))
    module.first = tf.function(inner, input_signature=[tf.TensorSpec([None], tf.string)])
    module.second = tf.function(
        lambda x: inner(x) * 2, input_signature=[tf.TensorSpec([None], tf.string)]
    )
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.second})
    function_names.renumber(folder)
    return folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return [save(tmp_path_factory.mktemp("graph"), before) for before in (0, 40)]


def test_the_numbers_follow_from_the_graph(saved):
    names, checksums = [], set()
    for folder in saved:
        checksums.add(
            tf.saved_model.experimental.read_fingerprint(str(folder)).saved_model_checksum
        )
        model = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
        library = model.meta_graphs[0].graph_def.library.function
        names.append([function.signature.name for function in library])
    assert names[0] == names[1] == sorted(names[0])
    assert any("while_body" in name for name in names[0])
    numbers = sorted(int(name.rpartition("_")[2]) for name in names[0])
    assert numbers == list(range(len(numbers)))
    assert all(checksums)


def test_a_renumbered_graph_answers_as_before(saved):
    for folder in saved:
        loaded = tf.saved_model.load(str(folder))
        values = tf.constant(["b", "a", "z"])
        assert loaded.first(values).numpy().tolist() == [3, 2, 0]
        assert loaded.second(values).numpy().tolist() == [6, 4, 0]
        answer = loaded.signatures["serving_default"](values)
        assert [value.numpy().tolist() for value in answer.values()] == [[6, 4, 0]]


def test_renumbering_again_changes_nothing(saved):
    def digest():
        return hashlib.sha256((saved[0] / "saved_model.pb").read_bytes()).hexdigest()

    before = digest()
    function_names.renumber(saved[0])
    assert digest() == before
