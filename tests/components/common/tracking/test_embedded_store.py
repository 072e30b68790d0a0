"""Recording into the embedded store, read back by MLflow's own client."""

import multiprocessing
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.tracking import embedded_store, open_tracker
from kfp_tabular.components.common.tracking.address import Address, embedded
from kfp_tabular.components.common.tracking.mlflow_tracker import DIGEST_TAG, KEY_TAG
from kfp_tabular.components.common.tracking.record import RunToRecord


def test_everything_is_read_back_by_mlflows_client(tmp_path: Path, run: RunToRecord) -> None:
    tracker = open_tracker(embedded(tmp_path / "home"))

    recorded = tracker.record(run)

    assert recorded.lost == ()
    client = tracker.client()
    found = client.get_run(recorded.run_id)
    assert found.info.status == "FINISHED"
    assert found.info.run_name == run.name
    assert (found.info.start_time, found.info.end_time) == (1_796_000_000_000, 1_796_000_060_000)
    assert found.data.params == {"data_uri": "rows.csv", "epochs": "3", "exclude": '["id"]'}
    assert found.data.metrics == {**run.metrics, "train_loss": 0.125}
    history = client.get_metric_history(recorded.run_id, "train_loss")
    assert [(point.step, point.value) for point in history] == [(10, 0.5), (20, 0.25), (30, 0.125)]
    assert run.tags.items() <= found.data.tags.items()
    pages = client.list_artifacts(recorded.run_id, "pages")
    assert [page.path for page in pages] == ["pages/train-model.html"]
    children = client.search_runs(
        [found.info.experiment_id], f"tags.`mlflow.parentRunId` = '{recorded.run_id}'"
    )
    assert {(trial.data.params["learning_rate"], trial.info.status) for trial in children} == {
        ("0.1", "FINISHED"),
        ("9.0", "FAILED"),
    }


def test_a_retry_records_once(tmp_path: Path, run: RunToRecord) -> None:
    tracker = open_tracker(embedded(tmp_path / "home"))
    begun = tracker.record(replace(run, metrics={}, status="RUNNING", ended=None, trials=()))

    first = tracker.record(run)
    again = open_tracker(embedded(tmp_path / "home")).record(run)

    assert begun.run_id == first.run_id == again.run_id
    assert first.lost == again.lost == ()
    with closing(sqlite3.connect(tmp_path / "home" / "mlflow.db")) as store:
        assert store.execute("SELECT count(*) FROM runs").fetchone() == (3,)
        points = store.execute("SELECT count(*) FROM metrics WHERE key = 'train_loss'").fetchone()
        assert points == (3,)


def test_a_parameter_that_changed_is_said(tmp_path: Path, run: RunToRecord) -> None:
    tracker = open_tracker(embedded(tmp_path / "home"))
    tracker.record(run)

    again = tracker.record(replace(run, parameters={**run.parameters, "epochs": 4}))

    assert again.lost == ("parameter epochs = 4, recorded before as 3",)
    assert "tracking-lost" in {finding.code for finding in again.findings()}


def words(statement: str) -> list[str]:
    return sorted(statement.replace(",", " ").split())


def test_the_copied_tables_are_those_of_mlflows_migrations(tmp_path: Path) -> None:
    embedded_store.migrated(tmp_path / "migrated.db")
    embedded_store.ensure(embedded(tmp_path))

    with (
        closing(sqlite3.connect(tmp_path / "migrated.db")) as migrated,
        closing(sqlite3.connect(tmp_path / "mlflow.db")) as copied,
    ):
        # Migrations make constraints and indices in an order that changes.
        assert sorted(map(words, copied.iterdump())) == sorted(map(words, migrated.iterdump()))


def test_with_another_version_mlflow_migrates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: RunToRecord
) -> None:
    monkeypatch.setattr(embedded_store, "tables", lambda version: None)

    assert open_tracker(embedded(tmp_path)).record(run).lost == ()


def test_a_store_that_cannot_be_written_is_said_and_fails_nothing(
    tmp_path: Path, run: RunToRecord
) -> None:
    (tmp_path / "file").write_text("")
    tracker = open_tracker(embedded(tmp_path / "file" / "home"))

    recorded = tracker.record(run)

    assert recorded.lost == ("the whole run",)
    assert "KFP_TABULAR_HOME" in recorded.reason
    with pytest.raises(UserError, match="cannot be written"):
        tracker.client()


def test_a_row_that_another_process_inserts_at_the_same_time_loses_nothing(
    tmp_path: Path, run: RunToRecord
) -> None:
    tracker = open_tracker(embedded(tmp_path / "home"))
    inserted = []

    def insert_first(session: Session, *_: object) -> None:
        """Take the place of a process that is faster by the time between a look and an insert."""
        for row in session.new:
            if getattr(row, "key", "") == DIGEST_TAG and not inserted:
                values = (row.key, row.value, row.run_uuid)
                with closing(sqlite3.connect(tmp_path / "home" / "mlflow.db")) as other, other:
                    other.execute("INSERT INTO tags (key, value, run_uuid) VALUES (?,?,?)", values)
                inserted.append(values)

    event.listen(Session, "before_flush", insert_first)
    try:
        recorded = tracker.record(run)
    finally:
        event.remove(Session, "before_flush", insert_first)

    assert len(inserted) == 1
    assert (recorded.lost, recorded.reason) == ((), "")


def _record(address: Address, run: RunToRecord) -> None:
    recorded = open_tracker(address).record(run)
    assert recorded.lost == (), recorded.reason


def test_processes_that_record_at_once_lose_nothing(tmp_path: Path, run: RunToRecord) -> None:
    address = embedded(tmp_path / "home")
    spawned = multiprocessing.get_context("spawn")
    runs = [run, run, replace(run, key="another", metrics={"auc": 0.5})]
    processes = [spawned.Process(target=_record, args=(address, each)) for each in runs]

    for process in processes:
        process.start()
    for process in processes:
        process.join()

    assert [process.exitcode for process in processes] == [0, 0, 0]
    client = open_tracker(address).client()
    experiment = client.get_experiment_by_name("fraud")
    found = client.search_runs([experiment.experiment_id])
    keys = sorted(each.data.tags[KEY_TAG] for each in found)
    assert keys == sorted(
        f"{key}{suffix}" for key in ("another", run.key) for suffix in ("", "/trial-0", "/trial-1")
    )
