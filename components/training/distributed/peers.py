"""Waiting for the other processes of a job: pods start at different times."""

import contextlib
import logging
import socket
import time
from collections.abc import Callable, Iterator, Sequence

_POLL_SECONDS = 0.5
_LOG_SECONDS = 30.0
_CONNECT_SECONDS = 5.0
_BACKLOG = 1024

_logger = logging.getLogger(__name__)


class PeersError(RuntimeError):
    """Other processes of the job did not start in time. A retry may help."""


def wait_for(
    addresses: Sequence[str],
    seconds: float,
    *,
    own: str = "",
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until all peers are up: their names resolve, and they listen.

    TensorFlow also waits for its peers, but without a limit, and holds Python's lock meanwhile, so
    that neither a timeout nor SIGTERM works. So the processes wait here first.

    Args:
        addresses: `host:port` of each peer.
        seconds: How long to wait at most.
        own: This process's address, on which to listen until TensorFlow does; empty if no process
            waits for this one.
        sleep: Waits for a number of seconds.

    Raises:
        PeersError: If a peer is still not up.

    Example:
        >>> wait_for(["127.0.0.1:1"], seconds=0)
        Traceback (most recent call last):
            ...
        kfp_tabular.components.training.distributed.peers.PeersError: these processes of the job are
        not up after 0 s: 127.0.0.1:1 (Connection refused). See ...
    """
    with _listening(own) if own else contextlib.nullcontext():
        started = logged = time.monotonic()
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
                    f"these processes of the job are not up after {seconds:.0f} s: {found}. See "
                    "the events and logs of their pods; --peers-seconds sets how long to wait."
                )
            if logged == started or now - logged >= _LOG_SECONDS:
                _logger.info("waiting for %d of %d: %s", len(missing), len(addresses), found)
                logged = now
            sleep(_POLL_SECONDS)


def why_not_up(address: str) -> str | None:
    """Return why no process answers at `host:port`; None if one does.

    Example:
        >>> with socket.create_server(("127.0.0.1", 0)) as listener:
        ...     why_not_up(f"127.0.0.1:{listener.getsockname()[1]}") is None
        True
        >>> why_not_up("127.0.0.1:1")
        'Connection refused'
    """
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS):
            return None
    except socket.gaierror:
        return "no DNS name"
    except OSError as error:
        return error.strerror or "no response"


@contextlib.contextmanager
def _listening(address: str) -> Iterator[None]:
    # Connections are never answered; the peers only check that they can connect.
    anywhere = ("", int(address.rpartition(":")[2]))
    if socket.has_dualstack_ipv6():
        listener = socket.create_server(
            anywhere, family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=True
        )
    else:
        listener = socket.create_server(anywhere, backlog=_BACKLOG)
    with listener:
        yield
