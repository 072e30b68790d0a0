"""Requests that share calls of a model whose calls the tests can delay."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.serving.model.batching import Batcher, DrainedError
from kfp_tabular.serving.model.overload import OverloadedError
from kfp_tabular.serving.settings.server_settings import BatchSettings

TOGETHER = BatchSettings(batch_rows=8)
REFUSED = -1.0


class Model:
    """Doubles numbers, fails on -1, and waits for `gate` before it returns."""

    def __init__(self):
        self.calls = []
        self.gate = threading.Event()
        self.gate.set()
        self.at_once = 0
        self.most_at_once = 0
        self._lock = threading.Lock()

    def predict(self, tensors):
        numbers = tensors["number"]
        with self._lock:
            self.calls.append(numbers.tolist())
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            assert self.gate.wait(120)
            if (numbers == REFUSED).any():
                raise ValueError("refused")
            return {
                "double": numbers * 2,
                "text": np.array([f"{name.decode()}!" for name in tensors["name"]], dtype=object),
                "pair": np.stack([numbers, -numbers], axis=1),
            }
        finally:
            with self._lock:
                self.at_once -= 1


def tensors(*numbers):
    return {
        "number": np.array(numbers, dtype=np.float32),
        "name": np.array([f"n{number:g}".encode() for number in numbers], dtype=object),
    }


def run(scenario, settings=TOGETHER, calls=1):
    """Run `scenario(batcher, model)` with a batcher over a model."""
    model, observed = Model(), []

    async def main():
        with ThreadPoolExecutor(max(calls, 1)) as executor:
            batcher = Batcher(
                model.predict, executor, settings, calls, lambda *call: observed.append(call)
            )
            model.observed = observed
            try:
                return await asyncio.wait_for(scenario(batcher, model), 100)
            finally:
                model.gate.set()

    return asyncio.run(main())


def ask(batcher, *numbers):
    return asyncio.ensure_future(batcher.predict(tensors(*numbers), len(numbers)))


async def held(batcher, model, *numbers):
    """Start a call that does not end before the gate opens."""
    model.gate.clear()
    first = ask(batcher, *numbers)
    while not model.calls:
        await asyncio.sleep(0.001)
    return first


def right(outputs, *numbers):
    assert outputs["double"].tolist() == [2 * number for number in numbers]
    assert outputs["text"].tolist() == [f"n{number:g}!" for number in numbers]
    assert outputs["pair"].tolist() == [[number, -number] for number in numbers]


def test_a_single_request_does_not_wait():
    async def scenario(batcher, model):
        begin = time.monotonic()
        right(await ask(batcher, 3), 3)
        assert time.monotonic() - begin < 30

    run(scenario, BatchSettings(batch_rows=8, batch_wait_ms=60000))


def test_requests_that_arrive_together_share_a_call():
    async def scenario(batcher, model):
        answers = await asyncio.gather(*(ask(batcher, n, n + 0.5) for n in range(3)))
        for n, answer in enumerate(answers):
            right(answer, n, n + 0.5)
        assert model.calls == [[0, 0.5, 1, 1.5, 2, 2.5]]
        assert model.observed == [(6, 3)]

    run(scenario)


def test_requests_that_arrive_while_a_call_runs_share_the_next():
    async def scenario(batcher, model):
        first = await held(batcher, model, 1)
        others = [ask(batcher, n) for n in range(2, 7)]
        await asyncio.sleep(0.05)
        assert len(model.calls) == 1
        assert batcher.queued_rows == 5
        model.gate.set()
        right(await first, 1)
        for n, other in enumerate(others, start=2):
            right(await other, n)
        assert model.calls == [[1], [2, 3, 4, 5, 6]]
        assert batcher.queued_rows == 0

    run(scenario)


def test_batches_keep_their_limit_and_requests_are_not_split():
    async def scenario(batcher, model):
        sizes = [3, 3, 3, 20, 1, 7, 1]
        asked = [ask(batcher, *range(size)) for size in sizes]
        for size, answer in zip(sizes, await asyncio.gather(*asked), strict=True):
            right(answer, *range(size))
        assert [len(call) for call in model.calls] == [6, 3, 20, 8, 1]

    run(scenario)


def test_without_batching_every_request_is_a_call():
    async def scenario(batcher, model):
        await asyncio.gather(*(ask(batcher, n) for n in range(5)))
        assert sorted(model.calls) == [[n] for n in range(5)]
        assert model.most_at_once <= 2

    run(scenario, BatchSettings(batch_rows=1), calls=2)


def test_during_a_call_a_request_waits_for_others_for_a_limited_time():
    async def scenario(batcher, model):
        first = await held(batcher, model, 1)
        begin = time.monotonic()
        second, third = ask(batcher, 2), ask(batcher, 3)
        while len(model.calls) < 2:
            await asyncio.sleep(0.002)
        assert 0.15 < time.monotonic() - begin < 20
        model.gate.set()
        await asyncio.gather(first, second, third)
        assert model.calls == [[1], [2, 3]]

    run(scenario, BatchSettings(batch_rows=8, batch_wait_ms=200), calls=2)


def test_a_full_batch_does_not_wait_during_a_call():
    async def scenario(batcher, model):
        first = await held(batcher, model, 1)
        second = ask(batcher, *range(8))
        while len(model.calls) < 2:
            await asyncio.sleep(0.002)
        model.gate.set()
        await asyncio.gather(first, second)

    run(scenario, BatchSettings(batch_rows=8, batch_wait_ms=60000), calls=2)


def test_waiting_requests_start_when_the_model_becomes_idle():
    async def scenario(batcher, model):
        first = await held(batcher, model, 1)
        second = ask(batcher, 2)
        await asyncio.sleep(0.05)
        assert len(model.calls) == 1
        model.gate.set()
        right(await second, 2)
        right(await first, 1)

    run(scenario, BatchSettings(batch_rows=8, batch_wait_ms=60000), calls=2)


@pytest.mark.parametrize("bad", [{0}, {3}, {7}, {0, 7}, set(range(8))])
def test_only_requests_that_the_model_fails_on_fail(bad):
    async def scenario(batcher, model):
        asked = [ask(batcher, REFUSED if n in bad else n) for n in range(8)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        for n, answer in enumerate(answers):
            if n in bad:
                assert isinstance(answer, ValueError)
            else:
                right(answer, n)
        assert len(model.calls) <= 1 + len(bad) * 6
        await batcher.drain()

    run(scenario)


def test_outputs_that_fail_their_check_cost_no_further_call():
    def check(outputs):
        wrong = np.flatnonzero(outputs["double"] > 10)
        if len(wrong):
            raise LookupError(int(wrong[0]))

    async def scenario(batcher, model):
        batcher._check = check
        numbers = [(1, 2), (3, 99), (4,), (99,)]
        answers = await asyncio.gather(
            *(ask(batcher, *each) for each in numbers), return_exceptions=True
        )
        right(answers[0], 1, 2)
        right(answers[2], 4)
        # The row is that of the request, not of the batch.
        assert [type(answers[1]), answers[1].args] == [LookupError, (1,)]
        assert [type(answers[3]), answers[3].args] == [LookupError, (0,)]
        assert len(model.calls) == 1
        with pytest.raises(LookupError):
            await ask(batcher, 50)

    run(scenario)


def test_an_output_without_a_value_per_row_fails_the_batch():
    async def scenario(batcher, model):
        predict = model.predict

        def mean(tensors):
            outputs = predict(tensors)
            return outputs | {"double": outputs["double"][:1]}

        batcher._predict = mean
        answers = await asyncio.gather(ask(batcher, 1), ask(batcher, 2))
        assert [answer["double"].tolist() for answer in answers] == [[2], [4]]

    run(scenario)


def test_a_request_cancelled_while_it_waits_is_removed():
    async def scenario(batcher, model):
        first = await held(batcher, model, 1)
        second, third = ask(batcher, 2), ask(batcher, 3)
        await asyncio.sleep(0.01)
        second.cancel()
        await asyncio.sleep(0.01)
        assert batcher.queued_rows == 1
        model.gate.set()
        right(await third, 3)
        await first
        assert second.cancelled()
        assert model.calls == [[1], [3]]
        await batcher.drain()

    run(scenario)


def test_thousands_of_clients_may_leave_together():
    async def scenario(batcher, model):
        first = await held(batcher, model, 1)
        waiting = [ask(batcher, n) for n in range(2, 15_000)]
        await asyncio.sleep(0)
        begin = time.process_time()
        for request in waiting[:-1]:
            request.cancel()
        while batcher.queued_rows > 1:
            await asyncio.sleep(0)
        assert time.process_time() - begin < 5
        model.gate.set()
        right(await waiting[-1], 14_999)
        await first
        assert len(model.calls) == 2

    run(scenario)


def test_a_large_request_is_not_overtaken_by_small_ones_that_come_later():
    async def scenario(batcher, model):
        first = await held(batcher, model, 1)
        early = [ask(batcher, n) for n in range(2, 6)]
        await asyncio.sleep(0.01)
        large = ask(batcher, *range(100, 200))
        await asyncio.sleep(0.01)
        late = [ask(batcher, n) for n in range(300, 330)]
        await asyncio.sleep(0.01)
        model.gate.set()
        await asyncio.gather(first, *early, large, *late)
        assert [len(call) for call in model.calls] == [1, 4, 100, 8, 8, 8, 6]

    run(scenario)


def test_a_request_cancelled_during_its_call_does_not_affect_others():
    async def scenario(batcher, model):
        model.gate.clear()
        asked = [ask(batcher, n) for n in range(3)]
        while not model.calls:
            await asyncio.sleep(0.001)
        asked[1].cancel()
        await asyncio.sleep(0.01)
        model.gate.set()
        right(await asked[0], 0)
        right(await asked[2], 2)
        right(await ask(batcher, 4), 4)

    run(scenario)


def test_the_last_waiting_request_may_be_cancelled_during_a_drain():
    async def scenario(batcher, model):
        first = await held(batcher, model, 1)
        second = ask(batcher, 2)
        await asyncio.sleep(0)
        draining = asyncio.ensure_future(batcher.drain())
        await asyncio.sleep(0.01)
        second.cancel()
        first.cancel()
        await asyncio.sleep(0.01)
        assert not draining.done()
        model.gate.set()
        await draining

    run(scenario)


def test_a_drain_finishes_accepted_requests_and_accepts_no_more():
    async def scenario(batcher, model):
        asked = [await held(batcher, model, 1), *(ask(batcher, n) for n in range(2, 30))]
        await asyncio.sleep(0.01)
        draining = asyncio.ensure_future(batcher.drain())
        await asyncio.sleep(0.01)
        assert not draining.done()
        with pytest.raises(DrainedError):
            await ask(batcher, 99)
        model.gate.set()
        await draining
        for n, answer in enumerate(asked, start=1):
            assert answer.done()
            right(await answer, n)

    run(scenario, BatchSettings(batch_rows=8, batch_wait_ms=60000))


def test_a_drain_of_an_idle_batcher_returns_at_once():
    async def scenario(batcher, model):
        await batcher.drain()
        await batcher.drain()

    run(scenario)


def test_too_many_queued_rows_are_rejected_with_a_retry_time():
    async def scenario(batcher, model):
        first = await held(batcher, model, 1)
        waiting = [ask(batcher, *range(5)), ask(batcher, *range(5))]
        await asyncio.sleep(0.01)
        with pytest.raises(OverloadedError) as refused:
            await ask(batcher, 1)
        assert refused.value.retry_after_seconds >= 1
        waiting[0].cancel()
        await asyncio.sleep(0.01)
        taken = ask(batcher, 1)
        await asyncio.sleep(0.01)
        model.gate.set()
        right(await taken, 1)
        await asyncio.gather(first, waiting[1])
        right(await ask(batcher, *range(1000)), *range(1000))

    run(scenario, BatchSettings(batch_rows=8, queued_rows=10))


def test_after_the_executor_shut_down_requests_fail_instead_of_waiting():
    async def scenario(batcher, model):
        batcher._executor.shutdown()
        with pytest.raises(RuntimeError):
            await ask(batcher, 1)
        await batcher.drain()

    run(scenario)


@pytest.mark.parametrize("wrong", [{"batch_rows": 0}, {"batch_wait_ms": -1}, {"queued_rows": 0}])
def test_invalid_settings_are_rejected(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        BatchSettings(**wrong)


requests = st.lists(
    st.tuples(
        st.lists(st.sampled_from([0.0, 1.0, 2.5, REFUSED]), min_size=1, max_size=12),
        st.sampled_from(["stays", "stays", "stays", "leaves"]),
        st.sampled_from([0, 0, 0.001]),
    ),
    max_size=20,
)


@settings(max_examples=60, deadline=None)
@given(requests, st.integers(1, 10), st.sampled_from([0, 0.002]), st.integers(1, 3))
def test_every_request_gets_the_outputs_of_its_own_rows(asked, rows, wait, calls):
    async def scenario(batcher, model):
        tasks = []
        for numbers, stays, pause in asked:
            tasks.append(ask(batcher, *numbers))
            if pause:
                await asyncio.sleep(pause)
            if stays == "leaves":
                tasks[-1].cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        for (numbers, stays, _), answer in zip(asked, answers, strict=True):
            if isinstance(answer, asyncio.CancelledError):
                assert stays == "leaves"
            elif REFUSED in numbers:
                assert isinstance(answer, ValueError)
            else:
                right(answer, *numbers)
        await batcher.drain()
        assert batcher.queued_rows == 0
        assert model.most_at_once <= calls
        assert not any(len(call) > max(rows, 12) for call in model.calls)

    run(scenario, BatchSettings(batch_rows=rows, batch_wait_ms=wait * 1000), calls)
