"""Partial dependence: the mean answer if every row had the same value of an input.

Friedman, "Greedy Function Approximation", 2001. The lines of single rows, individual conditional
expectation (Goldstein et al., "Peeking Inside the Black Box", 2015), show what the mean hides: rows
that react differently.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.artifacts.model_document import ModelInput, ModelSpec
from kfp_tabular.components.common.prediction.saved_model import Predictions
from kfp_tabular.components.common.statistics.bootstrap import Floats
from kfp_tabular.components.evaluation.explanations import feature_grid
from kfp_tabular.components.evaluation.explanations.feature_grid import FeatureGrid
from kfp_tabular.components.evaluation.explanations.permutation_importance import Predict
from kfp_tabular.components.evaluation.explanations.row_sample import SampledRows

LINES = 30
SHOWN_CLASSES = 3


@dataclass(frozen=True)
class Dependence:
    """How a model's answers depend on an input.

    Attributes:
        given: The input.
        grid: The values.
        means: The mean answer at each value, by the name of the answer.
        at_missing: The mean answer if the value were missing; None if no row lacks it.
        lines: Answers of single rows at each value, shape `[lines, points]`, of the first answer.
        rows: The number of rows that the means are over.
    """

    given: ModelInput
    grid: FeatureGrid
    means: Mapping[str, list[float]]
    at_missing: Mapping[str, float] | None
    lines: list[list[float]]
    rows: int


def answer_columns(spec: ModelSpec, labels: npt.NDArray[Any]) -> dict[str, int | None]:
    """Return which answers are shown, by name, and their column.

    Example:
        >>> spec = ModelSpec("binary", "y", ("no", "yes"), 0.5, (), "sha256:0")
        >>> answer_columns(spec, np.array([0, 1]))
        {'yes': 1}
    """
    if spec.task == "regression":
        return {spec.label: None}
    if spec.task == "binary":
        return {spec.classes[1]: 1}
    counts = np.bincount(labels, minlength=len(spec.classes))
    frequent = np.argsort(-counts, kind="stable")[:SHOWN_CLASSES]
    return {spec.classes[place]: int(place) for place in frequent}


def measure(
    rows: SampledRows,
    predict: Predict,
    given: ModelInput,
    grid: FeatureGrid,
    columns: Mapping[str, int | None],
) -> Dependence | None:
    """Measure how answers depend on an input.

    Args:
        rows: The rows to average over.
        predict: The model.
        given: The input.
        grid: Its values.
        columns: Which answers to keep; see `answer_columns`.

    Returns:
        The dependence; None if answers are not finite.

    Example:
        >>> fare = ModelInput("fare", "float32", False, "fare")
        >>> values = np.array([1.0, 2.0, 3.0], np.float32)
        >>> rows = SampledRows({"fare": values, "tip": values}, values)
        >>> grid = feature_grid.choose(values, fare, 20)
        >>> measure(rows, lambda i: i["fare"] + i["tip"], fare, grid, {"y": None}).means
        {'y': [3.0, 4.0, 5.0]}
    """
    count = len(rows)
    points = list(grid.values)
    if grid.missing:
        points.append(b"" if given.dtype == "string" else given.missing)
    again = np.tile(np.arange(count), len(points))
    inputs = {
        name: np.repeat(np.array(points, values.dtype), count)
        if name == given.input
        else values[again]
        for name, values in rows.inputs.items()
    }
    answers = predict(inputs)
    if not np.isfinite(answers).all():
        return None
    by_answer = {
        name: _column(answers, column).reshape(len(points), count)
        for name, column in columns.items()
    }
    shown = len(grid.values)
    first = next(iter(by_answer.values()))
    return Dependence(
        given=given,
        grid=grid,
        means={name: values[:shown].mean(1).tolist() for name, values in by_answer.items()},
        at_missing={name: float(values[-1].mean()) for name, values in by_answer.items()}
        if grid.missing
        else None,
        lines=first[:shown, :LINES].T.tolist(),
        rows=count,
    )


def _column(answers: Predictions, column: int | None) -> Floats:
    values = answers if column is None else answers[:, column]
    return values.astype(np.float64)


def most_important(
    inputs: Sequence[ModelInput], rows: SampledRows, most: int, points: int
) -> tuple[list[tuple[ModelInput, FeatureGrid]], list[str]]:
    """Return the first inputs whose dependence can be shown, and the names of those passed over.

    Args:
        inputs: The inputs, the most important first.
        rows: The sampled rows.
        most: The most inputs to return.
        points: The most points of a grid.
    """
    found: list[tuple[ModelInput, FeatureGrid]] = []
    passed = []
    for given in inputs:
        if len(found) == most:
            break
        grid = feature_grid.choose(rows.inputs[given.input], given, points)
        if grid is None:
            passed.append(given.name)
        else:
            found.append((given, grid))
    return found, passed
