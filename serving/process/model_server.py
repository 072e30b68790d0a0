"""The process that answers: REST and gRPC on one event loop, from the first request to the last."""

import asyncio
import logging
import math
import signal
import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import TYPE_CHECKING, Any

import kserve
import prometheus_client
import uvicorn
from prometheus_client import CollectorRegistry

from kfp_tabular.serving.auth.access_policy import AccessPolicy
from kfp_tabular.serving.auth.grpc_authentication import GrpcAuthentication
from kfp_tabular.serving.auth.http_authentication import HttpAuthentication
from kfp_tabular.serving.auth.key_ring import KeyRing
from kfp_tabular.serving.grpc.grpc_server import GrpcServer
from kfp_tabular.serving.http.application import Application
from kfp_tabular.serving.http.bounded_http1 import BoundedHttp1
from kfp_tabular.serving.http.request_handlers import Handlers
from kfp_tabular.serving.metrics.grpc_metrics import GrpcMetrics
from kfp_tabular.serving.metrics.http_metrics import HttpMetrics
from kfp_tabular.serving.metrics.instruments import Metrics
from kfp_tabular.serving.model.data_plane import ReadyDataPlane
from kfp_tabular.serving.model.loaded_version import VersionLoader
from kfp_tabular.serving.model.model_repository import ModelSource
from kfp_tabular.serving.model.served_model import ServedModel
from kfp_tabular.serving.model.version_reload import VersionReloader, load_first
from kfp_tabular.serving.process.listening_socket import refused, take_no_more
from kfp_tabular.serving.settings.server_settings import ServerSettings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_logger = logging.getLogger(__name__)

_LAST_CALL_SECONDS = 0.2
"""In which connections that wait are accepted, and what their clients have sent is read."""


class ModelServer(kserve.ModelServer):  # type: ignore[misc]  # kserve has no types
    """KServe's model server with this project's interfaces, on sockets of one's own.

    Args:
        settings: How to serve.
        listener: A bound socket for REST.
        grpc_port: The port that is reserved for gRPC; None for no gRPC.
        threads: Calls of the model that run side by side.
    """

    def __init__(
        self, settings: ServerSettings, listener: socket.socket, grpc_port: int | None, threads: int
    ) -> None:
        super().__init__(
            http_port=listener.getsockname()[1],
            grpc_port=grpc_port,
            workers=1,
            enable_grpc=grpc_port is not None,
            enable_latency_logging=False,
            grace_period=settings.grace_seconds,
            # KServe would read these from the environment and change the port it reports.
            ssl_certfile=None,
            ssl_keyfile=None,
        )
        self.dataplane = ReadyDataPlane(model_registry=self.registered_models)
        self._settings = settings
        self._listener = listener
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="predict")
        self._loading = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._metrics = Metrics(CollectorRegistry())
        self._loader = VersionLoader(
            self._executor, settings.batches, threads, self._metrics.called
        )
        keys = settings.authentication.keys
        self._access = (
            AccessPolicy(
                KeyRing(keys).owner,
                settings.authentication.open,
                self._metrics.admitted,
                self._metrics.denied,
            )
            if keys
            else None
        )

    def load(self, source: ModelSource) -> VersionReloader:
        """Loads the model to serve.

        Args:
            source: Where it comes from.

        Returns:
            What follows the source.

        Raises:
            UserError: Where no version can be loaded.
        """
        model = ServedModel(source.name, self._settings.policies, self._executor, self._metrics)
        version, release, broken = load_first(source, self._loader, self._metrics)
        model.serve(release)
        _logger.info(
            "loaded model %r version %s in %.1f s",
            model.name,
            release.version,
            release.load_seconds,
        )
        self.register_model(model)
        return VersionReloader(
            model, source, self._loader, self._loading, self._metrics, version, set(broken)
        )

    def start(self, following: VersionReloader) -> None:
        """Serves until SIGTERM or SIGINT; returns when all requests have ended.

        Args:
            following: What `load` gave.

        Raises:
            UserError: Where another process began to listen on the port meanwhile.
        """
        config = uvicorn.Config(
            self._application(),
            http=BoundedHttp1,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=self._settings.access_log,
            # The client's address in the log is not for the client to say.
            proxy_headers=False,
            timeout_graceful_shutdown=self._settings.grace_seconds,
            timeout_keep_alive=self.timeout_keep_alive,
        )
        early: list[int] = []
        if threading.current_thread() is threading.main_thread():
            # uvicorn handles the signals while it runs and raises them again when it has ended.
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda number, _: early.append(number))
        try:
            with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
                runner.run(self._serve_all(config, following, early))
        except OSError as error:
            raise refused(error, self._settings.host, self.http_port) from error
        self._executor.shutdown(wait=False)
        self._loading.shutdown(wait=False)
        _logger.info("stopped")

    def _application(self) -> "ASGIApp":
        registries = [self._metrics.registry, prometheus_client.REGISTRY]
        inner: ASGIApp = Application(Handlers(self.dataplane, self._settings.limits, registries))
        if self._access is not None:
            inner = HttpAuthentication(inner, self._access)
        return HttpMetrics(inner, self._metrics)

    def _interceptors(self) -> list[Any]:
        measured = GrpcMetrics(self._metrics)
        return [measured] if self._access is None else [measured, GrpcAuthentication(self._access)]

    async def _serve_all(
        self, config: uvicorn.Config, following: VersionReloader, early: Sequence[int]
    ) -> None:
        grpc_server = (
            GrpcServer(self.dataplane, self._settings.limits, self._interceptors())
            if self.grpc_port is not None
            else None
        )
        rest = _Rest(config, following.model, grpc_server, self._settings, self.grpc_port, early)
        follower = (
            asyncio.create_task(following.follow(self._settings.reload_seconds))
            if following.source.watched and self._settings.reload_seconds
            else None
        )
        await rest.serve(sockets=[self._listener])
        if follower is not None:
            follower.cancel()


