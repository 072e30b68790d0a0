"""Listening sockets: bound before the model is loaded, listening only when it is ready."""

import contextlib
import ctypes
import errno
import socket
import struct

from kfp_tabular.components.common.errors import UserError

_SO_ATTACH_FILTER = 26
_DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)
"""A program for the kernel's packet filter: return 0, so keep no byte of a packet."""


def bind_socket(host: str, port: int, flag: str = "--port") -> socket.socket:
    """Return a bound TCP socket that does not listen yet.

    Connections are refused until it listens, so a TCP probe of the port is right, too.

    Args:
        host: An address or host name.
        port: The port; 0 takes a free one.
        flag: The flag that sets the port, for error messages.

    Raises:
        UserError: If the address does not belong to this machine, or the port is in use.

    Example:
        >>> with bind_socket("127.0.0.1", 0) as listener:
        ...     listener.getsockname()[0]
        '127.0.0.1'
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as error:
        raise UserError(f"--host {host!r}: not a valid address: {error}") from error
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise listen_error(error, host, port, flag) from error
    return listener


def reserve_port(host: str, port: int) -> socket.socket:
    """Reserve a port for gRPC, whose library binds its own sockets.

    The workers' sockets share the port with this one. Without the reservation, the port could
    already be shared by another server of the same user.

    Args:
        host: An address or host name.
        port: The port; 0 takes a free one.

    Returns:
        A bound socket that never listens. The port is reserved until it is closed.

    Raises:
        UserError: If the address does not belong to this machine, or the port is in use.

    Example:
        >>> with reserve_port("127.0.0.1", 0) as holder:
        ...     holder.getsockname()[1] > 0
        True
    """
    with bind_socket(host, port, "--grpc-port") as free:
        family, address = free.family, free.getsockname()
    holder = socket.socket(family, socket.SOCK_STREAM)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        holder.bind(address)
    except OSError as error:
        holder.close()
        raise listen_error(error, host, address[1], "--grpc-port") from error
    return holder


def refuse_new_connections(listener: socket.socket) -> None:
    """Refuse new connections to a listening socket, but keep those that wait to be accepted.

    Closing the socket would reset the waiting ones, whose clients may have sent a request already.
    Instead, the kernel drops packets for new connections, as if they were lost on the way. Once the
    socket is closed, clients that try again are refused.

    Args:
        listener: A listening socket. All processes that share it are affected.
    """
    program = ctypes.create_string_buffer(_DROP_ALL)
    # Without this filter in the kernel, waiting connections are reset.
    with contextlib.suppress(OSError):
        listener.setsockopt(
            socket.SOL_SOCKET,
            _SO_ATTACH_FILTER,
            struct.pack("HP", 1, ctypes.addressof(program)),
        )


def listen_error(error: OSError, host: str, port: int, flag: str = "--port") -> UserError:
    """Return the error for an address that the server cannot listen on.

    Args:
        error: The error of binding or listening.
        host: The address.
        port: The port.
        flag: The flag that sets the port.

    Example:
        >>> str(listen_error(OSError(errno.EADDRINUSE, ""), "127.0.0.1", 8080))
        'cannot listen on 127.0.0.1 port 8080: the port is in use; stop the other process or choose
         another --port.'
    """
    reasons = {
        errno.EADDRINUSE: f"the port is in use; stop the other process or choose another {flag}",
        errno.EACCES: f"permission denied; choose a {flag} from 1024",
        errno.EADDRNOTAVAIL: "this machine does not have the address; choose another --host",
    }
    reason = reasons.get(error.errno or 0, error.strerror or "unknown reason")
    return UserError(f"cannot listen on {host} port {port}: {reason}.")
