"""Servers of Kubeflow Pipelines behind certificates that Go's clients accept."""

import json
from pathlib import Path

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.kubeflow import pod_logs
from kfp_tabular.pipelines.kubeflow.connection import Server, connect, translated
from tests.servers import tls

ANSWER = json.dumps({"run_id": "r", "state": "SUCCEEDED"}).encode()


@pytest.fixture(autouse=True)
def _python_3_13(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tls.verify_as_python_3_13(monkeypatch)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.parametrize("flaw", ["", *tls.FLAWS])
def test_an_authority_that_kubeflow_accepts_is_accepted(tmp_path: Path, flaw: tls.Flaw) -> None:
    made = tls.authority(tmp_path, flaw)
    with tls.serving(made, ANSWER) as url:
        # Without a namespace, the client asks the server already when it is made.
        for namespace in ("", "team"):
            client = connect(Server(host=url, ca_file=made.ca_file, namespace=namespace))

            assert client.get_run("r").state == "SUCCEEDED"
            assert pod_logs.read(client, "r", "pod").lines == (ANSWER.decode(),)


@pytest.mark.parametrize("known", [True, False])
def test_an_unknown_authority_is_refused(tmp_path: Path, *, known: bool) -> None:
    made, other = tls.authority(tmp_path / "a"), tls.authority(tmp_path / "b")
    ca_file = other.ca_file if known else None
    advice = f"Check whether {ca_file} has" if known else "Give .* with --ca-file"
    with tls.serving(made, ANSWER) as url:
        server = Server(host=url, ca_file=ca_file, namespace="team")
        with (
            pytest.raises(UserError, match=f"{url} is not trusted: .*VERIFY_FAILED.* {advice}"),
            translated(server),
        ):
            connect(server).get_run("r")


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_insecure_accepts_any_certificate(tmp_path: Path) -> None:
    with tls.serving(tls.authority(tmp_path, host="elsewhere.example.com"), ANSWER) as url:
        client = connect(Server(host=url, insecure=True, namespace="team"))

        assert client.get_run("r").state == "SUCCEEDED"


def test_a_file_without_certificates_is_named(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")

    with pytest.raises(UserError, match=f"{file} holds no certificates"):
        connect(Server(host="https://127.0.0.1:9", ca_file=file, namespace="team"))
