"""Authentication of HTTP requests: ASGI middleware that runs before a request is read."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kfp_tabular.serving.auth.access_policy import AccessPolicy, Denial
from kfp_tabular.serving.protocol import routes

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

REALM = "kfp-tabular"

_READING = frozenset({"GET", "HEAD"})


class HttpAuthentication:
    """Admits requests with a valid key, and those that need none.

    Wrap it around the application and inside of the metrics:
    `HttpMetrics(HttpAuthentication(app, policy), metrics)`.

    Other requests get status 401 and a challenge (RFC 9110, 11.6.1; RFC 6750, 3); their bodies are
    not read. Without a key only GET and HEAD are possible.

    Args:
        app: The application.
        policy: Decides who is admitted.
    """

    def __init__(self, app: "ASGIApp", policy: AccessPolicy) -> None:
        self._app = app
        self._policy = policy

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass an admitted request on and answer a denied one."""
        if scope["type"] == "http":
            path = scope["path"]
            operation = routes.operation_of_path(path) if scope["method"] in _READING else None
            denial = self._policy.judge(operation, scope["headers"], routes.protocol_of_path(path))
            if denial is not None:
                await _deny(denial, send)
                return
        elif scope["type"] != "lifespan":
            # The server serves no other type, so none may pass unchecked.
            await send({"type": "websocket.close", "code": 1008})
            return
        await self._app(scope, receive, send)


async def _deny(denial: Denial, send: "Send") -> None:
    message, error = _RESPONSES[denial]
    body = b'{"error":"%s"}' % message.encode("ascii")
    challenge = f'Bearer realm="{REALM}"{error}'
    await send(
        {
            "type": "http.response.start",
            "status": 401,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode("ascii")),
                (b"www-authenticate", challenge.encode("ascii")),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})


_RESPONSES: Mapping[Denial, tuple[str, str]] = {
    "missing": (
        "this server requires a key: send 'Authorization: Bearer <key>' or 'X-API-Key: <key>'.",
        "",
    ),
    "malformed": (
        "malformed key: send it once, as 'Authorization: Bearer <key>' or 'X-API-Key: <key>'.",
        ', error="invalid_request"',
    ),
    "unknown": ("this key is not valid here.", ', error="invalid_token"'),
}
"""The message, and more parameters of the challenge: none if no key was sent (RFC 6750, 3.1)."""
