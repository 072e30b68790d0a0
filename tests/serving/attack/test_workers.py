"""Workers that are stopped, killed or hang: the others answer, and each is replaced."""

import contextlib
import os
import re
import signal
import time

import pytest

from tests.serving.attack.served import READY, wait_until

TIMEOUT = 4


@pytest.fixture(scope="module")
def server(attacked):
    return attacked("--workers", 2, "--worker-timeout-seconds", TIMEOUT)


def workers(server):
    return [int(pid) for pid in re.findall(r"started worker (\d+)", server.log)]


def replaced(server, pid):
    return re.search(rf"serves in place of worker {pid}, ", server.log) is not None


def test_a_stopped_worker_is_replaced_while_the_other_answers(server):
    victim = workers(server)[-1]
    before = server.metric("kfp_tabular_worker_restarts_total", reason="unresponsive")
    assert before == 0
    with server.probing(READY) as prober, server.good_load() as load:
        os.kill(victim, signal.SIGSTOP)
        begin = time.monotonic()
        wait_until(lambda: f"worker {victim} was stopped" in server.log, "the kill", 60)
        seconds = time.monotonic() - begin
        wait_until(lambda: replaced(server, victim), "the replacement", 120)
    # Not before its time. After it, on a busy machine.
    assert TIMEOUT - 1 < seconds < TIMEOUT + 30
    assert prober.failures == []
    # Requests that the stopped worker had accepted are lost with it, one per connection at most.
    assert len(load.failures) <= 2, load.failures
    lines = [line for line in server.log.splitlines() if f"worker {victim} was stopped" in line]
    assert len(lines) == 1
    assert "(--worker-timeout-seconds) and was killed; restarting it" in lines[0]
    assert server.metric("kfp_tabular_worker_restarts_total", reason="unresponsive") == 1


def test_a_killed_worker_is_replaced(server):
    number = signal.SIGBUS
    victim = workers(server)[-1]
    with server.probing(READY) as prober:
        os.kill(victim, number)
        wait_until(lambda: replaced(server, victim), "the replacement", 120)
    assert f"worker {victim} ended by {number.name}" in server.log
    # One that it had just accepted.
    assert len(prober.failures) <= 1, prober.failures


def test_a_supervisor_that_was_frozen_with_its_workers_kills_none(server):
    """As `docker pause` or a laptop's sleep does: afterwards, nothing was silent for long."""
    pids = server.pids
    count = server.log.count("restarting it")
    for pid in reversed(pids):
        os.kill(pid, signal.SIGSTOP)
    time.sleep(TIMEOUT + 2)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    time.sleep(2)
    assert server.log.count("restarting it") == count
    assert server.get(READY)[0] == 200


def test_a_server_whose_workers_are_stopped_ends_in_time(server):
    for pid in server.pids[1:]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    pids = server.pids
    server.process.child.kill()
    server.process.child.wait()
    # Without their supervisor, workers end as soon as they run again.
    for pid in pids[1:]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    def gone(pid):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        with open(f"/proc/{pid}/stat") as stream:  # noqa: PTH123
            return stream.read().rpartition(")")[2].split()[0] == "Z"

    wait_until(lambda: all(gone(pid) for pid in pids[1:]), "the end of the workers", 60)
