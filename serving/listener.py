"""Claims the port before anything slow, and lets nobody in before the model is ready."""

import errno
import socket

from kfp_tabular.components.common.errors import UserError


def bind(host: str, port: int) -> socket.socket:
    """Binds a TCP socket that does not listen yet.

    Until it listens, connections are refused, so a probe of the mere port tells the truth too.

    Args:
        host: An address or a host's name.
        port: The port; 0 takes a free one.

    Raises:
        UserError: Where the address is not one of this machine's, or the port is taken.
    """
    if not 0 <= port < 2**16:
        raise UserError(f"--port {port}: not a port; give 0 to 65535.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as error:
        raise UserError(f"--host {host!r}: not an address: {error}") from error
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise refused(error, host, port) from error
    return listener


def refused(error: OSError, host: str, port: int) -> UserError:
    """Says why an address cannot be served on."""
    reasons = {
        errno.EADDRINUSE: "another process listens there; stop it or give another --port",
        errno.EACCES: "this user may not; give a --port from 1024",
        errno.EADDRNOTAVAIL: "this machine has no such address; give another --host",
    }
    reason = reasons.get(error.errno or 0, error.strerror or "unknown reason")
    return UserError(f"cannot serve on {host} port {port}: {reason}.")
