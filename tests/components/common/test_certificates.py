"""Certificates that Kubernetes accepts are accepted, by Python 3.13 as well; others are not."""

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from urllib3 import PoolManager
from urllib3.exceptions import HTTPError

from kfp_tabular.components.common import certificates
from tests.servers import tls


def strict(ca_file: str) -> PoolManager:
    """A pool as Python 3.13 makes it."""
    return PoolManager(ca_certs=ca_file, retries=False)


def relaxed(ca_file: str) -> PoolManager:
    pool = strict(ca_file)
    certificates.relax_pool(pool)
    return pool


def trusting(ca_file: str) -> PoolManager:
    return PoolManager(ssl_context=certificates.trusting(ca_file), retries=False)


def session(ca_file: str) -> requests.Session:
    made = requests.Session()
    # REQUESTS_CA_BUNDLE would win.
    made.trust_env, made.verify = False, ca_file
    certificates.relax_session(made)
    return made


Client = Callable[[str], PoolManager | requests.Session]
CLIENTS = pytest.mark.parametrize("client", [relaxed, trusting, session])


@pytest.fixture(autouse=True)
def _python_3_13(monkeypatch: pytest.MonkeyPatch) -> None:
    tls.verify_as_python_3_13(monkeypatch)


@pytest.mark.parametrize("flaw", tls.FLAWS)
def test_the_flaw_is_one_to_python_3_13(tmp_path: Path, flaw: tls.Flaw) -> None:
    made = tls.authority(tmp_path, flaw)
    with tls.serving(made) as url, pytest.raises(HTTPError, match="VERIFY_FAILED"):
        strict(str(made.ca_file)).request("GET", url)


@CLIENTS
@pytest.mark.parametrize("flaw", ["", *tls.FLAWS])
def test_what_kubernetes_accepts_is_accepted(
    tmp_path: Path, client: Client, flaw: tls.Flaw
) -> None:
    made = tls.authority(tmp_path, flaw)
    with tls.serving(made) as url:
        answer = client(str(made.ca_file)).request("GET", url)

    assert getattr(answer, "status", getattr(answer, "status_code", 0)) == 200


@CLIENTS
def test_an_unknown_authority_is_refused(tmp_path: Path, client: Client) -> None:
    made, other = tls.authority(tmp_path / "a"), tls.authority(tmp_path / "b")
    with (
        tls.serving(made) as url,
        pytest.raises((HTTPError, requests.RequestException), match="VERIFY_FAILED"),
    ):
        client(str(other.ca_file)).request("GET", url)


@CLIENTS
def test_a_certificate_for_another_host_is_refused(tmp_path: Path, client: Client) -> None:
    made = tls.authority(tmp_path, host="elsewhere.example.com")
    with (
        tls.serving(made) as url,
        pytest.raises((HTTPError, requests.RequestException), match="(?i)mismatch|doesn't match"),
    ):
        client(str(made.ca_file)).request("GET", url)


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_a_pool_that_verifies_nothing_stays_so(tmp_path: Path) -> None:
    pool = PoolManager(cert_reqs="CERT_NONE", assert_hostname=False, retries=False)
    certificates.relax_pool(pool)
    with tls.serving(tls.authority(tmp_path)) as url:
        assert pool.request("GET", url).status == 200


def test_a_relaxed_pool_keeps_its_own_certificate(tmp_path: Path) -> None:
    made = tls.authority(tmp_path)
    pool = PoolManager(
        ca_certs=str(made.ca_file), cert_file=str(made.chain_file), key_file=str(made.chain_file)
    )
    certificates.relax_pool(pool)
    context = pool.connection_pool_kw["ssl_context"]

    assert context.verify_mode is ssl.CERT_REQUIRED
    with tls.serving(made) as url:
        assert pool.request("GET", url).status == 200


def test_the_retries_of_a_session_stay() -> None:
    made = requests.Session()
    made.mount("https://", requests.adapters.HTTPAdapter(max_retries=7))

    certificates.relax_session(made)

    assert made.get_adapter("https://x").max_retries.total == 7
