"""Metrics of HTTP requests: ASGI middleware around everything else."""

import time
from typing import TYPE_CHECKING, Any

from kfp_tabular.serving.metrics.instruments import Metrics
from kfp_tabular.serving.protocol import routes

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_CLIENT_DISCONNECTED = "499"
_FAILED = "500"


class HttpMetrics:
    """Counts and times every HTTP request. The outermost middleware: `HttpMetrics(app, metrics)`.

    Args:
        app: The application, with its authentication.
        metrics: Where requests are counted.
    """

    def __init__(self, app: "ASGIApp", metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Run the application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        code = _CLIENT_DISCONNECTED

        def send_and_note(message: "Message") -> Any:
            nonlocal code
            if message["type"] == "http.response.start":
                code = str(message["status"])
            return send(message)

        path = scope["path"]
        protocol = routes.protocol_of_path(path)
        self._metrics.request_started(protocol)
        begin = time.perf_counter()
        try:
            await self._app(scope, receive, send_and_note)
        except Exception:
            code = _FAILED
            raise
        finally:
            seconds = time.perf_counter() - begin
            operation = routes.operation_of_path(path)
            self._metrics.request_ended(protocol, operation, code, seconds)
