"""Waiting for the other processes of a job: pods start at different times."""

import contextlib
import logging
import socket
import time
from collections.abc import Callable, Iterator, Sequence

_POLL_SECONDS = 0.5
_TELL_SECONDS = 30.0
_CONNECT_SECONDS = 5.0
_BACKLOG = 1024

_logger = logging.getLogger(__name__)


class PeersError(RuntimeError):
    """The other processes did not come; the operator may try again."""


def wait_for(
    addresses: Sequence[str],
    seconds: float,
    *,
    own: str = "",
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Waits until all peers are up: their names resolve, and something listens there.

    TensorFlow waits for its peers, too, but without an end, and holds Python's lock meanwhile:
    neither a timeout nor SIGTERM gets through. So the processes meet here first.

    Args:
        addresses: `host:port` of each peer.
        seconds: How long to wait at most.
        own: This process's address, where it shall listen meanwhile, until TensorFlow does; empty
            where nobody waits for it.
        sleep: Waits for so many seconds.

    Raises:
        PeersError: Where a peer is still not there.
    """
    with _listening(own) if own else contextlib.nullcontext():
        started = told = time.monotonic()
        missing = dict.fromkeys(addresses, "")
        while True:
            missing = {
                address: why for address in missing if (why := why_not_up(address)) is not None
            }
            if not missing:
                return
            now = time.monotonic()
            found = ", ".join(f"{address} ({why})" for address, why in missing.items())
            if now - started >= seconds:
                raise PeersError(
                    f"after {seconds:.0f} s these processes of the job are not up: {found}. See "
                    "the events and logs of their pods; --peers-seconds sets how long to wait."
                )
            if told == started or now - told >= _TELL_SECONDS:
                _logger.info("waiting for %d of %d: %s", len(missing), len(addresses), found)
                told = now
            sleep(_POLL_SECONDS)


def why_not_up(address: str) -> str | None:
    """Tells why nobody can be reached at `host:port`; None where somebody is."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS):
            return None
    except socket.gaierror:
        return "no DNS name"
    except OSError as error:
        return error.strerror or "no answer"


@contextlib.contextmanager
def _listening(address: str) -> Iterator[None]:
    # Those who connect are never answered: that they can is all they want to know.
    anywhere = ("", int(address.rpartition(":")[2]))
    if socket.has_dualstack_ipv6():
        listener = socket.create_server(
            anywhere, family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=True
        )
    else:
        listener = socket.create_server(anywhere, backlog=_BACKLOG)
    with listener:
        yield
