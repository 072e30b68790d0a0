"""The v2 protocol (Open Inference Protocol): named tensors in, named tensors out.

A tensor is named after its feature, or after the signature's input. KServe's own request and
response types are used, so that REST and gRPC share what follows their decoding.
"""

import struct
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from kserve import InferInput, InferOutput, InferRequest, InferResponse
from kserve.errors import InvalidInput
from kserve.protocol.infer_type import RequestedOutput, deserialize_bytes_tensor
from kserve.utils.numpy_codec import to_np_dtype

from kfp_tabular.components.common.errors import closest
from kfp_tabular.components.common.features import DType
from kfp_tabular.components.common.instances import InstanceError, column, described
from kfp_tabular.components.common.model import CLASSES, PREDICTION, PROBABILITIES, ModelInput
from kfp_tabular.serving.errors import RequestError, too_many_rows
from kfp_tabular.serving.predictor import output_names

if TYPE_CHECKING:
    from kfp_tabular.serving.predictor import Predictor

_DATATYPES: Mapping[DType, str] = {"float32": "FP32", "int64": "INT64", "string": "BYTES"}
"""What the metadata names for a feature; any that converts without loss is taken."""

_FLOATS = frozenset({"FP16", "FP32", "FP64"})
_NUMBERS = _FLOATS.union(f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64))
_TAKEN: Mapping[DType, frozenset[str]] = {
    "float32": _NUMBERS,
    "int64": _NUMBERS | {"BOOL"},
    "string": frozenset(("BYTES",)),
}
_ALL_TYPES = _NUMBERS | {"BOOL", "BYTES"}

_LONGEST_NAME = 100


def inputs(predictor: "Predictor") -> list[dict[str, Any]]:
    """Gives the model's input tensors, as the model's metadata lists them."""
    return [
        {"name": item.name, "datatype": _DATATYPES[item.dtype], "shape": [-1]}
        for item in predictor.spec.inputs
    ]


def outputs(predictor: "Predictor") -> list[dict[str, Any]]:
    """Gives the model's output tensors, as the model's metadata lists them."""
    kinds = {
        PREDICTION: {"datatype": "FP32", "shape": [-1]},
        PROBABILITIES: {"datatype": "FP32", "shape": [-1, len(predictor.spec.classes)]},
        CLASSES: {"datatype": "BYTES", "shape": [-1]},
    }
    return [{"name": name, **kinds[name]} for name in output_names(predictor.spec)]


@dataclass
class _Binary:
    """The bytes that follow the JSON of a request with binary tensors."""

    content: memoryview
    read: int = 0

    def take(self, size: int) -> memoryview:
        part = self.content[self.read : self.read + size]
        self.read += size
        return part


def request(document: object, binary: memoryview, model_name: str) -> InferRequest:
    """Turns a REST request into KServe's type, checking its structure but not its tensors.

    Args:
        document: The request's JSON.
        binary: What follows the JSON in the body; empty where there is no binary tensor.
        model_name: The model that is asked.

    Raises:
        RequestError: Where the structure is not that of an inference request.
    """
    fields = _object(document, "the request")
    rest = _Binary(binary)
    tensors = [
        _tensor(entry, place, rest)
        for place, entry in enumerate(_list(fields.get("inputs"), "'inputs'"))
    ]
    if rest.read < len(binary):
        raise RequestError("the body holds more binary data than its tensors' sizes add up to.")
    wanted = [
        RequestedOutput(
            name=_text(_object(entry, f"outputs[{place}]").get("name"), f"outputs[{place}].name"),
            parameters=_parameters(entry.get("parameters"), f"outputs[{place}].parameters"),
        )
        for place, entry in enumerate(_list(fields.get("outputs", []) or [], "'outputs'"))
    ]
    given_id = fields.get("id")
    return InferRequest(
        model_name=model_name,
        infer_inputs=tensors,
        request_id=None if given_id is None else _text(given_id, "'id'"),
        parameters=_parameters(fields.get("parameters"), "'parameters'"),
        request_outputs=wanted or None,
    )


