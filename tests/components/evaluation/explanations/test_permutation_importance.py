import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.evaluation.explanations import permutation_importance
from kfp_tabular.components.evaluation.explanations.row_sample import SampledRows


def made(rows, task, seed=0):
    """Rows in which x matters, z is related to x, and u is noise."""
    random = np.random.default_rng(seed)
    x = random.normal(size=rows)
    inputs = {"u": random.normal(size=rows), "x": x, "z": x + random.normal(size=rows) / 2}
    logits = inputs["x"] + 0.8 * inputs["z"]
    if task == "regression":
        return SampledRows(inputs, logits + random.normal(size=rows))
    if task == "binary":
        return SampledRows(inputs, (random.random(rows) < 1 / (1 + np.exp(-logits))).astype(int))
    return SampledRows(inputs, np.digitize(logits + random.normal(size=rows), [-1, 1]))


def model(task):
    """A model that also listens to the noise, a little."""

    def predict(inputs):
        logits = 1.2 * inputs["x"] + 0.8 * inputs["z"] + 0.05 * inputs["u"]
        if task == "regression":
            return logits
        if task == "binary":
            return np.stack([1 / (1 + np.exp(logits)), 1 / (1 + np.exp(-logits))], axis=1)
        scores = np.exp(-((logits[:, None] - np.array([-2.0, 0.0, 2.0])) ** 2) / 2)
        return scores / scores.sum(axis=1, keepdims=True)

    return predict


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_importance_equals_that_of_scikit_learn(task):
    inspection = pytest.importorskip("sklearn.inspection")
    rows, predict = made(4000, task), model(task)
    names = list(rows.inputs)

    def score(_, values, labels):
        answers = predict(dict(zip(names, values.T, strict=True)))
        lost = permutation_importance.losses(answers, labels, task).mean()
        return -(np.sqrt(lost) if task == "regression" else lost)

    class Estimator:
        def fit(self):
            return self

    theirs = inspection.permutation_importance(
        Estimator(),
        np.stack(list(rows.inputs.values()), axis=1),
        rows.labels,
        scoring=score,
        n_repeats=50,
        random_state=1,
    )
    ours, not_finite = permutation_importance.measure(
        rows, predict, task, names, repetitions=50, seed=1
    )
    assert not not_finite
    for each in ours:
        place = names.index(each.input)
        spread = theirs.importances_std[place] * np.sqrt(2 / 50)
        assert each.mean == pytest.approx(theirs.importances_mean[place], abs=5 * spread + 1e-9)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_noise_ranks_last_and_its_interval_covers_zero(task):
    ours, _ = permutation_importance.measure(
        made(3000, task), model(task), task, ["u", "x", "z"], repetitions=3, seed=0
    )
    assert [each.input for each in ours] == ["x", "z", "u"]
    assert ours[0].interval[0] > 0
    assert ours[-1].interval[0] <= 0 <= ours[-1].interval[1]


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_intervals_cover_the_importance_on_many_rows(task):
    predict = model(task)
    whole, _ = permutation_importance.measure(
        made(200_000, task), predict, task, ["x", "z"], repetitions=1, seed=0
    )
    true = {each.input: each.mean for each in whole}
    covered = [
        each.interval[0] <= true[each.input] <= each.interval[1]
        for seed in range(100)
        for each in permutation_importance.measure(
            made(400, task, seed + 1), predict, task, ["x", "z"], repetitions=2, seed=seed
        )[0]
    ]
    assert 0.9 <= np.mean(covered) <= 0.995


def test_an_input_that_the_model_ignores_has_no_importance():
    rows = made(50, "regression")
    (each,), _ = permutation_importance.measure(
        rows, lambda inputs: inputs["x"], "regression", ["u"], repetitions=2, seed=0
    )
    assert (each.mean, each.interval) == (0.0, (0.0, 0.0))


def test_a_single_row_has_no_interval():
    (each,), _ = permutation_importance.measure(
        made(1, "binary"), model("binary"), "binary", ["x"], repetitions=2, seed=0
    )
    assert (each.mean, each.interval) == (0.0, None)


def test_answers_that_are_not_finite_are_named():
    rows = made(50, "regression")

    def predict(inputs):
        same = inputs["x"] is rows.inputs["x"]
        return inputs["z"] if same else np.full(len(inputs["z"]), np.nan)

    measured, not_finite = permutation_importance.measure(
        rows, predict, "regression", ["x", "z"], repetitions=1, seed=0
    )
    assert [each.input for each in measured] == ["z"]
    assert not_finite == ["x"]


@settings(deadline=None, max_examples=30)
@given(
    rows=st.integers(2, 60),
    repetitions=st.integers(1, 5),
    task=st.sampled_from(["binary", "multiclass", "regression"]),
    seed=st.integers(0, 2**40),
)
def test_intervals_contain_the_mean_and_depend_on_the_seed_alone(rows, repetitions, task, seed):
    first, again = (
        permutation_importance.measure(
            made(rows, task, seed),
            model(task),
            task,
            ["u", "x"],
            repetitions=repetitions,
            seed=seed,
        )
        for _ in range(2)
    )
    assert first == again
    for each in first[0]:
        assert each.interval[0] <= each.mean <= each.interval[1]
        assert (each.rows, each.repetitions) == (rows, repetitions)
