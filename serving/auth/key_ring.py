"""The valid keys: read when the server starts, and again when the secret changes."""

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
    """Looks up keys, and reloads them when the secret changes.

    A lookup checks the secret's files for changes: at most every `check_seconds`, and for an
    unknown key, which may be new, at most every second. So a new key works after a second at the
    latest, and a withdrawn key for `check_seconds` at most. No thread is needed.

    The secret is replaced as a whole. If its new content cannot be read or is not valid, the
    previous keys remain valid and an error is logged once, so a mistake in one key does not lock
    out the others. Use it from one thread, that of the event loop.

    Args:
        path: The mounted secret; see `keys.read_keys`.
        check_seconds: How long a withdrawn key may still work.
        clock: Returns monotonic seconds.

    Raises:
        UserError: If the keys cannot be read. A server with authentication must not start without
            them.
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
        self._keys: Keys = keys.read_keys(path)
        self._checked = clock()
        self._problem = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the valid keys."""
        return self._keys.names

    def owner(self, presented: bytes) -> str | None:
        """Return the name of a key, or None if the key is not valid.

        Args:
            presented: The key that the client sent.
        """
        self._reload(self._check_seconds)
        owner = self._keys.owner(presented)
        if owner is None and self._reload(min(RETRY_SECONDS, self._check_seconds)):
            owner = self._keys.owner(presented)
        return owner

    def _reload(self, after_seconds: float) -> bool:
        """Reload the keys if the secret has changed. Return whether it has."""
        now = self._clock()
        if now - self._checked < after_seconds:
            return False
        self._checked = now
        # Taken before reading, so the next check sees a change in between.
        generation = keys.generation(self._path)
        if generation == self._generation:
            return False
        try:
            self._keys = keys.read_keys(self._path)
        except UserError as error:
            self._generation = None
            if str(error) != self._problem:
                self._problem = str(error)
                _logger.error("keys not reloaded, the previous ones remain valid: %s", error)
            return False
        self._generation = generation
        self._problem = ""
        _logger.info("reloaded the keys: %s", ", ".join(self._keys.names))
        return True
