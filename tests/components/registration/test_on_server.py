"""Registration and promotion on a real MLflow server over HTTP."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kfp_tabular.components.common import files
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.registry import (
    NoChampionError,
    open_registry,
    opened,
    promotion,
    resolve,
)
from kfp_tabular.components.common.tracking import open_tracker
from kfp_tabular.components.registration import register
from kfp_tabular.components.registration.register import RegistrationRequest
from tests import tracking_server
from tests.components.registration.test_register import make
from tests.tracking_server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with tracking_server.running(tmp_path_factory.mktemp("server")) as found:
        yield found


def with_logs(request: RegistrationRequest, folder: Path) -> RegistrationRequest:
    """Add the logs of the training and a page."""
    logs = {"history": [{"step": 10, "train_loss": 0.5}], "facts": {}}
    files.write_text(folder / "logs" / "training.json", json.dumps(logs))
    files.write_text(folder / "page", "<!doctype html><title>Evaluation")
    return replace(
        request, training_logs=folder / "logs", pages={"evaluate-model": folder / "page"}
    )


def test_a_task_of_kubeflow_registers_into_the_run_that_kfp_has_opened(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = open_tracker(server.url).client()
    kfps = client.create_run(client.create_experiment("of-kfp"), run_name="taxi-x7k2p")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    monkeypatch.setenv("MLFLOW_RUN_ID", kfps.info.run_id)
    request = with_logs(make(tmp_path, "a", run_id="taxi-x7k2p"), tmp_path)

    assert [register.run(request), register.run(request)] == ["1", "1"]

    registry = open_registry()
    assert registry is not None
    version = registry.version("taxi", "1")
    assert version.facts["run"] == kfps.info.run_id
    run = client.get_run(kfps.info.run_id)
    assert run.info.status == "RUNNING", "KFP ends it"
    assert run.data.metrics["auc.high"] == 0.82
    assert len(client.get_metric_history(kfps.info.run_id, "train_loss")) == 1
    pages = client.list_artifacts(kfps.info.run_id, "pages")
    assert [page.path for page in pages] == ["pages/evaluate-model.html"]
    assert client.get_experiment_by_name("taxi") is None
    documents = registry.documents(version, tmp_path / "documents")
    assert (documents / "golden.json").is_file()

    assert registry.aliases("taxi") == {"challenger": "1"}
    with pytest.raises(NoChampionError):
        resolve("models:/taxi@champion")
    with promotion.rollout(registry, version, "", {"by": "test"}):
        pass
    assert registry.aliases("taxi") == {"champion": "1"}
    with opened(resolve("models:/taxi@champion")) as path:
        assert path == request.model

    second = make(tmp_path, "b", baseline=version.digest)
    assert register.run(second) == "2"
    with promotion.rollout(registry, registry.version("taxi", "2"), "1", {}):
        pass
    assert registry.aliases("taxi") == {"champion": "2", "previous": "1"}
    for number in ("1", "2"):
        known = registry.version("taxi", number)
        documents = registry.documents(known, tmp_path / f"documents-{number}")
        pointer = json.loads((documents / "model_pointer.json").read_text())
        assert pointer["digest"] == known.digest, "each has its own, although they share a run"
    with (
        pytest.raises(UserError, match="champion moved under this run"),
        promotion.rollout(registry, version, "1", {}),
    ):
        pass


def test_a_server_that_needs_a_login_refuses_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tracking_server.running(tmp_path / "server", app="basic-auth") as server:
        request = make(tmp_path, "a", tracking_uri=server.url)
        with pytest.raises(UserError, match="the registry refuses this login") as refusal:
            register.run(request)
        assert "MLFLOW_TRACKING_USERNAME" in str(refusal.value)
        assert "\n" not in str(refusal.value)
        with pytest.raises(UserError, match="the registry refuses this login"):
            resolve("models:/taxi@champion", registry_uri=server.url)

        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "only-for-tests-7431")
        assert register.run(request) == "1"


def test_a_server_that_is_away_fails_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kfp_tabular.components.registration import recording

    monkeypatch.setattr(recording, "open_tracker", lambda where: open_tracker(where, patience=0))
    request = make(tmp_path, "a", tracking_uri="http://127.0.0.1:9")

    assert register.run(request) == ""

    assert "http://127.0.0.1:9: no answer" in request.summary.read_text()
