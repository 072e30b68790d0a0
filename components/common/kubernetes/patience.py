"""How long to bear with an API server that does not answer."""

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """How to deal with an API server that does not answer.

    Attributes:
        unreachable_seconds: How long the API server may be away before a call fails.
        doubt_seconds: How long a refused token (401), or a right that is suddenly missing (403),
            may last before it is believed. API servers that have just started refuse what they
            will allow a moment later; and a service account's token is replaced while it is in
            use, which the client notices within a minute.
        first_delay_seconds: The wait before the first repetition; doubles with each further one.
        longest_delay_seconds: The longest wait between repetitions.
        answer_seconds: How long to wait for an answer.
        watch_seconds: How long one watch call lasts. A connection that died silently is noticed
            at the end of one.
        poll_seconds: The time between looks where watching is forbidden.
        cancel_seconds: How long a deleted resource may take to be gone before one stops waiting
            for that. A pod gets 30 s to end after SIGTERM, by default.
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
        """Gives how long to wait after so many failures in a row, with jitter."""
        longest = min(
            self.first_delay_seconds * 2.0 ** min(failures, 30), self.longest_delay_seconds
        )
        return longest * random.uniform(0.5, 1)  # noqa: S311 - spreads load, hides nothing
