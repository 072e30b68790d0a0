"""Which failures of the Kubernetes API are retried, for how long, and after which delays."""

import logging
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kfp_tabular.components.common.kubernetes.client.errors import (
    ForbiddenError,
    UnreachableError,
)

if TYPE_CHECKING:
    from kubernetes.client import ApiException

_TRANSIENT = frozenset({401, 408, 429})
_DOUBTFUL = frozenset({401, 403})

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RetryPolicy:
    """How long to retry, and how long a single request may take.

    Attributes:
        unreachable_seconds: How long the API server may be unavailable before a call fails.
        doubt_seconds: How long to retry a rejected token (401), or a permission that was granted
            before and now is not (403). An API server that has just started refuses requests that
            it will allow a moment later, and a service account's token is replaced while it is in
            use, which the client notices within a minute.
        first_delay_seconds: The delay before the first retry; it doubles with each further one.
        longest_delay_seconds: The longest delay between retries.
        answer_seconds: How long to wait for a response.
        watch_seconds: How long one watch call lasts. A connection that died silently is noticed
            when the call should have ended.
        poll_seconds: The interval between list calls where watching is forbidden.
        cancel_seconds: How long to wait for a deleted resource to disappear. A pod has 30 s after
            SIGTERM, by default.
    """

    unreachable_seconds: float = 600
    doubt_seconds: float = 90
    first_delay_seconds: float = 0.5
    longest_delay_seconds: float = 15
    answer_seconds: float = 30
    watch_seconds: float = 60
    poll_seconds: float = 5
    cancel_seconds: float = 25

    def delay(self, failures: int) -> float:
        """Return the delay in seconds after a number of failures in a row, with jitter."""
        longest = min(
            self.first_delay_seconds * 2.0 ** min(failures, 30), self.longest_delay_seconds
        )
        return longest * random.uniform(0.5, 1)  # noqa: S311 - spreads load, hides nothing


@dataclass(frozen=True)
class TransientFailure:
    """A failed attempt that is worth repeating.

    Attributes:
        reason: What happened, for the log.
        status: The HTTP status; 0 where there was no response.
        retry_after: The delay in seconds that the server asks for; 0 for none.
        refusal: What to raise when retrying does not help; None for `UnreachableError`.
    """

    reason: str
    status: int = 0
    retry_after: float = 0
    refusal: ForbiddenError | None = None

    @classmethod
    def of(cls, error: "ApiException") -> "TransientFailure":
        """Return the failure that a response describes."""
        after = (error.headers or {}).get("Retry-After", "")
        body = (error.body or b"")[:300].decode("utf-8", errors="replace")
        return cls(
            f"HTTP {error.status} {body}".strip(),
            error.status,
            float(after) if after.isdigit() else 0,
        )


def is_transient(status: int) -> bool:
    """Whether a request that failed with this HTTP status is worth repeating.

    Example:
        >>> [status for status in (401, 404, 409, 429, 503) if is_transient(status)]
        [401, 429, 503]
    """
    return status in _TRANSIENT or status >= 500


class Retry:
    """The retries of one request.

    Args:
        policy: For how long to retry.
        subject: What the request is about, for the log.

    Attributes:
        failures: How many attempts have failed so far.
    """

    def __init__(self, policy: RetryPolicy, subject: str) -> None:
        self.failures = 0
        self._policy = policy
        self._subject = subject
        # A refusal and an outage have time limits of their own; each starts when it begins.
        self._trouble = 0
        self._since = 0.0

    def succeeded(self) -> None:
        """Log that the server responds again, if an attempt had failed."""
        if self.failures:
            _logger.info("The API server responds again.")

    def delay_after(self, failure: TransientFailure) -> float:
        """Count a failed attempt and return the delay in seconds before the next one.

        Raises:
            UnreachableError: Retried for as long as the policy allows.
            ForbiddenError: The same, where the failure was a refusal.
        """
        now = time.monotonic()
        trouble = failure.status if failure.status in _DOUBTFUL else -1
        if trouble != self._trouble:
            self._trouble, self._since = trouble, now
        budget = self._policy.unreachable_seconds
        if trouble in _DOUBTFUL:
            budget = min(budget, self._policy.doubt_seconds)
        delay = max(self._policy.delay(self.failures), failure.retry_after)
        elapsed = now - self._since
        if elapsed + delay > budget:
            raise failure.refusal or UnreachableError(
                f"{self._subject}: gave up after {elapsed:.0f} s: {failure.reason}",
                failure.status,
            )
        if not self.failures:
            _logger.warning(
                "%s: %s; retrying for up to %.0f s.", self._subject, failure.reason, budget
            )
        self.failures += 1
        return delay
