"""Access to a cluster: its authority, and what is said where there is none."""

from pathlib import Path

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.kubernetes.client.api import Api, connect
from kfp_tabular.components.common.kubernetes.client.resource_kinds import TFJOB
from tests.cluster.clusters import QUICK, write_kubeconfig
from tests.servers import tls

EMPTY = b'{"metadata": {"resourceVersion": "7"}, "items": []}'


@pytest.fixture(autouse=True)
def _python_3_13(monkeypatch: pytest.MonkeyPatch) -> None:
    tls.verify_as_python_3_13(monkeypatch)


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that Kubernetes mounts into a pod, without the authority."""
    from kubernetes.config import incluster_config

    folder = tmp_path / "serviceaccount"
    folder.mkdir()
    (folder / "token").write_text("t")
    (folder / "namespace").write_text("team")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(folder / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(folder / "ca.crt"))
    return folder


def in_pod(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    host, _, port = url.removeprefix("https://").partition(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)


def by_kubeconfig(folder: Path, monkeypatch: pytest.MonkeyPatch, url: str, ca_file: Path) -> Api:
    authority = {"certificate-authority": str(ca_file)}
    path = write_kubeconfig(folder / "kubeconfig", url, "t", "team", authority)
    monkeypatch.setenv("KUBECONFIG", str(path))
    return connect(QUICK)


@pytest.mark.parametrize("flaw", ["", *tls.FLAWS])
def test_the_authority_of_a_kubeconfig_may_have_flaws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flaw: tls.Flaw
) -> None:
    made = tls.authority(tmp_path, flaw)
    with tls.serving(made, EMPTY) as url:
        listing = by_kubeconfig(tmp_path, monkeypatch, url, made.ca_file).list(TFJOB)

    assert listing.resource_version == "7"


@pytest.mark.parametrize("flaw", tls.FLAWS)
def test_the_authority_of_a_pod_may_have_flaws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pod: Path, flaw: tls.Flaw
) -> None:
    made = tls.authority(tmp_path, flaw)
    (pod / "ca.crt").write_bytes(made.ca_file.read_bytes())
    with tls.serving(made, EMPTY) as url:
        in_pod(monkeypatch, url)
        api = connect(QUICK)

        assert api.namespace == "team"
        assert api.bound(unreachable_seconds=1).list(TFJOB).resource_version == "7"


def test_an_unknown_authority_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, other = tls.authority(tmp_path / "a"), tls.authority(tmp_path / "b")
    with tls.serving(made, EMPTY) as url:
        api = by_kubeconfig(tmp_path, monkeypatch, url, other.ca_file)
        with pytest.raises(UserError, match="is not trusted: .*VERIFY_FAILED.* in the kubeconfig"):
            api.list(TFJOB)


def test_a_pod_gets_no_advice_about_a_kubeconfig(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pod: Path
) -> None:
    made, other = tls.authority(tmp_path / "a"), tls.authority(tmp_path / "b")
    (pod / "ca.crt").write_bytes(other.ca_file.read_bytes())
    with tls.serving(made, EMPTY) as url:
        in_pod(monkeypatch, url)
        with pytest.raises(UserError, match="is not trusted: .*VERIFY_FAILED") as caught:
            connect(QUICK).bound(unreachable_seconds=1).list(TFJOB)

    message = str(caught.value)
    assert f"trusts the authority in {pod / 'ca.crt'}" in message
    assert "kube-root-ca.crt" in message
    assert "kubeconfig" not in message.lower()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No access to the cluster of this pod: .*automountServiceAccountToken"),
        ("", "No access to the cluster of this pod: .*automountServiceAccountToken"),
        ("no certificate", "No access to the cluster of this pod: .*ca.crt holds no certificates"),
    ],
)
def test_a_pod_without_an_account(
    monkeypatch: pytest.MonkeyPatch, pod: Path, content: str | None, message: str
) -> None:
    in_pod(monkeypatch, "https://127.0.0.1:9")
    if content is not None:
        (pod / "ca.crt").write_text(content)

    with pytest.raises(UserError, match=message) as caught:
        connect(QUICK)

    assert "KUBECONFIG" not in str(caught.value)


def test_a_kubeconfig_whose_authority_is_no_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")

    with pytest.raises(UserError, match="ca.pem holds no certificates"):
        by_kubeconfig(tmp_path, monkeypatch, "https://127.0.0.1:9", tmp_path / "ca.pem")
