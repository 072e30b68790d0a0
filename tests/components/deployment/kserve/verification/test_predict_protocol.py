"""Golden examples as they are asked and compared, in the words of both runtimes."""

import json
import math
from typing import Any

import pytest

from kfp_tabular.components.common.artifacts.golden_examples import Golden
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.deployment.kserve.resources.inference_service import predict_path
from kfp_tabular.components.deployment.kserve.resources.model_location import (
    Input,
    Model,
)
from kfp_tabular.components.deployment.kserve.verification.predict_protocol import (
    AnswerError,
    difference,
    questions,
)

INPUTS = (
    Input("Größe (m)", "float32", "gre_m"),
    Input("rooms", "int64", "rooms"),
    Input("kind", "string", "kind"),
)
BINARY = Model("sha256:1", "binary", ("no", "yes"), 0.5, INPUTS, "")
REGRESSION = Model("sha256:1", "regression", (), None, INPUTS, "")
GOLDEN = Golden([{"Größe (m)": 1.5}], [{"probabilities": [0.25, 0.75], "class": "yes"}])
NUMBER = Golden([{"kind": "flat"}], [{"prediction": 2000.0}])


def answer(prediction: Any) -> bytes:
    return json.dumps({"predictions": [prediction]}).encode()


def test_the_own_runtime_takes_raw_features() -> None:
    (question,) = questions(GOLDEN, BINARY, "image")

    assert json.loads(question.body) == {"instances": [{"Größe (m)": 1.5}]}
    assert predict_path("taxi") == "/v1/models/taxi:predict"


def test_tensorflow_serving_takes_every_input_by_the_signatures_names() -> None:
    (question,) = questions(GOLDEN, BINARY, "tensorflow")
    (instance,) = json.loads(question.body)["instances"]

    assert instance == {"gre_m": 1.5, "rooms": -(2**63), "kind": ""}
    (question,) = questions(NUMBER, REGRESSION, "tensorflow")
    assert math.isnan(json.loads(question.body)["instances"][0]["gre_m"])


def test_tensorflow_serving_does_not_decode_a_text() -> None:
    """An object with the one key `b64` is base64 to it."""
    lone = Model("sha256:1", "regression", (), None, (Input("b64", "string", "b64"),), "")
    (question,) = questions(Golden([{"b64": "yes"}], NUMBER.predictions), lone, "tensorflow")

    assert json.loads(question.body) == {"instances": ["yes"]}


@pytest.mark.parametrize("name", ["class", "classes"])
def test_both_runtimes_answers_are_compared(name: str) -> None:
    (question,) = questions(GOLDEN, BINARY, "image")

    same = answer({"probabilities": [0.25, 0.75], name: "yes"})
    assert difference(question, same, BINARY) == 0
    off = answer({"probabilities": [0.35, 0.65], name: "yes"})
    assert difference(question, off, BINARY) == pytest.approx(0.1)
    other = answer({"probabilities": [0.25, 0.75], name: "no"})
    assert difference(question, other, BINARY) == math.inf


def test_a_class_on_the_boundary_may_tip() -> None:
    golden = Golden([{}], [{"probabilities": [0.5, 0.5], "class": "yes"}])
    (question,) = questions(golden, BINARY, "image")

    tipped = answer({"probabilities": [0.500001, 0.499999], "class": "no"})
    assert difference(question, tipped, BINARY) < 1e-5


SERVED_CLASS = b"""{
    "predictions": [
        {
            "classes": "yes",
            "probabilities": [0.25, 0.75]
        }
    ]
}"""
"""As TensorFlow Serving writes it, whose outputs come in any order."""

SERVED_NUMBER = b"""{
    "predictions": [%s
    ]
}"""
"""A signature's only output has no name there."""

SERVED_ERROR = b"""{
    "error": "Servable not found for request: Latest(taxi)"
}"""


def test_what_tensorflow_serving_writes_is_read() -> None:
    (question,) = questions(GOLDEN, BINARY, "tensorflow")

    assert difference(question, SERVED_CLASS, BINARY) == 0
    with pytest.raises(AnswerError, match="no prediction"):
        difference(question, SERVED_ERROR, BINARY)


@pytest.mark.parametrize(
    ("written", "apart"),
    [
        (b"2000.0", 0),
        (b"2e+03", 0),
        (b"1999.97998", pytest.approx(1e-5, rel=0.01)),
        (b"NaN", math.inf),
        (b"-Infinity", math.inf),
    ],
)
def test_numbers_that_tensorflow_serving_writes_are_read(written: bytes, apart: Any) -> None:
    (question,) = questions(NUMBER, REGRESSION, "tensorflow")

    assert difference(question, SERVED_NUMBER % written, REGRESSION) == apart


@pytest.mark.parametrize("prediction", [{"prediction": 2000.02}, 2000.02])
def test_a_number_is_compared_in_proportion(prediction: Any) -> None:
    (question,) = questions(NUMBER, REGRESSION, "image")

    assert difference(question, answer(prediction), REGRESSION) == pytest.approx(1e-5)
    assert difference(question, b'{"predictions": [NaN]}', REGRESSION) == math.inf


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"predictions": []}',
        b'{"predictions": 1}',
        answer(1.0),
        answer({"probabilities": [0.5]}),
        answer({"probabilities": ["a", "b"]}),
        answer({"probabilities": [True, False]}),
    ],
)
def test_what_is_no_answer_is_said_to_be_none(body: bytes) -> None:
    (question,) = questions(GOLDEN, BINARY, "image")

    with pytest.raises(AnswerError):
        difference(question, body, BINARY)


def test_another_models_golden_examples_are_refused() -> None:
    with pytest.raises(UserError, match="row 0 was written for another model"):
        questions(GOLDEN, REGRESSION, "image")
    golden = Golden([{"colour": "red"}], GOLDEN.predictions)
    with pytest.raises(UserError, match="feature 'colour'"):
        questions(golden, BINARY, "image")


@pytest.mark.parametrize(
    ("model", "prediction"),
    [
        (BINARY, {"probabilities": "ab"}),
        (BINARY, {"probabilities": [None, None]}),
        (BINARY, {"probabilities": ["a", "b"]}),
        (BINARY, {"probabilities": [True, False]}),
        (BINARY, {"probabilities": [math.nan, 0.5]}),
        (REGRESSION, {"prediction": True}),
        (REGRESSION, {"prediction": math.inf}),
    ],
)
def test_answers_that_nothing_could_be_compared_with_are_refused(
    model: Model, prediction: Any
) -> None:
    with pytest.raises(UserError, match="row 0 was written for another model"):
        questions(Golden([{}], [prediction]), model, "image")
