"""The HTTP interface as a plain ASGI application: from a request's path to its response.

All handlers are this project's. KServe's own answer a malformed v2 request with its values or with
status 500, log a traceback for every bad request, echo headers from `:explain`, and let any client
unload the model. A web framework's layers would take as long as decoding, checking and encoding
together.
"""

from typing import TYPE_CHECKING

from kfp_tabular.serving.http.http_request import HttpRequest
from kfp_tabular.serving.http.http_response import HttpResponse, error_response, json_response
from kfp_tabular.serving.http.request_handlers import RequestHandlers
from kfp_tabular.serving.model.large_requests import FREE_BYTES, Hold
from kfp_tabular.serving.protocol import routes
from kfp_tabular.serving.protocol.request_error import INTERNAL_ERROR, log_unexpected

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


class Application:
    """The ASGI application.

    Args:
        handlers: The handlers of the routes.
    """

    def __init__(self, handlers: RequestHandlers) -> None:
        self._handlers = handlers.by_route()
        self._large = handlers.large

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer a request."""
        with self._large.hold() as hold:
            await self._answer(scope, receive, send, hold)

    async def _answer(self, scope: "Scope", receive: "Receive", send: "Send", hold: Hold) -> None:
        try:
            response = await self._respond(scope, receive, hold)
        except Exception as error:  # noqa: BLE001  the outermost place to catch one
            known = error_response(error)
            if known is None:
                log_unexpected(error, scope["path"])
            response = known or json_response({"error": INTERNAL_ERROR}, 500)
        await send(
            {
                "type": "http.response.start",
                "status": response.status,
                "headers": [
                    (b"content-length", b"%d" % len(response.content)),
                    (b"content-type", response.media_type),
                    *response.headers,
                ],
            }
        )
        large = len(response.content) > FREE_BYTES
        await send({"type": "http.response.body", "body": response.content, "more_body": large})
        if large:
            # Only a further message waits until the client has taken most of the one before it; as
            # long as it has not, the response counts as held.
            await send({"type": "http.response.body", "body": b""})

    async def _respond(self, scope: "Scope", receive: "Receive", hold: Hold) -> HttpResponse:
        route = routes.find_route(scope["path"])
        if route is None:
            return json_response({"error": "unknown path."}, 404)
        allowed, handle = self._handlers[route.name]
        method = scope["method"]
        if method != allowed and (method, allowed) != ("HEAD", "GET"):
            problem = {"error": f"this path accepts {allowed} only."}
            return json_response(problem, 405, ((b"allow", allowed.encode("ascii")),))
        return await handle(HttpRequest(route, scope, receive, hold))
