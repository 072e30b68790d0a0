"""The v1 protocol as this project's runtime and TensorFlow Serving speak it, and golden answers.

Both take rows at `/v1/models/<name>:predict`. TensorFlow Serving knows signatures only: inputs have
the signature's names, every one must be there, and outputs come as they are called in it.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common.artifacts.golden_examples import TOLERANCE, Golden
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.deployment.kserve.resources.model_location import (
    Model,
)
from kfp_tabular.components.deployment.kserve.resources.service_settings import (
    TENSORFLOW,
)

# As in `components/common/artifacts/raw_features.py`, which needs numpy.
_MISSING: Mapping[str, Any] = {"float32": math.nan, "int64": -(2**63), "string": ""}


class AnswerError(ValueError):
    """An answer that is not of the protocol's form."""


@dataclass(frozen=True)
class Question:
    """A golden example, as it is sent.

    Attributes:
        row: Its number among the golden examples.
        body: The request's body.
        expected: What the evaluation got.
    """

    row: int
    body: bytes
    expected: Mapping[str, Any]


def questions(golden: Golden, model: Model, runtime: str) -> list[Question]:
    """Gives a request per golden example.

    Args:
        golden: The golden examples.
        model: The model.
        runtime: What answers, of the settings' `runtime`.

    Raises:
        UserError: Where the golden examples were written for another model.
    """
    known = {entry.name for entry in model.inputs}
    found = []
    pairs = zip(golden.instances, golden.predictions, strict=True)
    for row, (instance, expected) in enumerate(pairs):
        unknown = set(instance) - known
        if unknown or not _fits(expected, model):
            raise UserError(
                f"golden examples: row {row} was written for another model "
                + (f"(feature {min(unknown)!r})." if unknown else "(its prediction is another).")
            )
        body = json.dumps({"instances": [_instance(instance, model, runtime)]}, ensure_ascii=False)
        found.append(Question(row, body.encode(), expected))
    return found


def shown(question: Question) -> str:
    """Gives a request's body as text, to be copied."""
    return question.body.decode()


def difference(question: Question, answer: bytes, model: Model) -> float:
    """Compares an answer with that of the evaluation.

    Args:
        question: What was asked.
        answer: The body of the answer.
        model: The model.

    Returns:
        The largest difference of a probability, or of a prediction relative to its size beyond 1.
        Infinite where the class is another one at the same probabilities.

    Raises:
        AnswerError: Where the answer has not the protocol's form.
    """
    prediction = _prediction(answer)
    if model.task == "regression":
        value = prediction.get("prediction") if isinstance(prediction, Mapping) else prediction
        expected = float(question.expected["prediction"])
        return _apart(value, expected) / max(1.0, abs(expected))
    if not isinstance(prediction, Mapping):
        raise AnswerError("the answer holds no probabilities")
    probabilities = prediction.get("probabilities")
    wanted = question.expected["probabilities"]
    if not isinstance(probabilities, Sequence) or len(probabilities) != len(wanted):
        raise AnswerError(f"the answer does not hold {len(wanted)} probabilities")
    found = max(map(_apart, probabilities, wanted))
    given = prediction.get("class", prediction.get("classes"))
    if found <= TOLERANCE and given != question.expected.get("class"):
        # Rounding may tip a row that lies on the boundary of two classes.
        return math.inf if _margin(wanted, model) > TOLERANCE else found
    return found


def _fits(expected: Mapping[str, Any], model: Model) -> bool:
    if model.task == "regression":
        return _is_finite(expected.get("prediction"))
    probabilities = expected.get("probabilities")
    return (
        isinstance(probabilities, list)
        and len(probabilities) == len(model.classes)
        and all(map(_is_finite, probabilities))
    )


def _instance(instance: Mapping[str, Any], model: Model, runtime: str) -> Any:
    if runtime != TENSORFLOW:
        return dict(instance)
    # TensorFlow Serving reads NaN, which JSON does not know.
    values = {
        entry.input: _MISSING[entry.dtype]
        if instance.get(entry.name) is None
        else instance[entry.name]
        for entry in model.inputs
    }
    # An object with this key alone would be decoded; a lone input needs no name.
    return values["b64"] if values.keys() == {"b64"} else values


def _prediction(answer: bytes) -> Any:
    try:
        predictions = json.loads(answer)["predictions"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise AnswerError(f"the answer is no prediction: {error!r}") from error
    if not isinstance(predictions, list) or len(predictions) != 1:
        raise AnswerError("the answer does not hold one prediction")
    return predictions[0]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    return _is_number(value) and math.isfinite(value)


def _apart(value: Any, expected: float) -> float:
    if not _is_number(value):
        raise AnswerError("the answer holds something else than a number")
    try:
        distance = abs(value - expected)
    except OverflowError:
        # JSON's whole numbers have no end.
        return math.inf
    # NaN is as far away as can be.
    return distance if math.isfinite(distance) else math.inf


def _margin(probabilities: Sequence[float], model: Model) -> float:
    if model.task == "binary":
        threshold = 0.5 if model.decision_threshold is None else model.decision_threshold
        return abs(probabilities[1] - threshold)
    second, first = sorted(probabilities)[-2:]
    return (first - second) / 2
