"""The v2 protocol over HTTP: JSON, and the extension that appends binary tensors to it."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from kfp_tabular.components.common.prediction.instances import described
from kfp_tabular.serving.protocol import v2_tensors
from kfp_tabular.serving.protocol.request_error import RequestError
from kfp_tabular.serving.protocol.v2_tensors import (
    Array,
    BinaryData,
    InferenceRequest,
    RequestTensor,
)


@dataclass(frozen=True)
class V2JsonRequest:
    """A request, and the form that its response shall have.

    Attributes:
        inference: The request itself.
        binary: Whether the response holds the outputs as binary data.
        binary_by_output: The same for single outputs, where the request sets it.
    """

    inference: InferenceRequest
    binary: bool
    binary_by_output: Mapping[str, bool]


@dataclass
class _BinaryData:
    """The bytes that follow the JSON in a request with binary tensors."""

    content: memoryview
    position: int = 0

    def take(self, size: int) -> memoryview:
        part = self.content[self.position : self.position + size]
        self.position += size
        return part


def read_request(document: object, binary: memoryview) -> V2JsonRequest:
    """Read a request and check its structure, but not the values of its tensors.

    Args:
        document: The request's JSON.
        binary: What follows the JSON in the body; empty if no tensor is binary.

    Raises:
        RequestError: If the structure is not that of an inference request.

    Example:
        >>> tensor = {"name": "hour", "datatype": "INT64", "shape": [1], "data": [7]}
        >>> read_request({"inputs": [tensor]}, memoryview(b"")).inference.tensors[0].data
        [7]
        >>> read_request({"inputs": {}}, memoryview(b""))
        Traceback (most recent call last):
        kfp_tabular.serving.protocol.request_error.RequestError: 'inputs': expected a list,
        found an object.
    """
    fields = _object(document, "the request")
    rest = _BinaryData(binary)
    tensors = [
        _tensor(entry, index, rest)
        for index, entry in enumerate(_list(fields.get("inputs"), "'inputs'"))
    ]
    if rest.position < len(binary):
        raise RequestError("the body holds more binary data than its tensors' sizes add up to.")
    names: list[str] = []
    binary_by_output: dict[str, bool] = {}
    outputs = fields.get("outputs")
    for index, entry in enumerate([] if outputs is None else _list(outputs, "'outputs'")):
        output = _object(entry, f"outputs[{index}]")
        name = _text(output.get("name"), f"outputs[{index}].name")
        names.append(name)
        parameters = _parameters(output.get("parameters"), f"outputs[{index}]")
        choice = _choice(parameters, f"outputs[{index}].parameters", "binary_data")
        if choice is not None:
            binary_by_output[name] = choice
    request_id = fields.get("id")
    parameters = _parameters(fields.get("parameters"), "")
    binary_data_output = _choice(parameters, "parameters", "binary_data_output")
    return V2JsonRequest(
        inference=InferenceRequest(
            id="" if request_id is None else _text(request_id, "'id'"),
            tensors=tensors,
            outputs=names,
        ),
        binary=binary_data_output is True,
        binary_by_output=binary_by_output,
    )


def write_response(
    outputs: Mapping[str, Array], request: V2JsonRequest, model_name: str, version: str
) -> tuple[bytes, int | None]:
    """Return the body of a response.

    Args:
        outputs: The model's outputs.
        request: The request. The response repeats its id, or gets a new one if it has none.
        model_name: The model's name.
        version: The model's version.

    Returns:
        The body, and the length of its JSON if binary data follows, else None.

    Example:
        >>> import numpy as np
        >>> request = V2JsonRequest(InferenceRequest("42", []), binary=False, binary_by_output={})
        >>> body, _ = write_response({"prediction": np.array([12.5])}, request, "taxi", "3")
        >>> print(body.decode())
        {"id":"42","model_name":"taxi","model_version":"3","outputs":[{"name":"prediction",...
    """
    tensors: list[dict[str, Any]] = []
    parts: list[bytes] = []
    for name, array in v2_tensors.select_outputs(outputs, request.inference).items():
        tensor: dict[str, Any] = {
            "name": name,
            "shape": list(array.shape),
            "datatype": v2_tensors.datatype_of(array),
        }
        if request.binary_by_output.get(name, request.binary):
            parts.append(v2_tensors.pack(array))
            tensor["parameters"] = {"binary_data_size": len(parts[-1])}
        else:
            tensor["data"] = _json_values(array)
        tensors.append(tensor)
    head = orjson.dumps(
        {
            "id": request.inference.id or str(uuid.uuid4()),
            "model_name": model_name,
            "model_version": version,
            "outputs": tensors,
        }
    )
    return (b"".join((head, *parts)), len(head)) if parts else (head, None)


def _json_values(array: Array) -> list[Any]:
    values: list[Any] = array.reshape(-1).tolist()
    return [text.decode("utf-8") for text in values] if array.dtype == object else values


def _tensor(entry: object, index: int, rest: _BinaryData) -> RequestTensor:
    where = f"inputs[{index}]"
    fields = _object(entry, where)
    name = _text(fields.get("name"), f"{where}.name")
    datatype = _text(fields.get("datatype"), f"{where}.datatype").upper()
    v2_tensors.check_datatype(datatype, name)
    shape = _list(fields.get("shape"), f"{where}.shape")
    if not all(type(size) is int and 0 <= size < 2**31 for size in shape):
        raise RequestError(f"{where}.shape: expected whole numbers that are not negative.")
    size = _parameters(fields.get("parameters"), where).get("binary_data_size")
    data: list[Any] | BinaryData
    if size is not None and fields.get("data") is not None:
        raise RequestError(
            f"{where}: expected 'data' or binary data, found both.",
            feature=v2_tensors.shorten(name),
        )
    if size is None:
        data = _list(fields.get("data"), f"{where}.data")
    elif type(size) is int and 0 <= size <= len(rest.content) - rest.position:
        data = rest.take(size)
    else:
        raise RequestError(
            f"{where}.parameters.binary_data_size: expected a number of bytes that the body holds."
        )
    return RequestTensor(name=name, datatype=datatype, shape=shape, data=data)


def _object(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise RequestError(f"{where}: expected a JSON object, found {described(value)}.")
    return value


def _list(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise RequestError(f"{where}: expected a list, found {described(value)}.")
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise RequestError(f"{where}: expected text, found {described(value)}.")
    return value


def _parameters(value: object, where: str) -> Mapping[str, Any]:
    """Return the parameters of the request, a tensor or an output."""
    if value is None:
        return {}
    parameters = _object(value, f"{where}.parameters" if where else "parameters")
    v2_tensors.check_parameters(parameters, where)
    return parameters


def _choice(parameters: Mapping[str, Any], where: str, key: str) -> bool | None:
    choice = parameters.get(key)
    if choice is None or isinstance(choice, bool):
        return choice
    raise RequestError(f"{where}.{key}: expected true or false, found {described(choice)}.")
