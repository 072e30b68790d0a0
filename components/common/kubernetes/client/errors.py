"""What can go wrong between a task and the cluster."""

from kfp_tabular.components.common.errors import UserError


class ApiError(Exception):
    """The API server refused a request.

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
    """There is no such object (404)."""


class ConflictError(ApiError):
    """The name is taken, or the object changed since it was read (409)."""


class GoneError(ApiError):
    """The resource version is too old to watch or list from (410)."""


class UnreachableError(ApiError):
    """The API server did not answer for longer than one is ready to wait."""


class AbortedError(Exception):
    """A call was given up because the work it belonged to is over."""


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
    """The API server does not accept an object or knows no such kind; the message is its own."""


class SpecConflictError(UserError):
    """A resource of that name exists and is not the wanted one. It was left alone."""


class JobFailedError(Exception):
    """A job failed. The message holds the failing pod's reason, events and last log lines.

    Attributes:
        over: Whether the job has ended by itself, so that nothing of it needs to be stopped.
        exit_code: That of the container which said that no other attempt helps, one of the launch's
            `final_exit_codes`; None where none did.
    """

    def __init__(self, message: str, *, over: bool = False, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.over = over
        self.exit_code = exit_code


class DeadlineError(JobFailedError):
    """A job took longer than its deadline."""


class DeletedError(JobFailedError):
    """Somebody else deleted a job that was being waited for."""

    def __init__(self, message: str) -> None:
        super().__init__(message, over=True)


class TerminatedError(Exception):
    """The task was told to stop while it was waiting."""