def decode(
    infer_request: InferRequest, predictor: "Predictor", most_rows: int
) -> dict[str, "np.ndarray[Any, Any]"]:
    """Turns a request into the model's tensors.

    Args:
        infer_request: From REST or gRPC. Its tensors have shape `[rows]` or `[rows, 1]`; null,
            and NaN in binary data, is a missing value; an optional feature may be left out.
        predictor: The model.
        most_rows: The largest number of rows.

    Raises:
        RequestError: For a tensor that is unknown, missing, given twice, or of the wrong type or
            shape, and for a value that the model cannot take.
    """
    spec = predictor.spec
    by_name: dict[str, ModelInput] = {item.input: item for item in spec.inputs}
    by_name.update((item.name, item) for item in spec.inputs)
    given: dict[str, list[Any]] = {}
    rows: int | None = None
    for tensor in infer_request.inputs:
        model_input = by_name.get(tensor.name)
        if model_input is None and tensor.name not in predictor.ignored:
            raise _unknown(tensor.name, spec.inputs)
        length = _rows(tensor)
        if rows is None:
            rows = length
            if rows > most_rows:
                raise too_many_rows(rows, most_rows)
        if length != rows:
            raise RequestError(
                f"feature {_short(tensor.name)!r} has {length} rows, the one before it {rows}.",
                feature=_short(tensor.name),
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
    _check_outputs(infer_request.request_outputs or (), output_names(spec))
    nothing = [None] * rows
    try:
        return {item.input: column(given.get(item.name, nothing), item) for item in spec.inputs}
    except InstanceError as error:
        raise RequestError.of_instance(error) from None


def encode(
    answers: Mapping[str, "np.ndarray[Any, Any]"],
    infer_request: InferRequest,
    model_name: str,
    version: str | None,
) -> InferResponse:
    """Turns the model's outputs into an answer.

    Args:
        answers: What `Predictor.predict` gave.
        infer_request: What is answered. Its id is given back; one is made where it has none.
        model_name: The model that answers.
        version: The model's version, where it has one.
    """
    return InferResponse(
        response_id=infer_request.id or str(uuid.uuid4()),
        model_name=model_name,
        model_version=version,
        infer_outputs=[
            InferOutput(
                name=name,
                shape=list(array.shape),
                datatype="BYTES" if array.dtype == object else "FP32",
                data=array,
            )
            for name, array in answers.items()
        ],
        use_binary_outputs=infer_request.use_binary_outputs,
        requested_outputs=infer_request.request_outputs,
    )


def _tensor(entry: object, place: int, rest: _Binary) -> InferInput:
    where = f"inputs[{place}]"
    fields = _object(entry, where)
    name = _text(fields.get("name"), f"{where}.name")
    datatype = _text(fields.get("datatype"), f"{where}.datatype").upper()
    if datatype not in _ALL_TYPES:
        raise RequestError(
            f"feature {_short(name)!r}: unknown datatype {_short(datatype)!r}."
            + closest(_short(datatype), _ALL_TYPES),
            feature=_short(name),
        )
    shape = _list(fields.get("shape"), f"{where}.shape")
    if not all(type(size) is int and 0 <= size < 2**31 for size in shape):
        raise RequestError(f"{where}.shape: expected whole numbers that are not negative.")
    parameters = _parameters(fields.get("parameters"), f"{where}.parameters") or {}
    size = parameters.get("binary_data_size")
    data: Any
    if size is None:
        data = _list(fields.get("data"), f"{where}.data")
    elif type(size) is int and 0 <= size <= len(rest.content) - rest.read:
        data = _binary_array(rest.take(size), datatype, name)
    else:
        raise RequestError(f"{where}.parameters.binary_data_size: not a size that the body holds.")
    return InferInput(name=name, shape=shape, datatype=datatype, data=data, parameters=parameters)


def _binary_array(content: memoryview, datatype: str, name: str) -> "np.ndarray[Any, Any]":
    try:
        if datatype == "BYTES":
            return np.asarray(deserialize_bytes_tensor(content.tobytes()), dtype=object)
        return np.frombuffer(content, dtype=to_np_dtype(datatype))
    except (ValueError, struct.error):
        raise RequestError(
            f"feature {_short(name)!r}: the binary data is not a whole number of {datatype} "
            "values.",
            feature=_short(name),
        ) from None


def _rows(tensor: InferInput) -> int:
    shape = list(tensor.shape)
    if len(shape) == 1 or (len(shape) == 2 and shape[1] == 1):
        return int(shape[0])
    raise RequestError(
        f"feature {_short(tensor.name)!r}: expected the shape [rows] or [rows, 1], found "
        f"{len(shape)} dimensions.",
        feature=_short(tensor.name),
    )


def _values(tensor: InferInput, model_input: ModelInput, rows: int) -> list[Any]:
    """Gives a tensor's values, a plain Python value or None per row."""
    taken = _TAKEN[model_input.dtype]
    if tensor.datatype not in taken:
        raise RequestError(
            f"feature {model_input.name!r}: expected the datatype {_DATATYPES[model_input.dtype]}, "
            f"found {tensor.datatype}.",
            feature=model_input.name,
        )
    data = tensor.data
    if not isinstance(data, (list, np.ndarray)) or (isinstance(data, list) and not data):
        # gRPC's raw contents.
        try:
            data = tensor.as_numpy()
        except (ValueError, InvalidInput, struct.error):
            data = []
    values: list[Any] = data.reshape(-1).tolist() if isinstance(data, np.ndarray) else data
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
            f"instance {row}: feature {name!r}: expected text in UTF-8.", feature=name, row=row
        ) from None


def _check_outputs(wanted: Sequence[RequestedOutput], known: Sequence[str]) -> None:
    for output in wanted:
        if output.name not in known:
            raise RequestError(
                f"output {_short(output.name)!r} is unknown to this model; it has "
                f"{', '.join(map(repr, known))}."
            )


def _unknown(name: str, known: Sequence[ModelInput]) -> RequestError:
    short = _short(name)
    return RequestError(
        f"feature {short!r} is unknown to this model."
        + closest(short, [item.name for item in known]),
        feature=short,
    )


def _short(name: str) -> str:
    return name[:_LONGEST_NAME]


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


def _parameters(value: object, where: str) -> dict[str, Any] | None:
    return None if value is None else dict(_object(value, where))
