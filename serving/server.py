"""The server process."""

import asyncio
import logging
import signal
import socket
import threading

import kserve
import uvicorn

from kfp_tabular.serving.application import ReadyDataPlane, application
from kfp_tabular.serving.listener import refused
from kfp_tabular.serving.model import TabularModel
from kfp_tabular.serving.settings import Settings

_logger = logging.getLogger(__name__)


class Server(kserve.ModelServer):  # type: ignore[misc]  # kserve has no types
    """KServe's model server with this project's HTTP interface, on a socket of one's own.

    Args:
        settings: How to serve.
        listener: A bound socket to serve on.
    """

    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        super().__init__(
            http_port=listener.getsockname()[1],
            workers=1,
            enable_grpc=False,
            enable_latency_logging=False,
            grace_period=settings.grace_seconds,
            # KServe would read these from the environment and change the port it reports.
            ssl_certfile=None,
            ssl_keyfile=None,
        )
        self.dataplane = ReadyDataPlane(model_registry=self.registered_models)
        self._settings = settings
        self._listener = listener

    def start(self, models: list[TabularModel]) -> None:
        """Serves loaded models until SIGTERM or SIGINT; returns when all requests have ended.

        Args:
            models: The models.

        Raises:
            UserError: Where another process began to listen on the port meanwhile.
        """
        for model in models:
            self.register_model(model)
        config = uvicorn.Config(
            application(self.dataplane, self._settings.limits),
            log_config=None,
            timeout_graceful_shutdown=self._settings.grace_seconds,
            timeout_keep_alive=self.timeout_keep_alive,
        )
        if threading.current_thread() is threading.main_thread():
            # uvicorn handles the signals while it runs and raises them again when it has ended.
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: None)
        try:
            with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
                runner.run(_Announced(config, models).serve(sockets=[self._listener]))
        except OSError as error:
            raise refused(error, self._settings.host, self.http_port) from error
        for model in models:
            model.stop()
        _logger.info("stopped")


class _Announced(uvicorn.Server):  # type: ignore[misc]  # not typed here
    """Logs where it serves once it does."""

    def __init__(self, config: uvicorn.Config, models: list[TabularModel]) -> None:
        super().__init__(config)
        self._models = models

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            host, port = listener.getsockname()[:2]
            address = f"[{host}]" if ":" in host else host
            for model in self._models:
                _logger.info(
                    "ready: http://%s:%d/v1/models/%s:predict and /v2/models/%s/infer",
                    address,
                    port,
                    model.name,
                    model.name,
                )
