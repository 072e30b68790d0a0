"""Calibration on held-out rows: as scikit-learn and scipy fit it, and the same in the graph."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.training.candidates import calibration
from kfp_tabular.components.training.candidates.calibrated_model import CalibratedModel

sklearn = pytest.importorskip("sklearn.isotonic")
optimize = pytest.importorskip("scipy.optimize")


def drawn(rows, classes, heat, seed):
    """Logits that are too sure of themselves by a factor, and labels."""
    random = np.random.default_rng(seed)
    true = random.normal(0, 1.5, (rows, 1 if classes == 2 else classes))
    both = np.concatenate([np.zeros_like(true), true], axis=1) if classes == 2 else true
    shares = np.exp(both) / np.exp(both).sum(1, keepdims=True)
    labels = (random.random((rows, 1)) > shares.cumsum(1)[:, :-1]).sum(1)
    return heat * true, labels


@pytest.mark.parametrize("classes", [2, 4])
@settings(deadline=None, max_examples=30)
@given(heat=st.floats(0.2, 5), seed=st.integers(0, 2**32))
def test_the_temperature_has_the_least_log_loss(classes, heat, seed):
    logits, labels = drawn(400, classes, heat, seed)
    found = calibration.temperature(logits, labels)
    both = np.concatenate([np.zeros_like(logits), logits], axis=1) if classes == 2 else logits

    def loss(log_scale):
        scaled = both * np.exp(log_scale)
        peak = scaled.max(1)
        total = np.log(np.exp(scaled - peak[:, None]).sum(1)) + peak
        return float((total - scaled[np.arange(len(labels)), labels]).mean())

    best = optimize.minimize_scalar(loss, bounds=(-4.6, 4.6), method="bounded").x
    assert loss(-np.log(found)) <= loss(best) + 1e-9
    assert found == pytest.approx(np.exp(-best), rel=1e-2)


def test_the_temperature_finds_the_factor():
    logits, labels = drawn(50_000, 2, 3.0, 0)
    assert calibration.temperature(logits, labels) == pytest.approx(3.0, rel=0.03)


@settings(deadline=None)
@given(rows=st.integers(2, 200), distinct=st.sampled_from([3, 10**6]), seed=st.integers(0, 2**32))
def test_isotonic_is_that_of_scikit_learn(rows, distinct, seed):
    random = np.random.default_rng(seed)
    logits = np.floor(random.normal(size=rows) * distinct) / distinct
    labels = (random.random(rows) < 1 / (1 + np.exp(-2 * logits))).astype(np.int64)
    points, values = calibration.isotonic(logits, labels)
    oracle = sklearn.IsotonicRegression().fit(logits, labels)
    ends = 0.5 / (rows + 1)
    inside = (oracle.predict(logits) > ends) & (oracle.predict(logits) < 1 - ends)
    found = np.interp(logits, points, values)
    at_ends = {values[0], values[-1]}
    same = np.array([value not in at_ends for value in found])
    np.testing.assert_allclose(
        found[same & inside], oracle.predict(logits)[same & inside], atol=1e-9
    )
    assert (np.diff(values) >= 0).all()
    assert 0 < values[0] <= values[-1] < 1


@pytest.mark.parametrize("method", ["temperature", "isotonic"])
def test_the_graph_answers_what_was_fitted(method):
    tf = pytest.importorskip("tensorflow")
    logits, labels = drawn(3000, 2, 3.0, 1)
    logits = logits.astype(np.float32)
    fitted = calibration.fit(method, logits, labels)

    class Inner:
        variables = ()

        def __call__(self, inputs, *, training=False):
            return inputs["logits"]

    model = CalibratedModel(Inner(), fitted)
    many = np.concatenate([logits, [[-99.0]], [[99.0]]]).astype(np.float32)
    answer = tf.sigmoid(model({"logits": tf.constant(many)})).numpy()[:, 0]
    if method == "temperature":
        expected = 1 / (1 + np.exp(-many[:, 0] / fitted.temperature))
    else:
        expected = np.interp(many[:, 0], fitted.logits, fitted.probabilities)
    np.testing.assert_allclose(answer, expected, atol=2e-6)
    # Rows that nothing was fitted on are calibrated.
    fresh, truth = drawn(20_000, 2, 3.0, 2)
    probability = tf.sigmoid(model({"logits": tf.constant(fresh.astype(np.float32))})).numpy()[:, 0]
    for low in (0.1, 0.4, 0.7):
        part = (probability >= low) & (probability < low + 0.2)
        assert truth[part].mean() == pytest.approx(probability[part].mean(), abs=0.04)


def test_what_model_json_records():
    logits, labels = drawn(500, 2, 3.0, 1)
    found = calibration.fit("temperature", logits, labels).document()
    assert found.keys() == {"method", "rows", "split", "temperature"}
    assert calibration.fit("isotonic", logits, labels).document()["rows"] == 500
