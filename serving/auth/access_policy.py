"""What is asked of a request before it is let in, whatever the protocol."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from kfp_tabular.serving.auth.keys import LONGEST_KEY
from kfp_tabular.serving.protocol.routes import Operation, Protocol
from kfp_tabular.serving.settings.server_settings import Opening

Denial = Literal["missing", "malformed", "unknown"]
"""Why a request was not let in: no key, none that can be one, or one not in force."""

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
    """Who is let in, and where everybody is.

    Attributes:
        owner: Names the key that was presented; None where it is not in force. `KeyRing.owner`.
        open: What needs no key.
        admitted: Is told the name of a key that let a request in, and the protocol.
        denied: Is told why a request was not let in, and the protocol.
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
        """Judges a request, and tells `admitted` or `denied` where it needs a key.

        Args:
            operation: What it asks for, where that only reads.
            headers: Names in lower case, and values.
            protocol: The protocol it came in.

        Returns:
            Why it is not let in; None where it is.
        """
        if operation in self._opened:
            return None
        key = presented(headers)
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


def presented(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """Finds the key that a request presents.

    `X-API-Key: <key>` counts before `Authorization: Bearer <key>`: a gateway in front may need
    the latter for itself. Either may occur once only; what stands behind a proxy must not take
    another value than the proxy did.

    Args:
        headers: Names in lower case, and values.

    Returns:
        The key; empty where there is something that cannot be one; None where there is nothing.
    """
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in (API_KEY, AUTHORIZATION):
            if name in found or len(value) > _LONGEST_HEADER:
                return b""
            found[name] = value
    if API_KEY in found:
        return _fit(found[API_KEY])
    if AUTHORIZATION in found:
        scheme, _, key = found[AUTHORIZATION].strip().partition(b" ")
        return _fit(key) if scheme.lower() == _SCHEME else b""
    return None


def _fit(value: bytes) -> bytes:
    key = value.strip()
    return key if len(key) <= LONGEST_KEY else b""
