"""The valid keys: read when the server starts, and again when the secret changes."""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.serving.auth import keys
from kfp_tabular.serving.auth.keys import Look

CHECK_SECONDS = 5.0
RETRY_SECONDS = 1.0
SETTLE_SECONDS = 2.0
"""Files that are written in place are taken when two looks, so far apart, find the same. A writer
that pauses for longer between two pieces is not noticed: replace the file by a rename instead."""
_LONGEST_SETTLE_SECONDS = 30.0

_logger = logging.getLogger(__name__)


class KeyRing:
    """Looks up keys, and reloads them when the secret changes.

    `follow` looks at the secret's files every second. So does a lookup: at most every
    `check_seconds`, and for an unknown key, which may be new, at most every second.

    What a rename or Kubernetes' swap of a link has put into place as a whole is taken at once.
    Anything else may still be written: it is taken when two looks, `SETTLE_SECONDS` apart, find the
    same content and the same times. Until then the previous keys remain valid.

    The secret is replaced as a whole. If its new content cannot be read or is not valid, the
    previous keys remain valid and an error is logged once, so a mistake in one key does not lock
    out the others. Use it from one thread, that of the event loop.

    Args:
        path: The mounted secret; see `keys.read_keys`.
        check_seconds: How long a lookup may rely on the last look.
        clock: Returns monotonic seconds.
        sleep: Waits; used only while the first content is still being written.

    Raises:
        UserError: If the keys cannot be read. A server with authentication must not start without
            them.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        check_seconds: float = CHECK_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._path = Path(path)
        self._check_seconds = check_seconds
        self._clock = clock
        first = _settled(self._path, clock, sleep)
        self._keys = first.accepted()
        self._generation = first.generation
        self._pending: tuple[float, Look] | None = None
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
        self._look_after(self._check_seconds)
        owner = self._keys.owner(presented)
        if owner is None and self._look_after(min(RETRY_SECONDS, self._check_seconds)):
            owner = self._keys.owner(presented)
        return owner

    async def follow(self, seconds: float = RETRY_SECONDS) -> None:
        """Look at the secret until cancelled, so that no client has to come twice.

        Args:
            seconds: The time between two looks.
        """
        while True:
            await asyncio.sleep(seconds)
            self._look_after(seconds / 2)

    def _look_after(self, seconds: float) -> bool:
        """Look if the last look is so long ago. Return whether the keys were reloaded."""
        now = self._clock()
        if now - self._checked < seconds:
            return False
        self._checked = now
        generation = keys.generation(self._path)
        if generation == self._generation:
            self._pending = None
            return False
        if self._pending is not None:
            since, before = self._pending
            if generation == before.generation and now - since < SETTLE_SECONDS:
                return False
        found = keys.look(self._path)
        settled = found.agrees_with(self._pending[1] if self._pending else None)
        whole = found.keys is not None and found.replaces_as_a_whole(self._generation)
        if not settled and not whole:
            self._pending = now, found
            return False
        if found.keys is None:
            # Looked at again, so that the log gives the next reason, too.
            self._pending = now, found
            if found.problem != self._problem:
                self._problem = found.problem
                _logger.error(
                    "keys not reloaded, the previous ones remain valid: %s", self._problem
                )
            return False
        self._pending = None
        self._keys = found.keys
        self._generation = found.generation
        self._problem = ""
        _logger.info("reloaded the keys: %s", ", ".join(self._keys.names))
        return True


def _settled(path: Path, clock: Callable[[], float], sleep: Callable[[float], None]) -> Look:
    """Return a look at content that is not being written.

    Raises:
        UserError: If it is not valid, or is written all the time.
    """
    begin = clock()
    found = keys.look(path)
    while found.keys is not None and not found.is_mounted:
        # The times may come from another machine's clock, but then they are not as recent.
        if keys.changed_seconds_ago(path, time.time()) > SETTLE_SECONDS:
            break
        before = found
        sleep(SETTLE_SECONDS)
        found = keys.look(path)
        if found.agrees_with(before):
            break
        if clock() - begin > _LONGEST_SETTLE_SECONDS:
            raise UserError(f"{path}: written again and again; replace it by a rename instead.")
    return found
