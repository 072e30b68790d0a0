"""The connection to a Kubeflow Pipelines server, through the KFP SDK's client."""

import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_tabular.components.common import certificates
from kfp_tabular.components.common.errors import UserError

if TYPE_CHECKING:
    import kfp

TOKEN_VARIABLE = "KFP_TABULAR_TOKEN"  # noqa: S105 - a variable's name
COOKIES_VARIABLE = "KFP_TABULAR_COOKIES"

_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"


@dataclass(frozen=True)
class Server:
    """A Kubeflow Pipelines server and the credentials for it.

    Tokens and cookies come from files or the environment, never from arguments, which every user of
    the machine can read.

    Attributes:
        host: URL of the API, such as `https://kubeflow.example.com/pipeline`. Empty for the SDK's
            own lookup: `KF_PIPELINES_ENDPOINT`, the cluster this runs in, the kubeconfig.
        namespace: The profile's namespace on a multi-user server.
        token_file: A file with a bearer token; read again when the token in use has expired.
            Without one, the variable `KFP_TABULAR_TOKEN`.
        cookies_file: A file with the cookies of a login session, as `name=value; ...`. Without
            one, the variable `KFP_TABULAR_COOKIES`.
        service_account_token: Whether to use the token that Kubernetes projects into the pod for
            the audience `pipelines.kubeflow.org`.
        client_id: Client of Google's Identity-Aware Proxy.
        ca_file: Certificates of the authority to trust, PEM.
        insecure: Whether any certificate is accepted.
        kube_context: The context of the kubeconfig.
        ui_host: URL of the user interface, where it is not the API's.
    """

    host: str = ""
    namespace: str = ""
    token_file: Path | None = None
    cookies_file: Path | None = None
    service_account_token: bool = False
    client_id: str = ""
    ca_file: Path | None = None
    insecure: bool = False
    kube_context: str = ""
    ui_host: str = ""

    @property
    def name(self) -> str:
        """Its name in messages."""
        return self.host or os.environ.get("KF_PIPELINES_ENDPOINT", "") or "the cluster"


def connect(server: Server) -> "kfp.Client":
    """Return a client. It does not connect to the server yet.

    Args:
        server: The server.

    Raises:
        UserError: If a file with credentials cannot be read.

    Example:
        >>> connect(Server(host="https://kfp.example.com", ca_file=Path("missing.pem")))
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: missing.pem: no such file; expected the
        authority's certificates.
    """
    import kfp
    from kfp.client import ServiceAccountTokenVolumeCredentials

    def relax(client: kfp.Client) -> None:
        try:
            certificates.relax_pool(client._healthz_api.api_client.rest_client.pool_manager)
        except OSError as error:
            raise UserError(f"{error}.") from error

    class Client(kfp.Client):  # type: ignore[misc]
        """The SDK's client without its five health checks, which log tracebacks on a refusal."""

        def get_kfp_healthz(self, sleep_duration: int = 0) -> Any:  # noqa: ARG002 - its interface
            relax(self)
            return self._healthz_api.healthz_service_get_healthz()

    token = _secret(server.token_file, TOKEN_VARIABLE)
    credentials = ServiceAccountTokenVolumeCredentials() if server.service_account_token else None
    if server.ca_file is not None and not server.ca_file.is_file():
        raise UserError(f"{server.ca_file}: no such file; expected the authority's certificates.")
    with translated(server), warnings.catch_warnings():
        # The client warns that it needs a server of version 2, on every start.
        warnings.simplefilter("ignore", FutureWarning)
        client = Client(
            host=server.host or None,
            namespace=server.namespace or "kubeflow",
            existing_token=token or None,
            cookies=_secret(server.cookies_file, COOKIES_VARIABLE) or None,
            credentials=credentials,
            client_id=server.client_id or None,
            ssl_ca_cert=None if server.ca_file is None else str(server.ca_file),
            verify_ssl=False if server.insecure else None,
            kube_context=server.kube_context or None,
            ui_host=server.ui_host or None,
        )
        relax(client)
    return client


def _secret(path: Path | None, variable: str) -> str:
    if path is None:
        return os.environ.get(variable, "").strip()
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: cannot be read: not valid UTF-8.") from error


@contextmanager
def translated(server: Server) -> Iterator[None]:
    """Turn exceptions of the client into errors that say what to do.

    Raises:
        UserError: If the server cannot be reached, denies access, or refuses a request.

    Example:
        >>> with translated(Server(host="https://kfp.example.com")):
        ...     raise TimeoutError("timed out")
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: https://kfp.example.com cannot be reached:
        timed out. Check --host, and check the port forwarding if you use one.
    """
    import kfp_server_api
    import urllib3

    try:
        yield
    except kfp_server_api.ApiException as error:
        raise UserError(_explanation(server, error)) from error
    except (urllib3.exceptions.HTTPError, TimeoutError) as error:
        reason = getattr(error, "reason", None) or error
        if _UNTRUSTED in str(reason):
            raise UserError(_untrusted(server, str(reason))) from error
        host = "Check --host" if server.host else "Give --host"
        raise UserError(
            f"{server.name} cannot be reached: {reason}. {host}, and check the port forwarding if "
            "you use one."
        ) from error


def _explanation(server: Server, error: Exception) -> str:
    status, body = getattr(error, "status", 0), str(getattr(error, "body", "") or "")
    if _UNTRUSTED in str(getattr(error, "reason", "")):
        return _untrusted(server, str(getattr(error, "reason", "")))
    if status == 401:
        return (
            f"{server.name} rejected the credentials (401). Give --token-file, --cookies-file "
            f"or {TOKEN_VARIABLE}; a token may have expired."
        )
    if status == 403:
        return (
            f"{server.name} denied access (403): {_message(body)} Check --namespace: on a "
            "multi-user server it is the namespace of your profile."
        )
    return f"{server.name} refused the request ({status}): {_message(body)}"


def _untrusted(server: Server, reason: str) -> str:
    last = reason.strip().splitlines()[-1]
    if server.ca_file is None:
        advice = "Give the certificates of its authority with --ca-file."
    else:
        advice = f"Check whether {server.ca_file} has the certificates of its authority."
    return f"the certificate of {server.name} is not trusted: {last}. {advice}"


def _message(body: str) -> str:
    try:
        document = json.loads(body)
    except json.JSONDecodeError:
        return body[:300]
    if not isinstance(document, dict):
        return body[:300]
    return str(document.get("message") or document.get("error") or body)[:500]
