"""Object stores behind certificates that Go's clients accept, and so Kubeflow's launcher."""

import json
from pathlib import Path

import pytest
import requests

from kfp_tabular.components.common.storage import gcs, s3
from tests.servers import tls

BLOB = json.dumps({"name": "a.csv", "size": "3"}).encode()


@pytest.fixture(autouse=True)
def _python_3_13(monkeypatch: pytest.MonkeyPatch) -> None:
    tls.verify_as_python_3_13(monkeypatch)


def trust(monkeypatch: pytest.MonkeyPatch, ca_file: Path, url: str) -> None:
    # The launcher sets the first two for a task.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca_file))
    monkeypatch.setenv("AWS_CA_BUNDLE", str(ca_file))
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    monkeypatch.setenv("AWS_NO_SIGN_REQUEST", "YES")
    monkeypatch.setenv(gcs.EMULATOR, url)


@pytest.mark.parametrize("flaw", ["", *tls.FLAWS])
@pytest.mark.parametrize("kind", ["gs", "s3"])
def test_an_authority_that_the_launcher_accepts_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, flaw: tls.Flaw
) -> None:
    made = tls.authority(tmp_path, flaw)
    with tls.serving(made, BLOB) as url:
        trust(monkeypatch, made.ca_file, url)
        bucket = gcs.GcsBucket("data") if kind == "gs" else s3.S3Bucket("s3", "data")

        found = bucket.stat("a.csv")

    assert found is not None
    assert found.key == "a.csv"


def test_an_unknown_authority_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, other = tls.authority(tmp_path / "a"), tls.authority(tmp_path / "b")
    with tls.serving(made, BLOB) as url:
        trust(monkeypatch, other.ca_file, url)
        session = gcs.GcsBucket("data")._bucket.client._http

        with pytest.raises(requests.exceptions.SSLError, match="VERIFY_FAILED"):
            session.get(url)


def test_tokens_are_asked_for_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tls.authority(tmp_path, "no keyUsage")
    with tls.serving(made, BLOB) as url:
        trust(monkeypatch, made.ca_file, url)
        request = gcs.GcsBucket("data")._bucket.client._http._auth_request

        assert request(url, "GET").status == 200
        assert request.session.get_adapter(url).max_retries.total == 3
