"""Members: several networks in one graph."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.training.input.packed_rows import Categorical, Vector
from kfp_tabular.components.training.model import (
    ModelContext,
    architectures,
    members,
    number_embeddings,
)
from kfp_tabular.components.training.model.predictor import predictions


def context(**changes):
    given = {
        "task": "binary",
        "units": 1,
        "numeric": ("x", "y"),
        "categorical": (Categorical("c", 0, 4),),
        "hyperparameters": Hyperparameters(model_type="tabm").chosen(),
        "seed": 0,
        "prior": (-1.0,),
        "rows": 800,
    }
    return ModelContext(**{**given, **changes})


@pytest.mark.parametrize(("kind", "units"), [("binary", 1), ("multiclass", 3), ("regression", 1)])
@given(data=st.data())
@settings(deadline=None, max_examples=20)
def test_the_prediction_is_the_mean_of_the_members(kind, units, data):
    import tensorflow as tf

    numbers = st.floats(-30, 30, width=32)
    logits = data.draw(arrays.arrays(np.float32, (3, 4, units), elements=numbers))
    own = [predictions(kind, tf.constant(logits[:, member])) for member in range(4)]
    found = predictions(kind, members.mean_logits(kind, tf.constant(logits)))
    np.testing.assert_allclose(found, np.mean(own, axis=0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_certain_members_leave_finite_logits(kind):
    import tensorflow as tf

    certain = tf.constant([[[200.0], [200.0]]] if kind == "binary" else [[[0.0, 500.0]] * 2])
    assert np.isfinite(members.mean_logits(kind, certain)).all()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"numeric": ()},
        {"categorical": ()},
        {"categorical": (Categorical("x__bucket", 0, 4), Categorical("y__bucket", 0, 3))},
        {"categorical": (Categorical("x__bucket", 0, 4), Categorical("c", 0, 3))},
        {"numeric": (), "categorical": (), "vectors": (Vector("note", 100),)},
        {"vectors": (Vector("note", 3),), "task": "multiclass", "units": 3, "prior": (0.0,) * 3},
        {"task": "regression", "prior": (0.0,)},
    ],
)
@pytest.mark.parametrize("rows", [1, 5])
def test_tabm_takes_any_columns_and_any_number_of_rows(changes, rows):
    given = context(**changes)
    model = architectures.build(given)
    inputs = {
        "numeric": np.ones((rows, model.input["numeric"].shape[1]), np.float32),
        "categorical": np.ones((rows, len(given.categorical)), np.int32),
    }
    whole = model(inputs).numpy()
    assert whole.shape == (rows, given.units)
    assert np.isfinite(whole).all()
    each = members.trained_on(model)(inputs)
    assert each.shape[0] == rows
    assert each.shape[2] == given.units
    assert len({tuple(logits) for logits in each.numpy()[0].round(6)}) == each.shape[1]
    np.testing.assert_allclose(members.mean_logits(given.task, each), whole, rtol=1e-6)


def test_tabm_goes_on_along_a_line_beyond_the_range():
    import tensorflow as tf

    columns = (Categorical("x__bucket", 0, 4),)
    given = context(
        task="regression", prior=(0.0,), ranges=((-1.5, 2.0), (3.0, 3.0)), categorical=columns
    )
    model = architectures.build(given)

    def answers(*numbers):
        rows = len(numbers)
        return model(
            {
                "numeric": tf.constant([[number, 3.0] for number in numbers]),
                "categorical": tf.zeros([rows, 1], tf.int32),
            }
        ).numpy()[:, 0]

    # Where no unit of the network bends any more, equal steps change the answer by as much.
    for side in (1e4, -1e4):
        steps = np.diff(answers(side, 2 * side, 3 * side, 4 * side))
        np.testing.assert_allclose(steps, steps[0], rtol=1e-3)


def test_waves_stop_at_the_ends_of_the_range():
    import tensorflow as tf
    import tf_keras

    numbers = tf_keras.Input((3,))
    ends = ((-1.5, 2.0), (3.0, 3.0))
    tf_keras.utils.set_random_seed(1)
    free = tf_keras.Model(numbers, number_embeddings.waves(numbers, 2))
    tf_keras.utils.set_random_seed(1)
    within = tf_keras.Model(numbers, number_embeddings.waves(numbers, 2, ends))

    inside = tf.constant([[-1.5, 3.0, 9.0], [0.3, 3.0, 9.0], [2.0, 3.0, 9.0]])
    np.testing.assert_array_equal(within(inside), free(inside))
    beyond = tf.constant([[2.1, 4.0, 0.0], [1e30, -7.0, 0.0], [np.inf, -np.inf, 0.0]])
    np.testing.assert_array_equal(within(beyond), np.repeat(within(inside)[-1:], 3, axis=0))
    assert not np.allclose(free(beyond)[0], free(inside)[-1])
    assert len(within.trainable_weights) == len(free.trainable_weights) == 4


def test_other_models_are_trained_on_their_own_logits():
    model = architectures.build(context(hyperparameters=Hyperparameters(model_type="dnn").chosen()))
    assert members.trained_on(model) is model
