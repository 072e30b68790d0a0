"""What large requests hold is counted, bounded and released."""

import asyncio
import logging
import threading

import pytest

from kfp_tabular.serving.model import large_requests
from kfp_tabular.serving.model.large_requests import FREE_BYTES, LargeRequests
from kfp_tabular.serving.model.memory_release import release_memory
from kfp_tabular.serving.model.overload import OverloadedError


def test_small_requests_are_not_counted():
    large = LargeRequests(10)
    holds = [large.hold() for _ in range(100)]
    for hold in holds:
        hold.add(FREE_BYTES - 1)
        hold.add(1)
    assert large.held_bytes == 0


def test_what_is_held_is_bounded_and_small_requests_still_pass():
    seen, rejected = [], []
    large = LargeRequests(1_000, seen.append, lambda: rejected.append(1))
    with large.hold() as first:
        first.add(FREE_BYTES + 600)
        first.add(100)
        assert large.held_bytes == 700
        second = large.hold()
        with pytest.raises(OverloadedError) as refused:
            second.add(FREE_BYTES + 301)
        assert (refused.value.bound, refused.value.retry_after_seconds) == ("bytes", 1)
        assert not large.fits(FREE_BYTES + 301)
        assert large.fits(FREE_BYTES + 300)
        second.add(FREE_BYTES + 300)
        large.hold().add(FREE_BYTES)
        second.release()
        second.release()
        assert large.held_bytes == 700
    assert large.held_bytes == 0
    assert seen == [600, 700, 1000, 700, 0]
    assert rejected == [1]


def test_a_rejection_is_logged_once_a_minute_with_its_option(caplog):
    large = LargeRequests(2**20)
    with caplog.at_level(logging.WARNING, logger="kfp_tabular"):
        for _ in range(50):
            with pytest.raises(OverloadedError):
                large.hold().add(2**24)
    assert len(caplog.records) == 1
    assert "1 MiB of bodies" in caplog.text
    assert "--max-pending-mib" in caplog.text


def test_large_work_runs_one_at_a_time():
    large, running, most = LargeRequests(1), [], []
    lock = threading.Lock()

    def work(number):
        with lock:
            running.append(number)
            most.append(len(running))
        threading.Event().wait(0.01)
        with lock:
            running.remove(number)
        return number

    async def scenario():
        return await asyncio.gather(*(large.run_alone(lambda n=n: work(n)) for n in range(8)))

    assert asyncio.run(scenario()) == list(range(8))
    assert max(most) == 1


def test_memory_is_given_back_once_after_several_requests(monkeypatch):
    released = []
    monkeypatch.setattr(large_requests, "_RELEASE_AFTER_SECONDS", 0.01)
    monkeypatch.setattr(large_requests, "release_memory", lambda: released.append(1))

    async def scenario():
        large = LargeRequests(2**30)
        for _ in range(2):
            for _ in range(5):
                with large.hold() as hold:
                    hold.add(FREE_BYTES + 8 * 2**20)
            with large.hold() as hold:
                hold.add(FREE_BYTES + 1)
            while len(released) < 1:
                await asyncio.sleep(0.01)
            assert released == [1]
            released.clear()
        with large.hold() as hold:
            hold.add(FREE_BYTES + 2**20)
        await asyncio.sleep(0.05)
        assert released == []

    asyncio.run(scenario())
    release_memory()
