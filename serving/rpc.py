"""The gRPC interface: the methods of the Open Inference Protocol that read or predict.

KServe's own servicer logs every call and, with a traceback and the values, every bad one; answers
bytes that are no message with an internal error; names no version; and lets anybody load and unload
models.
"""

import logging
import traceback
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc
from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.serving import v2, v2_grpc
from kfp_tabular.serving.batching import OverloadedError
from kfp_tabular.serving.errors import RequestError
from kfp_tabular.serving.models import ReadyDataPlane, description, served
from kfp_tabular.serving.settings import Limits

_logger = logging.getLogger(__name__)

_SERVICE = "inference.GRPCInferenceService"
_HEALTH = "grpc.health.v1.Health"
_SERVING, _NOT_SERVING = b"\x08\x01", b"\x08\x02"
"""`HealthCheckResponse` messages: field 1, an enumeration. They are all there is to say."""

_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    404: grpc.StatusCode.NOT_FOUND,
    # What the library itself answers a message that is too large with.
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
}

Handler = Callable[[bytes, Any], Awaitable[Any]]
Details = tuple[tuple[str, str | bytes], ...]


def server(
    data_plane: ReadyDataPlane, limits: Limits, interceptors: Sequence[grpc.aio.ServerInterceptor]
) -> grpc.aio.Server:
    """Makes the server, without starting it. To be called in the event loop that is to run it.

    Args:
        data_plane: Holds the models.
        limits: The largest request that is answered.
        interceptors: What sees every call before the methods do, the first one first.
    """
    made = grpc.aio.server(
        interceptors=interceptors,
        options=[
            ("grpc.max_receive_message_length", limits.body),
            ("grpc.max_send_message_length", -1),
            # Workers share the port, and `listener.reserve` has made sure that nobody else does.
            ("grpc.so_reuseport", 1),
        ],
    )
    methods = _Methods(data_plane, limits)
    table = {
        "ServerLive": methods.server_live,
        "ServerReady": methods.server_ready,
        "ServerMetadata": methods.server_metadata,
        "ModelReady": methods.model_ready,
        "ModelMetadata": methods.model_metadata,
        "ModelInfer": methods.model_infer,
    }
    made.add_generic_rpc_handlers(
        (
            _handlers(_SERVICE, table, lambda message: message.SerializeToString()),
            _handlers(_HEALTH, {"Check": methods.check}, None),
        )
    )
    return made


def bind(made: grpc.aio.Server, host: str, port: int) -> None:
    """Binds a server to an address that `listener.reserve` has reserved.

    Raises:
        UserError: Where that does not work after all.
    """
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        made.add_insecure_port(address)
    except RuntimeError as error:
        raise UserError(f"cannot serve gRPC on {address}: {error}") from error


class _Methods:
    """The methods take a message's bytes: some bytes are none, which is for us to say."""

    def __init__(self, data_plane: ReadyDataPlane, limits: Limits) -> None:
        self._data_plane = data_plane
        self._limits = limits

    async def server_live(self, _: bytes, __: Any) -> Any:
        return messages.ServerLiveResponse(live=True)

    async def server_ready(self, _: bytes, __: Any) -> Any:
        return messages.ServerReadyResponse(ready=await self._data_plane.ready())

    async def server_metadata(self, _: bytes, __: Any) -> Any:
        return messages.ServerMetadataResponse(**self._data_plane.metadata())

    async def model_ready(self, content: bytes, _: Any) -> Any:
        request = v2_grpc.parsed(content, messages.ModelReadyRequest)
        model = served(self._data_plane, request.name)
        if model.ready:
            model.current(request.version or None)
        return messages.ModelReadyResponse(ready=model.ready)

    async def model_metadata(self, content: bytes, _: Any) -> Any:
        request = v2_grpc.parsed(content, messages.ModelMetadataRequest)
        model = served(self._data_plane, request.name)
        return v2_grpc.metadata(description(model, request.version or None))

    async def model_infer(self, content: bytes, _: Any) -> Any:
        request = v2_grpc.parsed(content, messages.ModelInferRequest)
        model = served(self._data_plane, request.model_name)
        with model.refusals_counted():
            query = v2_grpc.query(request)
            return await model.answer(
                "grpc",
                len(content),
                lambda predictor: v2.decode(query, predictor, self._limits.rows),
                lambda release, outputs: v2_grpc.answer(
                    outputs, request, query, model.name, release.version
                ),
                request.model_version or None,
            )

    async def check(self, _: bytes, __: Any) -> bytes:
        return _SERVING if await self._data_plane.ready() else _NOT_SERVING


def _handlers(service: str, table: dict[str, Handler], serializer: Any) -> Any:
    return grpc.method_handlers_generic_handler(
        service,
        {
            name: grpc.unary_unary_rpc_method_handler(
                _guarded(name, method), request_deserializer=None, response_serializer=serializer
            )
            for name, method in table.items()
        },
    )


def _guarded(name: str, method: Handler) -> Handler:
    """Turns what a method raises into the call's status."""

    async def guarded(content: bytes, context: Any) -> Any:
        try:
            return await method(content, context)
        except Exception as error:  # noqa: BLE001  the outermost place where one can be caught
            return await context.abort(*_status(error, name))

    return guarded


def _status(error: Exception, name: str) -> tuple[grpc.StatusCode, str, Details]:
    if isinstance(error, RequestError):
        return _CODES[error.status], str(error), _details(error)
    if isinstance(error, OverloadedError):
        after = str(error.retry_after_seconds)
        return grpc.StatusCode.RESOURCE_EXHAUSTED, str(error), (("retry-after", after),)
    # The message is left out: it may hold a value.
    _logger.error(
        "%s in %s:\n%s",
        type(error).__name__,
        name,
        "".join(traceback.format_tb(error.__traceback__)),
    )
    return grpc.StatusCode.INTERNAL, "internal error; the server's log says more.", ()


def _details(error: RequestError) -> Details:
    """Gives what is at fault as trailing metadata. Text there is ASCII, hence the bytes."""
    details: list[tuple[str, str | bytes]] = []
    if error.feature is not None:
        details.append(("feature-bin", error.feature.encode("utf-8", "replace")))
    if error.row is not None:
        details.append(("row", str(error.row)))
    return tuple(details)
