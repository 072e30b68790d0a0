"""Metrics of several worker processes, some of which end."""

import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

from kfp_tabular.serving.metrics import shared_memory
from kfp_tabular.serving.metrics.sharing import SharedCollector, SharedMetrics
from tests.serving.metrics.metric_samples import samples

WORKERS = 3

WORKER = """
import sys
from kfp_tabular.serving.metrics.sharing import share
share(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
import prometheus_client
from kfp_tabular.serving.metrics.instruments import Metrics, ModelIdentity
metrics = Metrics(prometheus_client.CollectorRegistry())
version = sys.argv[4]
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
        if line.strip() == "many":
            for number in range(20_000):
                metrics.count_admission(f"key-{number}", "v1")
    print("done", flush=True)
"""


class Worker:
    """A process that counts on command, and shares its metrics."""

    def __init__(self, shared, number=0, version="7"):
        self.number = number
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-c", textwrap.dedent(WORKER)),
                *(str(shared.descriptor), str(number), str(WORKERS), version),
            ],
            pass_fds=[shared.descriptor],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def count(self, *requests):
        for request in requests:
            self.process.stdin.write(request + "\n")
            self.process.stdin.flush()
            assert self.process.stdout.readline() == "done\n"

    def end(self, shared=None):
        self.process.kill()
        self.process.wait()
        if shared is not None:
            shared.worker_ended(self.number, "killed")
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.stderr.close()


@pytest.fixture
def shared():
    found = SharedMetrics.create(WORKERS)
    yield found
    found.close()


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
    import prometheus_client

    registry = prometheus_client.CollectorRegistry(auto_describe=False)
    registry.register(SharedCollector(shared.descriptor, shared.workers))
    found = samples(prometheus_client.generate_latest(registry).decode())
    # Shown by `render_metrics` only for the versions that are served.
    return {key: value for key, value in found.items() if value or key[0] != INFO}


INFO = "kfp_tabular_model_info"
PREDICTED = ("kfp_tabular_predictions_total", "fraud", "ja")
ANSWERED = ("kfp_tabular_requests_total", "v1", "predict", "200")
IN_FLIGHT = ("kfp_tabular_requests_in_flight", "v1")
MEASURED = ("kfp_tabular_request_duration_seconds_count", "v1", "predict")
BELOW = ("kfp_tabular_request_duration_seconds_bucket", "v1", "predict", "0.025")


RESTARTS = "kfp_tabular_worker_restarts_total"


def test_workers_are_summed_and_ended_workers_stay_counted(shared, start):
    first, second = start(0), start(1, "8")
    first.count("whole", "whole", "half")
    second.count("whole", "half", "half")
    before = scrape(shared)
    assert (before[PREDICTED], before[ANSWERED], before[IN_FLIGHT]) == (6, 3, 3)
    assert (before[MEASURED], before[BELOW]) == (3, 3)
    assert {key[2] for key in before if key[0] == INFO} == {"7", "8"}
    assert before[RESTARTS, "killed"] == 0

    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    shared.worker_ended(0, "killed")
    after = scrape(shared)
    assert (after[PREDICTED], after[ANSWERED], after[IN_FLIGHT]) == (6, 3, 2)
    assert (after[MEASURED], after[BELOW]) == (3, 3)
    assert {key[2] for key in after if key[0] == INFO} == {"8"}
    assert after[RESTARTS, "killed"] == 1

    second.count("reload")
    assert {key[2] for key in scrape(shared) if key[0] == INFO} == {"9"}


def test_a_worker_continues_the_counts_of_the_one_before_it(shared, start):
    for times in range(1, 5):
        worker = start(0)
        worker.count("whole", "half")
        worker.end(shared)
        found = scrape(shared)
        assert (found[PREDICTED], found[ANSWERED], found[MEASURED]) == (2 * times, times, times)
        assert IN_FLIGHT not in found
    assert os.fstat(shared.descriptor).st_size == (WORKERS + 1) * shared_memory.WORKER_BYTES


def test_the_memory_is_allocated_and_cannot_be_cut_off(shared):
    state = os.fstat(shared.descriptor)
    assert state.st_blocks * 512 >= state.st_size
    with pytest.raises(PermissionError):
        os.ftruncate(shared.descriptor, 0)


def test_a_damaged_region_breaks_no_scrape_and_no_worker(shared, start):
    start(0).count("whole")
    os.pwrite(shared.descriptor, b"\xff" * 4096, shared_memory.WORKER_BYTES)
    os.pwrite(shared.descriptor, b"\x00\x10" + b"\xff" * 4096, 2 * shared_memory.WORKER_BYTES)
    assert scrape(shared)[PREDICTED] == 1
    start(1).count("whole")
    start(2).count("whole")
    assert scrape(shared)[PREDICTED] == 3


def test_more_series_than_there_is_room_for_are_said_once_and_not_counted(shared, start):
    worker = start(0)
    worker.count("whole", "many", "whole")
    found = scrape(shared)
    assert found[ANSWERED] == 2
    keys = [key for key in found if key[0] == "kfp_tabular_authenticated_requests_total"]
    assert 5_000 < len(keys) < 20_000
    worker.process.stdin.close()
    assert worker.process.wait(30) == 0
    assert worker.process.stderr.read().count("no room for more metrics") == 1


def test_a_scrape_never_sees_a_counter_fall_or_count_twice(shared, start):
    workers = [start(number) for number in range(3)]
    for worker in workers:
        worker.count(*["whole"] * 5)
    seen, stop = [], threading.Event()

    def scrape_on():
        while not stop.is_set():
            seen.append(scrape(shared)[PREDICTED])

    thread = threading.Thread(target=scrape_on)
    thread.start()
    for worker in workers:
        enough = len(seen) + 3
        while thread.is_alive() and len(seen) < enough:
            pass
        worker.end(shared)
        start(worker.number)
    stop.set()
    thread.join()
    assert set(seen) == {15}


ALONE = """
from kfp_tabular.serving.metrics import sharing
sharing.no_sharing()
import prometheus_client
from kfp_tabular.serving.metrics.instruments import Metrics
Metrics(prometheus_client.CollectorRegistry()).count_overload()
"""


def test_the_librarys_directory_for_metrics_is_not_used(tmp_path):
    """A full disk would turn its sparse files into a SIGBUS."""
    ended = subprocess.run(
        [sys.executable, "-c", ALONE],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ended.stderr == "PROMETHEUS_MULTIPROC_DIR is ignored: no files are needed for metrics\n"
    assert [*tmp_path.iterdir()] == []
