"""A watch that does not end: three generators, each of which deals with one kind of ending."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kfp_tabular.components.common.kubernetes.client.errors import ForbiddenError, GoneError
from kfp_tabular.components.common.kubernetes.client.kinds import Object
from kfp_tabular.components.common.kubernetes.client.retries import RetryPolicy

_GONE = 410
# A call that lasts no longer than this did not work, however orderly it ended.
_SHORT_SECONDS = 1

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Listing:
    """Objects, and the version of the whole list, which a watch starts from."""

    items: Sequence[Object]
    resource_version: str


def snapshots(
    look: Callable[[], Listing],
    call: Callable[[str], Iterator[Object]],
    pause: Callable[[float], None],
    policy: RetryPolicy,
) -> Iterator[Mapping[str, Object]]:
    """Gives all objects by name: now, and after every change, without an end.

    The outermost generator: it starts anew where a version is too old to go on from, which is
    normal after minutes without a connection. What changed meanwhile shows in the new list.

    Args:
        look: Lists the objects.
        call: Makes one watch call from a resource version, and gives its events.
        pause: Waits for some seconds.
        policy: How long to wait between calls.
    """
    while True:
        listing = look()
        objects = {str(item["metadata"]["name"]): item for item in listing.items}
        yield dict(objects)
        try:
            for event in _resumed(call, listing.resource_version, pause, policy):
                name = str(event["object"]["metadata"]["name"])
                if event["type"] == "DELETED":
                    objects.pop(name, None)
                else:
                    objects[name] = event["object"]
                yield dict(objects)
        except GoneError as error:
            _logger.debug("listing anew: %s", error)
            pause(policy.delay(0))
        except ForbiddenError as error:
            _logger.warning("looking every %g s instead: %s", policy.poll_seconds, error)
            yield from _polled(look, pause, policy)


def _resumed(
    call: Callable[[str], Iterator[Object]],
    since: str,
    pause: Callable[[float], None],
    policy: RetryPolicy,
) -> Iterator[Object]:
    """Calls again when a call is over, from the last version seen.

    Calls end all the time: at the server's timeout, when it restarts, when a proxy thinks so.

    Raises:
        GoneError: The version is too old by now.
    """
    failures = 0
    while True:
        began = time.monotonic()
        for event in _events(call(since)):
            since = event["object"]["metadata"]["resourceVersion"]
            if event["type"] != "BOOKMARK":
                yield event
            failures = 0
        if time.monotonic() - began < _SHORT_SECONDS:
            pause(policy.delay(failures))
            failures += 1


def _events(call: Iterator[Object]) -> Iterator[Object]:
    """Gives the events of one call until it is over, in whatever way.

    Raises:
        GoneError: The server says so within the stream, after a 200.
    """
    try:
        for event in call:
            if event["type"] != "ERROR":
                yield event
                continue
            status = event["object"]
            message = str(status.get("message", status))
            # Any other error is about this call, too; only a new list tells what is the case.
            raise GoneError(message, int(status.get("code", _GONE)), str(status.get("reason", "")))
    except ConnectionError as error:
        _logger.debug("a watch broke: %s", error)


def _polled(
    look: Callable[[], Listing], pause: Callable[[float], None], policy: RetryPolicy
) -> Iterator[Mapping[str, Object]]:
    """Looks again and again, where watching is not allowed."""
    while True:
        pause(policy.poll_seconds)
        yield {str(item["metadata"]["name"]): item for item in look().items}
