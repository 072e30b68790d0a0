"""How a task reaches what it verifies."""

from pathlib import Path

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.deployment.kserve.resources.verification_settings import EndpointAccess
from kfp_tabular.components.deployment.kserve.verification.endpoint_address import EndpointAddress
from kfp_tabular.components.deployment.kserve.verification.endpoint_client import EndpointClient
from tests.servers import tls


@pytest.mark.parametrize("token", ["", "\n", "secret-1\nsecret-2\n", "sécret-1", "secret\x00"])
def test_a_token_that_no_header_takes_is_refused_and_not_shown(tmp_path: Path, token: str) -> None:
    file = tmp_path / "token"
    file.write_text(token, encoding="utf-8")

    with pytest.raises(UserError, match="access.token_file .*: expected one token") as caught:
        EndpointClient(EndpointAccess(token_file=str(file)), 1).post(
            EndpointAddress("http://127.0.0.1:9"), "/", b""
        )

    assert "cret" not in str(caught.value)


@pytest.mark.parametrize("flaw", ["", *tls.FLAWS])
def test_an_authority_that_kubernetes_accepts_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flaw: tls.Flaw
) -> None:
    tls.verify_as_python_3_13(monkeypatch)
    made = tls.authority(tmp_path, flaw)
    client = EndpointClient(EndpointAccess(ca_file=str(made.ca_file)), 1)

    with tls.serving(made, b"answer") as url:
        assert client.post(EndpointAddress(url), "/", b"{}") == (200, b"answer")


def test_an_unknown_authority_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls.verify_as_python_3_13(monkeypatch)
    made, other = tls.authority(tmp_path / "a"), tls.authority(tmp_path / "b")

    with tls.serving(made) as url:
        for access in (EndpointAccess(ca_file=str(other.ca_file)), EndpointAccess()):
            with pytest.raises(OSError, match="VERIFY_FAILED"):
                EndpointClient(access, 1).post(EndpointAddress(url), "/", b"{}")


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_without_certificates_is_named(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content:
        file.write_text(content)

    with pytest.raises(UserError, match=rf"access.ca_file: cannot be read: {file}"):
        EndpointClient(EndpointAccess(ca_file=str(file)), 1)
