"""What a request may do wrong."""

from kfp_tabular.components.common.instances import InstanceError


class RequestError(Exception):
    """A request that cannot be answered as it stands.

    The message goes to the client. It names features, rows and types, never a value.

    Attributes:
        status: The HTTP status: 400, 404 or 413.
        feature: The feature at fault, where there is one.
        row: The row at fault, from 0, where there is one.
    """

    def __init__(
        self, message: str, *, status: int = 400, feature: str | None = None, row: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.feature = feature
        self.row = row

    @classmethod
    def of_instance(cls, error: InstanceError) -> "RequestError":
        """Gives the answer to an instance that the model cannot take."""
        return cls(str(error), feature=error.feature, row=error.row)


def too_many_rows(rows: int, most: int) -> RequestError:
    """Gives the answer to a batch of `rows` rows where `most` are allowed."""
    return RequestError(
        f"the request has {rows} rows and this server takes at most {most}; split it.", status=413
    )
