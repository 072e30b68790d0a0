"""Claims the port before anything slow, and lets nobody in before the model is ready."""

import contextlib
import ctypes
import errno
import socket
import struct

from kfp_tabular.components.common.errors import UserError

_SO_ATTACH_FILTER = 26
_DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)
"""A program for the kernel's packet filter: return 0, the number of bytes to keep."""


def bind(host: str, port: int, flag: str = "--port") -> socket.socket:
    """Binds a TCP socket that does not listen yet.

    Until it listens, connections are refused, so a probe of the mere port tells the truth too.

    Args:
        host: An address or a host's name.
        port: The port; 0 takes a free one.
        flag: Where the port comes from, for messages.

    Raises:
        UserError: Where the address is not one of this machine's, or the port is taken.
    """
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
        raise refused(error, host, port, flag) from error
    return listener


def reserve(host: str, port: int) -> socket.socket:
    """Reserves a port for gRPC, whose library binds its own sockets.

    They share the port with this one, and with those of other workers. Without it, any process of
    the same user could share it as well.

    Args:
        host: An address or a host's name.
        port: The port; 0 takes a free one.

    Returns:
        A bound socket that never listens; the port is reserved until it is closed.

    Raises:
        UserError: Where the address is not one of this machine's, or the port is taken.
    """
    with bind(host, port, "--grpc-port") as free:
        family, address = free.family, free.getsockname()
    holder = socket.socket(family, socket.SOCK_STREAM)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        holder.bind(address)
    except OSError as error:
        holder.close()
        raise refused(error, host, address[1], "--grpc-port") from error
    return holder


def take_no_more(listener: socket.socket) -> None:
    """Keeps new connections from a listening socket, and leaves those that wait to be accepted.

    To close it would reset these: their clients are connected and may have sent a request. The
    kernel drops what comes for new connections instead, as though it were lost on the way; once the
    socket is closed, clients that try again are refused.

    Args:
        listener: A listening socket. All that it is shared with are affected.
    """
    program = ctypes.create_string_buffer(_DROP_ALL)
    # Where the kernel has no such filter, closing alone has to do.
    with contextlib.suppress(OSError):
        listener.setsockopt(
            socket.SOL_SOCKET,
            _SO_ATTACH_FILTER,
            struct.pack("HP", 1, ctypes.addressof(program)),
        )


def refused(error: OSError, host: str, port: int, flag: str = "--port") -> UserError:
    """Says why an address cannot be served on.

    Args:
        error: What binding it or listening there came to.
        host: The address.
        port: The port.
        flag: Where the port comes from.
    """
    reasons = {
        errno.EADDRINUSE: f"another process listens there; stop it or give another {flag}",
        errno.EACCES: f"this user may not; give a {flag} from 1024",
        errno.EADDRNOTAVAIL: "this machine has no such address; give another --host",
    }
    reason = reasons.get(error.errno or 0, error.strerror or "unknown reason")
    return UserError(f"cannot serve on {host} port {port}: {reason}.")
