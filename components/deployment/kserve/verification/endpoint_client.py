"""How to reach an endpoint, or one candidate of it, from a task."""

import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.deployment.kserve.resources.inference_service import TAG
from kfp_tabular.components.deployment.kserve.resources.inference_service_status import (
    View,
)
from kfp_tabular.components.deployment.kserve.resources.service_settings import (
    Access,
)

if TYPE_CHECKING:
    from urllib3 import PoolManager

_TOKEN = re.compile(rb"[!-~]+")


@dataclass(frozen=True)
class Target:
    """Where to send requests.

    Attributes:
        url: Scheme, host and path prefix, without a slash at the end.
        host: The `Host` header; empty for the URL's own.
    """

    url: str
    host: str = ""

    def __str__(self) -> str:
        return f"{self.url} (Host: {self.host})" if self.host else self.url


def whole(view: View, access: Access) -> Target | None:
    """Gives the endpoint's own address; None where its status does not hold it yet."""
    return _target(view.address, view.url, access)


def predictor(view: View, access: Access) -> Target | None:
    """Gives the predictor's address; None where its status does not hold it yet."""
    return _target(view.predictor_address or view.address, view.predictor_url or view.url, access)


def candidate(view: View, access: Access) -> Target | None:
    """Gives the address of the newest revision alone; None where its status does not hold it yet.

    Knative makes a Service `<tag>-<route>` for every tag, beside `<route>`
    (`tag-template` of its `config-network`, unless that was changed: then take another `via`).
    """
    if not view.tag_url:
        return None
    inside = ""
    if view.predictor_address:
        parts = urlsplit(view.predictor_address)
        inside = urlunsplit((parts.scheme, f"{TAG}-{parts.netloc}", parts.path, "", ""))
    return _target(inside, view.tag_url, access)


def entry(name: str, namespace: str, access: Access) -> Target:
    """Gives the address of the Service that leads to one of two colors."""
    host = f"{name}.{namespace}.svc.cluster.local"
    if access.via == "gateway":
        return Target(access.gateway.rstrip("/"), host)
    return Target(f"http://{host}")


def _target(inside: str, outside: str, access: Access) -> Target | None:
    if access.via == "cluster":
        return Target(inside.rstrip("/")) if inside else None
    if not outside:
        return None
    if access.via == "url":
        return Target(outside.rstrip("/"))
    parts = urlsplit(outside)
    return Target(access.gateway.rstrip("/") + parts.path.rstrip("/"), parts.netloc)


class Client:
    """Sends requests to a target. Threads may share it.

    Args:
        access: How to reach it.
        connections: Requests under way at the most.

    Raises:
        UserError: Where the file of the token or of the certificates cannot be read, or holds
            something else.
    """

    def __init__(self, access: Access, connections: int) -> None:
        self._access = access
        self._headers = {"Content-Type": "application/json"}
        if access.token_file:
            self._headers["Authorization"] = f"Bearer {_token(access.token_file)}"
        self._pool = _pool(access, connections)

    def post(self, target: Target, path: str, body: bytes) -> tuple[int, bytes]:
        """Sends a request and gives the answer's status and body.

        Raises:
            OSError: There was no answer in time.
        """
        from urllib3 import Timeout
        from urllib3.exceptions import HTTPError

        headers = dict(self._headers)
        if target.host:
            headers["Host"] = target.host
        try:
            response = self._pool.request(
                "POST",
                target.url + path,
                body=body,
                headers=headers,
                timeout=Timeout(total=self._access.timeout_seconds),
                retries=False,
                redirect=False,
            )
        except HTTPError as error:
            raise OSError(f"{type(error).__name__}: {error}") from error
        return response.status, response.data

    def reconnect(self) -> None:
        """Closes the connections that are not in use."""
        self._pool.clear()


def _pool(access: Access, connections: int) -> "PoolManager":
    from urllib3 import PoolManager

    if not access.ca_file:
        return PoolManager(maxsize=connections, block=True)
    try:
        trusted = ssl.create_default_context(cafile=access.ca_file)
        return PoolManager(maxsize=connections, block=True, ssl_context=trusted)
    except OSError as error:
        raise UserError(f"access.ca_file {access.ca_file}: cannot be read: {error}") from error


def _token(file: str) -> str:
    """Reads a token. What no header takes, HTTP's libraries would show whole in an error."""
    try:
        token = Path(file).read_bytes().strip()
    except OSError as error:
        raise UserError(f"access.token_file {file}: cannot be read: {error.strerror}.") from error
    if not _TOKEN.fullmatch(token):
        raise UserError(
            f"access.token_file {file}: expected one token of visible ASCII characters and "
            "nothing else."
        )
    return token.decode("ascii")
