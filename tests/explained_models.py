"""Checks of a trained model's explanations, for tests that have trained one anyway."""

from itertools import combinations
from math import factorial

import numpy as np

from kfp_tabular.components.common.explanation.chosen_baseline import choose
from kfp_tabular.components.common.explanation.explainer import (
    INTEGRATED_GRADIENTS,
    SHAPLEY_VALUES,
    Explainer,
    ExplanationSettings,
)
from kfp_tabular.components.common.explanation.mixed_rows import as_columns
from kfp_tabular.components.common.prediction.saved_model import SavedModel

TYPICAL = {"distance (km)": 2.0, "count": 3, "città": "Roma", "Count": 500_000}
"""A typical row of the data of the training tests."""

ROWS = 12
COMPLETE = 1e-3


def check(directory, rows, given=None):
    """Check the attributions of some rows: that they add up, and against enumerated values.

    Args:
        directory: The model.
        rows: Raw values by feature name.
        given: The baseline; features that it leaves out are as in the model's typical row.

    Returns:
        The explanations.
    """
    model = SavedModel(directory)
    spec = model.spec
    explainer = Explainer(model.tensorflow, model.graph, spec)
    arrays = {entry.input: rows[entry.name][:ROWS] for entry in spec.inputs}
    settings = ExplanationSettings(given or {})
    found = explainer.explain(as_columns(arrays, spec.inputs), settings)

    answers = answered(model, arrays)
    np.testing.assert_allclose(
        found.predicted, answers[np.arange(ROWS), found.explained], rtol=1e-5, atol=1e-6
    )
    change = found.predicted - found.baseline
    allowed = np.full(ROWS, COMPLETE)
    if spec.task == "regression":
        allowed *= np.maximum(np.abs(found.predicted), np.abs(found.baseline))
    assert (np.abs(found.values.sum(axis=1) - change) <= allowed).all()
    assert (found.gaps <= allowed).all()
    if has_steps(spec):
        assert set(found.methods) == {SHAPLEY_VALUES}
    else:
        assert INTEGRATED_GRADIENTS in found.methods
    scale = np.abs(found.predicted).max()
    exact = [row for row, name in enumerate(found.methods) if name == SHAPLEY_VALUES][:3]
    for row in exact:
        expected = enumerated(model, arrays, row, settings.baseline, found.explained[row])
        np.testing.assert_allclose(found.values[row], expected, atol=1e-5 * max(scale, 1))
    return found


def has_steps(spec):
    """Whether a model's answers are a function of steps."""
    blend = spec.hyperparameters.get("blend", {})
    isotonic = spec.hyperparameters.get("calibration", {}).get("method") == "isotonic"
    names = (spec.hyperparameters.get("model_type"), *blend.get("weights", {}))
    return isotonic or "trees" in names


def answered(model, arrays):
    """Return a model's answers, `[rows, classes]`."""
    name = "prediction" if model.spec.task == "regression" else "probabilities"
    found = model.predict(arrays)[name].numpy().astype(np.float64)
    return found.reshape(len(found), -1)


def worth(model, arrays, row, given, place):
    """Return the answers for all sets of features that take the row's values, by set."""
    inputs = model.spec.inputs
    base = choose(model.spec, given).values
    sets = [
        frozenset(chosen)
        for size in range(len(inputs) + 1)
        for chosen in combinations(range(len(inputs)), size)
    ]
    mixed = {
        entry.input: np.array(
            [arrays[entry.input][row] if n in chosen else base[entry.input][0] for chosen in sets],
            arrays[entry.input].dtype,
        )
        for n, entry in enumerate(inputs)
    }
    return dict(zip(sets, answered(model, mixed)[:, place], strict=True))


def enumerated(model, arrays, row, given, place):
    """Return Shapley values of a row by their definition: the mean over all sets of the others."""
    known = worth(model, arrays, row, given, place)
    count = len(model.spec.inputs)
    found = np.zeros(count)
    for chosen, answer in known.items():
        for feature in set(range(count)) - chosen:
            share = factorial(len(chosen)) * factorial(count - len(chosen) - 1) / factorial(count)
            found[feature] += share * (known[chosen | {feature}] - answer)
    return found
