"""Work in threads whose results come back in order."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_MOST_THREADS = 8


class Window(Generic[Item, Result]):
    """Applies a function to items in threads, a bounded number of them ahead.

    Arrow and numpy release the interpreter's lock, so threads really run side by side.

    Args:
        threads: How many items are worked on at the same time.
        ahead: How many items may be under way or done and waiting. Bounds the memory.
    """

    def __init__(self, threads: int, ahead: int) -> None:
        self._pool = ThreadPoolExecutor(threads)
        self._ahead = ahead
        self._pending: deque[tuple[Item, Future[Result]]] = deque()

    def __enter__(self) -> "Window[Item, Result]":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item]
    ) -> Iterator[tuple[Item, Result]]:
        """Applies `function`, which must be thread-safe.

        Yields:
            Each item with its result, in order.
        """
        for item in items:
            self._pending.append((item, self._pool.submit(function, item)))
            if len(self._pending) > self._ahead:
                yield self._next()
        while self._pending:
            yield self._next()

    def waiting(self) -> list[Result]:
        """Waits for all items under way and gives their results; `map` yields them yet."""
        return [future.result() for _, future in self._pending]

    def _next(self) -> tuple[Item, Result]:
        item, future = self._pending.popleft()
        return item, future.result()


def threads() -> int:
    """Gives how many threads work side by side: one per processor, at most eight."""
    # What the container may use, where the system can tell.
    affinity = getattr(os, "sched_getaffinity", None)
    processors = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(processors, _MOST_THREADS)
