"""Who is admitted: the rules for a request's key, the same for every protocol."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from kfp_tabular.serving.auth.keys import LONGEST_KEY
from kfp_tabular.serving.protocol.routes import Operation, Protocol
from kfp_tabular.serving.settings.server_settings import Opening

Denial = Literal["missing", "malformed", "unknown"]
"""Why a request is denied: it has no key, the key has no valid form, or the key is not known."""

_OPENED: Mapping[Opening, frozenset[Operation]] = {
    "health": frozenset({"health", "ready"}),
    "metrics": frozenset({"metrics"}),
    "metadata": frozenset({"metadata", "status"}),
}

AUTHORIZATION = b"authorization"
API_KEY = b"x-api-key"

_SCHEME = b"bearer"
_LONGEST_HEADER = LONGEST_KEY + len(b"Bearer ")


@dataclass(frozen=True)
class AccessPolicy:
    """Decides whether a request is admitted.

    Attributes:
        owner: Returns the name of a key, or None for an unknown key; `KeyRing.owner`.
        open: What needs no key.
        admitted: Called with the key's name and the protocol for each request that a key admits.
        denied: Called with the reason and the protocol for each denied request.
    """

    owner: Callable[[bytes], str | None]
    open: frozenset[Opening] = frozenset({"health"})
    admitted: Callable[[str, Protocol], None] = lambda name, protocol: None  # noqa: ARG005
    denied: Callable[[Denial, Protocol], None] = lambda reason, protocol: None  # noqa: ARG005

    @cached_property
    def _opened(self) -> frozenset[Operation]:
        return frozenset().union(*(_OPENED[opening] for opening in self.open))

    def judge(
        self,
        operation: Operation | None,
        headers: Iterable[tuple[bytes, bytes]],
        protocol: Protocol,
    ) -> Denial | None:
        """Return why a request is denied, or None if it is admitted.

        Calls `admitted` or `denied` if the request needs a key.

        Args:
            operation: The request's operation; None for one that must not be open.
            headers: Names in lower case, and values.
            protocol: The request's protocol.

        Example:
            >>> policy = AccessPolicy({b"s3cret-0123456789": "web"}.get)
            >>> policy.judge("health", [], "v2")
            >>> policy.judge("predict", [], "v2")
            'missing'
            >>> policy.judge("predict", [(b"x-api-key", b"s3cret-0123456789")], "v2")
        """
        if operation in self._opened:
            return None
        key = presented_key(headers)
        denial: Denial | None = None
        if key is None or key == b"":
            denial = "missing" if key is None else "malformed"
        else:
            name = self.owner(key)
            if name is not None:
                self.admitted(name, protocol)
                return None
            denial = "unknown"
        self.denied(denial, protocol)
        return denial


def presented_key(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """Return the key that a request presents.

    `X-API-Key: <key>` takes precedence over `Authorization: Bearer <key>`, because a gateway in
    front may need the latter for itself. Each may occur only once: otherwise a proxy and this
    server could read different keys.

    Args:
        headers: Names in lower case, and values.

    Returns:
        The key; empty if its form is not valid; None if there is none.

    Example:
        >>> presented_key([(b"authorization", b"Bearer s3cret-0123456789")])
        b's3cret-0123456789'
        >>> presented_key([(b"accept", b"*/*")])
    """
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in (API_KEY, AUTHORIZATION):
            if name in found or len(value) > _LONGEST_HEADER:
                return b""
            found[name] = value
    if API_KEY in found:
        return _stripped(found[API_KEY])
    if AUTHORIZATION in found:
        scheme, _, key = found[AUTHORIZATION].strip().partition(b" ")
        return _stripped(key) if scheme.lower() == _SCHEME else b""
    return None


def _stripped(value: bytes) -> bytes:
    key = value.strip()
    return key if len(key) <= LONGEST_KEY else b""
