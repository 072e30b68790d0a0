"""Graceful shutdown: the HTTP server, which starts and stops gRPC beside it."""

import asyncio
import logging
import math
import signal
import socket
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn

from kfp_tabular.serving.grpc.grpc_server import GrpcServer
from kfp_tabular.serving.model.served_model import ServedModel
from kfp_tabular.serving.process.listening_socket import refuse_new_connections
from kfp_tabular.serving.settings.server_settings import ServerSettings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_logger = logging.getLogger(__name__)

_ACCEPT_SECONDS = 0.2
"""How long waiting connections are accepted, and what their clients have sent is read."""


class GracefulServer(uvicorn.Server):  # type: ignore[misc]  # not typed here
    """uvicorn's server, which shuts down in steps.

    1. After a signal, the readiness probes fail and every response closes its connection, but
       requests are answered as before. With SIGTERM that lasts for `drain_seconds`, so that load
       balancers can react. With Ctrl-C it is skipped.
    2. No more connections are made. Waiting ones are accepted, and what has arrived is read.
    3. Requests in progress finish, within `grace_seconds`.

    A second signal skips to the next step.

    Args:
        config: uvicorn's configuration.
        model: The served model.
        grpc_server: The gRPC server; None for no gRPC.
        settings: How to serve.
        grpc_port: The reserved port for gRPC.
        early: Signals that arrived before uvicorn handles them.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        model: ServedModel,
        grpc_server: GrpcServer | None,
        settings: ServerSettings,
        grpc_port: int | None,
        early: Sequence[int],
    ) -> None:
        super().__init__(config)
        self._model = model
        self._grpc = grpc_server
        self._settings = settings
        self._grpc_port = grpc_port
        self._early = early
        self._exit_at = math.inf
        config.app = _ConnectionCloser(config.app, lambda: self._exit_at < math.inf)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Start to shut down; uvicorn's signal handler."""
        if self._exit_at < math.inf:
            self._exit_at = 0.0
            super().handle_exit(sig, frame)
            return
        self._captured_signals.append(sig)
        self._model.start_draining()
        drain = self._settings.drain_seconds if sig == signal.SIGTERM else 0.0
        self._exit_at = time.monotonic() + drain

    async def on_tick(self, counter: int) -> bool:
        """Return whether to exit; uvicorn asks ten times a second."""
        if time.monotonic() >= self._exit_at:
            self.should_exit = True
        return bool(await super().on_tick(counter))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, and log the addresses."""
        if self._grpc is not None:
            await self._grpc.start(self._settings.host, self._grpc_port or 0)
        await super().startup(sockets)
        for listener in sockets or ():
            host, port = listener.getsockname()[:2]
            address = f"[{host}]" if ":" in host else host
            name = self._model.name
            _logger.info(
                "ready: http://%s:%d/v1/models/%s:predict and /v2/models/%s/infer%s",
                address,
                port,
                name,
                name,
                f"; gRPC on {address}:{self._grpc_port}" if self._grpc is not None else "",
            )
        for number in self._early:
            self.handle_exit(number, None)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Shut HTTP and gRPC down at the same time."""
        await asyncio.gather(self._shutdown_http(sockets), self._shutdown_grpc())

    async def _shutdown_http(self, sockets: list[socket.socket] | None) -> None:
        if self._settings.workers == 1:
            # The supervisor does this for a socket that workers share.
            for listener in sockets or ():
                refuse_new_connections(listener)
        # uvicorn resets waiting connections, and closes those without a request at once.
        await asyncio.sleep(_ACCEPT_SECONDS)
        await super().shutdown(sockets)

    async def _shutdown_grpc(self) -> None:
        if self._grpc is not None:
            await self._grpc.stop(self._settings.grace_seconds)


class _ConnectionCloser:
    """ASGI middleware that lets responses close their connections while the server shuts down.

    Args:
        app: The application.
        is_shutting_down: Returns whether that is so.
    """

    def __init__(self, app: "ASGIApp", is_shutting_down: Callable[[], bool]) -> None:
        self._app = app
        self._is_shutting_down = is_shutting_down

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        def send_and_close(message: "Message") -> Any:
            if message["type"] == "http.response.start" and self._is_shutting_down():
                message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            return send(message)

        await self._app(scope, receive, send_and_close)
