"""The server of one process: the model, HTTP and gRPC, on one event loop."""

import asyncio
import functools
import logging
import signal
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
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
from kfp_tabular.serving.http import connection_bounds
from kfp_tabular.serving.http.allowed_hosts import AllowedHosts
from kfp_tabular.serving.http.application import Application
from kfp_tabular.serving.http.bounded_http1 import BoundedHttp1
from kfp_tabular.serving.http.connection_bounds import ConnectionBounds, DescriptorShare
from kfp_tabular.serving.http.request_handlers import RequestHandlers
from kfp_tabular.serving.metrics.bound_reports import BoundReports
from kfp_tabular.serving.metrics.grpc_metrics import GrpcMetrics
from kfp_tabular.serving.metrics.http_metrics import HttpMetrics
from kfp_tabular.serving.metrics.instruments import Metrics
from kfp_tabular.serving.model.data_plane import ReadyDataPlane
from kfp_tabular.serving.model.large_requests import LargeRequests
from kfp_tabular.serving.model.loaded_version import VersionLoader
from kfp_tabular.serving.model.model_repository import ServedModelSource
from kfp_tabular.serving.model.served_model import ServedModel
from kfp_tabular.serving.model.version_reload import VersionReloader, load_first
from kfp_tabular.serving.process.graceful_server import GracefulServer
from kfp_tabular.serving.process.heartbeat import beat
from kfp_tabular.serving.process.listening_socket import listen_error
from kfp_tabular.serving.settings.server_settings import ServerSettings

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_logger = logging.getLogger(__name__)


class ModelServer(kserve.ModelServer):  # type: ignore[misc]  # kserve has no types
    """KServe's model server with this project's interfaces, on sockets that it is given.

    Args:
        settings: How to serve.
        listener: A bound socket for HTTP.
        grpc_port: The reserved port for gRPC; None for no gRPC.
        threads: How many calls of the model run in parallel.
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
            # KServe would read these from the environment and change the port that it reports.
            ssl_certfile=None,
            ssl_keyfile=None,
        )
        self._settings = settings
        self._listener = listener
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="predict")
        self._loading = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._metrics = Metrics(CollectorRegistry())
        self._reports = BoundReports(self._metrics.count_bound)
        self.dataplane = ReadyDataPlane(
            self.registered_models,
            LargeRequests(
                settings.limits.max_pending_bytes(settings.workers),
                self._metrics.observe_pending_bytes,
                partial(self._metrics.count_overload, "bytes"),
            ),
        )
        self._loader = VersionLoader(
            self._executor,
            settings.batches,
            threads,
            self._metrics.observe_call,
            settings.models,
            explains=settings.limits.explain_rows > 0,
        )
        path = settings.authentication.auth_keys
        self._keys = KeyRing(path) if path else None
        self._access = (
            AccessPolicy(
                self._keys.owner,
                settings.authentication.auth_open,
                self._metrics.count_admission,
                self._metrics.count_denial,
            )
            if self._keys
            else None
        )

    def load(self, source: ServedModelSource) -> VersionReloader:
        """Load the model to serve.

        Args:
            source: Where its versions are.

        Returns:
            The reloader that follows the versions.

        Raises:
            UserError: If no version can be loaded.
        """
        model = ServedModel(source.name, self._settings.policies, self._executor, self._metrics)
        version, loaded, broken = load_first(source, self._loader, self._metrics)
        model.switch_to(loaded)
        _logger.info(
            "loaded model %r version %s in %.1f s",
            model.name,
            loaded.version,
            loaded.load_seconds,
        )
        self.register_model(model)
        return VersionReloader(
            model, source, self._loader, self._loading, self._metrics, version, set(broken)
        )

    def start(self, reloader: VersionReloader, heartbeat: int | None = None) -> None:
        """Serve until SIGTERM or SIGINT; return when all requests have ended.

        Args:
            reloader: What `load` returned.
            heartbeat: The file descriptor for signs of life; None without a supervisor.

        Raises:
            UserError: If another process has started to listen on the port.
        """
        share = self._share_of_descriptors()
        bounds = ConnectionBounds(share.connections, self._reports.reached)
        config = uvicorn.Config(
            self._application(),
            http=functools.partial(BoundedHttp1, bounds=bounds),
            backlog=share.backlog,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=self._settings.access_log,
            # A client must not choose its address in the log.
            proxy_headers=False,
            timeout_graceful_shutdown=self._settings.grace_seconds,
            timeout_keep_alive=self.timeout_keep_alive,
        )
        early: list[int] = []
        if threading.current_thread() is threading.main_thread():
            # uvicorn handles the signals while it runs, and raises them again at the end.
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda number, _: early.append(number))
        try:
            with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
                runner.run(self._serve(config, reloader, early, heartbeat))
        except OSError as error:
            raise listen_error(error, self._settings.host, self.http_port) from error
        self._executor.shutdown(wait=False)
        self._loading.shutdown(wait=False)
        _logger.info("stopped")

    def _share_of_descriptors(self) -> DescriptorShare:
        wanted = self._settings.max_connections
        share = connection_bounds.share_of_descriptors(wanted, connection_bounds.descriptor_limit())
        if share.connections < wanted:
            _logger.warning(
                "--max-connections is %d, but the limit of open files (ulimit -n) has room for %d",
                wanted,
                share.connections,
            )
        return share

    def _application(self) -> "ASGIApp":
        registries = [self._metrics.registry, prometheus_client.REGISTRY]
        handlers = RequestHandlers(self.dataplane, self._settings.limits, registries)
        inner: ASGIApp = Application(handlers)
        if self._access is not None:
            inner = HttpAuthentication(inner, self._access)
        if self._settings.allowed_hosts:
            inner = AllowedHosts(inner, self._settings.allowed_hosts)
        return HttpMetrics(inner, self._metrics)

    def _interceptors(self) -> list[Any]:
        metrics = GrpcMetrics(self._metrics)
        return [metrics] if self._access is None else [metrics, GrpcAuthentication(self._access)]

    async def _serve(
        self,
        config: uvicorn.Config,
        reloader: VersionReloader,
        early: Sequence[int],
        heartbeat: int | None,
    ) -> None:
        grpc_server = (
            GrpcServer(
                self.dataplane,
                self._settings.limits,
                self._interceptors(),
                self._reports.reached,
            )
            if self.grpc_port is not None
            else None
        )
        server = GracefulServer(
            config, reloader.model, grpc_server, self._settings, self.grpc_port, early
        )
        following: list[asyncio.Task[None]] = []
        if reloader.source.has_versions and self._settings.reload_seconds:
            following.append(asyncio.create_task(reloader.follow(self._settings.reload_seconds)))
        if self._keys is not None:
            following.append(asyncio.create_task(self._keys.follow()))
        if heartbeat is not None:
            following.append(asyncio.create_task(beat(heartbeat)))
        await server.serve(sockets=[self._listener])
        for task in following:
            task.cancel()
