"""Dynamic batching: predicts the rows of concurrent requests together, from a bounded queue.

A call of the model costs about as much for one row as for thirty. Requests that arrive during a
call wait here, and the next call takes them all. A request that finds the model idle does not wait.
Each loaded model version has a batcher:

    batcher = Batcher(predictor.predict, executor, BatchSettings(batch_rows=128), threads)
    outputs = await batcher.predict(arrays, rows)      # in a request's handler
    await batcher.drain()                              # when the version is replaced, or at the end
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from kfp_tabular.serving.metrics.bound_reports import RepeatedWarning
from kfp_tabular.serving.model.overload import OverloadedError
from kfp_tabular.serving.protocol.model_interface import Arrays
from kfp_tabular.serving.settings.server_settings import BatchSettings


class DrainedError(Exception):
    """The batcher accepts no more requests: its version was replaced, or the server stops."""


@dataclass(eq=False)
class _PendingRequest:
    arrays: Arrays
    rows: int
    outputs: "asyncio.Future[Arrays]"
    since: float
    waiting: bool = True


class Batcher:
    """Combines concurrent requests to one model version into calls of the model.

    Use it from one event loop. Every request gets the outputs for its own rows, or the exception
    that they cause. If outputs do not pass the check, only the requests that they belong to fail.
    If a call fails, its requests are retried in halves, so a request that the model fails on does
    not affect the others.

    Args:
        predict: Takes arrays of shape `[rows, ...]` by name and returns such arrays. Called in
            `executor`.
        executor: Where calls run; it needs at least `calls` threads.
        settings: How requests share calls.
        calls: How many calls run in parallel.
        observe_call: Called in the event loop with the rows and requests of every call.
        check: Raises the exception for outputs that must not be returned. Called in `executor`.
    """

    def __init__(
        self,
        predict: Callable[[Arrays], Arrays],
        executor: Executor,
        settings: BatchSettings,
        calls: int,
        observe_call: Callable[[int, int], None] = lambda rows, requests: None,  # noqa: ARG005
        check: Callable[[Arrays], None] = lambda outputs: None,  # noqa: ARG005
    ) -> None:
        self._predict = predict
        self._check = check
        self._executor = executor
        self._settings = settings
        self._wait_seconds = settings.wait_seconds
        self._calls = calls
        self._observe_call = observe_call
        self._queue: deque[_PendingRequest] = deque()
        self._queued_rows = 0
        self._halves: deque[list[_PendingRequest]] = deque()
        self._running = 0
        self._starting = False
        self._alarm: asyncio.TimerHandle | None = None
        self._draining = False
        self._overload = RepeatedWarning()
        self._quiet = asyncio.Event()
        self._quiet.set()

    @property
    def queued_rows(self) -> int:
        """The number of rows that wait for a call."""
        return self._queued_rows

    async def predict(self, arrays: Arrays, rows: int) -> Arrays:
        """Predict a request's rows.

        May be cancelled: a request that still waits is removed from the queue; the outputs of one
        whose call has started are discarded.

        Args:
            arrays: The request's arrays, of shape `[rows, ...]`.
            rows: How many rows they have, at least 1.

        Raises:
            OverloadedError: If too many rows wait.
            DrainedError: After `drain`.
            Exception: Whatever the model raises for these rows.
        """
        if self._draining:
            raise DrainedError("this model version accepts no more requests")
        if self._queued_rows and self._queued_rows + rows > self._settings.queued_rows:
            self._overload.log(
                f"{self._settings.queued_rows} rows wait for the model, the bound of this process "
                "(--queued-rows); rejected requests"
            )
            raise OverloadedError
        loop = asyncio.get_running_loop()
        request = _PendingRequest(arrays, rows, loop.create_future(), loop.time())
        self._queue.append(request)
        self._queued_rows += rows
        self._quiet.clear()
        # Not at once: requests that arrive together are handled in the same turn of the event loop.
        self._start_soon()
        try:
            return await request.outputs
        except asyncio.CancelledError:
            self._forget(request)
            raise

    async def drain(self) -> None:
        """Accept no more requests, and return when the accepted ones have their outputs."""
        self._draining = True
        self._start_soon()
        await self._quiet.wait()

    def _start_soon(self) -> None:
        """Start calls at the end of this turn of the event loop."""
        if not self._starting:
            self._starting = True
            asyncio.get_running_loop().call_soon(self._start)

    def _start(self) -> None:
        """Start the calls that are due."""
        self._starting = False
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._remove_forgotten()
        while self._running < self._calls:
            if self._halves:
                batch = [
                    request for request in self._halves.popleft() if not request.outputs.done()
                ]
            elif self._queue:
                loop, due = asyncio.get_running_loop(), self._due()
                if due > loop.time():
                    self._alarm = loop.call_at(due, self._start)
                    break
                batch = self._next_batch()
            else:
                break
            if batch:
                self._start_call(batch)
        if not (self._queue or self._halves or self._running):
            self._quiet.set()

    def _due(self) -> float:
        full = self._queued_rows >= self._settings.batch_rows
        if full or not self._running or self._draining:
            return 0.0
        return self._queue[0].since + self._wait_seconds

    def _next_batch(self) -> list[_PendingRequest]:
        batch: list[_PendingRequest] = []
        rows = 0
        while self._queue and (
            not batch or rows + self._queue[0].rows <= self._settings.batch_rows
        ):
            request = self._queue.popleft()
            request.waiting = False
            self._queued_rows -= request.rows
            batch.append(request)
            rows += request.rows
            self._remove_forgotten()
        return batch

    def _start_call(self, batch: list[_PendingRequest]) -> None:
        self._observe_call(sum(request.rows for request in batch), len(batch))
        loop = asyncio.get_running_loop()
        self._running += 1
        arrays = [request.arrays for request in batch]
        try:
            call = loop.run_in_executor(
                self._executor, _predict_together, self._predict, self._check, arrays
            )
        except RuntimeError as error:  # The executor was shut down.
            self._running -= 1
            for request in batch:
                request.outputs.set_exception(error)
            return
        call.add_done_callback(lambda ended: self._end_call(batch, ended))

    def _end_call(
        self, batch: list[_PendingRequest], call: "asyncio.Future[list[Arrays | Exception]]"
    ) -> None:
        self._running -= 1
        error = (
            RuntimeError("the call of the model was cancelled")
            if call.cancelled()
            else call.exception()
        )
        if error is None:
            _distribute(batch, call.result())
        elif len(batch) == 1:
            if not batch[0].outputs.done():
                batch[0].outputs.set_exception(error)
        else:
            middle = len(batch) // 2
            self._halves.extend((batch[:middle], batch[middle:]))
        self._start()

    def _forget(self, request: _PendingRequest) -> None:
        if request.waiting:
            # It leaves the queue at its turn: searching for it would take a second where thousands
            # of clients leave together.
            request.waiting = False
            self._queued_rows -= request.rows
        self._start_soon()

    def _remove_forgotten(self) -> None:
        while self._queue and not self._queue[0].waiting:
            self._queue.popleft()


def _predict_together(
    predict: Callable[[Arrays], Arrays], check: Callable[[Arrays], None], parts: Sequence[Arrays]
) -> list[Arrays | Exception]:
    """Predict the rows of several requests in one call; runs in a thread.

    Returns:
        The outputs of each request, or the exception of their check.
    """
    if len(parts) == 1:
        outputs = predict(parts[0])
        check(outputs)
        return [outputs]
    lengths = [len(next(iter(part.values()))) for part in parts]
    rows = sum(lengths)
    outputs = predict({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
    for name, output in outputs.items():
        if output.shape[:1] != (rows,):
            raise ValueError(f"output {name!r} does not have one value per row")
    ends = list(accumulate(lengths))
    results: list[Arrays | Exception] = [
        {name: output[end - length : end] for name, output in outputs.items()}
        for end, length in zip(ends, lengths, strict=True)
    ]
    try:
        check(outputs)
    except Exception:  # noqa: BLE001  whatever it is, it concerns some of the requests
        return [_checked(check, result) for result in results]
    return results


def _checked(check: Callable[[Arrays], None], outputs: Any) -> Arrays | Exception:
    try:
        check(outputs)
    except Exception as error:  # noqa: BLE001  it is raised to the request's own handler
        return error
    checked: Arrays = outputs
    return checked


def _distribute(batch: Sequence[_PendingRequest], results: Sequence[Arrays | Exception]) -> None:
    for request, result in zip(batch, results, strict=True):
        if request.outputs.done():
            continue
        if isinstance(result, Exception):
            request.outputs.set_exception(result)
        else:
            request.outputs.set_result(result)
