"""What a request may do wrong."""

from typing import Literal

from kfp_tabular.components.common.prediction.instances import InstanceError

Reason = Literal["malformed", "unknown", "missing", "type", "domain", "range", "size", "graph"]
"""Why a request is refused: it does not follow the protocol; it names a feature or an output that
the model does not have; a value is missing, of the wrong type, not among the schema's, or beyond
the schema's range; the request is too large; or the model's graph refuses a value, or makes of it
what is no finite number."""


class RequestError(Exception):
    """A request that cannot be answered as it stands.

    The message goes to the client. It names features, rows and types, never a value.

    Attributes:
        status: The HTTP status: 400, 404, 413 or 503.
        reason: What is wrong with the request; None where it asks for what is not there.
        feature: The feature at fault, where there is one. It may be a name that the model does
            not know.
        row: The row at fault, from 0, where there is one.
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
        """Gives the answer to an instance that the model cannot take."""
        return cls(str(error), reason=error.reason, feature=error.feature, row=error.row)


def too_many_rows(rows: int, most: int) -> RequestError:
    """Gives the answer to a batch of `rows` rows where `most` are allowed."""
    return RequestError(
        f"the request has {rows} rows and this server takes at most {most}; split it.",
        status=413,
        reason="size",
    )


def too_large(most: int) -> RequestError:
    """Gives the answer to a body above `most` bytes."""
    return RequestError(
        f"the body is larger than {most} bytes, the most that this server takes.",
        status=413,
        reason="size",
    )


def not_ready(name: str) -> RequestError:
    """Gives the answer while a model is not loaded."""
    return RequestError(f"model {name!r} is not ready.", status=503, reason=None)
