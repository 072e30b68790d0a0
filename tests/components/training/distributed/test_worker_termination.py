"""Processes end in time and with a telling exit code, even while TensorFlow waits."""

import itertools
import signal
import subprocess
import sys

import pytest

from kfp_tabular.components.training.distributed import (
    parameter_servers,
    replica_role,
    worker_termination,
)


def run(code):
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def ended(process):
    output, _ = process.communicate(timeout=30)
    return process.returncode, output


PREPARE = (
    "import logging, time, ctypes, signal; logging.basicConfig(format='%(message)s')\n"
    "from kfp_tabular.components.training.distributed import worker_termination\n"
)


def test_a_process_that_waits_too_long_is_ended():
    process = run(
        f"{PREPARE}print('ready')\n"
        "with worker_termination.within(0.2, 'the others did not come'): "
        "ctypes.CDLL(None).sleep(60)\n"
    )
    assert ended(process) == (138, "the others did not come\n")


def test_a_call_that_holds_the_lock_is_ended():
    process = run(
        f"{PREPARE}print('ready')\n"
        # PyDLL keeps the lock, as TensorFlow does while it forms a cluster.
        "with worker_termination.within_a_call(0.3): ctypes.PyDLL(None).sleep(60)\n"
    )
    code, output = ended(process)
    assert code == 1
    assert "Timeout" in output


def test_a_block_that_is_done_in_time_continues():
    process = run(
        f"{PREPARE}print('ready')\n"
        "with worker_termination.within(0.2, 'too long'): pass\n"
        "time.sleep(0.5); print('done')\n"
    )
    assert ended(process) == (0, "done\n")


@pytest.mark.parametrize(
    ("body", "output"),
    [
        # Python runs: the handler ends the process at once.
        ("print('ready'); time.sleep(60)", ""),
        # A handler of the block's own saves the state.
        (
            "stop = []; signal.signal(signal.SIGTERM, lambda *_: stop.append(1))\n"
            "    print('ready')\n"
            "    while not stop: time.sleep(0.01)\n"
            "    print('saved'); raise SystemExit(143)",
            "saved\n",
        ),
        # As a call into TensorFlow that waits for others: no Python runs.
        (
            "signal.signal(signal.SIGTERM, lambda *_: None); print('ready')\n"
            "    while True: time.sleep(60)",
            "still running 1 s after SIGTERM; ending now\n",
        ),
    ],
)
def test_sigterm_ends_a_process_with_143(body, output):
    process = run(f"{PREPARE}with worker_termination.on_termination(0.6):\n    {body}\n")
    process.send_signal(signal.SIGTERM)
    assert ended(process) == (143, output)


def test_the_handler_before_is_put_back():
    before = signal.getsignal(signal.SIGTERM)
    with worker_termination.on_termination(1.0):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_lost_peer_is_told_apart_from_an_own_failure(monkeypatch):
    from tensorflow import errors

    codes = []
    monkeypatch.setattr(
        worker_termination, "end", lambda code, message: codes.append((code, message))
    )
    two = replica_role.ReplicaRole(0, 2, is_chief=True, cluster={"worker": ("a:1", "b:1")})
    lost = errors.UnavailableError(None, None, "\nConnection reset by peer\nmore")
    with worker_termination.where_peers_are_lost(two):
        raise lost
    assert codes == [(138, "another process of the job was lost: Connection reset by peer")]
    for place, error in (
        (replica_role.ALONE, lost),
        (two, errors.ResourceExhaustedError(None, None, "out of memory")),
        (two, ValueError("a bug")),
    ):
        with pytest.raises(type(error)), worker_termination.where_peers_are_lost(place):
            raise error
    assert len(codes) == 1


def server(finished, present, peers_seconds=100.0):
    """Run the wait of a server whose clock advances by 5 s with each reading."""
    clock = itertools.count(0.0, 5.0)
    states = itertools.chain(present, itertools.repeat(present[-1]))
    done = itertools.chain(finished, itertools.repeat(finished[-1]))
    return parameter_servers.await_end(
        lambda: next(done),
        lambda: next(states),
        peers_seconds=peers_seconds,
        sleep=lambda _: None,
        clock=lambda: next(clock),
    )


def test_a_server_ends_when_the_chief_is_done_or_gone():
    assert server([False, False, True], [True])
    # Not there yet, for a while.
    assert server([False] * 8 + [True], [False] * 4 + [True])
    assert not server([False], [False])
    # A chief that is started again in time finds the servers in place.
    assert server([False] * 6 + [True], [True, False, True, False, True])
    assert not server([False], [True, False])
