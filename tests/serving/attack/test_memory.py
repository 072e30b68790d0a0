"""The memory that bodies take: bounded by the default limits, and given back."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.serving.attack.hostile_bodies import ask, legal_binary, legal_rows, worst
from tests.serving.attack.memory_limit import MemoryLimit, peak_mb, reset_peak
from tests.serving.attack.served import wait_until

POD_BYTES = 2 * 2**30
LARGEST = 33_000_000
"""Bytes, just below the limit of 32 MiB."""


@pytest.fixture(scope="module")
def pod(attacked):
    """Return a server with the manifests' settings, in their memory limit if that is allowed."""
    with ExitStack() as stack:
        try:
            limit = stack.enter_context(MemoryLimit(POD_BYTES))
        except OSError:
            limit = None
            server = attacked("--grpc-port", "off")
        else:
            with limit.applied_to_children():
                server = attacked("--grpc-port", "off")
        yield server, limit
        assert server.process.child.poll() is None, server.log
        server.process.close()


def test_hostile_bodies_take_no_more_than_good_ones_and_all_of_it_returns(pod):
    server, limit = pod
    good = [legal_rows(10_000, text_bytes=3_000), legal_binary(10_000, text_bytes=3_000)]

    def ask_all(kinds):
        with ThreadPoolExecutor(6) as pool:
            return list(pool.map(lambda body: ask(server.address, body)[0], kinds))

    assert ask_all(good[:1]) == [200]
    baseline = server.memory_mb()
    reset_peak(server.pids)
    statuses = ask_all(good * 6)
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) >= 2
    good_peak = peak_mb(server.pids)

    reset_peak(server.pids)
    with server.probing() as prober, server.good_load() as load:
        statuses = ask_all(worst(LARGEST))
    assert set(statuses) <= {200, 400, 413, 503}
    hostile_peak = peak_mb(server.pids)

    assert prober.failures == []
    assert load.failures == []
    assert hostile_peak < 1.3 * good_peak, (baseline, good_peak, hostile_peak)
    if limit is not None:
        assert limit.kills() == 0
    ask_all(good[:1])
    wait_until(lambda: server.memory_mb() < 1.15 * baseline, f"falling to {baseline:.0f} MB", 60)
