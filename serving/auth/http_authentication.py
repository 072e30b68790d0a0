"""Authentication for REST: pure ASGI, before anything of a request is read."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kfp_tabular.serving.auth.access_policy import AccessPolicy, Denial
from kfp_tabular.serving.protocol import routes

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

REALM = "kfp-tabular"

_READING = frozenset({"GET", "HEAD"})


class HttpAuthentication:
    """Lets requests through that present a key in force.

    Wrap the whole application, inside of what measures requests and outside of all else:
    `HttpMetrics(HttpAuthentication(app, policy), metrics)`.

    Others are answered with status 401 and a challenge (RFC 9110, 11.6.1; RFC 6750, 3), without
    reading their bodies. What is left open takes GET and HEAD only.

    Args:
        app: The application.
        policy: Who is let in.
    """

    def __init__(self, app: "ASGIApp", policy: AccessPolicy) -> None:
        self._app = app
        self._policy = policy

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Lets a request through, or answers it."""
        if scope["type"] == "http":
            path = scope["path"]
            operation = routes.operation_of_path(path) if scope["method"] in _READING else None
            denial = self._policy.judge(operation, scope["headers"], routes.protocol_of_path(path))
            if denial is not None:
                await _refuse(denial, send)
                return
        elif scope["type"] != "lifespan":
            # No other kind is served, and none may come in unchecked.
            await send({"type": "websocket.close", "code": 1008})
            return
        await self._app(scope, receive, send)


async def _refuse(denial: Denial, send: "Send") -> None:
    message, error = _ANSWERS[denial]
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


_ANSWERS: Mapping[Denial, tuple[str, str]] = {
    "missing": (
        "this server asks for a key: send it as 'Authorization: Bearer <key>' or 'X-API-Key: "
        "<key>'.",
        "",
    ),
    "malformed": (
        "there is no key that could be one in 'Authorization: Bearer <key>' or 'X-API-Key: <key>'.",
        ', error="invalid_request"',
    ),
    "unknown": ("this key is not in force here.", ', error="invalid_token"'),
}
"""A message, and the challenge's further parameters: none where no key was sent (RFC 6750, 3.1)."""
