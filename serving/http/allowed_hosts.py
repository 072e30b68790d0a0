"""Which hosts a request may name: ASGI middleware between the metrics and authentication.

A page in a browser can make its own name resolve to this server (DNS rebinding) and then read what
needs no key. The browser sends that name as `Host`, so a list of names keeps it out.
"""

import ipaddress
from collections.abc import Collection
from typing import TYPE_CHECKING

from kfp_tabular.serving.protocol import routes

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_ANSWER = b'{"error":"this server does not answer for the host of the request (--allowed-hosts)."}'


class AllowedHosts:
    """Answers requests for allowed hosts, and others with status 421 (RFC 9110, 15.5.20).

    Health probes may name any host, and every request the address that it was sent to: kubelet and
    Prometheus ask a pod by its IP, and a browser never sends an address for a name.

    Args:
        app: The application, with its authentication.
        hosts: The allowed names and addresses, in lower case, without ports. `*.example.com` allows
            every name below.
    """

    def __init__(self, app: "ASGIApp", hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass an allowed request on, and answer another one."""
        if scope["type"] == "http" and not self._allows(scope):
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(_ANSWER)),
            ]
            await send({"type": "http.response.start", "status": 421, "headers": headers})
            await send({"type": "http.response.body", "body": _ANSWER})
            return
        await self._app(scope, receive, send)

    def _allows(self, scope: "Scope") -> bool:
        if routes.operation_of_path(scope["path"]) in ("health", "ready"):
            return True
        host = next((value for name, value in scope["headers"] if name == b"host"), b"")
        name = host_name(host.decode("latin-1"))
        server = scope.get("server")
        return is_allowed(name, self._hosts) or (server is not None and _same(name, server[0]))


def host_name(host: str) -> str:
    """Return the name of a Host header in lower case, without the port and a final dot.

    Example:
        >>> host_name("Fraud.Example.com.:8080"), host_name("[::1]:8080"), host_name("[::1]")
        ('fraud.example.com', '::1', '::1')
    """
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower().rstrip(".")


def is_allowed(name: str, hosts: Collection[str]) -> bool:
    """Return whether a name is in a list, or below one that begins with `*.`.

    Example:
        >>> is_allowed("a.example.com", {"*.example.com"})
        True
        >>> is_allowed("example.com", {"*.example.com"})
        False
    """
    if name in hosts:
        return True
    parts = name.split(".")
    return any("*." + ".".join(parts[place:]) in hosts for place in range(1, len(parts)))


def _same(name: str, address: str) -> bool:
    """Return whether a name is this address: an address has several forms."""
    try:
        named, own = (ipaddress.ip_address(text.partition("%")[0]) for text in (name, address))
    except ValueError:
        return False
    return named == own or named == getattr(own, "ipv4_mapped", None)
