"""The gRPC interface: the methods of the Open Inference Protocol that read or predict.

KServe's own servicer logs every call and, with a traceback and the values, every bad one; answers
bytes that are no message with an internal error; names no version; and lets anybody load and unload
models.
"""

import asyncio
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import grpc
from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.serving.model.batching import OverloadedError
from kfp_tabular.serving.model.data_plane import ReadyDataPlane, description, served
from kfp_tabular.serving.protocol import v2_messages, v2_tensors
from kfp_tabular.serving.protocol.request_error import RequestError
from kfp_tabular.serving.settings.server_settings import RequestLimits

_logger = logging.getLogger(__name__)

_SERVICE = "inference.GRPCInferenceService"
_HEALTH = "grpc.health.v1.Health"
_SERVING, _NOT_SERVING = b"\x08\x01", b"\x08\x02"
"""`HealthCheckResponse` messages: field 1, an enumeration. They are all there is to say."""

_CONNECTION_AGE_SECONDS = 300
"""A client keeps to one connection, and thus to one worker, pod or version of it. After so long it
is asked to make another, without losing a call."""

_QUIET_SECONDS = 0.05
_LONGEST_QUIET_SECONDS = 1.0

_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    404: grpc.StatusCode.NOT_FOUND,
    # What the library itself answers a message that is too large with.
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
}

Method = Callable[[bytes], Awaitable[Any]]
Ended = Callable[[bytes], Awaitable[Callable[[Any], Awaitable[Any]]]]
Handler = Callable[[bytes, Any], Awaitable[Any]]
Details = tuple[tuple[str, str | bytes], ...]


class GrpcServer:
    """The gRPC server. To be made in the event loop that is to run it.

    Args:
        data_plane: Holds the models.
        limits: The largest request that is answered.
        interceptors: What sees every call before the methods do, the first one first.
    """

    def __init__(
        self,
        data_plane: ReadyDataPlane,
        limits: RequestLimits,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
    ) -> None:
        self._gate = _Gate()
        self._server = grpc.aio.server(
            interceptors=interceptors,
            options=[
                ("grpc.max_receive_message_length", limits.body),
                ("grpc.max_send_message_length", -1),
                # Workers share the port; `listener.reserve` has made sure that nobody else does.
                ("grpc.so_reuseport", 1),
                ("grpc.max_connection_age_ms", _CONNECTION_AGE_SECONDS * 1000),
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
        self._server.add_generic_rpc_handlers(
            (
                self._handlers(_SERVICE, table, lambda message: message.SerializeToString()),
                self._handlers(_HEALTH, {"Check": methods.check}, None),
            )
        )

    async def start(self, host: str, port: int) -> int:
        """Begins to answer.

        Args:
            host: The address to listen on.
            port: The port, which `listener.reserve` has reserved; 0 takes a free one.

        Returns:
            The port.

        Raises:
            UserError: Where the address cannot be served on after all.
        """
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            bound: int = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise UserError(f"cannot serve gRPC on {address}: {error}") from error
        await self._server.start()
        return bound

    async def stop(self, grace_seconds: float) -> None:
        """Ends when the calls under way have, or their time is up.

        The library cancels calls that reach it between the decision to stop and the client's
        hearing of it. So answers are held back for a moment before: clients that ask one thing
        after another are waiting when they are told to go elsewhere, and then get their answer.

        Args:
            grace_seconds: How long calls may take to end.
        """
        self._gate.close()
        await self._gate.quiet(_QUIET_SECONDS, _LONGEST_QUIET_SECONDS)
        stopping = asyncio.ensure_future(self._server.stop(grace_seconds))
        await asyncio.sleep(_QUIET_SECONDS)
        self._gate.open()
        await stopping

    def _handlers(self, service: str, table: Mapping[str, Method], serializer: Any) -> Any:
        return grpc.method_handlers_generic_handler(
            service,
            {
                name: grpc.unary_unary_rpc_method_handler(
                    self._gate.guarded(_ended(name, method)),
                    request_deserializer=None,
                    response_serializer=serializer,
                )
                for name, method in table.items()
            },
        )


class _Gate:
    """Holds answers back while it is closed."""

    def __init__(self) -> None:
        self._opened = asyncio.Event()
        self._opened.set()
        self._calls = 0

    def close(self) -> None:
        self._opened.clear()

    def open(self) -> None:
        self._opened.set()

    async def quiet(self, seconds: float, most_seconds: float) -> None:
        """Waits until no call has come for some seconds, or most of them are over."""
        end = time.monotonic() + most_seconds
        seen = -1
        while seen != self._calls and time.monotonic() < end:
            seen = self._calls
            await asyncio.sleep(seconds)

    def guarded(self, method: Ended) -> Handler:
        """Wraps a method whose end waits for the gate."""

        async def answered(content: bytes, context: Any) -> Any:
            self._calls += 1
            end = await method(content)
            if not self._opened.is_set():
                await self._opened.wait()
            return await end(context)

        return answered


class _Methods:
    """The methods take a message's bytes: some bytes are none, which is for us to say."""

    def __init__(self, data_plane: ReadyDataPlane, limits: RequestLimits) -> None:
        self._data_plane = data_plane
        self._limits = limits

    async def server_live(self, _: bytes) -> Any:
        return messages.ServerLiveResponse(live=True)

    async def server_ready(self, _: bytes) -> Any:
        return messages.ServerReadyResponse(ready=await self._data_plane.ready())

    async def server_metadata(self, _: bytes) -> Any:
        return messages.ServerMetadataResponse(**self._data_plane.metadata())

    async def model_ready(self, content: bytes) -> Any:
        request = v2_messages.parsed(content, messages.ModelReadyRequest)
        model = served(self._data_plane, request.name)
        if model.ready:
            model.current(request.version or None)
        return messages.ModelReadyResponse(ready=model.ready)

    async def model_metadata(self, content: bytes) -> Any:
        request = v2_messages.parsed(content, messages.ModelMetadataRequest)
        model = served(self._data_plane, request.name)
        return v2_messages.metadata(description(model, request.version or None))

    async def model_infer(self, content: bytes) -> Any:
        request = v2_messages.parsed(content, messages.ModelInferRequest)
        model = served(self._data_plane, request.model_name)
        with model.refusals_counted():
            query = v2_messages.query(request)
            return await model.answer(
                "grpc",
                len(content),
                lambda interface: v2_tensors.decode(query, interface, self._limits.rows),
                lambda release, outputs: v2_messages.answer(
                    outputs, request, query, model.name, release.version
                ),
                request.model_version or None,
            )

    async def check(self, _: bytes) -> bytes:
        return _SERVING if await self._data_plane.ready() else _NOT_SERVING


def _ended(name: str, method: Method) -> Ended:
    """Gives a method that raises nothing: it comes back with what ends the call."""

    async def ended(content: bytes) -> Callable[[Any], Awaitable[Any]]:
        try:
            answer = await method(content)
        except Exception as error:  # noqa: BLE001  the outermost place where one can be caught
            status = _status(error, name)
            return lambda context: context.abort(*status)

        async def answered(_: Any) -> Any:
            return answer

        return answered

    return ended


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
