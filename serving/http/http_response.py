"""What the HTTP interface answers, errors among it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from kfp_tabular.serving.http.http_request import ClientDisconnectedError
from kfp_tabular.serving.model.batching import OverloadedError
from kfp_tabular.serving.protocol.request_error import RequestError

JSON = b"application/json"

_GONE_STATUS = 499


class HttpResponse(NamedTuple):
    """An answer.

    Attributes:
        content: Its body.
        status: Its HTTP status.
        media_type: The body's type.
        headers: Headers besides the body's type and length; names in lower case.
    """

    content: bytes
    status: int = 200
    media_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


def json_response(
    content: Mapping[str, Any], status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> HttpResponse:
    """Gives an answer of a JSON object."""
    return HttpResponse(orjson.dumps(content), status, headers=headers)


def error_response(error: Exception) -> HttpResponse | None:
    """Gives the answer to a request that cannot be answered as it stands.

    Args:
        error: Why not.

    Returns:
        The answer; None for an error that nobody foresaw.
    """
    if isinstance(error, RequestError):
        content: dict[str, Any] = {"error": str(error)}
        if error.feature is not None:
            content["feature"] = error.feature
        if error.row is not None:
            content["row"] = error.row
        return json_response(content, error.status)
    if isinstance(error, OverloadedError):
        after = b"%d" % error.retry_after_seconds
        return json_response({"error": str(error)}, 503, ((b"retry-after", after),))
    if isinstance(error, ClientDisconnectedError):
        return HttpResponse(b"", _GONE_STATUS)
    return None
