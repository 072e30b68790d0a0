"""Golden examples as requests of the v1 protocol, and the comparison of answers.

This project's runtime and TensorFlow Serving both take rows at `/v1/models/<name>:predict`.
TensorFlow Serving knows signatures only: inputs have the signature's names, each must be given, and
outputs keep the signature's names.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common.artifacts.golden_examples import (
    TOLERANCE,
    GoldenExamples,
    class_margin,
)
from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.deployment.kserve.resources.service_settings import TENSORFLOW


class AnswerError(ValueError):
    """An answer that does not follow the protocol."""


@dataclass(frozen=True)
class GoldenRequest:
    """A golden example, as it is sent.

    Attributes:
        row: Its number among the golden examples.
        body: The request's body.
        expected: The answer in evaluation.
    """

    row: int
    body: bytes
    expected: Mapping[str, Any]


def golden_requests(golden: GoldenExamples, model: ModelSpec, runtime: str) -> list[GoldenRequest]:
    """Return a request for each golden example.

    Args:
        golden: The golden examples.
        model: The model's description.
        runtime: What answers, as in the settings' `runtime`.

    Raises:
        UserError: If the golden examples were written for another model.

    Example:
        >>> from kfp_tabular.components.common.artifacts.model_document import ModelInput
        >>> hour = ModelInput("hour", "int64", required=True, input="hour")
        >>> model = ModelSpec("regression", "fare", (), None, (hour,), "sha256:0")
        >>> (request,) = golden_requests(
        ...     GoldenExamples([{"hour": 7}], [{"prediction": 12.5}]), model, "image"
        ... )
        >>> request.body
        b'{"instances": [{"hour": 7}]}'
    """
    known = {entry.name for entry in model.inputs}
    found = []
    pairs = zip(golden.instances, golden.predictions, strict=True)
    for row, (instance, expected) in enumerate(pairs):
        unknown = set(instance) - known
        if unknown or not _fits(expected, model):
            what = f"unknown feature {min(unknown)!r}" if unknown else "another kind of prediction"
            raise UserError(f"golden examples: row {row} was written for another model ({what}).")
        body = json.dumps({"instances": [_instance(instance, model, runtime)]}, ensure_ascii=False)
        found.append(GoldenRequest(row, body.encode(), expected))
    return found


def body_text(request: GoldenRequest) -> str:
    """Return a request's body as text, to be copied.

    Example:
        >>> request = GoldenRequest(0, b'{"instances": [{"hour": 7}]}', {"prediction": 12.5})
        >>> print(body_text(request))
        {"instances": [{"hour": 7}]}
    """
    return request.body.decode()


def difference(request: GoldenRequest, answer: bytes, model: ModelSpec) -> float:
    """Compare an answer with that of the evaluation.

    Args:
        request: The request.
        answer: The body of the answer.
        model: The model's description.

    Returns:
        The largest difference of a probability, or of a prediction relative to its size where
        beyond 1. Infinite where the class differs at the same probabilities.

    Raises:
        AnswerError: If the answer does not follow the protocol.

    Example:
        >>> model = ModelSpec("regression", "fare", (), None, (), "sha256:0")
        >>> request = GoldenRequest(0, b'{"instances": [{"hour": 7}]}', {"prediction": 12.5})
        >>> difference(request, b'{"predictions": [{"prediction": 12.0}]}', model)
        0.04
        >>> difference(request, b'{"error": "model not ready"}', model)
        Traceback (most recent call last):
        kfp_tabular.components.deployment.kserve.verification.predict_protocol.AnswerError: the
        answer is not a prediction: KeyError('predictions')
    """
    prediction = _prediction(answer)
    if model.task == "regression":
        value = prediction.get("prediction") if isinstance(prediction, Mapping) else prediction
        expected = float(request.expected["prediction"])
        return _distance(value, expected) / max(1.0, abs(expected))
    if not isinstance(prediction, Mapping):
        raise AnswerError("the answer holds no probabilities")
    probabilities = prediction.get("probabilities")
    wanted = request.expected["probabilities"]
    if not isinstance(probabilities, Sequence) or len(probabilities) != len(wanted):
        raise AnswerError(f"the answer does not hold {len(wanted)} probabilities")
    found = max(map(_distance, probabilities, wanted))
    given = prediction.get("class", prediction.get("classes"))
    if found <= TOLERANCE and given != request.expected.get("class"):
        # Rounding may tip a row that lies on the boundary of two classes.
        margin = class_margin(wanted, model.task, model.decision_threshold)
        return math.inf if margin > TOLERANCE else found
    return found


def _fits(expected: Mapping[str, Any], model: ModelSpec) -> bool:
    if model.task == "regression":
        return _is_finite(expected.get("prediction"))
    probabilities = expected.get("probabilities")
    return (
        isinstance(probabilities, list)
        and len(probabilities) == len(model.classes)
        and all(map(_is_finite, probabilities))
    )


def _instance(instance: Mapping[str, Any], model: ModelSpec, runtime: str) -> Any:
    if runtime != TENSORFLOW:
        return dict(instance)
    # TensorFlow Serving reads NaN, which is not JSON.
    values = {
        entry.input: entry.missing if instance.get(entry.name) is None else instance[entry.name]
        for entry in model.inputs
    }
    # An object with this key alone would be decoded as base64; a lone input needs no name.
    return values["b64"] if values.keys() == {"b64"} else values


def _prediction(answer: bytes) -> Any:
    try:
        predictions = json.loads(answer)["predictions"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise AnswerError(f"the answer is not a prediction: {error!r}") from error
    if not isinstance(predictions, list) or len(predictions) != 1:
        raise AnswerError("the answer does not hold one prediction")
    return predictions[0]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    return _is_number(value) and math.isfinite(value)


def _distance(value: Any, expected: float) -> float:
    if not _is_number(value):
        raise AnswerError("the answer holds a value that is not a number")
    try:
        distance = abs(value - expected)
    except OverflowError:
        # JSON's whole numbers have no limit.
        return math.inf
    # NaN counts as infinitely far away.
    return distance if math.isfinite(distance) else math.inf
