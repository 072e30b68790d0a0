"""Replacing a schedule whose run has not ended."""

import logging
import os
import shutil
import signal
from pathlib import Path

import pytest
from click.testing import Result

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines import registry
from kfp_tabular.pipelines.compile import compile_pipeline
from kfp_tabular.pipelines.configuration import PipelineConfig
from kfp_tabular.pipelines.kubeflow import replacement, submission
from tests.pipelines.kubeflow.commands import call
from tests.pipelines.kubeflow.pipelines_server import PipelinesServer

WHAT = ["--pipeline", "validation", "--name", "nightly"]
WHAT += ["--data", "gs://bucket/day/*.csv", "--param", "schema_uri=gs://bucket/schema.pbtxt"]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled validation pipeline."""
    path = tmp_path_factory.mktemp("compiled") / "validation.yaml"
    compile_pipeline(registry.find("validation"), PipelineConfig(), path)
    return path


@pytest.fixture(autouse=True)
def _quick(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def copy(pipeline: object, config: object, output: Path) -> None:
        shutil.copy(package, output)

    monkeypatch.setattr(submission.compiling, "compile_pipeline", copy)
    monkeypatch.setattr(replacement, "_POLL_SECONDS", 0.0)


def schedule(server: PipelinesServer, *arguments: str, hour: int = 2) -> Result:
    return call(server, "schedule", *WHAT, "--cron", f"0 {hour} * * *", *arguments)


@pytest.fixture
def old(server: PipelinesServer) -> str:
    """A schedule with a run that has ended, and one that has not."""
    schedule(server)
    (identifier,) = server.recurring
    for run, state in (("yesterday", "SUCCEEDED"), ("today", "RUNNING")):
        server.runs[run] = {
            "run_id": run,
            "display_name": f"nightly-{run}",
            "experiment_id": server.recurring[identifier]["experiment_id"],
            "recurring_run_id": identifier,
            "state": state,
        }
    return identifier


def modes(server: PipelinesServer) -> dict[str, str]:
    """Return the mode of each schedule by its hour."""
    return {
        entry["trigger"]["cron_schedule"]["cron"].split()[2]: entry["mode"]
        for entry in server.recurring.values()
    }


def ends(server: PipelinesServer, *, after: int, state: str = "SUCCEEDED") -> list[dict[str, str]]:
    """Let the run end after it was looked at so many times; return the modes at each look."""
    seen: list[dict[str, str]] = []

    def look() -> None:
        seen.append(modes(server))
        if len(seen) > after:
            server.runs["today"]["state"] = state

    server.looked = look
    return seen


def test_without_a_choice_nothing_is_replaced(server: PipelinesServer, old: str) -> None:
    result = schedule(server, "--replace", hour=3)

    assert isinstance(result.exception, UserError)
    assert str(result.exception) == (
        f"schedule {old} has a run that has not ended: nightly-today (today). Deleting the "
        "schedule would kill it. Choose what to do with --running wait, stop or leave."
    )
    assert modes(server) == {"2": "ENABLE"}
    assert not server.killed


def test_a_run_is_waited_for(server: PipelinesServer, old: str) -> None:
    seen = ends(server, after=6)

    result = schedule(server, "--replace", "--running", "wait", hour=3)

    assert result.exception is None
    assert f"waiting for run nightly-today (today) of schedule {old} to end\n" in result.output
    assert f"replaced: {old}\n" in result.output
    assert modes(server) == {"3": "ENABLE"}
    # Neither of them starts a run meanwhile.
    assert seen[-1] == {"2": "DISABLE", "3": "DISABLE"}
    assert not server.killed
    assert not server.terminated


def test_a_run_is_stopped(server: PipelinesServer, old: str) -> None:
    ends(server, after=6, state="FAILED")

    result = schedule(server, "--replace", "--running", "stop", hour=3)

    assert result.exception is None
    assert f"stopping run nightly-today (today) of schedule {old}\n" in result.output
    assert server.terminated == ["today"]
    assert modes(server) == {"3": "ENABLE"}
    assert not server.killed


def test_a_run_is_left_to_its_end(server: PipelinesServer, old: str) -> None:
    result = schedule(server, "--replace", "--running", "leave", hour=3)

    assert result.exception is None
    assert f"left:     {old} (disabled; its run goes on)\n" in result.output
    assert "replaced:" not in result.output
    assert modes(server) == {"2": "DISABLE", "3": "ENABLE"}
    assert server.runs["today"]["state"] == "RUNNING"

    server.runs["today"]["state"] = "SUCCEEDED"
    again = schedule(server, "--replace", hour=4)
    assert again.exception is None
    assert f"replaced: {old}\n" in again.output
    assert modes(server) == {"4": "ENABLE"}


def test_a_disabled_schedule_replaces_as_such(server: PipelinesServer, old: str) -> None:
    ends(server, after=0)

    result = schedule(server, "--replace", "--running", "wait", "--disabled", hour=3)

    assert result.exception is None
    assert modes(server) == {"3": "DISABLE"}


def test_a_wait_that_takes_too_long_changes_nothing(server: PipelinesServer, old: str) -> None:
    result = schedule(server, "--replace", "--running", "wait", "--timeout", "1s", hour=3)

    assert str(result.exception) == (
        "run nightly-today (today) has not ended after 1 s. If its Workflow is gone, it never "
        "will: choose --running leave."
    )
    assert "nothing was replaced\n" in result.output
    assert modes(server) == {"2": "ENABLE"}


def test_a_run_that_does_not_stop(
    server: PipelinesServer, old: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replacement, "_STOP_SECONDS", 1.0)

    result = schedule(server, "--replace", "--running", "stop", hour=3)

    assert "has not ended after 1 s" in str(result.exception)
    assert modes(server) == {"2": "ENABLE"}


def test_an_interrupted_wait_changes_nothing(server: PipelinesServer, old: str) -> None:
    looks = []

    def interrupt() -> None:
        looks.append(1)
        if len(looks) == 6:
            os.kill(os.getpid(), signal.SIGTERM)

    server.looked = interrupt
    result = schedule(server, "--replace", "--running", "wait", hour=3)

    assert result.exception is not None
    assert modes(server) == {"2": "ENABLE"}
    assert "replaced:" not in result.output


def test_a_run_that_starts_at_the_last_moment(server: PipelinesServer, old: str) -> None:
    server.runs["today"]["state"] = "SUCCEEDED"
    looks = []

    def start() -> None:
        looks.append(1)
        if modes(server).get("2") == "DISABLE":
            server.runs["today"]["state"] = "RUNNING"

    server.looked = start
    result = schedule(server, "--replace", hour=3)

    assert isinstance(result.exception, UserError)
    assert "has a run that has not ended" in str(result.exception)
    assert modes(server) == {"2": "ENABLE"}
    assert not server.killed


def test_an_undo_that_fails_is_said(
    server: PipelinesServer, old: str, caplog: pytest.LogCaptureFixture
) -> None:
    def look() -> None:
        if modes(server).get("2") == "DISABLE":
            server.failing = [400] * 20

    server.looked = look
    with caplog.at_level(logging.WARNING):
        result = schedule(server, "--replace", "--running", "wait", hour=3)

    assert isinstance(result.exception, UserError)
    assert "could not be asked to undo the replacement" in caplog.text
    assert f"schedules {old} and " in caplog.text


def test_a_choice_needs_a_replacement(server: PipelinesServer) -> None:
    for option in (["--running", "wait"], ["--timeout", "4h"]):
        result = schedule(server, *option)

        assert isinstance(result.exception, UserError)
        assert "add --replace" in str(result.exception)
    assert not server.recurring
