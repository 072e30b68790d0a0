"""The keys in force: read when the server starts, and again when the secret is rotated."""

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.serving.auth import keys
from kfp_tabular.serving.auth.keys import Keys

CHECK_SECONDS = 5.0
RETRY_SECONDS = 1.0

_logger = logging.getLogger(__name__)


class KeyRing:
    """Knows whose key is whose, and follows the secret when it changes.

    The secret's files are looked at when a key is asked for: at most every `check_seconds`, and
    for a key that is unknown, which may be a new one, at most every second. So a new key works at
    once, and a withdrawn one for `check_seconds` at most. There is no thread to start or stop.

    What the secret holds is taken over as a whole. Where that cannot be read or is not valid, the
    keys before it stay in force and an error is logged, once: a mistake in one key locks nobody
    out. For use from one thread, that of the event loop.

    Args:
        path: The mounted secret; see `keys.read`.
        check_seconds: How long a withdrawn key may still work.
        clock: Gives seconds that never go back.

    Raises:
        UserError: Where the keys cannot be read. A server that was told to ask for keys must not
            start without them.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        check_seconds: float = CHECK_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = Path(path)
        self._check_seconds = check_seconds
        self._clock = clock
        self._generation: tuple[object, ...] | None = keys.generation(path)
        self._keys: Keys = keys.read(path)
        self._checked = clock()
        self._problem = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the keys in force."""
        return self._keys.names

    def owner(self, presented: bytes) -> str | None:
        """Names the key that was presented; None where it is not in force.

        Args:
            presented: What the client sent.
        """
        self._look(self._check_seconds)
        owner = self._keys.owner(presented)
        if owner is None and self._look(min(RETRY_SECONDS, self._check_seconds)):
            owner = self._keys.owner(presented)
        return owner

    def _look(self, after_seconds: float) -> bool:
        """Takes over what the secret holds now; says whether that is something else."""
        now = self._clock()
        if now - self._checked < after_seconds:
            return False
        self._checked = now
        # Taken before reading: a change in between is seen the next time.
        generation = keys.generation(self._path)
        if generation == self._generation:
            return False
        try:
            self._keys = keys.read(self._path)
        except UserError as error:
            self._generation = None
            if str(error) != self._problem:
                self._problem = str(error)
                _logger.error("the keys before stay in force: %s", error)
            return False
        self._generation = generation
        self._problem = ""
        _logger.info("reloaded the keys: %s", ", ".join(self._keys.names))
        return True
