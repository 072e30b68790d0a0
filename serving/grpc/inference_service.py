"""The gRPC methods of the Open Inference Protocol that read metadata or predict.

KServe's own servicer logs every call, and a bad one with a traceback and its values. It answers
malformed messages with an internal error, reports no model version, and lets any client load and
unload models.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import grpc
from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages

from kfp_tabular.serving.model.data_plane import ReadyDataPlane, find_model, model_metadata
from kfp_tabular.serving.model.large_requests import FREE_BYTES, Hold
from kfp_tabular.serving.model.overload import OverloadedError
from kfp_tabular.serving.protocol import v2_messages, v2_tensors
from kfp_tabular.serving.protocol.request_error import INTERNAL_ERROR, RequestError, log_unexpected
from kfp_tabular.serving.protocol.v2_wire import check_message_size
from kfp_tabular.serving.settings.server_settings import RequestLimits

_SERVING, _NOT_SERVING = b"\x08\x01", b"\x08\x02"
"""The two `HealthCheckResponse` messages that occur: field 1, an enumeration."""

_STATUS_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    404: grpc.StatusCode.NOT_FOUND,
    # The library itself answers a message that is too large with this code.
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
}

Method = Callable[[bytes], Awaitable[Any]]
Metadata = tuple[tuple[str, str | bytes], ...]
Status = tuple[grpc.StatusCode, str, Metadata]


class InferenceService:
    """The methods. Each takes a message's bytes, so that malformed bytes get an error of ours.

    Args:
        data_plane: Holds the models.
        limits: The largest request that is accepted.
    """

    def __init__(self, data_plane: ReadyDataPlane, limits: RequestLimits) -> None:
        self._data_plane = data_plane
        self._limits = limits
        self._max_rows = limits.max_rows

    def inference_methods(self) -> Mapping[str, Method]:
        """Return the methods of `inference.GRPCInferenceService`, which return messages."""
        return {
            "ServerLive": self._server_live,
            "ServerReady": self._server_ready,
            "ServerMetadata": self._server_metadata,
            "ModelReady": self._model_ready,
            "ModelMetadata": self._model_metadata,
            "ModelInfer": self._model_infer,
        }

    def health_methods(self) -> Mapping[str, Method]:
        """Return the methods of `grpc.health.v1.Health`, which return bytes."""
        return {"Check": self._check}

    async def _server_live(self, _: bytes) -> Any:
        return messages.ServerLiveResponse(live=True)

    async def _server_ready(self, _: bytes) -> Any:
        return messages.ServerReadyResponse(ready=await self._data_plane.ready())

    async def _server_metadata(self, _: bytes) -> Any:
        return messages.ServerMetadataResponse(**self._data_plane.metadata())

    async def _model_ready(self, content: bytes) -> Any:
        message = v2_messages.parse_message(content, messages.ModelReadyRequest)
        model = find_model(self._data_plane, message.name)
        if model.ready:
            model.current_version(message.version or None)
        return messages.ModelReadyResponse(ready=model.ready)

    async def _model_metadata(self, content: bytes) -> Any:
        message = v2_messages.parse_message(content, messages.ModelMetadataRequest)
        model = find_model(self._data_plane, message.name)
        return v2_messages.metadata_response(model_metadata(model, message.version or None))

    async def _model_infer(self, content: bytes) -> Any:
        with self._data_plane.large.hold() as hold:
            hold.add(len(content))
            if len(content) <= FREE_BYTES:
                message = self._parse(content)
            else:
                # In a thread: the event loop answers probes meanwhile.
                message = await hold.large.run_alone(partial(self._parse, content))
            return await self._predict(message, len(content), hold)

    def _parse(self, content: bytes) -> Any:
        if len(content) > FREE_BYTES:
            check_message_size(content, self._max_rows, self._limits.max_values)
        return v2_messages.parse_message(content, messages.ModelInferRequest)

    async def _predict(self, message: Any, size: int, hold: Hold) -> Any:
        model = find_model(self._data_plane, message.model_name)
        with model.counting_rejections():
            request = v2_messages.read_request(message)
            return await model.predict(
                "grpc",
                hold,
                size,
                lambda interface: v2_tensors.decode(request, interface, self._max_rows),
                lambda loaded, outputs: v2_messages.write_response(
                    outputs, message, request, model.name, loaded.version
                ),
                message.model_version or None,
            )

    async def _check(self, _: bytes) -> bytes:
        return _SERVING if await self._data_plane.ready() else _NOT_SERVING


def error_status(error: Exception, method: str) -> Status:
    """Return the status of a call that failed: its code, message and trailing metadata.

    Args:
        error: The exception that the method raised.
        method: The method's name, for the log.

    Example:
        >>> error_status(RequestError("no rows", feature="hour", row=3), "ModelInfer")
        (<StatusCode.INVALID_ARGUMENT: ...>, 'no rows', (('feature-bin', b'hour'), ('row', '3')))
    """
    if isinstance(error, RequestError):
        return _STATUS_CODES[error.status], str(error), _error_metadata(error)
    if isinstance(error, OverloadedError):
        seconds = str(error.retry_after_seconds)
        return grpc.StatusCode.RESOURCE_EXHAUSTED, str(error), (("retry-after", seconds),)
    log_unexpected(error, method)
    return grpc.StatusCode.INTERNAL, INTERNAL_ERROR, ()


def _error_metadata(error: RequestError) -> Metadata:
    """Return the feature and row at fault. Text in metadata is ASCII, so the feature is bytes."""
    found: list[tuple[str, str | bytes]] = []
    if error.feature is not None:
        found.append(("feature-bin", error.feature.encode("utf-8", "replace")))
    if error.row is not None:
        found.append(("row", str(error.row)))
    return tuple(found)
