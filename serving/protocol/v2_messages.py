"""The v2 protocol over gRPC: KServe's messages, turned into queries and back."""

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.message import DecodeError
from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages

from kfp_tabular.serving.protocol import v2_tensors
from kfp_tabular.serving.protocol.request_error import RequestError
from kfp_tabular.serving.protocol.v2_tensors import Array, Query, Tensor

_CONTENTS: Mapping[str, str] = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""Where a tensor's values are. FP16 has no place of its own and comes as raw contents only."""


def parsed(content: bytes, message: type[Any]) -> Any:
    """Reads a message.

    Raises:
        RequestError: Where the bytes are no such message.
    """
    try:
        return message.FromString(content)
    except DecodeError:
        # The cause is left out: what it says is up to the library.
        raise RequestError(f"the request is not a {message.DESCRIPTOR.name} message.") from None


def query(request: Any) -> Query:
    """Reads a request, checking its structure but not what its tensors hold.

    Args:
        request: A `ModelInferRequest`.

    Raises:
        RequestError: Where its raw contents do not fit its tensors, or there is no such type.
    """
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise RequestError(
            f"the request has {len(request.inputs)} inputs and {len(raw)} raw contents; give one "
            "for each, or none."
        )
    return Query(
        id=request.id,
        tensors=[
            _tensor(tensor, raw[place] if raw else None)
            for place, tensor in enumerate(request.inputs)
        ],
        wanted=[output.name for output in request.outputs],
    )


def answer(
    answers: Mapping[str, Array], request: Any, asked: Query, model_name: str, version: str
) -> Any:
    """Writes an answer.

    Args:
        answers: The model's outputs.
        request: What is answered. The answer is in raw contents where the request was.
        asked: The same as a query.
        model_name: The model that answers.
        version: The model's version.

    Returns:
        A `ModelInferResponse`.
    """
    response = messages.ModelInferResponse(
        model_name=model_name, model_version=version, id=asked.id
    )
    for name, array in v2_tensors.chosen(answers, asked).items():
        kind = v2_tensors.datatype(array)
        output = response.outputs.add(name=name, datatype=kind, shape=array.shape)
        if request.raw_input_contents:
            response.raw_output_contents.append(v2_tensors.packed(array))
        else:
            getattr(output.contents, _CONTENTS[kind]).extend(array.reshape(-1).tolist())
    return response


def metadata(description: Mapping[str, Any]) -> Any:
    """Writes a model's description.

    Args:
        description: As REST gives it.

    Returns:
        A `ModelMetadataResponse`.
    """
    return messages.ModelMetadataResponse(
        name=description["name"],
        versions=description["versions"],
        platform=description["platform"],
        inputs=_tensors_metadata(description["inputs"]),
        outputs=_tensors_metadata(description["outputs"]),
    )


def _tensors_metadata(tensors: Sequence[Mapping[str, Any]]) -> list[Any]:
    return [messages.ModelMetadataResponse.TensorMetadata(**tensor) for tensor in tensors]


def _tensor(tensor: Any, raw: bytes | None) -> Tensor:
    datatype = tensor.datatype.upper()
    v2_tensors.check_datatype(datatype, tensor.name)
    if any(size < 0 for size in tensor.shape):
        raise RequestError(
            f"feature {v2_tensors.short(tensor.name)!r}: its shape holds a negative number.",
            feature=v2_tensors.short(tensor.name),
        )
    data: list[Any] | Array
    if raw is None:
        place = _CONTENTS.get(datatype)
        data = list(getattr(tensor.contents, place)) if place else []
    elif tensor.HasField("contents"):
        raise RequestError(
            f"feature {v2_tensors.short(tensor.name)!r} has contents besides the raw ones.",
            feature=v2_tensors.short(tensor.name),
        )
    else:
        data = v2_tensors.unpacked(raw, datatype, tensor.name)
    return Tensor(name=tensor.name, datatype=datatype, shape=list(tensor.shape), data=data)
