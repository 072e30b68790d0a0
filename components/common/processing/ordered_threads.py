"""Work in threads, with results in the order of the items."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_MOST_THREADS = 8


class Window(Generic[Item, Result]):
    """Applies a function to items in threads, a bounded number of items ahead.

    Arrow and numpy release the interpreter's lock, so the threads run in parallel.

    Args:
        threads: The number of threads.
        ahead: The largest number of items in progress or waiting to be consumed. Bounds memory.

    Example:
        >>> with Window(threads=2, ahead=4) as window:
        ...     list(window.map(len, ["a", "bb"]))
        [('a', 1), ('bb', 2)]
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
        """Apply `function`, which must be thread-safe.

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
        """Wait for all items in progress and return their results, which `map` still yields."""
        return [future.result() for _, future in self._pending]

    def again(self, function: Callable[[Item, Result], Result]) -> None:
        """Apply another function to all items in progress and their results."""

        def after(item: Item, future: Future[Result]) -> Result:
            return function(item, future.result())

        self._pending = deque(
            (item, self._pool.submit(after, item, future)) for item, future in self._pending
        )

    def _next(self) -> tuple[Item, Result]:
        item, future = self._pending.popleft()
        return item, future.result()


def threads() -> int:
    """Return the number of threads to use: one per processor, at most eight.

    Example:
        >>> 1 <= threads() <= 8
        True
    """
    # The processors that this container may use, where the system knows.
    affinity = getattr(os, "sched_getaffinity", None)
    processors = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(processors, _MOST_THREADS)
