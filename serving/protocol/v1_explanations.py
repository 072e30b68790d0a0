"""`:explain` of the v1 protocol: `{"instances": [...]}` in, `{"explanations": [...]}` out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.explanation import chosen_baseline
from kfp_tabular.components.common.explanation.explainer import Explanations
from kfp_tabular.components.common.prediction import instances
from kfp_tabular.serving.protocol import v1_json
from kfp_tabular.serving.protocol.model_interface import Arrays, ModelInterface
from kfp_tabular.serving.protocol.request_error import RequestError

_BASELINE = "baseline"


@dataclass(frozen=True)
class ExplanationRequest:
    """What to explain.

    Attributes:
        arrays: The rows, by the signature's input.
        baseline: The raw values of the baseline, by feature name; others are those of the model's
            typical row.
    """

    arrays: Arrays
    baseline: Mapping[str, Any]


def decode(document: object, interface: ModelInterface, max_rows: int) -> ExplanationRequest:
    """Return the rows of a request, and its baseline.

    Args:
        document: The request's JSON: as `v1_json.decode` takes it, and `baseline`, an object of raw
            values by feature name, if there is one.
        interface: The model's inputs.
        max_rows: The most instances that are accepted.

    Raises:
        RequestError: If the document has another structure, or the model cannot take a value.
    """
    arrays = v1_json.decode(document, interface, max_rows)
    given = document.get(_BASELINE, {}) if isinstance(document, Mapping) else {}
    if not isinstance(given, Mapping):
        raise RequestError(
            f"{_BASELINE!r}: expected an object of values by feature name, found "
            f"{instances.described(given)}."
        )
    taken = {name: value for name, value in given.items() if name not in interface.ignored}
    try:
        chosen_baseline.choose(interface.spec, taken)
    except instances.InstanceError as error:
        raise RequestError(
            f"{_BASELINE}: {error.problem}", reason=error.reason, feature=error.feature
        ) from None
    return ExplanationRequest(arrays, taken)


def encode(found: Explanations, spec: ModelSpec, version: str) -> dict[str, Any]:
    """Return the response's JSON object.

    Args:
        found: The explanations.
        spec: The model's description.
        version: The model's version.

    Returns:
        `explanations`, an object per instance: the `class` whose probability is explained (of a
        classifier), the model's `value` for it, that of the baseline, `attributions` by feature,
        which add up to the difference but for `gap`, and the `method`; for sampled Shapley values
        their `standard_errors`. `baseline` names the features whose value in the baseline is from
        the request (`declared`), those of which it is from the model's typical row (`typical`), and
        those that are `missing` there; without values, which may be personal.

    Example:
        >>> import numpy as np
        >>> from kfp_tabular.components.common.explanation.chosen_baseline import ChosenBaseline
        >>> spec = ModelSpec("regression", "fare", (), None, (), "sha256:0")
        >>> one = np.array([[2.5]])
        >>> found = Explanations(
        ...     ("km",), np.array([0]), np.array([9.5]), np.array([7.0]), one, one * 0,
        ...     np.array([0.0]), np.array([True]), ChosenBaseline({}, ("km",), (), ()),
        ... )
        >>> encode(found, spec, "3")["explanations"]
        [{'value': 9.5, 'baseline_value': 7.0, 'attributions': {'km': 2.5},
        'method': 'integrated_gradients', 'gap': 0.0}]
        >>> encode(found, spec, "3")["baseline"]
        {'declared': ['km'], 'typical': [], 'missing': []}
    """
    explanations = []
    for row, method in enumerate(found.methods):
        entry: dict[str, Any] = {}
        if spec.classes:
            entry["class"] = spec.classes[int(found.explained[row])]
        entry["value"] = float(found.predicted[row])
        entry["baseline_value"] = float(found.baseline[row])
        entry["attributions"] = dict(zip(found.features, found.values[row].tolist(), strict=True))
        entry["method"] = method
        entry["gap"] = float(found.gaps[row])
        errors = found.errors[row]
        if errors.any():
            entry["standard_errors"] = dict(zip(found.features, errors.tolist(), strict=True))
        explanations.append(entry)
    return {
        "explanations": explanations,
        "baseline": found.chosen.document(),
        "model_version": version,
    }
