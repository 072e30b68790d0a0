"""Whether a model answers here as it did when it was evaluated."""

from pathlib import Path
from typing import Any

import numpy as np

from kfp_tabular.components.common.artifacts import model_document
from kfp_tabular.components.common.artifacts.golden_examples import TOLERANCE, Golden, MismatchError
from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.prediction.instances import tensors
from kfp_tabular.components.common.prediction.saved_model import SavedModel


def verify(path: Path, golden: Golden) -> float:
    """Loads a model and compares its answers with those of its evaluation.

    Args:
        path: The model's directory.
        golden: What it was asked and what it answered.

    Returns:
        The largest difference found, 0 without golden examples.

    Raises:
        MismatchError: Where an answer differs by more than `TOLERANCE`; it names the row.
        UserError: Where there is no model, or the golden examples do not fit it.
    """
    loaded = SavedModel(path)
    if not golden.instances:
        return 0.0
    outputs = loaded.predict(tensors(golden.instances, loaded.spec.inputs))
    expected = _expected(golden, loaded.spec)
    if loaded.spec.task == "regression":
        answers = outputs[model_document.PREDICTION].numpy().astype(np.float64)
        differences = np.abs(answers - expected) / np.maximum(1.0, np.abs(expected))
    else:
        answers = outputs[model_document.PROBABILITIES].numpy().astype(np.float64)
        differences = np.abs(answers - expected).max(axis=1)
    # NaN compares as different.
    wrong = np.flatnonzero(~(differences <= TOLERANCE))
    if len(wrong):
        row = int(wrong[0])
        raise MismatchError(
            f"golden example {row}: the model answers {_shown(answers[row])} here and answered "
            f"{_shown(expected[row])} in evaluation; they differ by {differences[row]:.3g}, more "
            f"than {TOLERANCE:g} ({len(wrong)} of {len(expected)} rows do). Nothing was published."
        )
    if loaded.spec.task != "regression":
        _verify_classes(outputs[model_document.CLASSES].numpy(), expected, golden, loaded.spec)
    return float(differences.max())


def _expected(golden: Golden, spec: ModelSpec) -> "np.ndarray[Any, Any]":
    shape: tuple[int, ...]
    if spec.task == "regression":
        key, shape = "prediction", (len(golden.predictions),)
    else:
        key, shape = "probabilities", (len(golden.predictions), len(spec.classes))
    try:
        expected = np.array([entry[key] for entry in golden.predictions], np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"golden examples: a prediction has no fit {key!r}; were they written for another "
            f"model? ({error!r})"
        ) from error
    if expected.shape != shape:
        raise UserError(
            f"golden examples: {key!r} have shape {list(expected.shape)}, the model's "
            f"{list(shape)}; they were written for another model."
        )
    return expected


def _verify_classes(
    answered: "np.ndarray[Any, Any]",
    expected: "np.ndarray[Any, Any]",
    golden: Golden,
    spec: ModelSpec,
) -> None:
    if spec.task == "binary":
        threshold = 0.5 if spec.decision_threshold is None else spec.decision_threshold
        margins = np.abs(expected[:, 1] - threshold)
    else:
        ordered = np.sort(expected, axis=1)
        margins = (ordered[:, -1] - ordered[:, -2]) / 2
    for row, (given, prediction) in enumerate(zip(answered, golden.predictions, strict=True)):
        name = given.decode("utf-8")
        # Rounding may tip a row that lies on the boundary of two classes.
        if name != prediction.get("class") and margins[row] > TOLERANCE:
            raise MismatchError(
                f"golden example {row}: the model answers class {name!r} here and answered "
                f"{prediction.get('class')!r} in evaluation, at the same probabilities. Nothing "
                "was published."
            )


def _shown(answer: Any) -> str:
    return str(np.round(answer, 7).tolist())
