"""Several worker processes on this machine."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.prediction.saved_model import SavedModel
from kfp_tabular.components.training import train
from kfp_tabular.components.training.distributed import local_workers

STAND_IN = """
import json, os, sys, time
index = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
print(f"worker {index} starts", flush=True)
"""


def test_two_workers_train_one_model(inputs, tmp_path, capfd):
    """Neither 1500 rows in batches of 64 nor an odd share divide evenly among two."""
    result = train.run(inputs["binary"].request(tmp_path, workers=2))
    assert result.metrics["eval_auc"] > 0.85
    assert result.metrics["steps"] <= 6 * 24
    log = capfd.readouterr().err
    assert "worker 1 of 2: reading" in log
    assert "worker 2 of 2" not in log
    other = (tmp_path / "logs" / "workers" / "worker-1.log").read_text()
    assert "worker 2 of 2: reading" in other
    assert "model written" not in other
    assert SavedModel(tmp_path / "model").spec.task == "binary"
    assert result.lineage["model"]["training"]["seed"] == 0
    page = (tmp_path / "report.html").read_text()
    assert "eval_auc" in page


@pytest.fixture
def stand_in(monkeypatch, tmp_path, inputs):
    """Replace the worker program by some lines of Python."""

    def prepare(code):
        (tmp_path / "stand_in_worker.py").write_text(STAND_IN + code)
        monkeypatch.setattr(local_workers, "WORKER_MODULE", "stand_in_worker")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        return inputs["binary"].settings(tmp_path)

    return prepare


def running(tmp_path):
    listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return [line for line in listing.stdout.splitlines() if f"--logs={tmp_path}" in line]


def test_a_worker_that_dies_takes_the_others_with_it(stand_in, tmp_path):
    settings = stand_in("time.sleep(0.5)\nif index == 1: os._exit(3)\ntime.sleep(600)\n")
    with pytest.raises(
        local_workers.WorkerError, match="worker 2 of 3 ended with exit code 3"
    ) as error:
        local_workers.run(settings, 3)
    assert "worker 1 starts" in str(error.value)
    assert not running(tmp_path)


def test_a_worker_that_does_not_listen_is_killed(stand_in, tmp_path, monkeypatch):
    monkeypatch.setattr(local_workers, "_GRACE_SECONDS", 0.5)
    settings = stand_in(
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('deaf', flush=True)\ntime.sleep(1)\nif index == 1: os._exit(1)\ntime.sleep(600)\n"
    )
    with pytest.raises(local_workers.WorkerError, match="worker 2 of 2"):
        local_workers.run(settings, 2)
    assert not running(tmp_path)


def test_a_users_error_in_a_worker_is_the_tasks(stand_in):
    settings = stand_in(
        "if index == 0: print('ERROR kfp-tabular: error: column x is wrong'); sys.exit(2)\n"
        "time.sleep(600)\n"
    )
    with pytest.raises(UserError, match=r"^column x is wrong$"):
        local_workers.run(settings, 2)


def test_a_task_that_is_told_to_stop_stops_its_workers(stand_in, tmp_path):
    settings = stand_in("time.sleep(600)\n")
    timer = threading.Timer(1.5, os.kill, [os.getpid(), signal.SIGTERM])
    timer.start()
    try:
        with pytest.raises(SystemExit) as ended:
            local_workers.run(settings, 2)
    finally:
        timer.cancel()
    assert ended.value.code == 143
    assert not running(tmp_path)


def test_workers_end_with_a_task_that_is_killed(stand_in, tmp_path):
    """They stop even though it cannot stop them itself."""
    settings = stand_in(
        "from kfp_tabular.components.training.worker import program\n"
        "program.parse(sys.argv[1:])\nprint('ready', flush=True)\ntime.sleep(600)\n"
    )
    code = (
        "import sys; from pathlib import Path; "
        "from kfp_tabular.components.training.distributed import local_workers; "
        "from kfp_tabular.components.training.worker_settings import WorkerSettings; "
        "local_workers.WORKER_MODULE = 'stand_in_worker'; "
        "local_workers.run(WorkerSettings(*map(Path, sys.argv[1:])), 2)"
    )
    paths = [
        str(getattr(settings, name))
        for name in ("transformed_examples", "transform_graph", "output", "logs")
    ]
    task = subprocess.Popen([sys.executable, "-c", code, *paths], stderr=subprocess.PIPE, text=True)
    log = settings.logs / "workers" / "worker-1.log"
    wait_until(lambda: log.is_file() and "ready" in log.read_text())
    task.kill()
    task.communicate()
    wait_until(lambda: not running(tmp_path))


def wait_until(holds, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"backend": "kubeflow"},
            "backend: expected local, tfjob or trainjob, found 'kubeflow'",
        ),
        ({"workers": 0}, "workers: expected at least 1, found 0"),
    ],
)
def test_what_a_task_refuses(inputs, tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        train.run(inputs["binary"].request(tmp_path, **changes))
