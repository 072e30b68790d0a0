"""Golden examples as requests, and the comparison of responses, in the form of both runtimes."""

import json
import math
from typing import Any

import pytest

from kfp_tabular.components.common.artifacts.golden_examples import GoldenExamples
from kfp_tabular.components.common.artifacts.model_document import ModelInput, ModelSpec
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.deployment.kserve.resources.inference_service import predict_path
from kfp_tabular.components.deployment.kserve.verification.predict_protocol import (
    AnswerError,
    difference,
    golden_requests,
)

INPUTS = (
    ModelInput("Größe (m)", "float32", False, "gre_m"),
    ModelInput("rooms", "int64", False, "rooms"),
    ModelInput("kind", "string", False, "kind"),
)
BINARY = ModelSpec("binary", "y", ("no", "yes"), 0.5, INPUTS, "")
REGRESSION = ModelSpec("regression", "y", (), None, INPUTS, "")
GOLDEN = GoldenExamples([{"Größe (m)": 1.5}], [{"probabilities": [0.25, 0.75], "class": "yes"}])
NUMBER = GoldenExamples([{"kind": "flat"}], [{"prediction": 2000.0}])


def answer(prediction: Any) -> bytes:
    return json.dumps({"predictions": [prediction]}).encode()


def test_the_own_runtime_takes_raw_features() -> None:
    (request,) = golden_requests(GOLDEN, BINARY, "image")

    assert json.loads(request.body) == {"instances": [{"Größe (m)": 1.5}]}
    assert predict_path("taxi") == "/v1/models/taxi:predict"


def test_tensorflow_serving_takes_every_input_by_the_signatures_names() -> None:
    (request,) = golden_requests(GOLDEN, BINARY, "tensorflow")
    (instance,) = json.loads(request.body)["instances"]

    assert instance == {"gre_m": 1.5, "rooms": -(2**63), "kind": ""}
    (request,) = golden_requests(NUMBER, REGRESSION, "tensorflow")
    assert math.isnan(json.loads(request.body)["instances"][0]["gre_m"])


def test_tensorflow_serving_does_not_decode_a_text() -> None:
    """An object with the one key `b64` is base64 to it."""
    lone = ModelSpec("regression", "y", (), None, (ModelInput("b64", "string", False, "b64"),), "")
    (request,) = golden_requests(
        GoldenExamples([{"b64": "yes"}], NUMBER.predictions), lone, "tensorflow"
    )

    assert json.loads(request.body) == {"instances": ["yes"]}


@pytest.mark.parametrize("name", ["class", "classes"])
def test_both_runtimes_answers_are_compared(name: str) -> None:
    (request,) = golden_requests(GOLDEN, BINARY, "image")

    same = answer({"probabilities": [0.25, 0.75], name: "yes"})
    assert difference(request, same, BINARY) == 0
    off = answer({"probabilities": [0.35, 0.65], name: "yes"})
    assert difference(request, off, BINARY) == pytest.approx(0.1)
    other = answer({"probabilities": [0.25, 0.75], name: "no"})
    assert difference(request, other, BINARY) == math.inf


def test_a_class_on_the_boundary_may_tip() -> None:
    golden = GoldenExamples([{}], [{"probabilities": [0.5, 0.5], "class": "yes"}])
    (request,) = golden_requests(golden, BINARY, "image")

    tipped = answer({"probabilities": [0.500001, 0.499999], "class": "no"})
    assert difference(request, tipped, BINARY) < 1e-5


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
    (request,) = golden_requests(GOLDEN, BINARY, "tensorflow")

    assert difference(request, SERVED_CLASS, BINARY) == 0
    with pytest.raises(AnswerError, match="is not a prediction"):
        difference(request, SERVED_ERROR, BINARY)


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
    (request,) = golden_requests(NUMBER, REGRESSION, "tensorflow")

    assert difference(request, SERVED_NUMBER % written, REGRESSION) == apart


@pytest.mark.parametrize("prediction", [{"prediction": 2000.02}, 2000.02])
def test_a_number_is_compared_in_proportion(prediction: Any) -> None:
    (request,) = golden_requests(NUMBER, REGRESSION, "image")

    assert difference(request, answer(prediction), REGRESSION) == pytest.approx(1e-5)
    assert difference(request, b'{"predictions": [NaN]}', REGRESSION) == math.inf


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
def test_an_invalid_response_is_reported_as_one(body: bytes) -> None:
    (request,) = golden_requests(GOLDEN, BINARY, "image")

    with pytest.raises(AnswerError):
        difference(request, body, BINARY)


def test_another_models_golden_examples_are_refused() -> None:
    with pytest.raises(UserError, match="row 0 was written for another model"):
        golden_requests(GOLDEN, REGRESSION, "image")
    golden = GoldenExamples([{"color": "red"}], GOLDEN.predictions)
    with pytest.raises(UserError, match="feature 'color'"):
        golden_requests(golden, BINARY, "image")


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
    model: ModelSpec, prediction: Any
) -> None:
    with pytest.raises(UserError, match="row 0 was written for another model"):
        golden_requests(GoldenExamples([{}], [prediction]), model, "image")
