"""Bounds of the memory that large requests take.

Bytes are counted over all requests of the process, from the arrival of a body until its response is
taken, and one large request at a time is decoded:

    large = LargeRequests(64 * 2**20)
    with large.hold() as hold:
        hold.add(len(piece))                    # raises OverloadedError beyond the bound
        arrays = await hold.run_alone(decode)   # in a thread, after the large ones before it

Small requests are not counted: the first 64 KiB of each are free. So clients with small requests
are answered while others fill the bound, and what these take is bounded by the connections.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

from kfp_tabular.serving.metrics.bound_reports import RepeatedWarning
from kfp_tabular.serving.model.memory_release import release_memory
from kfp_tabular.serving.model.overload import OverloadedError

_RELEASE_AFTER_SECONDS = 1.0
_WORTH_RELEASING_BYTES = 8 * 2**20
"""Trimming takes 20 ms, and what it gives back is soon asked for again under such requests."""

FREE_BYTES = 64 * 1024
"""What a request may take without being counted. uvicorn reads as much ahead of each connection."""

_Result = TypeVar("_Result")


class LargeRequests:
    """The bound over all requests of a process. Use it from one event loop.

    Args:
        most_bytes: The most bytes of bodies and responses beyond each request's first 64 KiB.
        observe: Called with the counted bytes whenever they change.
        count_rejection: Called when a request is rejected.

    Example:
        >>> large = LargeRequests(1_000_000)
        >>> with large.hold() as hold:
        ...     hold.add(365_536)
        ...     large.held_bytes
        300000
        >>> large.held_bytes
        0
    """

    def __init__(
        self,
        most_bytes: int,
        observe: Callable[[int], None] = lambda held: None,  # noqa: ARG005
        count_rejection: Callable[[], None] = lambda: None,
    ) -> None:
        self.most_bytes = most_bytes
        self.held_bytes = 0
        self._will_release = False
        self._peak_bytes = 0
        self._observe = observe
        self._count_rejection = count_rejection
        # Decoding holds Python's lock, so two at once would not end sooner, and take twice as much.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="large")
        self._overload = RepeatedWarning()

    def hold(self) -> "Hold":
        """Return what one request holds; nothing yet."""
        return Hold(self)

    def fits(self, size: int) -> bool:
        """Return whether a request of this size may be received now."""
        return size - FREE_BYTES <= self.most_bytes - self.held_bytes

    def change(self, size: int) -> None:
        """Count bytes more or fewer; for `Hold`."""
        self.held_bytes += size
        self._observe(self.held_bytes)
        self._peak_bytes = max(self._peak_bytes, self.held_bytes)
        if size < 0 and self._peak_bytes >= _WORTH_RELEASING_BYTES:
            self._release_soon()

    def overloaded(self) -> OverloadedError:
        """Return the error for a request beyond the bound, and count it."""
        self._count_rejection()
        self._overload.log(
            f"{self.most_bytes / 2**20:g} MiB of bodies and responses are in memory, the bound of "
            "this process (--max-pending-mib); rejected requests"
        )
        return OverloadedError("bytes")

    async def run_alone(self, work: Callable[[], _Result]) -> _Result:
        """Run work on a large request in the one thread for it, after that of others."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _release_soon(self) -> None:
        """Give memory back in a second, when the request's objects are gone, once for several."""
        if self._will_release:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._will_release = True
        loop.call_later(_RELEASE_AFTER_SECONDS, self._release, loop)

    def _release(self, loop: asyncio.AbstractEventLoop) -> None:
        self._will_release = False
        self._peak_bytes = self.held_bytes
        loop.run_in_executor(self._thread, release_memory)


class Hold:
    """The bytes that one request holds, until its `with` block ends.

    Args:
        large: The bound over all requests.
    """

    __slots__ = ("_counted", "_size", "large")

    def __init__(self, large: LargeRequests) -> None:
        self.large = large
        self._size = 0
        self._counted = 0

    def add(self, size: int) -> None:
        """Hold more bytes.

        Raises:
            OverloadedError: If the bound over all requests is reached. Nothing is added then.
        """
        self._size += size
        counted = self._size - FREE_BYTES
        if counted <= self._counted:
            return
        more = counted - self._counted
        if more > self.large.most_bytes - self.large.held_bytes:
            self._size -= size
            raise self.large.overloaded()
        self._counted = counted
        self.large.change(more)

    def release(self) -> None:
        """Hold nothing any more."""
        if self._counted:
            self.large.change(-self._counted)
        self._size = self._counted = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
