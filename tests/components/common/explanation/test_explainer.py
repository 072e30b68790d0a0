"""Attributions against functions whose attributions are known, and Shapley values enumerated."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.model_document import ModelInput
from kfp_tabular.components.common.explanation.explainer import ExplanationSettings
from kfp_tabular.components.common.explanation.mixed_rows import as_columns
from kfp_tabular.components.common.prediction.instances import InstanceError

SHOP = ModelInput("shop", "string", required=True, input="Shop")
HOUR = ModelInput("hour", "int64", required=False, input="hour")
GRADIENTS, SHAPLEY = "integrated_gradients", "shapley_values"
ZERO = ExplanationSettings({"a": 0.0, "b": 0.0})


def explained(explainer, settings=ZERO, **values):
    """Explain rows that are given by input."""
    kinds = {"float32": np.float32, "int64": np.int64, "string": object}
    arrays = {
        entry.input: np.array(values[entry.input], kinds[entry.dtype])
        for entry in explainer.spec.inputs
    }
    return explainer.explain(as_columns(arrays, explainer.spec.inputs), settings)


def network(made, task="binary", **hyperparameters):
    """Return the explainer of a network: imputed numbers, an indicator, an embedding, a bucket."""
    tf = made.tf
    random = np.random.default_rng(7)

    def variable(*shape):
        return tf.Variable((random.normal(size=shape) / 2).astype("f4"))

    classes = {"binary": 2, "multiclass": 3, "regression": 1}[task]
    shops, hours, buckets = variable(5, 3), variable(24, 2), variable(3, 2)
    first, last = variable(11, 16), variable(16, classes)

    def function(tf, raw):
        a = raw["a"]
        is_missing = tf.math.is_nan(a)
        imputed = tf.where(is_missing, 0.5, a)
        bucket = tf.searchsorted(tf.constant([-1.0, 1.0]), imputed)
        shop = tf.gather(shops, tf.strings.to_hash_bucket_fast(raw["Shop"], 5))
        hour = tf.gather(hours, tf.math.floormod(raw["hour"], 24))
        b, c = (tf.where(tf.math.is_nan(raw[name]), 0.0, raw[name]) for name in "bc")
        plain = tf.stack([imputed, tf.cast(is_missing, tf.float32), b, c * 0.0], axis=1)
        every = tf.concat([plain, shop, hour, tf.gather(buckets, bucket)], axis=1)
        found = tf.matmul(tf.nn.relu(tf.matmul(every, first)), last)
        return found[:, 0] if task == "regression" else found

    inputs = (*made.numbers("a", "b", "c"), SHOP, HOUR)
    held = [shops, hours, buckets, first, last]
    return made(function, inputs, task, held, **hyperparameters)


def rows(count, seed=0):
    """Return rows of that network."""
    random = np.random.default_rng(seed)
    a = random.normal(size=count)
    a[random.random(count) < 0.2] = np.nan
    return {
        "a": a,
        "b": random.normal(size=count),
        "c": random.normal(size=count),
        "Shop": [f"shop {number}".encode() for number in random.integers(0, 9, count)],
        "hour": random.integers(0, 24, count),
    }


def test_a_linear_function_gives_its_terms(made):
    explainer = made(lambda tf, raw: 2 * raw["a"] - 3 * raw["b"] + 7.0, made.numbers("a", "b"))
    found = explained(explainer, ExplanationSettings({"a": 1.0, "b": -1.0}), a=[1, 4], b=[2, 0.5])
    assert found.methods == [GRADIENTS, GRADIENTS]
    np.testing.assert_allclose(found.values, [[0, -9], [6, -4.5]], atol=1e-5)
    np.testing.assert_allclose(found.baseline, [12, 12])


def test_a_product_is_shared(made):
    explainer = made(lambda tf, raw: raw["a"] * raw["b"], made.numbers("a", "b"))
    found = explained(explainer, a=[3.0], b=[4.0])
    np.testing.assert_allclose(found.values, [[6, 6]], rtol=1e-5)


def test_a_curve_follows_the_integral(made):
    explainer = made(lambda tf, raw: tf.exp(raw["a"]) * raw["b"] ** 2, made.numbers("a", "b"))
    found = explained(explainer, a=[1.0], b=[2.0])
    # The integrals of 4 t^2 e^t and of 8 t e^t from 0 to 1.
    np.testing.assert_allclose(found.values, [[4 * (np.e - 2), 8.0]], rtol=1e-4)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_network_s_attributions_add_up(made, task):
    found = explained(network(made, task), ExplanationSettings(), **rows(40))
    assert set(found.methods) == {GRADIENTS}
    change = found.predicted - found.baseline
    scale = np.maximum(np.abs(found.predicted), np.abs(found.baseline))
    allowed = 1e-3 * (scale if task == "regression" else 1)
    assert (np.abs(found.values.sum(axis=1) - change) <= allowed).all()
    assert (found.gaps <= allowed).all()
    assert not found.values[:, 2].any()
    if task == "multiclass":
        assert len(set(found.explained.tolist())) > 1


def test_which_rows_come_together_changes_nothing(made):
    explainer, given = network(made), rows(12)
    whole = explained(explainer, ExplanationSettings(), **given)
    for cut in (1, 5, 11):
        parts = [
            explained(
                explainer,
                ExplanationSettings(),
                **{name: values[start : start + cut] for name, values in given.items()},
            )
            for start in range(0, 12, cut)
        ]
        assert [name for part in parts for name in part.methods] == whole.methods
        values = np.concatenate([part.values for part in parts])
        np.testing.assert_allclose(values, whole.values, atol=1e-5)


def test_features_of_equal_parts_get_equal_shares(made):
    tf = made.tf
    table = tf.Variable(np.random.default_rng(3).normal(size=(24, 2)).astype("f4"))

    def function(tf, raw):
        both = tf.gather(table, raw["hour"]) + tf.gather(table, raw["other"])
        return tf.tanh(tf.reduce_sum(both, axis=1) + tf.sin(raw["a"] + raw["b"]))

    other = ModelInput("other", "int64", required=False, input="other")
    explainer = made(function, (*made.numbers("a", "b"), HOUR, other), variables=[table])
    zero = ExplanationSettings({"a": 0, "b": 0, "hour": 0, "other": 0})
    found = explained(explainer, zero, a=[1.5], b=[1.5], hour=[7], other=[7])
    assert found.methods == [GRADIENTS]
    assert found.values[0, 0] == pytest.approx(found.values[0, 1], abs=1e-6)
    assert found.values[0, 2] == pytest.approx(found.values[0, 3], abs=1e-6)


def test_crossed_features_get_shapley_values(made):
    def function(tf, raw):
        crossed = tf.strings.join([raw["Shop"], tf.as_string(raw["hour"])])
        bucket = tf.strings.to_hash_bucket_fast(crossed, 50)
        return raw["a"] + tf.gather(tf.range(50.0) ** 2, bucket)

    explainer = made(function, (*made.numbers("a"), SHOP, HOUR))
    declared = ExplanationSettings({"a": 1.0, "shop": "x", "hour": 3})
    found = explained(explainer, declared, a=[2.0, 2.0], Shop=[b"y", b"x"], hour=[5, 3])
    assert found.methods == [SHAPLEY, GRADIENTS]
    expected = enumerated(explainer, {"a": 2.0, "Shop": b"y", "hour": 5}, declared)
    np.testing.assert_allclose(found.values[0], expected, rtol=1e-5)
    np.testing.assert_allclose(found.values[1], [1, 0, 0], atol=1e-4)


def enumerated(explainer, row, settings):
    """Return Shapley values of a row by all orders of its features."""
    names = [entry.input for entry in explainer.spec.inputs]
    base = {
        entry.input: settings.baseline[entry.name]
        if entry.dtype != "string"
        else settings.baseline[entry.name].encode()
        for entry in explainer.spec.inputs
    }
    cache = {}

    def worth(joined):
        if joined not in cache:
            given = {name: [row[name] if name in joined else base[name]] for name in names}
            cache[joined] = explained(explainer, settings, **given).predicted[0]
        return cache[joined]

    total = dict.fromkeys(names, 0.0)
    orders = list(permutations(names))
    for order in orders:
        joined = frozenset()
        for name in order:
            total[name] += worth(joined | {name}) - worth(joined)
            joined |= {name}
    return [total[name] / len(orders) for name in names]


def steps(tf, raw):
    """Trees by hand."""
    left = tf.where(raw["a"] > 0.2, tf.where(raw["b"] > 1.0, 5.0, 2.0), -1.0)
    return left + tf.cast(raw["c"] > 0.0, tf.float32) * tf.cast(raw["a"] > 1.0, tf.float32)


def test_trees_get_shapley_values(made):
    explainer = made(steps, made.numbers("a", "b", "c"), model_type="trees")
    assert not explainer.has_gradients
    zero = ExplanationSettings({"a": 0.0, "b": 0.0, "c": 0.0})
    found = explained(explainer, zero, a=[1.5], b=[2.0], c=[1.0])
    assert found.methods == [SHAPLEY]
    assert not found.errors.any()
    expected = enumerated(explainer, {"a": 1.5, "b": 2.0, "c": 1.0}, zero)
    np.testing.assert_allclose(found.values[0], expected, atol=1e-5)


@pytest.mark.parametrize(
    "hyperparameters",
    [
        {"model_type": "trees"},
        {"model_type": "blend", "blend": {"weights": {"trees": 0.5, "tabm": 0.5}}},
        {"model_type": "dnn", "calibration": {"method": "isotonic"}},
    ],
)
def test_models_of_steps_have_no_gradients(made, hyperparameters):
    assert not network(made, **hyperparameters).has_gradients


def test_a_temperature_leaves_gradients(made):
    assert network(made, calibration={"method": "temperature"}).has_gradients


def test_a_function_of_steps_has_no_gradients_to_follow(made):
    explainer = made(steps, made.numbers("a", "b", "c"))
    zero = ExplanationSettings({"a": 0.0, "b": 0.0, "c": 0.0})
    found = explained(explainer, zero, a=[1.5, 0.0], b=[2.0, 0.0], c=[1.0, 0.0])
    assert found.methods[0] == SHAPLEY
    assert not found.values[1].any()
    np.testing.assert_allclose(
        found.values.sum(axis=1), found.predicted - found.baseline, atol=1e-5
    )


def many(made):
    """Return the explainer of a function of more features than can be enumerated."""
    names = [f"f{number}" for number in range(12)]

    def function(tf, raw):
        values = tf.stack([raw[name] for name in names[:-1]], axis=1)
        weights = tf.constant(np.linspace(-1, 1, 11).astype("f4"))
        return tf.cast(tf.reduce_sum(values * weights, axis=1) > 0.5, tf.float32) * 3 + values[:, 0]

    return made(function, made.numbers(*names), model_type="trees"), names


@settings(
    deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32))
def test_sampled_values_add_up_and_repeat(made, seed):
    if not hasattr(made, "many"):
        made.many = many(made)
    explainer, names = made.many
    random = np.random.default_rng(seed)
    given = {name: random.normal(size=5) for name in names}
    chosen = ExplanationSettings(dict.fromkeys(names, 0.0), orders=8, seed=seed)
    found = explained(explainer, chosen, **given)
    change = found.predicted - found.baseline
    np.testing.assert_allclose(found.values.sum(axis=1), change, atol=1e-5)
    assert not found.values[:, -1].any()
    assert not found.errors[:, -1].any()
    again = explained(explainer, chosen, **given)
    np.testing.assert_array_equal(found.values, again.values)
    one = explained(explainer, chosen, **{name: values[3:4] for name, values in given.items()})
    np.testing.assert_allclose(one.values[0], found.values[3], atol=1e-6)
    np.testing.assert_allclose(one.errors[0], found.errors[3], atol=1e-6)


def test_sampled_values_are_off_by_about_their_stated_error(made):
    explainer, names = many(made)
    random = np.random.default_rng(4)
    given = {name: random.normal(size=40) for name in names}
    zero = dict.fromkeys(names, 0.0)
    exact = explained(explainer, ExplanationSettings(zero, orders=4096), **given)
    assert not exact.errors.any()
    found = explained(explainer, ExplanationSettings(zero, orders=64, seed=1), **given)
    # A step that hardly any order passes has an error near 0, and a share below this.
    least = 0.02
    missed = np.abs(found.values - exact.values) / np.maximum(found.errors, least)
    # 31 degrees of freedom.
    assert np.quantile(missed, 0.95) < 2.6
    assert np.sqrt(np.mean(missed**2)) < 1.3
    assert (found.errors > least).mean() > 0.2


def test_lists_in_texts_are_explained(made):
    tf = made.tf
    table = tf.Variable(np.random.default_rng(3).normal(size=(20, 2)).astype("f4"))

    def function(tf, raw):
        words = tf.strings.split(raw["Shop"], sep=";")
        ids = tf.strings.to_hash_bucket_fast(words, 20)
        means = tf.reduce_mean(tf.gather(table, ids), axis=1)
        known = tf.where(tf.math.is_nan(means), 0.0, means)
        return tf.tanh(tf.reduce_sum(known, axis=1) * raw["a"])

    explainer = made(function, (*made.numbers("a"), SHOP), variables=[table])
    shops = [b"red;round", b"", b"a;b;c;d"]
    found = explained(explainer, ExplanationSettings({"a": 0.5}), a=[1.0, 1.0, 2.0], Shop=shops)
    change = found.predicted - found.baseline
    allowed = 1e-3 * np.maximum(np.abs(found.predicted), np.abs(found.baseline)) + 1e-6
    assert (np.abs(found.values.sum(axis=1) - change) <= allowed).all()
    assert found.values[1, 1] == 0


def test_what_is_declared_of_the_baseline_is_said(made):
    explainer = network(made)
    given = ExplanationSettings({"a": 1.0, "b": None, "shop": "x", "hour": 0})
    assert explained(explainer, given, **rows(2)).chosen.declared == ("a", "shop", "hour")
    assert explained(explainer, ExplanationSettings(), **rows(300)).chosen.declared == ()


def test_exact_values_are_those_of_shap(made):
    shap = pytest.importorskip("shap")
    explainer = made(steps, made.numbers("a", "b", "c"), model_type="trees")
    zero = ExplanationSettings({"a": 0.0, "b": 0.0, "c": 0.0})
    given = np.random.default_rng(6).normal(size=(8, 3))
    found = explained(explainer, zero, **dict(zip("abc", given.T, strict=True)))

    def answers(table):
        return explained(explainer, zero, **dict(zip("abc", table.T, strict=True))).predicted

    oracle = shap.explainers.Exact(answers, shap.maskers.Independent(np.zeros((1, 3))))
    np.testing.assert_allclose(found.values, oracle(given).values, atol=1e-6)


def test_sampled_values_are_those_of_shap(made):
    shap = pytest.importorskip("shap")
    explainer, names = many(made)
    zero = ExplanationSettings(dict.fromkeys(names, 0.0))
    given = np.random.default_rng(8).normal(size=(4, len(names)))
    found = explained(explainer, zero, **dict(zip(names, given.T, strict=True)))

    def answers(table):
        return explained(explainer, zero, **dict(zip(names, table.T, strict=True))).predicted

    oracle = shap.explainers.Exact(answers, shap.maskers.Independent(np.zeros((1, len(names)))))
    off = np.abs(found.values - oracle(given).values)
    assert (off <= 4 * found.errors + 1e-5).mean() > 0.95


def test_the_baseline_is_missing_where_nothing_is_declared(made):
    found = explained(network(made), ExplanationSettings(), **rows(1))
    alone = explained(
        network(made), ExplanationSettings(), a=[np.nan], b=[0.0], c=[0.0], Shop=[b""], hour=[0]
    )
    assert found.values.shape == (1, 5)
    assert alone.values[0, 0] == 0
    assert alone.values[0, 3] == 0


def test_a_baseline_with_an_unknown_feature_is_refused(made):
    explainer = made(lambda tf, raw: raw["a"] * 1.0, made.numbers("a"))
    with pytest.raises(InstanceError, match="speed"):
        explained(explainer, ExplanationSettings({"speed": 1}), a=[1.0])


def test_another_explainer_of_the_same_model_leaves_the_first_one_whole(made):
    """A server makes the explainer of a new version while the one before it answers."""
    first = network(made)
    before = explained(first, ExplanationSettings(), **rows(3))
    second = network(made)
    again = explained(first, ExplanationSettings(), **rows(3))
    other = explained(second, ExplanationSettings(), **rows(3))
    np.testing.assert_array_equal(before.values, again.values)
    np.testing.assert_allclose(before.values, other.values, atol=1e-5)
