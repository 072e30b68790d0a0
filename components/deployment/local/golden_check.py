"""Comparison of a model's answers here with those of its evaluation."""

from pathlib import Path
from typing import Any

import numpy as np

from kfp_tabular.components.common.artifacts import model_document
from kfp_tabular.components.common.artifacts.golden_examples import (
    TOLERANCE,
    GoldenExamples,
    class_margin,
)
from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.prediction.instances import tensors
from kfp_tabular.components.common.prediction.saved_model import SavedModel


class MismatchError(Exception):
    """The model's answers differ from those of its evaluation."""


def largest_difference(path: Path, golden: GoldenExamples) -> float:
    """Load a model, compare its answers with golden examples, and return the largest difference.

    Args:
        path: Directory of the model artifact.
        golden: Golden examples from its evaluation.

    Returns:
        The largest difference of a probability, or of a prediction relative to its size where
        beyond 1. 0 without golden examples.

    Raises:
        MismatchError: If an answer differs by more than `TOLERANCE`; the message names the row.
        UserError: If the directory holds no model, or the golden examples belong to another one.
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
            f"golden example {row}: the model answers {_shown(answers[row])} here, but answered "
            f"{_shown(expected[row])} in evaluation. The difference, {differences[row]:.3g}, "
            f"exceeds {TOLERANCE:g} ({len(wrong)} of {len(expected)} rows). Nothing was published."
        )
    if loaded.spec.task != "regression":
        _check_classes(outputs[model_document.CLASSES].numpy(), expected, golden, loaded.spec)
    return float(differences.max())


def _expected(golden: GoldenExamples, spec: ModelSpec) -> "np.ndarray[Any, Any]":
    shape: tuple[int, ...]
    if spec.task == "regression":
        key, shape = "prediction", (len(golden.predictions),)
    else:
        key, shape = "probabilities", (len(golden.predictions), len(spec.classes))
    try:
        expected = np.array([entry[key] for entry in golden.predictions], np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"golden examples: a prediction has no valid {key!r}; were they written for another "
            f"model? ({error!r})"
        ) from error
    if expected.shape != shape:
        raise UserError(
            f"golden examples: {key!r} have shape {list(expected.shape)}, the model's "
            f"{list(shape)}; they were written for another model."
        )
    return expected


def _check_classes(
    answered: "np.ndarray[Any, Any]",
    expected: "np.ndarray[Any, Any]",
    golden: GoldenExamples,
    spec: ModelSpec,
) -> None:
    for row, (given, prediction) in enumerate(zip(answered, golden.predictions, strict=True)):
        name = given.decode("utf-8")
        if name == prediction.get("class"):
            continue
        # Rounding may tip a row that lies on the boundary of two classes.
        if class_margin(expected[row], spec.task, spec.decision_threshold) > TOLERANCE:
            raise MismatchError(
                f"golden example {row}: the model predicts class {name!r} here, but predicted "
                f"{prediction.get('class')!r} in evaluation, at the same probabilities. Nothing "
                "was published."
            )


def _shown(answer: Any) -> str:
    return str(np.round(answer, 7).tolist())
