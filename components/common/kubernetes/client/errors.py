"""Errors between a task and the cluster."""

from kfp_tabular.components.common.errors import UserError


class ApiError(Exception):
    """The API server answered a request with an error.

    Attributes:
        status: The HTTP status.
        reason: The machine-readable reason of the server's `Status`, such as `AlreadyExists`; may
            be empty.
    """

    def __init__(self, message: str, status: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class NotFoundError(ApiError):
    """The object does not exist (404)."""


class ConflictError(ApiError):
    """The name is taken, or the object changed since it was read (409)."""


class GoneError(ApiError):
    """The resource version is too old to watch or list from (410)."""


class UnreachableError(ApiError):
    """The API server was unavailable for longer than the retry policy allows."""


class AbortedError(Exception):
    """A call was given up because the work that it belonged to is over."""


class ForbiddenError(UserError):
    """The service account lacks a permission (403); the message names it.

    Attributes:
        verb: Such as `create`.
        resource: Such as `tfjobs.kubeflow.org` or `pods/log`.
    """

    def __init__(self, message: str, verb: str, resource: str) -> None:
        super().__init__(message)
        self.verb = verb
        self.resource = resource


class RejectedError(UserError):
    """The API server rejects an object or does not know its kind; the message is the server's."""


class SpecConflictError(UserError):
    """A resource of that name exists and is not the requested one. It was not changed."""


class JobFailedError(Exception):
    """A job failed. The message holds the failing pod's reason, events and last log lines.

    Attributes:
        over: Whether the job has ended by itself, so that nothing needs to be stopped.
        exit_code: The exit code of a main container after which a retry does not help, one of the
            launch's `final_exit_codes`; None otherwise.
    """

    def __init__(self, message: str, *, over: bool = False, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.over = over
        self.exit_code = exit_code


class DeadlineError(JobFailedError):
    """A job missed its deadline."""


class DeletedError(JobFailedError):
    """A job was deleted by someone else during the wait."""

    def __init__(self, message: str) -> None:
        super().__init__(message, over=True)


class TerminatedError(Exception):
    """The task received SIGTERM during the wait."""
