"""Which certificates are accepted: those that Kubernetes and Kubeflow accept.

From version 3.13 on, Python verifies certificates by the letter of RFC 5280 and refuses authorities
without `keyUsage` or `authorityKeyIdentifier`. Many clusters have such authorities, and what is
written in Go (kubectl, Kubeflow, KServe) accepts them. The chain, the dates, the purpose and the
host's name are verified as before.
"""

import ssl
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from requests import Session
    from urllib3 import PoolManager


def relaxed(context: ssl.SSLContext) -> ssl.SSLContext:
    """Let a context accept what Go's `crypto/x509` accepts, and return it.

    A certificate in the file of authorities is trusted even if another one signed it.

    Example:
        >>> context = ssl.create_default_context()
        >>> bool(relaxed(context).verify_flags & ssl.VERIFY_X509_STRICT)
        False
    """
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def trusting(
    ca_file: str | None = None, cert_file: str | None = None, key_file: str | None = None
) -> ssl.SSLContext:
    """Return the context of a client.

    Args:
        ca_file: The certificates to trust, PEM; None for those of the system.
        cert_file: The client's own certificate.
        key_file: The key of the client's certificate.

    Raises:
        OSError: If a file cannot be read, or holds something else; the message names it.

    Example:
        >>> context = trusting()
        >>> context.check_hostname, context.verify_mode.name
        (True, 'CERT_REQUIRED')
    """
    try:
        context = relaxed(ssl.create_default_context(cafile=ca_file))
    except ssl.SSLError as error:
        raise OSError(f"{ca_file} holds no certificates ({error.reason})") from error
    except OSError as error:
        raise OSError(f"{ca_file}: {error.strerror}") from error
    if cert_file:
        context.load_cert_chain(cert_file, key_file)
    return context


def relax_pool(pool: "PoolManager") -> None:
    """Let the connections of a pool, which names its files already, use a relaxed context.

    Args:
        pool: A pool without connections. One that verifies nothing is left as it is.

    Raises:
        OSError: If one of its files cannot be read, or holds something else.
    """
    options = pool.connection_pool_kw
    if options.get("cert_reqs") in (ssl.CERT_NONE, "CERT_NONE") or "ssl_context" in options:
        return
    # The files are read once: connections of several threads share the context.
    files = {name: options.pop(name, None) for name in ("ca_certs", "cert_file", "key_file")}
    options["ssl_context"] = trusting(files["ca_certs"], files["cert_file"], files["key_file"])


def relax_session(session: "Session") -> None:
    """Let a session of `requests` use a relaxed context; it finds its authorities as before.

    A session with an adapter of another kind, such as one for client certificates, stays as it is.
    """
    from requests.adapters import HTTPAdapter
    from urllib3.util import create_urllib3_context

    class Adapter(HTTPAdapter):  # type: ignore[misc]
        def init_poolmanager(self, *args: Any, **options: Any) -> Any:
            options["ssl_context"] = relaxed(create_urllib3_context())
            return super().init_poolmanager(*args, **options)

        def proxy_manager_for(self, proxy: Any, **options: Any) -> Any:
            options["ssl_context"] = relaxed(create_urllib3_context())
            return super().proxy_manager_for(proxy, **options)

    present = session.get_adapter("https://")
    if type(present) is HTTPAdapter:
        session.mount("https://", Adapter(max_retries=present.max_retries))
