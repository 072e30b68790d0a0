"""An HTTP client for an endpoint, with its token and certificates."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from kfp_tabular.components.common import certificates
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.deployment.kserve.resources.verification_settings import EndpointAccess
from kfp_tabular.components.deployment.kserve.verification.endpoint_address import EndpointAddress

if TYPE_CHECKING:
    from urllib3 import PoolManager

_TOKEN = re.compile(rb"[!-~]+")


class EndpointClient:
    """Sends requests to endpoints. Threads may share it.

    Args:
        access: How to reach them.
        connections: The most connections to one host.

    Raises:
        UserError: If the file of the token or of the certificates cannot be read, or holds
            something else.
    """

    def __init__(self, access: EndpointAccess, connections: int) -> None:
        self._access = access
        self._headers = {"Content-Type": "application/json"}
        if access.token_file:
            self._headers["Authorization"] = f"Bearer {_token(access.token_file)}"
        self._pool = _pool(access, connections)

    def post(self, address: EndpointAddress, path: str, body: bytes) -> tuple[int, bytes]:
        """Send a request; return the response's status and body.

        Raises:
            OSError: If no response came in time.
        """
        from urllib3 import Timeout
        from urllib3.exceptions import HTTPError

        headers = dict(self._headers)
        if address.host:
            headers["Host"] = address.host
        try:
            response = self._pool.request(
                "POST",
                address.url + path,
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
        """Close the connections that are not in use."""
        self._pool.clear()


def _pool(access: EndpointAccess, connections: int) -> "PoolManager":
    from urllib3 import PoolManager

    try:
        trusted = certificates.trusting(access.ca_file or None)
        return PoolManager(maxsize=connections, block=True, ssl_context=trusted)
    except OSError as error:
        raise UserError(f"access.ca_file: cannot be read: {error}.") from error


def _token(file: str) -> str:
    """Read a token. If it did not fit a header, HTTP libraries would show it in their error."""
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
