"""The HTTP interface: pure ASGI from a request's path to its answer.

Every request has a handler of this project. KServe's own answer a malformed v2 request with its
values or with status 500, log a traceback for every bad request, echo headers from `:explain`, and
let anybody unload the model. A web framework's layers would take as long as decoding a request,
checking it and writing the answer together.
"""

import logging
import traceback
from typing import TYPE_CHECKING

from kfp_tabular.serving.http.http_request import HttpRequest
from kfp_tabular.serving.http.http_response import HttpResponse, error_response, json_response
from kfp_tabular.serving.http.request_handlers import Handlers
from kfp_tabular.serving.protocol import routes

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_logger = logging.getLogger(__name__)


class Application:
    """The ASGI application.

    Args:
        handlers: What answers.
    """

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers.by_route()

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answers a request."""
        try:
            answer = await self._answer(scope, receive)
        except Exception as error:  # noqa: BLE001  the outermost place where one can be caught
            answer = error_response(error) or _unforeseen(error, scope["path"])
        await send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": [
                    (b"content-length", b"%d" % len(answer.content)),
                    (b"content-type", answer.media_type),
                    *answer.headers,
                ],
            }
        )
        await send({"type": "http.response.body", "body": answer.content})

    async def _answer(self, scope: "Scope", receive: "Receive") -> HttpResponse:
        route = routes.find_route(scope["path"])
        if route is None:
            return json_response({"error": "there is nothing at this path."}, 404)
        allowed, handle = self._handlers[route.name]
        method = scope["method"]
        if method != allowed and (method, allowed) != ("HEAD", "GET"):
            problem = {"error": f"this path takes {allowed} only."}
            return json_response(problem, 405, ((b"allow", allowed.encode("ascii")),))
        return await handle(HttpRequest(route, scope, receive))


def _unforeseen(error: Exception, path: str) -> HttpResponse:
    """Logs where an error arose that nobody foresaw, and answers it.

    Neither the log nor the answer holds the error's message, which may hold a value.
    """
    _logger.error(
        "%s in %s:\n%s",
        type(error).__name__,
        path,
        "".join(traceback.format_tb(error.__traceback__)),
    )
    return json_response({"error": "internal error; the server's log says more."}, 500)
