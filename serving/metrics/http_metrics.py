"""Measures REST requests: pure ASGI, around everything else."""

import time
from typing import TYPE_CHECKING, Any

from kfp_tabular.serving.metrics.instruments import Metrics
from kfp_tabular.serving.protocol import routes

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_GONE = "499"
_FAILED = "500"


class HttpMetrics:
    """Counts and measures every request. Wrap it around all else: `HttpMetrics(app, metrics)`.

    Args:
        app: The application, with its authentication.
        metrics: Where to count.
    """

    def __init__(self, app: "ASGIApp", metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Runs the application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        code = _GONE

        def noted(message: "Message") -> Any:
            nonlocal code
            if message["type"] == "http.response.start":
                code = str(message["status"])
            return send(message)

        path = scope["path"]
        protocol = routes.protocol_of_path(path)
        self._metrics.began(protocol)
        begin = time.perf_counter()
        try:
            await self._app(scope, receive, noted)
        except Exception:
            code = _FAILED
            raise
        finally:
            seconds = time.perf_counter() - begin
            self._metrics.ended(protocol, routes.operation_of_path(path), code, seconds)
