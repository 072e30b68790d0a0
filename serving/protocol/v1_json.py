"""The v1 protocol: `{"instances": [...]}` in, `{"predictions": [...]}` out."""

from collections.abc import Mapping
from typing import Any

from kfp_tabular.components.common.artifacts.model_document import (
    CLASSES,
    PREDICTION,
    PROBABILITIES,
    ModelSpec,
)
from kfp_tabular.components.common.prediction import instances
from kfp_tabular.serving.protocol.model_interface import Arrays, ModelInterface
from kfp_tabular.serving.protocol.request_error import RequestError, too_many_rows


def decode(document: object, interface: ModelInterface, max_rows: int) -> Arrays:
    """Return the model's input arrays for a request.

    Args:
        document: The request's JSON: an object whose `instances` are objects of raw values by
            feature name. Other keys are ignored, as in TensorFlow Serving.
        interface: The model's inputs.
        max_rows: The most instances that are accepted.

    Returns:
        An array of shape `[instances]` for each input of the signature.

    Raises:
        RequestError: If the document has another structure, or the model cannot take an instance.

    Example:
        >>> from kfp_tabular.components.common.artifacts.model_document import ModelInput
        >>> hour = ModelInput("hour", "int64", required=True, input="hour")
        >>> spec = ModelSpec("regression", "fare", (), None, (hour,), "sha256:0")
        >>> interface = ModelInterface(spec, frozenset({"fare"}), instances.Decoder(spec.inputs))
        >>> decode({"instances": [{"hour": 7}, {"hour": 8}]}, interface, max_rows=10)
        {'hour': array([7, 8])}
        >>> decode({"instances": [{"hour": "7"}]}, interface, max_rows=10)
        Traceback (most recent call last):
        kfp_tabular.serving.protocol.request_error.RequestError: instance 0: feature 'hour': ...
    """
    if not isinstance(document, Mapping) or "instances" not in document:
        raise RequestError(
            "expected a JSON object with 'instances', a list of objects by feature name; found "
            + (
                "an object without 'instances'."
                if isinstance(document, Mapping)
                else f"{instances.described(document)}."
            )
        )
    rows = document["instances"]
    if not isinstance(rows, list):
        raise RequestError(f"'instances': expected a list, found {instances.described(rows)}.")
    if not rows:
        raise RequestError("'instances' is empty; send at least one instance.")
    if len(rows) > max_rows:
        raise too_many_rows(len(rows), max_rows)
    try:
        return interface.decoder.tensors(rows)
    except instances.InstanceError as error:
        raise RequestError.of_instance(error) from None


def encode(outputs: Arrays, spec: ModelSpec, version: str) -> dict[str, Any]:
    """Return the response's JSON object for the model's outputs.

    Args:
        outputs: The outputs, as `Predictor.predict` returns them.
        spec: The model's description.
        version: The model's version.

    Returns:
        `predictions`, an object per instance: `class` and `probabilities` of a classifier,
        `prediction` of a regression model. `classes` names the class of each probability, and
        `model_version` the version that answered.

    Example:
        >>> import numpy as np
        >>> spec = ModelSpec("binary", "tips", ("no", "yes"), 0.5, (), "sha256:0")
        >>> outputs = {"classes": np.array([b"yes"]), "probabilities": np.array([[0.25, 0.75]])}
        >>> encode(outputs, spec, version="3")
        {'predictions': [{'class': 'yes', 'probabilities': [0.25, 0.75]}], 'classes': ['no', 'yes'],
        'model_version': '3'}
    """
    response: dict[str, Any] = {}
    if spec.task == "regression":
        response["predictions"] = [{"prediction": value} for value in outputs[PREDICTION].tolist()]
    else:
        response["predictions"] = [
            {"class": label.decode("utf-8"), "probabilities": probabilities}
            for label, probabilities in zip(
                outputs[CLASSES].tolist(), outputs[PROBABILITIES].tolist(), strict=True
            )
        ]
        response["classes"] = list(spec.classes)
    response["model_version"] = version
    return response
