"""The v1 protocol: `{"instances": [...]}` in, `{"predictions": [...]}` out."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kfp_tabular.components.common.artifacts.model_document import (
    CLASSES,
    PREDICTION,
    PROBABILITIES,
    ModelSpec,
)
from kfp_tabular.components.common.prediction import instances
from kfp_tabular.serving.protocol.model_interface import ModelInterface
from kfp_tabular.serving.protocol.request_error import RequestError, too_many_rows

if TYPE_CHECKING:
    import numpy as np


def decode(
    document: object, interface: ModelInterface, most_rows: int
) -> dict[str, "np.ndarray[Any, Any]"]:
    """Turns a request into the model's tensors.

    Args:
        document: The request's JSON: an object whose `instances` are objects of raw values by
            feature name. Other keys are let through, as TensorFlow Serving does.
        interface: The model's inputs.
        most_rows: The largest number of instances.

    Raises:
        RequestError: Where the document is anything else, or the model cannot take an instance.
    """
    if not isinstance(document, Mapping) or "instances" not in document:
        raise RequestError(
            "expected a JSON object with 'instances', a list of objects by feature name; found "
            + (
                "an object without it."
                if isinstance(document, Mapping)
                else f"{instances.described(document)}."
            )
        )
    rows = document["instances"]
    if not isinstance(rows, list):
        raise RequestError(f"'instances': expected a list, found {instances.described(rows)}.")
    if not rows:
        raise RequestError("'instances' is empty; give at least one instance.")
    if len(rows) > most_rows:
        raise too_many_rows(len(rows), most_rows)
    try:
        return interface.decoder.tensors(rows)
    except instances.InstanceError as error:
        raise RequestError.of_instance(error) from None


def encode(
    outputs: Mapping[str, "np.ndarray[Any, Any]"], spec: ModelSpec, version: str
) -> dict[str, Any]:
    """Turns the model's outputs into an answer.

    Args:
        outputs: What `Predictor.predict` gave.
        spec: The model's description.
        version: The model's version.

    Returns:
        `predictions`, an object per instance: `class` and `probabilities` of a classifier,
        `prediction` of a regression model. `classes` says which class each probability belongs
        to, and `model_version` which model answered.
    """
    answer: dict[str, Any] = {}
    if spec.task == "regression":
        answer["predictions"] = [{"prediction": value} for value in outputs[PREDICTION].tolist()]
    else:
        answer["predictions"] = [
            {"class": label.decode("utf-8"), "probabilities": probabilities}
            for label, probabilities in zip(
                outputs[CLASSES].tolist(), outputs[PROBABILITIES].tolist(), strict=True
            )
        ]
        answer["classes"] = list(spec.classes)
    answer["model_version"] = version
    return answer
