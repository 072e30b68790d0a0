"""A watch without an end: three generators, each of which handles one kind of ending."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kfp_tabular.components.common.kubernetes.client.errors import ForbiddenError, GoneError
from kfp_tabular.components.common.kubernetes.client.resource_kinds import Object
from kfp_tabular.components.common.kubernetes.client.retries import RetryPolicy

_GONE = 410
# A call that ends sooner failed, even if it ended without an error.
_SHORT_SECONDS = 1

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Listing:
    """A list of objects, and its version, from which a watch can start."""

    items: Sequence[Object]
    resource_version: str


def snapshots(
    look: Callable[[], Listing],
    call: Callable[[str], Iterator[Object]],
    pause: Callable[[float], None],
    policy: RetryPolicy,
) -> Iterator[Mapping[str, Object]]:
    """Yield all objects by name: now, and after every change, without an end.

    The outermost generator lists again when a resource version is too old to continue from, which
    is normal after minutes without a connection. The new list shows what changed meanwhile.

    Args:
        look: Lists the objects.
        call: Makes one watch call from a resource version, and yields its events.
        pause: Waits for a number of seconds.
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
            _logger.debug("listing again: %s", error)
            pause(policy.delay(0))
        except ForbiddenError as error:
            _logger.warning(
                "Listing every %g s instead of watching: %s", policy.poll_seconds, error
            )
            yield from _polled(look, pause, policy)


def _resumed(
    call: Callable[[str], Iterator[Object]],
    since: str,
    pause: Callable[[float], None],
    policy: RetryPolicy,
) -> Iterator[Object]:
    """Call again when a call ends, from the last version seen.

    Calls end often: at the server's timeout, on a restart, or because a proxy closes them.

    Raises:
        GoneError: The version is too old.
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
    """Yield the events of one call until it ends, in whatever way.

    Raises:
        GoneError: The stream holds an error, after a status of 200.
    """
    try:
        for event in call:
            if event["type"] != "ERROR":
                yield event
                continue
            status = event["object"]
            message = str(status.get("message", status))
            # Other errors concern this call, too; only a new list shows the current state.
            raise GoneError(message, int(status.get("code", _GONE)), str(status.get("reason", "")))
    except ConnectionError as error:
        _logger.debug("a watch broke: %s", error)


def _polled(
    look: Callable[[], Listing], pause: Callable[[float], None], policy: RetryPolicy
) -> Iterator[Mapping[str, Object]]:
    """Yield the objects at intervals, where watching is forbidden."""
    while True:
        pause(policy.poll_seconds)
        yield {str(item["metadata"]["name"]): item for item in look().items}
