"""The v2 protocol (Open Inference Protocol): named tensors in, named tensors out.

This part is common to HTTP and gRPC: both read a request into an `InferenceRequest`. A tensor is
named after its feature, or after the input of the model's signature.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kfp_tabular.components.common.artifacts.model_document import (
    CLASSES,
    PREDICTION,
    PROBABILITIES,
    ModelInput,
)
from kfp_tabular.components.common.artifacts.raw_features import DType
from kfp_tabular.components.common.errors import closest
from kfp_tabular.components.common.prediction.instances import InstanceError
from kfp_tabular.components.common.values.column_format import as_document
from kfp_tabular.serving.protocol.json_datatypes import check_values
from kfp_tabular.serving.protocol.model_interface import ModelInterface
from kfp_tabular.serving.protocol.request_error import RequestError, too_many_rows

Array = np.ndarray[Any, Any]
BinaryData = bytes | memoryview

NUMPY_TYPES: Mapping[str, "np.dtype[Any]"] = {
    "BOOL": np.dtype(np.bool_),
    **{f"INT{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
}
"""The NumPy type of each datatype but BYTES. Binary tensors are little-endian."""

DATATYPES = frozenset({*NUMPY_TYPES, "BYTES"})

_DATATYPES: Mapping[DType, str] = {"float32": "FP32", "int64": "INT64", "string": "BYTES"}
"""The datatype in the metadata. Any datatype that converts without loss is accepted."""

_FLOATS = frozenset({"FP16", "FP32", "FP64"})
_NUMBERS = frozenset(NUMPY_TYPES) - {"BOOL"}
_ACCEPTED: Mapping[DType, frozenset[str]] = {
    "float32": _NUMBERS,
    "int64": _NUMBERS | {"BOOL"},
    "string": frozenset(("BYTES",)),
}

_LONGEST_SHOWN_NAME = 100
_FOREIGN_PARAMETERS = frozenset(
    ("shared_memory_region", "shared_memory_offset", "shared_memory_byte_size", "classification")
)
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class RequestTensor:
    """A tensor of a request.

    Attributes:
        name: The tensor's name.
        datatype: The datatype, in upper case.
        shape: The shape.
        data: The values as the client wrote them, or the bytes of a binary tensor. `decode` unpacks
            bytes once the name, the datatype and the shape are checked.
    """

    name: str
    datatype: str
    shape: Sequence[int]
    data: Sequence[Any] | BinaryData


@dataclass(frozen=True)
class InferenceRequest:
    """A request for predictions.

    Attributes:
        id: The client's id of the request; empty where the client gave none.
        tensors: The input tensors.
        outputs: The names of the requested outputs; empty for all.
    """

    id: str
    tensors: Sequence[RequestTensor]
    outputs: Sequence[str] = ()


def input_metadata(interface: ModelInterface) -> list[dict[str, Any]]:
    """Return the model's input tensors, as the model's metadata lists them.

    A tensor whose values may be text has the format as a parameter: how `model.json` describes it.

    Example:
        >>> from kfp_tabular.components.common.artifacts.model_document import ModelSpec
        >>> from kfp_tabular.components.common.prediction.instances import Decoder
        >>> hour = ModelInput("hour", "int64", required=True, input="hour")
        >>> spec = ModelSpec("regression", "fare", (), None, (hour,), "sha256:0")
        >>> input_metadata(ModelInterface(spec, frozenset(), Decoder(spec.inputs)))
        [{'name': 'hour', 'datatype': 'INT64', 'shape': [-1]}]
    """
    return [
        {"name": item.name, "datatype": _DATATYPES[item.dtype], "shape": [-1]}
        | ({} if item.format is None else {"parameters": {"format": as_document(item.format)}})
        for item in interface.spec.inputs
    ]


def output_metadata(interface: ModelInterface) -> list[dict[str, Any]]:
    """Return the model's output tensors, as the model's metadata lists them.

    Example:
        >>> from kfp_tabular.components.common.artifacts.model_document import ModelSpec
        >>> from kfp_tabular.components.common.prediction.instances import Decoder
        >>> spec = ModelSpec("binary", "tips", ("no", "yes"), 0.5, (), "sha256:0")
        >>> output_metadata(ModelInterface(spec, frozenset(), Decoder(spec.inputs)))
        [{'name': 'probabilities', 'datatype': 'FP32', 'shape': [-1, 2]},
         {'name': 'classes', 'datatype': 'BYTES', 'shape': [-1]}]
    """
    forms = {
        PREDICTION: {"datatype": "FP32", "shape": [-1]},
        PROBABILITIES: {"datatype": "FP32", "shape": [-1, len(interface.spec.classes)]},
        CLASSES: {"datatype": "BYTES", "shape": [-1]},
    }
    return [{"name": name, **forms[name]} for name in interface.outputs]


def decode(request: InferenceRequest, interface: ModelInterface, max_rows: int) -> dict[str, Array]:
    """Return the model's input arrays for a request.

    Args:
        request: Its tensors have shape `[rows]` or `[rows, 1]`. Null, and NaN in binary data and
            gRPC, is a missing value. Optional features may be left out.
        interface: The model's inputs and outputs.
        max_rows: The most rows that are accepted.

    Returns:
        An array of shape `[rows]` for each input of the signature.

    Raises:
        RequestError: If a tensor is unknown, missing, given twice, or has the wrong datatype or
            shape, if the model cannot take a value, or if the model lacks a requested output.

    Example:
        >>> from kfp_tabular.components.common.artifacts.model_document import ModelSpec
        >>> from kfp_tabular.components.common.prediction.instances import Decoder
        >>> hour = ModelInput("hour", "int64", required=True, input="hour")
        >>> spec = ModelSpec("regression", "fare", (), None, (hour,), "sha256:0")
        >>> interface = ModelInterface(spec, frozenset(), Decoder(spec.inputs))
        >>> tensors = [RequestTensor("hour", "INT64", [2], [7, 8])]
        >>> decode(InferenceRequest("42", tensors), interface, max_rows=10)
        {'hour': array([7, 8])}
    """
    spec = interface.spec
    by_name: dict[str, ModelInput] = {item.input: item for item in spec.inputs}
    by_name.update((item.name, item) for item in spec.inputs)
    _check_outputs(request.outputs, interface.outputs)
    given: dict[str, Any] = {}
    names: set[str] = set()
    rows: int | None = None
    for tensor in request.tensors:
        model_input = by_name.get(tensor.name)
        if model_input is None and not (
            tensor.name in interface.ignored or tensor.name in interface.decoder.sources
        ):
            raise _unknown_feature(tensor.name, spec.inputs)
        name = tensor.name if model_input is None else model_input.name
        if name in names:
            raise RequestError(f"feature {shorten(name)!r} is given twice.", feature=shorten(name))
        names.add(name)
        length = _row_count(tensor)
        if rows is None:
            rows = length
            if rows > max_rows:
                raise too_many_rows(rows, max_rows)
        if length != rows:
            raise RequestError(
                f"feature {shorten(tensor.name)!r} has {length} rows, the one before it {rows}.",
                feature=shorten(tensor.name),
            )
        if model_input is not None:
            given[name] = _values(tensor, name, rows, model_input)
        elif name in interface.decoder.sources:
            given[name] = _values(tensor, name, rows)
        elif isinstance(tensor.data, BinaryData):
            unpack(tensor.data, tensor.datatype, name, rows)
        elif len(tensor.data) != rows:
            raise _other_length(name, rows, len(tensor.data))
    if not rows:
        raise RequestError("the request has no rows; send at least one tensor with a row.")
    try:
        return interface.decoder.columns(given, rows)
    except InstanceError as error:
        raise RequestError.of_instance(error) from None


def select_outputs(outputs: Mapping[str, Array], request: InferenceRequest) -> dict[str, Array]:
    """Return the outputs that a request asks for, in the model's order.

    Example:
        >>> request = InferenceRequest(id="", tensors=[], outputs=["classes"])
        >>> list(select_outputs({"probabilities": None, "classes": None}, request))
        ['classes']
    """
    if not request.outputs:
        return dict(outputs)
    return {name: array for name, array in outputs.items() if name in request.outputs}


def datatype_of(array: Array) -> str:
    """Return the datatype of an output.

    Example:
        >>> datatype_of(np.array([12.5], np.float32)), datatype_of(np.array([b"yes"], object))
        ('FP32', 'BYTES')
    """
    return "BYTES" if array.dtype == object else "FP32"


def unpack(content: BinaryData, datatype: str, name: str, values: int) -> Array:
    """Return the values of a binary tensor.

    Args:
        content: Little-endian values one after another. Each value of BYTES is preceded by its
            length, in four bytes.
        datatype: One of `DATATYPES`.
        name: The tensor's name, for error messages.
        values: How many values there must be.

    Raises:
        RequestError: If the bytes are not exactly so many values. Nothing is built before their
            number is checked against the length.

    Example:
        >>> unpack(bytes([7, 0, 9, 0]), "INT16", "hour", 2).tolist()
        [7, 9]
        >>> unpack(bytes(8_000_000), "BYTES", "shop", 1)
        Traceback (most recent call last):
        kfp_tabular.serving.protocol.request_error.RequestError: feature 'shop': the binary data
        does not hold the 1 BYTES values of the shape.
    """
    _check_size(content, datatype, name, values)
    if datatype == "BYTES":
        return _unpack_texts(content, name, values)
    array = np.frombuffer(content, dtype=NUMPY_TYPES[datatype])
    if datatype == "BOOL" and values and array.view(np.uint8).max() > 1:
        raise RequestError(
            f"feature {shorten(name)!r}: expected bytes 0 or 1 (BOOL).", feature=shorten(name)
        )
    return array


def pack(array: Array) -> bytes:
    """Return an output's values in the form that `unpack` reads.

    Example:
        >>> pack(np.array([b"NL"], dtype=object)) == bytes([2, 0, 0, 0]) + b"NL"
        True
    """
    if array.dtype != object:
        return array.astype("<f4", copy=False).tobytes()
    return b"".join(part for text in array.reshape(-1) for part in (_LENGTH.pack(len(text)), text))


def check_datatype(datatype: str, name: str) -> None:
    """Check that the protocol has a datatype.

    Args:
        datatype: The datatype, in upper case.
        name: The tensor's name, for the error message.

    Raises:
        RequestError: If it has not.

    Example:
        >>> check_datatype("FP23", "amount")
        Traceback (most recent call last):
        kfp_tabular.serving.protocol.request_error.RequestError: feature 'amount': unknown datatype
        'FP23'. Did you mean 'FP32'?
    """
    if datatype not in DATATYPES:
        raise RequestError(
            f"feature {shorten(name)!r}: unknown datatype {shorten(datatype)!r}."
            + closest(shorten(datatype), DATATYPES),
            feature=shorten(name),
        )


def check_parameters(names: Iterable[str], where: str) -> None:
    """Check that parameters ask for nothing that would silently not happen.

    Unknown parameters are ignored, as the protocol wants it: clients add some for other servers.

    Args:
        names: The parameters' names, of a tensor or of a requested output.
        where: What they belong to, for the error message.

    Raises:
        RequestError: If one belongs to an extension that says where the values are, or what is
            returned in place of them.

    Example:
        >>> check_parameters(["shared_memory_region"], "inputs[0]")
        Traceback (most recent call last):
        kfp_tabular.serving.protocol.request_error.RequestError: inputs[0].parameters: this server
        does not have the extension of 'shared_memory_region'.
    """
    for name in names:
        if name in _FOREIGN_PARAMETERS:
            raise RequestError(
                f"{where}.parameters: this server does not have the extension of {name!r}."
            )


def shorten(name: str) -> str:
    """Return a name that a client sent, cut to a length that fits an error message.

    Example:
        >>> len(shorten("x" * 1_000_000))
        100
    """
    return name[:_LONGEST_SHOWN_NAME]


def _check_size(content: BinaryData, datatype: str, name: str, values: int) -> None:
    """Check the length of binary data against the number of values, before it is unpacked."""
    if datatype == "BYTES":
        # A text has four bytes at least, those of its length.
        if values * _LENGTH.size > len(content) or (not values and len(content)):
            raise _other_size(name, datatype, values)
    elif len(content) != values * NUMPY_TYPES[datatype].itemsize:
        raise _other_size(name, datatype, values)


def _unpack_texts(content: BinaryData, name: str, values: int) -> Array:
    texts = np.empty(values, dtype=object)
    position, end = 0, len(content)
    for row in range(values):
        start = position + _LENGTH.size
        if start > end:
            raise _other_size(name, "BYTES", values)
        (length,) = _LENGTH.unpack_from(content, position)
        position = start + length
        if position > end:
            raise _other_size(name, "BYTES", values)
        texts[row] = bytes(content[start:position])
    if position != end:
        raise _other_size(name, "BYTES", values)
    return texts


def _other_size(name: str, datatype: str, values: int) -> RequestError:
    return RequestError(
        f"feature {shorten(name)!r}: the binary data does not hold the {values} {datatype} values "
        "of the shape.",
        feature=shorten(name),
    )


def _other_length(name: str, rows: int, values: int) -> RequestError:
    return RequestError(
        f"feature {shorten(name)!r}: the shape has {rows} rows, the data {values}.",
        feature=shorten(name),
    )


def _row_count(tensor: RequestTensor) -> int:
    shape = tensor.shape
    if len(shape) == 1 or (len(shape) == 2 and shape[1] == 1):
        return int(shape[0])
    raise RequestError(
        f"feature {shorten(tensor.name)!r}: expected the shape [rows] or [rows, 1], found "
        f"{len(shape)} dimensions.",
        feature=shorten(tensor.name),
    )


def _values(
    tensor: RequestTensor, name: str, rows: int, model_input: ModelInput | None = None
) -> list[Any]:
    """Return a tensor's values: a plain Python value, or None if missing, per row."""
    if model_input is not None and not _is_accepted(tensor.datatype, model_input):
        raise RequestError(
            f"feature {model_input.name!r}: expected the datatype {_DATATYPES[model_input.dtype]}, "
            f"found {tensor.datatype}.",
            reason="type",
            feature=model_input.name,
        )
    data = tensor.data
    if isinstance(data, BinaryData):
        values: list[Any] = unpack(data, tensor.datatype, name, rows).tolist()
        encoded = tensor.datatype == "BYTES"
    elif len(data) != rows:
        raise _other_length(name, rows, len(data))
    else:
        values = list(data)
        if len(tensor.shape) == 2 and all(isinstance(value, list) for value in values):
            values = [value[0] if len(value) == 1 else value for value in values]
        encoded = bytes in check_values(values, tensor.datatype, name)
    if encoded:
        return [
            _decode_text(value, row, name) if isinstance(value, bytes) else value
            for row, value in enumerate(values)
        ]
    if tensor.datatype in _FLOATS:
        return [None if value != value else value for value in values]  # noqa: PLR0124  NaN
    return values


def _is_accepted(datatype: str, model_input: ModelInput) -> bool:
    # A number or a time may be written as in the training data.
    as_text = datatype == "BYTES" and model_input.format is not None
    return as_text or datatype in _ACCEPTED[model_input.dtype]


def _decode_text(value: bytes, row: int, name: str) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise RequestError(
            f"instance {row}: feature {name!r}: expected UTF-8 text.",
            reason="type",
            feature=name,
            row=row,
        ) from None


def _check_outputs(requested: Sequence[str], known: Sequence[str]) -> None:
    for place, name in enumerate(requested):
        if name not in known:
            raise RequestError(
                f"unknown output {shorten(name)!r}; this model has {', '.join(map(repr, known))}.",
                reason="unknown",
            )
        # A known name comes twice at the latest after as many names as the model has outputs.
        if name in requested[:place]:
            raise RequestError(f"output {name!r} is requested twice.")


def _unknown_feature(name: str, known: Sequence[ModelInput]) -> RequestError:
    return RequestError(
        f"feature {shorten(name)!r} is unknown to this model."
        + closest(shorten(name), [item.name for item in known]),
        reason="unknown",
        feature=shorten(name),
    )
