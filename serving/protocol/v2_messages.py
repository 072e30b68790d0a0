"""The v2 protocol over gRPC: KServe's protobuf messages."""

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.message import DecodeError
from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages

from kfp_tabular.serving.protocol import v2_tensors
from kfp_tabular.serving.protocol.request_error import RequestError
from kfp_tabular.serving.protocol.v2_tensors import (
    Array,
    BinaryData,
    InferenceRequest,
    RequestTensor,
)

_CONTENTS_FIELDS: Mapping[str, str] = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""The field that holds a tensor's values. FP16 has none; it comes as raw contents only."""


def parse_message(content: bytes, message: type[Any]) -> Any:
    """Return the message that bytes encode.

    Raises:
        RequestError: If they do not encode such a message.

    Example:
        >>> content = messages.ModelInferRequest(id="42").SerializeToString()
        >>> parse_message(content, messages.ModelInferRequest).id
        '42'
        >>> parse_message(b"no message", messages.ModelInferRequest)
        Traceback (most recent call last):
        kfp_tabular.serving.protocol.request_error.RequestError: the request is not a valid
        ModelInferRequest message.
    """
    try:
        return message.FromString(content)
    except DecodeError:
        # The library's own text is left out: it may quote the request.
        raise RequestError(
            f"the request is not a valid {message.DESCRIPTOR.name} message."
        ) from None


def read_request(message: Any) -> InferenceRequest:
    """Read a request and check its structure, but not the values of its tensors.

    Args:
        message: A `ModelInferRequest`.

    Raises:
        RequestError: If its raw contents do not match its tensors, or a datatype is unknown.

    Example:
        >>> tensor = {"name": "hour", "datatype": "INT64", "shape": [1]}
        >>> tensor["contents"] = {"int64_contents": [7]}
        >>> read_request(messages.ModelInferRequest(id="42", inputs=[tensor]))
        InferenceRequest(id='42', tensors=[RequestTensor(name='hour', datatype='INT64', shape=[1],
        data=[7])], outputs=[])
    """
    raw = message.raw_input_contents
    if raw and len(raw) != len(message.inputs):
        raise RequestError(
            f"the request has {len(message.inputs)} inputs and {len(raw)} raw contents; send one "
            "for each input, or none."
        )
    for index, output in enumerate(message.outputs):
        v2_tensors.check_parameters(output.parameters, f"outputs[{index}]")
    return InferenceRequest(
        id=message.id,
        tensors=[
            _tensor(tensor, raw[index] if raw else None, f"inputs[{index}]")
            for index, tensor in enumerate(message.inputs)
        ],
        outputs=[output.name for output in message.outputs],
    )


def write_response(
    outputs: Mapping[str, Array],
    message: Any,
    request: InferenceRequest,
    model_name: str,
    version: str,
) -> Any:
    """Return a `ModelInferResponse`.

    Args:
        outputs: The model's outputs.
        message: The request's message. If it has raw contents, so has the response.
        request: The same request, as `read_request` returned it.
        model_name: The model's name.
        version: The model's version.

    Example:
        >>> import numpy as np
        >>> message = messages.ModelInferRequest(id="42")
        >>> outputs = {"prediction": np.array([12.5], np.float32)}
        >>> response = write_response(outputs, message, read_request(message), "taxi", "3")
        >>> response.outputs[0].name, response.outputs[0].contents.fp32_contents
        ('prediction', [12.5])
    """
    response = messages.ModelInferResponse(
        model_name=model_name, model_version=version, id=request.id
    )
    for name, array in v2_tensors.select_outputs(outputs, request).items():
        datatype = v2_tensors.datatype_of(array)
        output = response.outputs.add(name=name, datatype=datatype, shape=array.shape)
        if message.raw_input_contents:
            response.raw_output_contents.append(v2_tensors.pack(array))
        else:
            values = getattr(output.contents, _CONTENTS_FIELDS[datatype])
            values.extend(array.reshape(-1).tolist())
    return response


def metadata_response(metadata: Mapping[str, Any]) -> Any:
    """Return a `ModelMetadataResponse`.

    Args:
        metadata: The model's metadata, as the HTTP interface returns it.

    Example:
        >>> hour = {"name": "hour", "datatype": "INT64", "shape": [-1]}
        >>> metadata = {"name": "taxi", "versions": ["3"], "platform": "tensorflow_savedmodel"}
        >>> response = metadata_response({**metadata, "inputs": [hour], "outputs": []})
        >>> response.inputs[0].name, response.inputs[0].shape
        ('hour', [-1])
    """
    return messages.ModelMetadataResponse(
        name=metadata["name"],
        versions=metadata["versions"],
        platform=metadata["platform"],
        inputs=_tensor_metadata(metadata["inputs"]),
        outputs=_tensor_metadata(metadata["outputs"]),
    )


def _tensor_metadata(tensors: Sequence[Mapping[str, Any]]) -> list[Any]:
    return [
        # The message has no parameters.
        messages.ModelMetadataResponse.TensorMetadata(
            name=tensor["name"], datatype=tensor["datatype"], shape=tensor["shape"]
        )
        for tensor in tensors
    ]


def _tensor(tensor: Any, raw: bytes | None, where: str) -> RequestTensor:
    v2_tensors.check_parameters(tensor.parameters, where)
    datatype = tensor.datatype.upper()
    v2_tensors.check_datatype(datatype, tensor.name)
    if any(size < 0 for size in tensor.shape):
        raise RequestError(
            f"feature {v2_tensors.shorten(tensor.name)!r}: its shape holds a negative number.",
            feature=v2_tensors.shorten(tensor.name),
        )
    name = v2_tensors.shorten(tensor.name)
    if raw is None:
        data: Sequence[Any] | BinaryData = _contents(tensor, datatype, name)
    elif tensor.HasField("contents"):
        raise RequestError(
            f"feature {name!r}: expected contents or raw contents, found both.", feature=name
        )
    else:
        data = raw
    return RequestTensor(name=tensor.name, datatype=datatype, shape=list(tensor.shape), data=data)


def _contents(tensor: Any, datatype: str, name: str) -> Sequence[Any]:
    """Return the values of a tensor without copying them: their number is not checked yet."""
    field = _CONTENTS_FIELDS.get(datatype)
    others = [found.name for found, _ in tensor.contents.ListFields() if found.name != field]
    if others:
        raise RequestError(
            f"feature {name!r}: expected {datatype} values in "
            f"{field or 'raw_input_contents'}, found some in {others[0]}.",
            reason="type",
            feature=name,
        )
    values: Sequence[Any] = getattr(tensor.contents, field) if field else ()
    return values
