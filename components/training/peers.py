"""Waiting for the other processes of a job: pods start at different times."""

import logging
import socket
import time
from collections.abc import Callable, Sequence

_POLL_SECONDS = 1.0
_TELL_SECONDS = 30.0

_logger = logging.getLogger(__name__)


class PeersError(RuntimeError):
    """The other processes did not come; the operator may try again."""


def wait_for_names(
    addresses: Sequence[str], seconds: float, *, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Waits until the names of all peers resolve: a pod has one only once it exists.

    Args:
        addresses: `host:port` of each.
        seconds: How long to wait at most.
        sleep: Waits for so many seconds.

    Raises:
        PeersError: Where a name still does not resolve.
    """
    started = told = time.monotonic()
    missing = list(addresses)
    while True:
        missing = [address for address in missing if not _resolves(address)]
        if not missing:
            return
        now = time.monotonic()
        if now - started >= seconds:
            raise PeersError(
                f"after {seconds:.0f} s there is still no DNS name for {', '.join(missing)}: these "
                "pods do not run. See their events, and the job's; --peers-seconds sets how long "
                "to wait."
            )
        if told == started or now - told >= _TELL_SECONDS:
            _logger.info("waiting for %d of %d others: %s", len(missing), len(addresses), missing)
            told = now
        sleep(_POLL_SECONDS)


def _resolves(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except socket.gaierror:
        return False
    return True
