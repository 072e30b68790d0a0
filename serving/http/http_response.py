"""Responses of the HTTP interface, errors among them."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

import orjson

from kfp_tabular.serving.http.content_encoding import ACCEPTED
from kfp_tabular.serving.http.http_request import ClientDisconnectedError
from kfp_tabular.serving.model.overload import OverloadedError
from kfp_tabular.serving.protocol.request_error import RequestError

JSON = b"application/json"

_CLIENT_DISCONNECTED = 499

_ERROR_HEADERS: Mapping[int, tuple[tuple[bytes, bytes], ...]] = {
    # The rest of a body that is late must not be read as the next request.
    HTTPStatus.REQUEST_TIMEOUT: ((b"connection", b"close"),),
    # RFC 9110, 12.5.3: what the client may use instead.
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: ((b"accept-encoding", ACCEPTED.encode("ascii")),),
}


class HttpResponse(NamedTuple):
    """A response.

    Attributes:
        content: The body.
        status: The HTTP status.
        media_type: The body's media type.
        headers: Headers besides the body's type and length; names in lower case.
    """

    content: bytes
    status: int = 200
    media_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


def json_response(
    content: Mapping[str, Any], status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> HttpResponse:
    """Return a response with a JSON object.

    Example:
        >>> json_response({"ready": True}).content
        b'{"ready":true}'
    """
    return HttpResponse(orjson.dumps(content), status, headers=headers)


def error_response(error: Exception) -> HttpResponse | None:
    """Return the response to a request that failed, or None for an unexpected exception.

    Example:
        >>> error_response(RequestError("no rows", feature="hour", row=3)).content
        b'{"error":"no rows","feature":"hour","row":3}'
        >>> error_response(KeyError("hour"))
    """
    if isinstance(error, RequestError):
        content: dict[str, Any] = {"error": str(error)}
        if error.feature is not None:
            content["feature"] = error.feature
        if error.row is not None:
            content["row"] = error.row
        return json_response(content, error.status, _ERROR_HEADERS.get(error.status, ()))
    if isinstance(error, OverloadedError):
        seconds = b"%d" % error.retry_after_seconds
        return json_response({"error": str(error)}, 503, ((b"retry-after", seconds),))
    if isinstance(error, ClientDisconnectedError):
        return HttpResponse(b"", _CLIENT_DISCONNECTED)
    return None
