"""Predicts the rows of concurrent requests together, and bounds how many may wait.

A call of the model costs about as much for one row as for thirty. While one runs, the requests that
come in wait here, and the next call takes them all; a request that finds the model idle is answered
at once. How it is wired, with one batcher per loaded model version:

    batcher = Batcher(predictor.predict, executor, BatchSettings(rows=128), threads)
    outputs = await batcher.predict(tensors, rows)     # in a request's handler
    await batcher.drain()                              # when the version is replaced, or at the end
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from kfp_tabular.serving.settings.server_settings import BatchSettings

Tensors = Mapping[str, "np.ndarray[Any, Any]"]

RETRY_AFTER_SECONDS = 1
"""The least that the header can say. A full queue is worked off in less."""


class OverloadedError(Exception):
    """More rows wait than may. Answered with 503 or RESOURCE_EXHAUSTED.

    Attributes:
        retry_after_seconds: For `Retry-After`, and `retry-after` in gRPC's trailing metadata.
    """

    def __init__(self) -> None:
        super().__init__("the server has more to do than it can; try again.")
        self.retry_after_seconds = RETRY_AFTER_SECONDS


class DrainedError(Exception):
    """The batcher takes no more requests: its model version was replaced, or the server ends."""


@dataclass(eq=False)
class _Asked:
    tensors: Tensors
    rows: int
    answer: "asyncio.Future[Tensors]"
    since: float


class Batcher:
    """Puts concurrent requests to one version of a model together.

    For use from one event loop. Every request gets the answers for its own rows, or the exception
    that they cause: where a call fails, its requests are tried again in halves, so that one which
    the model refuses does not affect those beside it.

    Args:
        predict: Takes tensors of shape `[rows, ...]` by name and gives such tensors. Called in
            `executor`.
        executor: Where calls run, with `calls` threads at least.
        settings: How requests share calls.
        calls: Calls that run side by side.
        observed: Is told the rows and the requests of every call, in the event loop.
    """

    def __init__(
        self,
        predict: Callable[[Tensors], Tensors],
        executor: Executor,
        settings: BatchSettings,
        calls: int,
        observed: Callable[[int, int], None] = lambda rows, requests: None,  # noqa: ARG005
    ) -> None:
        self._predict = predict
        self._executor = executor
        self._settings = settings
        self._calls = calls
        self._observed = observed
        self._queue: deque[_Asked] = deque()
        self._queued_rows = 0
        self._halves: deque[list[_Asked]] = deque()
        self._running = 0
        self._starting = False
        self._alarm: asyncio.TimerHandle | None = None
        self._draining = False
        self._quiet = asyncio.Event()
        self._quiet.set()

    @property
    def queued_rows(self) -> int:
        """Rows that wait for a call."""
        return self._queued_rows

    async def predict(self, tensors: Tensors, rows: int) -> Tensors:
        """Predicts a request's rows.

        May be cancelled: a request that has not begun is forgotten, and one that has is computed
        for nobody, beside the others of its call.

        Args:
            tensors: The request's tensors, of shape `[rows, ...]`.
            rows: How many rows they have, at least 1.

        Raises:
            OverloadedError: Where too many rows wait.
            DrainedError: After `drain`.
            Exception: What `predict` raises for these rows.
        """
        if self._draining:
            raise DrainedError("this version of the model takes no more requests")
        if self._queue and self._queued_rows + rows > self._settings.queued_rows:
            raise OverloadedError
        loop = asyncio.get_running_loop()
        asked = _Asked(tensors, rows, loop.create_future(), loop.time())
        self._queue.append(asked)
        self._queued_rows += rows
        self._quiet.clear()
        # Not at once: requests that arrived together are handled in the same turn of the loop.
        self._start_soon()
        try:
            return await asked.answer
        except asyncio.CancelledError:
            self._forget(asked)
            raise

    async def drain(self) -> None:
        """Takes no more requests, and returns when those taken before are answered."""
        self._draining = True
        self._start_soon()
        await self._quiet.wait()

    def _start_soon(self) -> None:
        """Starts calls after everything that this turn of the event loop has to handle."""
        if not self._starting:
            self._starting = True
            asyncio.get_running_loop().call_soon(self._start)

    def _start(self) -> None:
        """Starts the calls that are due."""
        self._starting = False
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        while self._running < self._calls:
            if self._halves:
                batch = [asked for asked in self._halves.popleft() if not asked.answer.done()]
            elif self._queue:
                loop, due = asyncio.get_running_loop(), self._due()
                if due > loop.time():
                    self._alarm = loop.call_at(due, self._start)
                    break
                batch = self._next()
            else:
                break
            if batch:
                self._call(batch)
        if not (self._queue or self._halves or self._running):
            self._quiet.set()

    def _due(self) -> float:
        full = self._queued_rows >= self._settings.rows
        if full or not self._running or self._draining:
            return 0.0
        return self._queue[0].since + self._settings.wait_seconds

    def _next(self) -> list[_Asked]:
        batch: list[_Asked] = []
        rows = 0
        while self._queue and (not batch or rows + self._queue[0].rows <= self._settings.rows):
            asked = self._queue.popleft()
            self._queued_rows -= asked.rows
            batch.append(asked)
            rows += asked.rows
        return batch

    def _call(self, batch: list[_Asked]) -> None:
        self._observed(sum(asked.rows for asked in batch), len(batch))
        loop = asyncio.get_running_loop()
        self._running += 1
        tensors = [asked.tensors for asked in batch]
        try:
            call = loop.run_in_executor(self._executor, _together, self._predict, tensors)
        except RuntimeError as error:  # The executor was shut down.
            self._running -= 1
            for asked in batch:
                asked.answer.set_exception(error)
            return
        call.add_done_callback(lambda ended: self._ended(batch, ended))

    def _ended(self, batch: list[_Asked], call: "asyncio.Future[Tensors]") -> None:
        self._running -= 1
        error = (
            RuntimeError("the call of the model was cancelled")
            if call.cancelled()
            else call.exception()
        )
        if error is None:
            _share(batch, call.result())
        elif len(batch) == 1:
            if not batch[0].answer.done():
                batch[0].answer.set_exception(error)
        else:
            middle = len(batch) // 2
            self._halves.extend((batch[:middle], batch[middle:]))
        self._start()

    def _forget(self, asked: _Asked) -> None:
        if asked in self._queue:
            self._queue.remove(asked)
            self._queued_rows -= asked.rows
        self._start_soon()


def _together(predict: Callable[[Tensors], Tensors], parts: Sequence[Tensors]) -> Tensors:
    """Predicts several requests' rows in one call; runs in a thread."""
    if len(parts) == 1:
        return predict(parts[0])
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    rows = len(next(iter(joined.values())))
    outputs = predict(joined)
    for name, output in outputs.items():
        if output.shape[:1] != (rows,):
            raise ValueError(f"output {name!r} has not a value per row; it cannot be shared out")
    return outputs


def _share(batch: Sequence[_Asked], outputs: Tensors) -> None:
    begin = 0
    for asked in batch:
        end = begin + asked.rows
        if not asked.answer.done():
            asked.answer.set_result(
                outputs
                if len(batch) == 1
                else {name: output[begin:end] for name, output in outputs.items()}
            )
        begin = end
