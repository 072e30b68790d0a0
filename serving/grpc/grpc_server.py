"""The gRPC server: its options, its methods, and a shutdown that loses no call."""

import asyncio
import resource
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import grpc

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.serving.grpc.call_bounds import CallBounds, NoMessageError
from kfp_tabular.serving.grpc.inference_service import (
    InferenceService,
    Method,
    Status,
    error_status,
)
from kfp_tabular.serving.metrics.bound_reports import Report
from kfp_tabular.serving.model.data_plane import ReadyDataPlane
from kfp_tabular.serving.settings.server_settings import RequestLimits

_INFERENCE = "inference.GRPCInferenceService"
_HEALTH = "grpc.health.v1.Health"

_CONNECTION_AGE_SECONDS = 300
"""A client keeps to one connection, and so to one worker, pod or version. After this time it is
asked to open another, without losing a call."""

_CONNECTION_OPTIONS = (
    ("grpc.max_connection_age_ms", _CONNECTION_AGE_SECONDS * 1000),
    # Ends a call whose client never takes the response.
    ("grpc.max_connection_age_grace_ms", 60_000),
    ("grpc.max_connection_idle_ms", _CONNECTION_AGE_SECONDS * 1000),
    # Ends connections whose client is gone or does not read.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.max_concurrent_streams", 100),
    # Otherwise the library lets fast clients send megabytes that nobody reads yet.
    ("grpc.http2.bdp_probe", 0),
)
_MOST_CONNECTIONS = 1000

_WITHOUT_MESSAGE = frozenset({"ServerLive", "ServerReady", "ServerMetadata", "Check"})
"""Methods whose message is empty or not used. They are answered without reading it, so that nothing
that others send keeps a probe waiting."""
_OPEN = frozenset({"ModelReady", "ModelMetadata"})
"""Methods that may need no key, and so must not take the place of predictions."""

_QUIET_SECONDS = 0.05
_LONGEST_WAIT_FOR_QUIET_SECONDS = 1.0


class GrpcServer:
    """The gRPC server. Create it in the event loop that runs it.

    Args:
        data_plane: Holds the models.
        limits: The largest request that is accepted.
        interceptors: See every call before the methods do, the first one first.
        report: Called when a bound is reached.
    """

    def __init__(
        self,
        data_plane: ReadyDataPlane,
        limits: RequestLimits,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
        report: Report = lambda bound, text: None,  # noqa: ARG005
    ) -> None:
        self._gate = _ResponseGate()
        self._limits = limits
        self._server = grpc.aio.server(
            interceptors=interceptors,
            options=[
                *_CONNECTION_OPTIONS,
                ("grpc.max_allowed_incoming_connections", _most_connections()),
                ("grpc.max_receive_message_length", limits.max_body_bytes),
                ("grpc.max_send_message_length", -1),
                # Workers share the port; `reserve_port` keeps other processes away from it.
                ("grpc.so_reuseport", 1),
            ],
        )
        self._predictions = CallBounds.of(limits, report)
        self._descriptions = CallBounds.of(limits, report)
        service = InferenceService(data_plane, limits)
        self._server.add_generic_rpc_handlers(
            (
                self._handlers(
                    _INFERENCE,
                    service.inference_methods(),
                    lambda message: message.SerializeToString(),
                ),
                self._handlers(_HEALTH, service.health_methods(), None),
            )
        )

    async def start(self, host: str, port: int) -> int:
        """Start to accept calls.

        Args:
            host: The address to listen on.
            port: The port that `reserve_port` reserved; 0 takes a free one.

        Returns:
            The port.

        Raises:
            UserError: If the server cannot listen there.
        """
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            bound: int = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise UserError(f"cannot serve gRPC on {address}: {error}") from error
        await self._server.start()
        return bound

    async def stop(self, grace_seconds: float) -> None:
        """Stop when the calls in progress have ended, or after the grace time.

        The library cancels calls that arrive between its decision to stop and the client's notice
        of it. So responses are held back for a moment first: clients that send one call after
        another wait for their response, are told to connect elsewhere, and then get it.

        Args:
            grace_seconds: How long calls may take to end.
        """
        self._gate.close()
        await self._gate.wait_until_quiet(_QUIET_SECONDS, _LONGEST_WAIT_FOR_QUIET_SECONDS)
        stopping = asyncio.ensure_future(self._server.stop(grace_seconds))
        await asyncio.sleep(_QUIET_SECONDS)
        self._gate.open()
        await stopping

    def _handlers(self, service: str, methods: Mapping[str, Method], serializer: Any) -> Any:
        # On the wire, one message is a stream of one, and a handler of a stream is called before
        # its first message has come.
        return grpc.method_handlers_generic_handler(
            service,
            {
                name: grpc.stream_unary_rpc_method_handler(
                    self._gate.handler(name, method, self._bounds(name)),
                    request_deserializer=None,
                    response_serializer=serializer,
                )
                for name, method in methods.items()
            },
        )

    def _bounds(self, method: str) -> CallBounds | None:
        if method in _WITHOUT_MESSAGE:
            return None
        return self._descriptions if method in _OPEN else self._predictions


def _most_connections() -> int:
    """Return how many connections are accepted: a quarter of the descriptors at most."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST_CONNECTIONS if soft < 0 else max(16, min(_MOST_CONNECTIONS, soft // 4))


class _ResponseGate:
    """Holds responses back while it is closed."""

    def __init__(self) -> None:
        self._opened = asyncio.Event()
        self._opened.set()
        self._calls = 0

    def close(self) -> None:
        self._opened.clear()

    def open(self) -> None:
        self._opened.set()

    async def wait_until_quiet(self, seconds: float, longest_seconds: float) -> None:
        """Wait until no call has come for some seconds, but not longer than allowed."""
        end = time.monotonic() + longest_seconds
        seen = -1
        while seen != self._calls and time.monotonic() < end:
            seen = self._calls
            await asyncio.sleep(seconds)

    def handler(
        self, name: str, method: Method, bounds: CallBounds | None
    ) -> Callable[[Any, Any], Awaitable[Any]]:
        """Return the handler of a method, which waits for the gate before it ends the call.

        Args:
            name: The method's name, for the log.
            method: The method.
            bounds: Reads the message; None for a method that needs none.
        """

        async def handle(_: Any, context: Any) -> Any:
            self._calls += 1
            status: Status | None = None
            try:
                if bounds is None:
                    response = await method(b"")
                else:
                    async with bounds.message(context) as content:
                        response = await method(content)
            except grpc.aio.AbortError:
                raise
            except grpc.aio.BaseError:
                raise _client_has_gone() from None
            except NoMessageError:
                status = grpc.StatusCode.INVALID_ARGUMENT, "the call has no message.", ()
            except Exception as error:  # noqa: BLE001  the outermost place to catch one
                status = error_status(error, name)
            if not self._opened.is_set():
                await self._opened.wait()
            if status is not None:
                try:
                    await context.abort(*status)
                except grpc.aio.AbortError:
                    raise
                except grpc.aio.BaseError:
                    raise _client_has_gone() from None
            return response

        return handle


def _client_has_gone() -> asyncio.CancelledError:
    # Of anything else, the library logs a traceback; any client could fill the log with them.
    return asyncio.CancelledError("the client has gone")
