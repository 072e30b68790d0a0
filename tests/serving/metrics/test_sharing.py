"""Metrics of several worker processes, some of which end."""

import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

from kfp_tabular.serving.metrics.exposition import render_metrics
from kfp_tabular.serving.metrics.sharing import SharedMetrics
from tests.serving.metrics.metric_samples import samples

WORKER = """
import prometheus_client, sys
from kfp_tabular.serving.metrics.instruments import Metrics, ModelIdentity
metrics = Metrics(prometheus_client.CollectorRegistry())
version = sys.argv[1]
metrics.set_served_version(ModelIdentity("fraud", version, "binary", "", ("a",), ("no", "ja")), 1)
for line in sys.stdin:
    if line.strip() == "reload":
        served = ModelIdentity("fraud", "9", "binary", "", ("a",), ("no", "ja"))
        metrics.set_served_version(served, 1)
    else:
        metrics.request_started("v1")
        metrics.count_predictions("fraud", [b"ja"], 1)
        if line.strip() == "whole":
            metrics.request_ended("v1", "predict", "200", 0.02)
    print("done", flush=True)
"""

SCRAPE = """
import sys
from kfp_tabular.serving.metrics.exposition import render_metrics
sys.stdout.buffer.write(render_metrics([], "")[0])
"""


class Worker:
    """A process that counts on command, and shares its metrics."""

    def __init__(self, shared, version="7"):
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WORKER), version],
            env=os.environ | shared.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def count(self, *requests):
        for request in requests:
            self.process.stdin.write(request + "\n")
            self.process.stdin.flush()
            assert self.process.stdout.readline() == "done\n"

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def shared(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = SharedMetrics.create()
    assert found.directory.parent == tmp_path
    yield found
    found.remove()
    assert not found.directory.exists()


@pytest.fixture
def start(shared):
    workers = []

    def begin(*arguments):
        workers.append(Worker(shared, *arguments))
        return workers[-1]

    yield begin
    for worker in workers:
        worker.end()


def scrape(shared):
    ended = subprocess.run(
        [sys.executable, "-c", SCRAPE],
        env=os.environ | shared.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return samples(ended.stdout)


PREDICTED = ("kfp_tabular_predictions_total", "fraud", "ja")
ANSWERED = ("kfp_tabular_requests_total", "v1", "predict", "200")
IN_FLIGHT = ("kfp_tabular_requests_in_flight", "v1")
MEASURED = ("kfp_tabular_request_duration_seconds_count", "v1", "predict")
BELOW = ("kfp_tabular_request_duration_seconds_bucket", "v1", "predict", "0.025")


def test_workers_are_summed_and_ended_workers_stay_counted(shared, start):
    first, second = start(), start("8")
    first.count("whole", "whole", "half")
    second.count("whole", "half", "half")
    before = scrape(shared)
    assert (before[PREDICTED], before[ANSWERED], before[IN_FLIGHT]) == (6, 3, 3)
    assert (before[MEASURED], before[BELOW]) == (3, 3)
    assert {key[2] for key in before if key[0] == "kfp_tabular_model_info"} == {"7", "8"}

    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    shared.retire(first.process.pid)
    after = scrape(shared)
    assert (after[PREDICTED], after[ANSWERED], after[IN_FLIGHT]) == (6, 3, 2)
    assert (after[MEASURED], after[BELOW]) == (3, 3)
    assert {key[2] for key in after if key[0] == "kfp_tabular_model_info"} == {"8"}

    second.count("reload")
    assert {key[2] for key in scrape(shared) if key[0] == "kfp_tabular_model_info"} == {"9"}


def test_workers_that_end_repeatedly_leave_no_files(shared, start):
    sizes = []
    for times in range(1, 5):
        worker = start()
        worker.count("whole", "half")
        worker.end()
        shared.retire(worker.process.pid)
        shared.retire(worker.process.pid)
        found = scrape(shared)
        assert (found[PREDICTED], found[ANSWERED], found[MEASURED]) == (2 * times, times, times)
        assert IN_FLIGHT not in found
        sizes.append(sum(file.stat().st_size for file in shared.directory.iterdir()))
    assert len(list(shared.directory.glob("*.db"))) == 2
    assert sizes[0] == sizes[-1]


def test_a_worker_killed_while_creating_its_file_breaks_no_scrape(shared, start):
    start().count("whole")
    (shared.directory / "counter_99999.db").touch()
    (shared.directory / "gauge_livesum_99999.db").touch()
    assert scrape(shared)[PREDICTED] == 1
    shared.retire(99999)
    assert scrape(shared)[PREDICTED] == 1


def test_a_scrape_never_sees_a_counter_fall_or_count_twice(shared, start, monkeypatch):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(shared.directory))
    workers = [start() for _ in range(4)]
    for worker in workers:
        worker.count(*["whole"] * 5)
        worker.end()
    seen, stop = [], threading.Event()

    def scrape_on():
        while not stop.is_set():
            seen.append(samples(render_metrics([], "")[0].decode())[PREDICTED])

    thread = threading.Thread(target=scrape_on)
    thread.start()
    for worker in workers:
        enough = len(seen) + 3
        while thread.is_alive() and len(seen) < enough:
            pass
        shared.retire(worker.process.pid)
    stop.set()
    thread.join()
    assert set(seen) == {20}
