"""The gRPC server: its options, its methods, and a shutdown that loses no call."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import grpc

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.serving.grpc.inference_service import InferenceService, Method, error_status
from kfp_tabular.serving.model.data_plane import ReadyDataPlane
from kfp_tabular.serving.settings.server_settings import RequestLimits

_INFERENCE = "inference.GRPCInferenceService"
_HEALTH = "grpc.health.v1.Health"

_CONNECTION_AGE_SECONDS = 300
"""A client keeps to one connection, and so to one worker, pod or version. After this time it is
asked to open another, without losing a call."""

_QUIET_SECONDS = 0.05
_LONGEST_WAIT_FOR_QUIET_SECONDS = 1.0


class GrpcServer:
    """The gRPC server. Create it in the event loop that runs it.

    Args:
        data_plane: Holds the models.
        limits: The largest request that is accepted.
        interceptors: See every call before the methods do, the first one first.
    """

    def __init__(
        self,
        data_plane: ReadyDataPlane,
        limits: RequestLimits,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
    ) -> None:
        self._gate = _ResponseGate()
        self._server = grpc.aio.server(
            interceptors=interceptors,
            options=[
                ("grpc.max_receive_message_length", limits.max_body_bytes),
                ("grpc.max_send_message_length", -1),
                # Workers share the port; `reserve_port` keeps other processes away from it.
                ("grpc.so_reuseport", 1),
                ("grpc.max_connection_age_ms", _CONNECTION_AGE_SECONDS * 1000),
            ],
        )
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
        return grpc.method_handlers_generic_handler(
            service,
            {
                name: grpc.unary_unary_rpc_method_handler(
                    self._gate.handler(name, method),
                    request_deserializer=None,
                    response_serializer=serializer,
                )
                for name, method in methods.items()
            },
        )


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

    def handler(self, name: str, method: Method) -> Callable[[bytes, Any], Awaitable[Any]]:
        """Return the handler of a method, which waits for the gate before it ends the call."""

        async def handle(content: bytes, context: Any) -> Any:
            self._calls += 1
            status = None
            try:
                response = await method(content)
            except Exception as error:  # noqa: BLE001  the outermost place to catch one
                status = error_status(error, name)
            if not self._opened.is_set():
                await self._opened.wait()
            if status is not None:
                await context.abort(*status)
            return response

        return handle
