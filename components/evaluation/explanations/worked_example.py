"""One row of the evaluated data, with its prediction explained, as the model card shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.artifacts.findings import Finding
from kfp_tabular.components.common.artifacts.model_document import ModelInput, ModelSpec
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.explanation import typical_values
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
    """Explain the prediction of one row, measured from the model's typical row.

    For models of earlier versions, which have none, it is that of the sampled rows.

    Args:
        rows: The sampled rows.
        explainer: Explains the model; None where it has more than `MOST_INPUTS` inputs.
        predict: The model.
    """
    if explainer is None:
        return _without(f"the model has more than {MOST_INPUTS} inputs")
    spec = explainer.spec
    from_model = spec.typical_row is not None
    baseline = typical(rows, spec) if spec.typical_row is None else dict(spec.typical_row)
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
            "typical_of": "training" if from_model else "evaluation",
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
        if typical_values.is_mostly_missing(len(present), len(values)):
            continue
        distinct, rows_of = np.unique(present, return_counts=True)
        counts = dict(zip(distinct.tolist(), rows_of.tolist(), strict=True))
        is_text = given.dtype == "string"
        value = typical_values.most_frequent(counts) if is_text else typical_values.middle(counts)
        if value is not None:
            found[given.name] = typical_values.as_json(value, given.dtype)
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
    return typical_values.as_json(values[0], given.dtype)


def _without(why: str) -> WorkedExample:
    return WorkedExample(
        None, [Finding("note", "no-example", f"The model card shows no worked example: {why}.")]
    )
