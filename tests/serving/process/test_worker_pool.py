"""Workers that end, stop or hang: processes that stand for them, under the real pool."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from kfp_tabular.serving.process import worker_pool
from kfp_tabular.serving.process.heartbeat import Pulse
from kfp_tabular.serving.process.worker_pool import WorkerPool, how_it_ended

WORKER = """
import os, sys, time
number, heartbeat, kind = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
if kind == "exit":
    sys.exit(3)
if kind == "user error":
    sys.exit(2)
if kind == "slow start":
    time.sleep(1.2)
for beats in range(10_000):
    if kind == "hang" and beats == 3:
        time.sleep(600)
    os.write(heartbeat, b".")
    time.sleep(0.05)
"""


@pytest.fixture
def pool(request):
    pools, ends = [], []

    def make(*kinds, timeout=0.6):
        def command(number, heartbeat):
            kind = kinds[number]
            if isinstance(kind, list):
                kind = kind.pop(0) if len(kind) > 1 else kind[0]
            return [sys.executable, "-c", WORKER, str(number), str(heartbeat), kind]

        ended = lambda number, reason: ends.append((number, reason))  # noqa: E731
        pools.append(WorkerPool(command, [], len(kinds), timeout, ended))
        pools[-1].ends = ends
        return pools[-1]

    yield make
    for made in pools:
        made.kill()


def run(pool, until, seconds=30.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        code = pool.look()
        if code is not None or until():
            return code
        time.sleep(worker_pool.POLL_SECONDS)
    raise AssertionError("this did not happen")


def pids(pool):
    return [process.pid for process in pool.running()]


def test_a_worker_that_ends_is_replaced_and_this_is_logged(pool, caplog):
    caplog.set_level("INFO")
    made = pool("well", "well")
    run(made, lambda: len(pids(made)) == 2)
    first, second = pids(made)
    os.kill(first, signal.SIGKILL)
    run(made, lambda: "serves in place of" in caplog.text)
    assert second in pids(made)
    assert made.ends == [(0, "killed")]
    assert f"worker {first} ended by SIGKILL" in caplog.text
    assert f"serves in place of worker {first}, " in caplog.text


@pytest.mark.parametrize("kind", ["hang", "well"])
def test_a_worker_that_hangs_or_is_stopped_is_killed_and_replaced(pool, caplog, kind):
    caplog.set_level("INFO")
    made = pool([kind, "well"], "well")
    run(made, lambda: len(pids(made)) == 2)
    victim, other = pids(made)
    if kind == "well":
        run(made, lambda: made._slots[0].worker.pulse.began)
        os.kill(victim, signal.SIGSTOP)
    run(made, lambda: "serves in place of" in caplog.text)
    assert made.ends == [(0, "unresponsive")]
    assert other in pids(made)
    reason = "was stopped by a signal" if kind == "well" else "gave no sign of life"
    assert f"worker {victim} {reason} for 0.6 s (--worker-timeout-seconds)" in caplog.text


def test_a_worker_that_is_stopped_before_it_serves_is_replaced(pool, caplog):
    caplog.set_level("INFO")
    made = pool(["slow start", "well"])
    run(made, lambda: pids(made))
    os.kill(pids(made)[0], signal.SIGSTOP)
    run(made, lambda: "serves in place of" in caplog.text)
    assert made.ends == [(0, "unresponsive")]


def test_a_worker_that_loads_for_long_or_a_busy_machine_is_no_reason(pool):
    made = pool("slow start", timeout=0.5)
    run(made, lambda: bool(pids(made)) and made._slots[0].worker.pulse.began)
    for _ in range(3):
        # This process had no turn, and so its workers may have had none either.
        os.kill(pids(made)[0], signal.SIGSTOP)
        time.sleep(0.7)
        made.look()
        os.kill(pids(made)[0], signal.SIGCONT)
        time.sleep(0.2)
        made.look()
    assert made.ends == []


def test_without_a_limit_a_stopped_worker_is_left_alone(pool):
    made = pool("hang", timeout=0)
    begin = time.monotonic()
    run(made, lambda: time.monotonic() - begin > 1.5)
    assert made.ends == []


def test_the_server_ends_when_no_worker_stays(pool, caplog, monkeypatch):
    monkeypatch.setattr(worker_pool, "MOST_FAILURES", 3)
    monkeypatch.setattr(worker_pool, "_LONGEST_DELAY_SECONDS", 0.1)
    made = pool("exit", "exit")
    assert run(made, lambda: False) == 1
    assert "each has ended 3 times in a row" in caplog.text
    assert "ended with code 3; restarting it in " in caplog.text


def test_the_server_goes_on_while_one_worker_stays(pool, monkeypatch):
    monkeypatch.setattr(worker_pool, "MOST_FAILURES", 2)
    monkeypatch.setattr(worker_pool, "_LONGEST_DELAY_SECONDS", 0.05)
    made = pool("exit", "well")
    assert run(made, lambda: len(made.ends) > 5) is None


def test_an_invalid_setting_of_the_first_workers_ends_the_server(pool):
    assert run(pool("user error", "well"), lambda: False) == 2


def test_a_worker_that_cannot_be_started_is_tried_again(pool, caplog, monkeypatch):
    made = pool("well")
    popen = worker_pool.subprocess.Popen
    monkeypatch.setattr(worker_pool, "_FIRST_DELAY_SECONDS", 0.1)

    def fail(*_, **__):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    open_before = len([*Path("/proc/self/fd").iterdir()])
    monkeypatch.setattr(worker_pool.subprocess, "Popen", fail)
    run(made, lambda: caplog.text.count("cannot start a worker") == 3)
    assert len([*Path("/proc/self/fd").iterdir()]) == open_before
    monkeypatch.setattr(worker_pool.subprocess, "Popen", popen)
    run(made, lambda: pids(made))


def test_a_pulse_whose_supervisor_does_not_read_blocks_no_worker():
    pulse = Pulse()
    try:
        with pytest.raises(BlockingIOError):
            while True:
                os.write(pulse.worker_end, b"." * 4096)
    finally:
        pulse.close_worker_end()
        pulse.close()


def test_the_ends_of_processes_are_named():
    assert how_it_ended(-signal.SIGBUS) == "ended by SIGBUS"
    assert how_it_ended(-200) == "ended by signal 200"
