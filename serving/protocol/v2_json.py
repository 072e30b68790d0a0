"""The v2 protocol over REST: JSON, and the extension that sends tensors as bytes behind it."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from kfp_tabular.components.common.prediction.instances import described
from kfp_tabular.serving.protocol import v2_tensors
from kfp_tabular.serving.protocol.request_error import RequestError
from kfp_tabular.serving.protocol.v2_tensors import Array, Query, Tensor


@dataclass(frozen=True)
class Asked:
    """A request, and the form its answer is to have.

    Attributes:
        query: What is asked.
        binary: Whether outputs are given as bytes.
        binary_by_output: The same for single outputs, where the request says so.
    """

    query: Query
    binary: bool
    binary_by_output: Mapping[str, bool]


@dataclass
class _Bytes:
    """The bytes that follow the JSON of a request with binary tensors."""

    content: memoryview
    read: int = 0

    def take(self, size: int) -> memoryview:
        part = self.content[self.read : self.read + size]
        self.read += size
        return part


def request(document: object, binary: memoryview) -> Asked:
    """Reads a request, checking its structure but not what its tensors hold.

    Args:
        document: The request's JSON.
        binary: What follows the JSON in the body; empty where there is no binary tensor.

    Raises:
        RequestError: Where the structure is not that of an inference request.
    """
    fields = _object(document, "the request")
    rest = _Bytes(binary)
    tensors = [
        _tensor(entry, place, rest)
        for place, entry in enumerate(_list(fields.get("inputs"), "'inputs'"))
    ]
    if rest.read < len(binary):
        raise RequestError("the body holds more binary data than its tensors' sizes add up to.")
    wanted: list[str] = []
    binary_by_output: dict[str, bool] = {}
    given_outputs = fields.get("outputs")
    for place, entry in enumerate(
        [] if given_outputs is None else _list(given_outputs, "'outputs'")
    ):
        output = _object(entry, f"outputs[{place}]")
        name = _text(output.get("name"), f"outputs[{place}].name")
        wanted.append(name)
        choice = _choice(output.get("parameters"), f"outputs[{place}].parameters", "binary_data")
        if choice is not None:
            binary_by_output[name] = choice
    given_id = fields.get("id")
    binary_data_output = _choice(fields.get("parameters"), "parameters", "binary_data_output")
    return Asked(
        query=Query(
            id="" if given_id is None else _text(given_id, "'id'"), tensors=tensors, wanted=wanted
        ),
        binary=binary_data_output is True,
        binary_by_output=binary_by_output,
    )


def answer(
    answers: Mapping[str, Array], asked: Asked, model_name: str, version: str
) -> tuple[bytes, int | None]:
    """Writes an answer.

    Args:
        answers: The model's outputs.
        asked: What is answered. Its id is given back; one is made where it has none.
        model_name: The model that answers.
        version: The model's version.

    Returns:
        The body, and the length of its JSON where bytes follow.
    """
    outputs: list[dict[str, Any]] = []
    parts: list[bytes] = []
    for name, array in v2_tensors.chosen(answers, asked.query).items():
        output: dict[str, Any] = {
            "name": name,
            "shape": list(array.shape),
            "datatype": v2_tensors.datatype(array),
        }
        if asked.binary_by_output.get(name, asked.binary):
            parts.append(v2_tensors.packed(array))
            output["parameters"] = {"binary_data_size": len(parts[-1])}
        else:
            output["data"] = _plain(array)
        outputs.append(output)
    head = orjson.dumps(
        {
            "id": asked.query.id or str(uuid.uuid4()),
            "model_name": model_name,
            "model_version": version,
            "outputs": outputs,
        }
    )
    return (b"".join((head, *parts)), len(head)) if parts else (head, None)


def _plain(array: Array) -> list[Any]:
    values: list[Any] = array.reshape(-1).tolist()
    return [text.decode("utf-8") for text in values] if array.dtype == object else values


def _tensor(entry: object, place: int, rest: _Bytes) -> Tensor:
    where = f"inputs[{place}]"
    fields = _object(entry, where)
    name = _text(fields.get("name"), f"{where}.name")
    datatype = _text(fields.get("datatype"), f"{where}.datatype").upper()
    v2_tensors.check_datatype(datatype, name)
    shape = _list(fields.get("shape"), f"{where}.shape")
    if not all(type(size) is int and 0 <= size < 2**31 for size in shape):
        raise RequestError(f"{where}.shape: expected whole numbers that are not negative.")
    size = _parameters(fields.get("parameters"), f"{where}.parameters").get("binary_data_size")
    data: list[Any] | Array
    if size is not None and fields.get("data") is not None:
        raise RequestError(
            f"{where} has 'data' besides its binary data.", feature=v2_tensors.short(name)
        )
    if size is None:
        data = _list(fields.get("data"), f"{where}.data")
    elif type(size) is int and 0 <= size <= len(rest.content) - rest.read:
        data = v2_tensors.unpacked(rest.take(size), datatype, name)
    else:
        raise RequestError(f"{where}.parameters.binary_data_size: not a size that the body holds.")
    return Tensor(name=name, datatype=datatype, shape=shape, data=data)


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
    return {} if value is None else _object(value, where)


def _choice(value: object, where: str, key: str) -> bool | None:
    choice = _parameters(value, where).get(key)
    if choice is None or isinstance(choice, bool):
        return choice
    raise RequestError(f"{where}.{key}: expected true or false, found {described(choice)}.")
