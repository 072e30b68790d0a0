"""Recording on a real MLflow server over HTTP: outages, logins, and the run that KFP has opened."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kfp_tabular.components.common.tracking import open_tracker
from kfp_tabular.components.common.tracking.address import Address
from kfp_tabular.components.common.tracking.mlflow_tracker import MlflowTracker
from kfp_tabular.components.common.tracking.patience import Patience
from kfp_tabular.components.common.tracking.record import RunToRecord
from tests import tracking_server
from tests.tracking_server import Server


def test_a_run_is_recorded_over_http(server: Server, run: RunToRecord) -> None:
    tracker = open_tracker(server.url)

    recorded = tracker.record(run)

    assert recorded.lost == (), recorded.reason
    client = tracker.client()
    assert client.get_run(recorded.run_id).data.metrics["auc"] == 0.95
    pages = client.list_artifacts(recorded.run_id, "pages")
    assert [page.path for page in pages] == ["pages/train-model.html"]
    assert len(client.get_metric_history(recorded.run_id, "train_loss")) == 3


def test_the_run_that_kfp_opened_is_gone_on_with(
    server: Server, run: RunToRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    kfp = open_tracker(server.url).client()
    experiment = kfp.create_experiment("of-kfp")
    opened = kfp.create_run(experiment, run_name="of-kfp").info.run_id
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    monkeypatch.setenv("MLFLOW_RUN_ID", opened)

    recorded = open_tracker().record(replace(run, key="of-kfp"))

    assert (recorded.run_id, recorded.lost) == (opened, ())
    found = kfp.get_run(opened)
    assert found.data.metrics["auc"] == 0.95
    assert found.info.status == "RUNNING"  # KFP ends it
    children = kfp.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{opened}'")
    assert len(children) == 2


class Interrupted(Patience):
    """Does something before one of the calls."""

    def __init__(self, at: int, then: Any, seconds: float) -> None:
        super().__init__(seconds)
        self.calls = 0
        self._at = at
        self._then = then

    def call(self, function: Any) -> Any:
        self.calls += 1
        if self.calls == self._at:
            self._then()
        return super().call(function)


@pytest.fixture
def own_server(tmp_path: Path) -> Any:
    with tracking_server.running(tmp_path) as found:
        yield found


def test_a_server_killed_in_the_middle_loses_nothing_that_is_not_listed(
    own_server: Server, run: RunToRecord
) -> None:
    killed = Interrupted(4, own_server.kill, seconds=2)

    recorded = MlflowTracker(Address("server", own_server.url), killed).record(run)

    assert recorded.run_id
    assert recorded.lost == (
        "metrics auc, auc.low, auc.high",
        "curve train_loss, steps 10 to 30",
        "file pages/train-model.html",
        "runs of the trials",
        "status of the run",
    )
    (finding,) = recorded.findings()
    assert f"Tracking at {own_server.url} lost 5 items" in finding.message

    own_server.start()
    client = open_tracker(own_server.url).client()
    found = client.get_run(recorded.run_id)
    assert found.data.params.keys() == run.parameters.keys()
    assert found.data.metrics == {}

    again = open_tracker(own_server.url).record(run)
    assert (again.run_id, again.lost) == (recorded.run_id, ())
    assert client.get_run(recorded.run_id).data.metrics["auc"] == 0.95


def test_a_server_that_comes_back_in_time_loses_nothing(
    own_server: Server, run: RunToRecord
) -> None:
    def restart() -> None:
        own_server.kill()
        own_server.start()

    patience = Interrupted(4, restart, seconds=200)

    recorded = MlflowTracker(Address("server", own_server.url), patience).record(run)

    assert recorded.lost == (), recorded.reason


def test_a_server_that_is_away_is_said_in_one_line(run: RunToRecord) -> None:
    away = "http://127.0.0.1:9"

    recorded = open_tracker(away, patience=0).record(run)

    assert (recorded.run_id, recorded.lost) == ("", ("the whole run",))
    (finding,) = recorded.findings()
    assert finding.message.startswith(f"Tracking at {away} lost 1 item: the whole run. Reason: ")
    assert "\n" not in finding.message


@pytest.fixture
def closed_server(tmp_path: Path) -> Any:
    with tracking_server.running(tmp_path, "basic-auth") as found:
        yield found


def test_a_login_is_asked_for_and_taken_from_the_environment(
    closed_server: Server, run: RunToRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = open_tracker(closed_server.url, patience=0).record(run)
    assert refused.lost == ("the whole run",)
    assert "MLFLOW_TRACKING_USERNAME" in refused.reason

    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "only-for-tests-7431")
    recorded = open_tracker(closed_server.url).record(run)

    assert recorded.lost == (), recorded.reason
    assert "only-for-tests-7431" not in str(recorded)
