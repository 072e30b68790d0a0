"""The v2 protocol (Open Inference Protocol): named tensors in, named tensors out.

What REST and gRPC share: they turn a request into a `Query`, and everything after that is here. A
tensor is named after its feature, or after the signature's input.
"""

import struct
from collections.abc import Mapping, Sequence
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
from kfp_tabular.components.common.prediction.instances import InstanceError, column
from kfp_tabular.serving.protocol.model_interface import ModelInterface
from kfp_tabular.serving.protocol.request_error import RequestError, too_many_rows

Array = np.ndarray[Any, Any]

NUMPY_TYPES: Mapping[str, "np.dtype[Any]"] = {
    "BOOL": np.dtype(np.bool_),
    **{f"INT{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
}
"""Binary tensors are little-endian. BYTES has a form of its own."""

DATATYPES = frozenset({*NUMPY_TYPES, "BYTES"})

_DATATYPES: Mapping[DType, str] = {"float32": "FP32", "int64": "INT64", "string": "BYTES"}
"""What the metadata names for a feature; any that converts without loss is taken."""

_FLOATS = frozenset({"FP16", "FP32", "FP64"})
_NUMBERS = frozenset(NUMPY_TYPES) - {"BOOL"}
_TAKEN: Mapping[DType, frozenset[str]] = {
    "float32": _NUMBERS,
    "int64": _NUMBERS | {"BOOL"},
    "string": frozenset(("BYTES",)),
}

_LONGEST_NAME = 100
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class Tensor:
    """A tensor of a request.

    Attributes:
        name: Its name.
        datatype: Its type, in upper case.
        shape: Its shape.
        data: Its values: a list as the client wrote it, or the array that its bytes make.
    """

    name: str
    datatype: str
    shape: Sequence[int]
    data: "list[Any] | Array"


@dataclass(frozen=True)
class Query:
    """A request for predictions.

    Attributes:
        id: What the client calls it; empty where it does not.
        tensors: What it gives.
        wanted: The outputs that it asks for, by name; none for all.
    """

    id: str
    tensors: Sequence[Tensor]
    wanted: Sequence[str] = ()


def inputs(interface: ModelInterface) -> list[dict[str, Any]]:
    """Gives the model's input tensors, as the model's metadata lists them."""
    return [
        {"name": item.name, "datatype": _DATATYPES[item.dtype], "shape": [-1]}
        for item in interface.spec.inputs
    ]


def outputs(interface: ModelInterface) -> list[dict[str, Any]]:
    """Gives the model's output tensors, as the model's metadata lists them."""
    kinds = {
        PREDICTION: {"datatype": "FP32", "shape": [-1]},
        PROBABILITIES: {"datatype": "FP32", "shape": [-1, len(interface.spec.classes)]},
        CLASSES: {"datatype": "BYTES", "shape": [-1]},
    }
    return [{"name": name, **kinds[name]} for name in interface.outputs]


def decode(query: Query, interface: ModelInterface, most_rows: int) -> dict[str, Array]:
    """Turns a request into the model's tensors.

    Args:
        query: Its tensors have shape `[rows]` or `[rows, 1]`; null, and NaN in binary data and
            gRPC, is a missing value; an optional feature may be left out.
        interface: The model's inputs and outputs.
        most_rows: The largest number of rows.

    Raises:
        RequestError: For a tensor that is unknown, missing, given twice, or of the wrong type or
            shape, for a value that the model cannot take, and for an output it does not have.
    """
    spec = interface.spec
    by_name: dict[str, ModelInput] = {item.input: item for item in spec.inputs}
    by_name.update((item.name, item) for item in spec.inputs)
    given: dict[str, Any] = {}
    rows: int | None = None
    for tensor in query.tensors:
        model_input = by_name.get(tensor.name)
        if model_input is None and tensor.name not in interface.ignored:
            raise _unknown(tensor.name, spec.inputs)
        length = _rows(tensor)
        if rows is None:
            rows = length
            if rows > most_rows:
                raise too_many_rows(rows, most_rows)
        if length != rows:
            raise RequestError(
                f"feature {short(tensor.name)!r} has {length} rows, the one before it {rows}.",
                feature=short(tensor.name),
            )
        if model_input is None:
            continue
        if model_input.name in given:
            raise RequestError(
                f"feature {model_input.name!r} is given twice.", feature=model_input.name
            )
        given[model_input.name] = _values(tensor, model_input, rows)
    if not rows:
        raise RequestError("the request has no rows; give at least one tensor with a row.")
    _check_outputs(query.wanted, interface.outputs)
    nothing = [None] * rows
    try:
        return {item.input: column(given.get(item.name, nothing), item) for item in spec.inputs}
    except InstanceError as error:
        raise RequestError.of_instance(error) from None


def chosen(answers: Mapping[str, Array], query: Query) -> dict[str, Array]:
    """Gives the outputs that a request asks for, in the model's order."""
    if not query.wanted:
        return dict(answers)
    return {name: array for name, array in answers.items() if name in query.wanted}


def datatype(array: Array) -> str:
    """Names an output's type."""
    return "BYTES" if array.dtype == object else "FP32"


def unpacked(content: bytes | memoryview, kind: str, name: str) -> Array:
    """Reads a tensor's bytes.

    Args:
        content: Little-endian values one after another; of BYTES each with its length before it,
            in four bytes.
        kind: One of `DATATYPES`.
        name: The tensor's name, for messages.

    Raises:
        RequestError: Where the bytes are not a whole number of values.
    """
    try:
        if kind == "BYTES":
            return _unpacked_texts(content)
        return np.frombuffer(content, dtype=NUMPY_TYPES[kind])
    except (ValueError, struct.error):
        raise RequestError(
            f"feature {short(name)!r}: the binary data is not a whole number of {kind} values.",
            feature=short(name),
        ) from None


def packed(array: Array) -> bytes:
    """Writes an output's values as `unpacked` reads them."""
    if array.dtype != object:
        return array.astype("<f4", copy=False).tobytes()
    return b"".join(part for text in array.reshape(-1) for part in (_LENGTH.pack(len(text)), text))


def check_datatype(kind: str, name: str) -> None:
    """Refuses a type that the protocol does not have.

    Args:
        kind: The type, in upper case.
        name: The tensor's name.

    Raises:
        RequestError: Where there is no such type.
    """
    if kind not in DATATYPES:
        raise RequestError(
            f"feature {short(name)!r}: unknown datatype {short(kind)!r}."
            + closest(short(kind), DATATYPES),
            feature=short(name),
        )


def short(name: str) -> str:
    """Cuts a client's name for a message."""
    return name[:_LONGEST_NAME]


def _unpacked_texts(content: bytes | memoryview) -> Array:
    texts: list[bytes] = []
    place = 0
    while place < len(content):
        (length,) = _LENGTH.unpack_from(content, place)
        place += _LENGTH.size
        if place + length > len(content):
            raise ValueError("the last text is cut off")
        texts.append(bytes(content[place : place + length]))
        place += length
    array = np.empty(len(texts), dtype=object)
    array[:] = texts
    return array


def _rows(tensor: Tensor) -> int:
    shape = tensor.shape
    if len(shape) == 1 or (len(shape) == 2 and shape[1] == 1):
        return int(shape[0])
    raise RequestError(
        f"feature {short(tensor.name)!r}: expected the shape [rows] or [rows, 1], found "
        f"{len(shape)} dimensions.",
        feature=short(tensor.name),
    )


def _values(tensor: Tensor, model_input: ModelInput, rows: int) -> list[Any]:
    """Gives a tensor's values, a plain Python value or None per row."""
    if tensor.datatype not in _TAKEN[model_input.dtype]:
        raise RequestError(
            f"feature {model_input.name!r}: expected the datatype {_DATATYPES[model_input.dtype]}, "
            f"found {tensor.datatype}.",
            reason="type",
            feature=model_input.name,
        )
    data = tensor.data
    values: list[Any] = data.tolist() if isinstance(data, np.ndarray) else data
    if len(tensor.shape) == 2 and all(isinstance(value, list) for value in values):
        values = [value[0] if len(value) == 1 else value for value in values]
    if len(values) != rows:
        raise RequestError(
            f"feature {model_input.name!r}: the shape says {rows} rows, the data holds "
            f"{len(values)}.",
            feature=model_input.name,
        )
    if model_input.dtype == "string":
        return [
            _decoded(value, row, model_input.name) if isinstance(value, bytes) else value
            for row, value in enumerate(values)
        ]
    if tensor.datatype in _FLOATS:
        return [None if value != value else value for value in values]  # noqa: PLR0124  NaN
    return values


def _decoded(value: bytes, row: int, name: str) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise RequestError(
            f"instance {row}: feature {name!r}: expected text in UTF-8.",
            reason="type",
            feature=name,
            row=row,
        ) from None


def _check_outputs(wanted: Sequence[str], known: Sequence[str]) -> None:
    for name in wanted:
        if name not in known:
            raise RequestError(
                f"output {short(name)!r} is unknown to this model; it has "
                f"{', '.join(map(repr, known))}.",
                reason="unknown",
            )


def _unknown(name: str, known: Sequence[ModelInput]) -> RequestError:
    return RequestError(
        f"feature {short(name)!r} is unknown to this model."
        + closest(short(name), [item.name for item in known]),
        reason="unknown",
        feature=short(name),
    )
