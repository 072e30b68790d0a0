"""One row of the evaluated data, with its prediction explained, as the model card shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.artifacts.findings import Finding
from kfp_tabular.components.common.artifacts.model_document import ModelInput, ModelSpec
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.explanation.explainer import Explainer, ExplanationSettings
from kfp_tabular.components.common.explanation.mixed_rows import as_columns
from kfp_tabular.components.evaluation.explanations import feature_grid
from kfp_tabular.components.evaluation.explanations.permutation_importance import Predict
from kfp_tabular.components.evaluation.explanations.row_sample import SampledRows

MOST_INPUTS = 500
"""Shapley values of a model with more inputs would take minutes."""

_CANDIDATES = 200


@dataclass(frozen=True)
class WorkedExample:
    """The example, or why there is none.

    Attributes:
        document: `example` of `evaluation.json`; None without one.
        findings: Why there is none.
    """

    document: Mapping[str, Any] | None
    findings: Sequence[Finding] = ()


def make(rows: SampledRows, explainer: Explainer | None, predict: Predict) -> WorkedExample:
    """Explain the prediction of one row, measured from a typical row of the same sample.

    Args:
        rows: The sampled rows.
        explainer: Explains the model; None where it has more than `MOST_INPUTS` inputs.
        predict: The model.
    """
    if explainer is None:
        return _without(f"the model has more than {MOST_INPUTS} inputs")
    spec = explainer.spec
    baseline = typical(rows, spec)
    row = chosen(predict(rows.first(_CANDIDATES).inputs), spec)
    arrays = {name: values[row : row + 1] for name, values in rows.inputs.items()}
    try:
        found = explainer.explain(as_columns(arrays, spec.inputs), ExplanationSettings(baseline))
    except (UserError, ValueError):
        return _without("the model has no answer to rows with some of a typical row's values")
    numbers = [found.predicted, found.baseline, found.values, found.errors, found.gaps]
    if not all(np.isfinite(values).all() for values in numbers):
        return _without("the model's answer to a typical row is not a finite number")
    features = [
        {
            "name": given.name,
            "value": _json(arrays[given.input], given),
            "baseline": baseline.get(given.name),
            "attribution": float(found.values[0, place]),
            "error": float(found.errors[0, place]),
        }
        for place, given in enumerate(spec.inputs)
    ]
    features.sort(key=lambda entry: -abs(entry["attribution"]))
    label = rows.labels[row]
    classes = spec.classes
    return WorkedExample(
        {
            "class": classes[int(found.explained[0])] if classes else None,
            "label": classes[int(label)] if classes else float(label),
            "value": float(found.predicted[0]),
            "baseline_value": float(found.baseline[0]),
            "method": found.methods[0],
            "gap": float(found.gaps[0]),
            "features": features,
        }
    )


def typical(rows: SampledRows, spec: ModelSpec) -> dict[str, Any]:
    """Return a typical row, as raw values by feature name; what is mostly missing is left out.

    A number's value is the median, one that occurs; a text's is the most frequent one.

    Example:
        >>> rows = SampledRows({"km": np.array([1.0, np.nan, 7.0, 2.0])}, np.zeros(4))
        >>> km = ModelInput("km", "float32", required=False, input="km")
        >>> typical(rows, ModelSpec("regression", "fare", (), None, (km,), ""))
        {'km': 2.0}
    """
    found: dict[str, Any] = {}
    for given in spec.inputs:
        values = rows.inputs[given.input]
        present = values[~feature_grid.is_missing(values, given)]
        if 2 * len(present) <= len(values):
            continue
        if given.dtype == "string":
            distinct, counts = np.unique(present, return_counts=True)
            middle = distinct[[int(counts.argmax())]]
        else:
            place = (len(present) - 1) // 2
            middle = np.partition(present, place)[[place]]
        found[given.name] = _json(middle, given)
    return found


def chosen(answers: npt.NDArray[Any], spec: ModelSpec) -> int:
    """Return which of some random rows is the example.

    Of two classes it is the middle one of those that are predicted as positive, because a card is
    about what the model finds; or the likeliest row if there is none. Else it is the first one.

    Example:
        >>> spec = ModelSpec("binary", "fraud", ("no", "yes"), 0.5, (), "")
        >>> chosen(np.array([[0.9, 0.1], [0.1, 0.9], [0.4, 0.6], [0.3, 0.7]]), spec)
        3
    """
    if spec.task != "binary":
        return 0
    positive = answers[:, 1]
    order = np.argsort(positive, kind="stable")
    threshold = 0.5 if spec.decision_threshold is None else spec.decision_threshold
    above = order[positive[order] >= threshold]
    return int(above[(len(above) - 1) // 2] if len(above) else order[-1])


def _json(values: npt.NDArray[Any], given: ModelInput) -> Any:
    """Return the one value of an array as JSON has it; None where it is missing."""
    if feature_grid.is_missing(values, given)[0]:
        return None
    value = values[0]
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if given.dtype == "int64":
        return int(value)
    short = float(str(value))
    return short if np.float32(short) == value else float(value)


def _without(why: str) -> WorkedExample:
    return WorkedExample(
        None, [Finding("note", "no-example", f"The model card shows no worked example: {why}.")]
    )
