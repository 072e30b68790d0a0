"""Errors of a request, as every protocol reports them."""

import logging
import traceback
from typing import Literal

from kfp_tabular.components.common.prediction.instances import InstanceError

INTERNAL_ERROR = "internal error; see the server's log."
"""What a client reads after an unexpected exception."""

_logger = logging.getLogger(__name__)

Reason = Literal["malformed", "unknown", "missing", "type", "domain", "range", "size", "graph"]
"""Why a request is rejected:

- `malformed`: it does not follow the protocol.
- `unknown`: it names a feature or output that the model does not have.
- `missing`: a required value is missing.
- `type`: a value has the wrong type.
- `domain`, `range`: a value is not listed in the schema, or beyond the schema's range.
- `size`: the request is too large.
- `graph`: the model's graph fails on a value, or returns a number for it that is not finite.
"""


class RequestError(Exception):
    """A request that cannot be answered.

    The message goes to the client. It names features, rows and types, but never a value.

    Attributes:
        status: The HTTP status: 400, 404, 408, 413, 415 or 503.
        reason: What is wrong with the request's content; None if what it addresses does not exist
            or is not ready.
        feature: The feature at fault, if there is one. It may be a name that the model does not
            know.
        row: The row at fault, from 0, if there is one.

    Example:
        >>> error = RequestError("instance 3: feature 'hour' is missing.", reason="missing", row=3)
        >>> error.status, error.reason, error.row
        (400, 'missing', 3)
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        reason: Reason | None = "malformed",
        feature: str | None = None,
        row: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.feature = feature
        self.row = row

    @classmethod
    def of_instance(cls, error: InstanceError) -> "RequestError":
        """Return the error for an instance that the model cannot take."""
        return cls(str(error), reason=error.reason, feature=error.feature, row=error.row)


def too_many_rows(rows: int, most: int) -> RequestError:
    """Return the error for a request of `rows` rows where `most` are allowed.

    Example:
        >>> error = too_many_rows(20_000, 10_000)
        >>> error.status, str(error)
        (413, 'the request has 20000 rows, this server accepts 10000; split the request.')
    """
    return RequestError(
        f"the request has {rows} rows, this server accepts {most}; split the request.",
        status=413,
        reason="size",
    )


def too_large(most: int) -> RequestError:
    """Return the error for a body above `most` bytes.

    Example:
        >>> error = too_large(1_000_000)
        >>> error.status, str(error)
        (413, 'the body is larger than 1000000 bytes, the limit of this server; split the request.')
    """
    return RequestError(
        f"the body is larger than {most} bytes, the limit of this server; split the request.",
        status=413,
        reason="size",
    )


def not_ready(name: str) -> RequestError:
    """Return the error for a model that is not loaded yet, or no longer ready.

    Example:
        >>> error = not_ready("taxi")
        >>> error.status, str(error)
        (503, "model 'taxi' is not ready.")
    """
    return RequestError(f"model {name!r} is not ready.", status=503, reason=None)


def log_unexpected(error: Exception, where: str) -> None:
    """Log an exception with its traceback, without its message, which may quote a value.

    Args:
        error: The exception.
        where: The URL path or gRPC method that raised it.
    """
    trace = "".join(traceback.format_tb(error.__traceback__))
    _logger.error("%s in %s:\n%s", type(error).__name__, where, trace)
