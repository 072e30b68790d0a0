"""The shipped architectures."""

from dataclasses import replace

import numpy as np
import pytest

from kfp_tabular.components.common.artifacts.hyperparameters import NETWORK_TYPES, Hyperparameters
from kfp_tabular.components.training.input.packed_rows import Categorical, Vector
from kfp_tabular.components.training.model import ModelContext, architectures, features


def test_embeddings_grow_with_the_vocabulary_within_bounds():
    widths = [features.embedding_width(size) for size in (1, 10, 100, 1000, 10**6)]
    assert widths == sorted(widths)
    assert widths == [2, 4, 8, 8, 8]
    assert features.embedding_width(1000, 7) == 7


def test_columns_of_rare_ids_are_dropped_more_often():
    assert features.column_dropout(5, 200) == 0.5
    assert features.column_dropout(1000, 1000) == 0.9
    assert features.column_dropout(32, 10**7) < 0.001
    rates = [features.column_dropout(size, 10_000) for size in (1, 10, 100, 1000, 10**6)]
    assert rates == sorted(rates)


@pytest.mark.parametrize("kind", NETWORK_TYPES)
def test_every_architecture_takes_vectors(kind):
    context = ModelContext(
        task="multiclass",
        units=3,
        numeric=("x",),
        categorical=(Categorical("c", 0, 4),),
        hyperparameters=Hyperparameters(model_type=kind).chosen(),
        seed=0,
        prior=(0.0, 0.0, 0.0),
        rows=800,
        vectors=(Vector("note", 300), Vector("tags", 5)),
    )
    model = architectures.build(context)
    rows = {"numeric": np.zeros((2, 306), np.float32), "categorical": np.zeros((2, 1), np.int32)}
    assert model(rows).shape == (2, 3)
    projected = [layer.units for layer in model.layers if layer.name.startswith("vector_")]
    assert projected == ([] if kind == "linear" else [64])
    by_name = context.columns(rows)
    assert (by_name["note"].shape, by_name["tags"].shape) == ((2, 300), (2, 5))


def test_rare_categories_are_dropped_as_whole_columns_and_only_in_training():
    import tf_keras

    common, rare = Categorical("common", 0, 20), Categorical("rare", 0, 80)
    context = ModelContext(
        task="binary",
        units=1,
        numeric=(),
        categorical=(common, rare),
        hyperparameters=Hyperparameters(model_type="dnn").chosen(),
        seed=0,
        prior=(0.0,),
        rows=800,
    )
    model = architectures.build(context)
    layer = tf_keras.Model(model.input, model.get_layer("column_dropout_8").output)
    ids = {"numeric": np.zeros((4000, 0)), "categorical": np.ones((4000, 2), np.int32)}
    seen, trained_on = layer(ids).numpy(), layer(ids, training=True).numpy()
    dropped = (trained_on == 0).mean(axis=2)
    assert set(np.unique(dropped)) == {0.0, 1.0}
    np.testing.assert_allclose(dropped.mean(axis=0), [0.5, 0.8], atol=0.04)
    kept = trained_on[:, 1][dropped[:, 1] == 0]
    np.testing.assert_allclose(kept, 5 * seen[: len(kept), 1], rtol=1e-5)
    plain = replace(
        context, hyperparameters=Hyperparameters(model_type="wide_and_deep", dropout=0.0).chosen()
    )
    assert not any("dropout" in layer.name for layer in architectures.build(plain).layers)
