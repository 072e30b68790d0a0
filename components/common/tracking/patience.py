"""Repeats calls to a tracking store that is away, within a bound for all of them together."""

import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

SECONDS = 60.0
"""How long a run waits, in all, for a store that does not answer."""

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 8.0
_TRANSIENT = ("TEMPORARILY_UNAVAILABLE", "INTERNAL_ERROR", "REQUEST_LIMIT_EXCEEDED")
# What the databases' drivers say when another process inserted the same row between MLflow's look
# and its insert. MLflow calls it a bad request; the next try finds the row and updates it.
_INSERTED_MEANWHILE = ("IntegrityError", "UniqueViolation", "DuplicateKey")


class AwayError(Exception):
    """The store did not answer in time; the message is one line."""


class RefusedError(Exception):
    """The store answered that it will not do this; the message is one line."""


class Patience:
    """Calls with retries.

    Args:
        seconds: The time for all pauses together; once it is used up, nothing is tried twice.
        now: The clock.
        pause: Waits.

    Example:
        >>> def fails():
        ...     raise OSError("no route to host")
        >>> Patience(0).call(fails)
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.tracking.patience.AwayError: no route to host
    """

    def __init__(
        self,
        seconds: float = SECONDS,
        now: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._left = seconds
        self._now = now
        self._pause = pause

    def call(self, function: Callable[[], Result]) -> Result:
        """Call a function until it succeeds.

        Raises:
            AwayError: The store is still away and the time is used up.
            RefusedError: The store refuses, so that a retry would not help.
        """
        from mlflow.exceptions import MlflowException

        wait = _FIRST_PAUSE
        while True:
            began = self._now()
            try:
                return function()
            except (MlflowException, OSError) as error:
                line = one_line(error)
                if isinstance(error, MlflowException) and not _is_transient(error):
                    raise RefusedError(line) from error
                self._left -= self._now() - began
                if self._left <= 0:
                    raise AwayError(line) from error
            wait = min(wait, self._left)
            self._pause(wait)
            self._left -= wait
            wait = min(2 * wait, _LONGEST_PAUSE)


def one_line(error: BaseException) -> str:
    """Return an error in one line of bounded length."""
    line = " ".join(str(error).split())
    return line if len(line) <= 300 else f"{line[:299]}…"


def _is_transient(error: Exception) -> bool:
    """Whether another try may succeed.

    The server is away, its database is busy, or another process recorded the same at once.
    """
    code = getattr(error, "error_code", "")
    status = error.get_http_status_code() if hasattr(error, "get_http_status_code") else 500
    text = str(error)
    if "error code 401" in text or "error code 403" in text:
        return False
    if any(name in text for name in _INSERTED_MEANWHILE):
        return True
    return code in _TRANSIENT or status >= 500 or "failed with exception" in text