class _Rest(uvicorn.Server):  # type: ignore[misc]  # not typed here
    """uvicorn's server, which starts gRPC beside it, and leaves in steps.

    1. A signal: the readiness probes say no, every answer closes its connection, and requests are
       answered as before. With SIGTERM that lasts for `drain_seconds`, in which load balancers
       notice; Ctrl-C is somebody who waits.
    2. No connections are made any more; those that wait are accepted, and what has arrived is read.
    3. Requests under way end, for `grace_seconds` at most.

    A second signal goes to the next step.
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
        self._leaves_at = math.inf
        config.app = _Leaving(config.app, lambda: self._leaves_at < math.inf)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begins to leave; uvicorn's handler of signals."""
        if self._leaves_at < math.inf:
            self._leaves_at = 0.0
            super().handle_exit(sig, frame)
            return
        self._captured_signals.append(sig)
        self._model.leave()
        drain = self._settings.drain_seconds if sig == signal.SIGTERM else 0.0
        self._leaves_at = time.monotonic() + drain

    async def on_tick(self, counter: int) -> bool:
        """Says whether to end; uvicorn asks ten times a second."""
        if time.monotonic() >= self._leaves_at:
            self.should_exit = True
        return bool(await super().on_tick(counter))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to listen, and says where."""
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
            # It came before uvicorn listened to signals.
            self.handle_exit(number, None)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends, REST and gRPC side by side."""
        await asyncio.gather(self._shutdown_rest(sockets), self._shutdown_grpc())

    async def _shutdown_rest(self, sockets: list[socket.socket] | None) -> None:
        if self._settings.workers == 1:
            # What workers share is for the process that watches over them to close.
            for listener in sockets or ():
                take_no_more(listener)
        # uvicorn resets connections that wait, and closes those without a request at once.
        await asyncio.sleep(_LAST_CALL_SECONDS)
        await super().shutdown(sockets)

    async def _shutdown_grpc(self) -> None:
        if self._grpc is not None:
            await self._grpc.stop(self._settings.grace_seconds)


class _Leaving:
    """Tells clients to close their connections when the server is about to leave.

    Args:
        app: The application.
        leaving: Whether that is so.
    """

    def __init__(self, app: "ASGIApp", leaving: Any) -> None:
        self._app = app
        self._leaving = leaving

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        def closing(message: "Message") -> Any:
            if message["type"] == "http.response.start" and self._leaving():
                message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            return send(message)

        await self._app(scope, receive, closing)
