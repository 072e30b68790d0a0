"""Runs of the command line are recorded, whatever way they end and wherever the store is."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from kfp_tabular.components.common.artifacts.findings import Finding
from kfp_tabular.components.common.tracking import open_tracker
from kfp_tabular.components.common.tracking.address import embedded
from tests import tracking_server
from tests.local import small_runs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    small_runs.prepare(tmp_path)
    return tmp_path


def here(folder: Path) -> dict[str, str]:
    """The environment in which the store below the folder is the default."""
    return {"MLFLOW_TRACKING_URI": "", "KFP_TABULAR_HOME": str(folder / "home")}


def recorded(folder: Path) -> list[Any]:
    client = open_tracker(embedded(folder / "home")).client()
    experiments = [found.experiment_id for found in client.search_experiments()]
    return list(client.search_runs(experiments))


def test_a_run_and_its_resumption_are_one_run_of_the_store(folder: Path) -> None:
    failed = small_runs.run(folder, "--output", "out", "--param", "mode=fail", more=here(folder))
    assert failed.returncode == 1
    (run,) = recorded(folder)
    assert (run.info.status, run.info.run_name) == ("FAILED", "out")
    assert "broken" in run.data.tags["error.double"]
    assert run.data.params["mode"] == "fail"

    (folder / "go").touch()
    done = subprocess.run(
        [str(small_runs.PROGRAM), "run", "--resume", "out"],
        cwd=folder,
        env=small_runs.environment(folder, here(folder)),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    assert done.returncode == 0, done.stderr
    (run,) = recorded(folder)
    assert run.info.status == "FINISHED"
    listed = subprocess.run(
        [str(small_runs.PROGRAM), "runs", "list", "--recorded", "--json"],
        cwd=folder,
        env=small_runs.environment(folder, here(folder)),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    (entry,) = json.loads(listed.stdout)
    assert (entry["name"], entry["status"], entry["pipeline"]) == ("out", "succeeded", "small")
    assert entry["folder"] == str(folder / "out")


def test_none_records_nothing(folder: Path) -> None:
    done = small_runs.run(folder, "--output", "out", "--tracking-uri", "none", more=here(folder))

    assert done.returncode == 0, done.stderr
    assert not (folder / "home").exists()


def test_an_address_that_is_none_is_refused_before_the_run(folder: Path) -> None:
    done = small_runs.run(folder, "--output", "out", "--tracking-uri", "mlflow:5000")

    assert done.returncode == 2
    assert "expected http://HOST" in done.stderr
    assert not (folder / "out").exists()


def test_a_server_that_dies_during_the_run_is_a_finding(folder: Path) -> None:
    home = folder / "server"
    home.mkdir()
    output = folder / "out"
    with tracking_server.running(home) as server:
        words = small_runs.command(
            folder,
            *("--output", output, "--param", "mode=wait", "--tracking-uri", server.url),
        )
        with subprocess.Popen(
            words,
            cwd=folder,
            env=small_runs.environment(folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            log = output / "logs" / "double.log"
            while not (log.is_file() and "waiting" in log.read_text()):
                assert process.poll() is None
                time.sleep(0.05)
            server.kill()
            # A run that is stopped waits for the store for a short time only.
            process.send_signal(signal.SIGTERM)
            printed, _ = process.communicate(timeout=300)

        found = [Finding(**_plain(each)) for each in small_runs.summary(output)["findings"]]
        assert [finding.code for finding in found] == ["tracking-lost"], printed
        assert f"Tracking at {server.url} lost 1 item: the whole run" in printed
        assert "the whole run" in (output / "report.html").read_text()

        server.start()
        (folder / "go").touch()
        done = subprocess.run(
            [*small_runs.command(folder)[:2], "--resume", "out", "--tracking-uri", server.url],
            cwd=folder,
            env=small_runs.environment(folder),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        assert small_runs.summary(output)["findings"] == []
        client = open_tracker(server.url).client()
        experiment = client.get_experiment_by_name("small")
        (run,) = client.search_runs([experiment.experiment_id])
        assert run.info.status == "FINISHED"


def _plain(document: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in document.items() if name != "task"}


def test_a_server_that_refuses_the_login_ends_the_run_before_it_begins(folder: Path) -> None:
    home = folder / "server"
    home.mkdir()
    with tracking_server.running(home, "basic-auth") as server:
        done = small_runs.run(folder, "--output", "out", "--tracking-uri", server.url)

    assert done.returncode == 2
    assert "MLFLOW_TRACKING_USERNAME" in done.stderr
    assert not (folder / "out").exists()


def test_the_ui_needs_a_store(folder: Path) -> None:
    tracking_server.require()
    done = subprocess.run(
        [str(small_runs.PROGRAM), "ui"],
        cwd=folder,
        env={**os.environ, **here(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 2
    assert "no runs are recorded here yet" in done.stderr
