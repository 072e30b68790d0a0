"""The three generators, each on calls that end in the way that a test defines."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest

from kfp_tabular.components.common.kubernetes.client.errors import ForbiddenError, GoneError
from kfp_tabular.components.common.kubernetes.client.retries import RetryPolicy
from kfp_tabular.components.common.kubernetes.client.watching import Listing, snapshots

PATIENCE = RetryPolicy(first_delay_seconds=1, longest_delay_seconds=8, poll_seconds=7)


def item(name: str, version: int) -> dict[str, Any]:
    return {"metadata": {"name": name, "resourceVersion": str(version)}}


def event(kind: str, name: str, version: int) -> dict[str, Any]:
    return {"type": kind, "object": item(name, version)}


class Server:
    """Returns what a test has put into it, call by call; raises it if it is an exception."""

    def __init__(self, lists: list[Listing], calls: list[list[Any]]) -> None:
        self.lists, self.calls = list(lists), list(calls)
        self.since: list[str] = []
        self.pauses: list[float] = []

    def look(self) -> Listing:
        return self.lists.pop(0)

    def call(self, since: str) -> Iterator[Any]:
        self.since.append(since)
        for entry in self.calls.pop(0):
            if isinstance(entry, Exception):
                raise entry
            yield entry

    def states(self, number: int) -> list[dict[str, str]]:
        found = snapshots(self.look, self.call, self.pauses.append, PATIENCE)
        return [
            {name: one["metadata"]["resourceVersion"] for name, one in state.items()}
            for state in islice(found, number)
        ]


def test_changes_are_added_up() -> None:
    events = [event("ADDED", "b", 2), event("MODIFIED", "a", 3), event("DELETED", "b", 4)]
    server = Server([Listing([item("a", 1)], "1")], [events])
    assert server.states(4) == [{"a": "1"}, {"a": "1", "b": "2"}, {"a": "3", "b": "2"}, {"a": "3"}]


@pytest.mark.parametrize("ending", [[], [ConnectionError("reset")]])
def test_a_call_that_ends_is_followed_by_another_from_there(ending: list[Any]) -> None:
    first = [event("MODIFIED", "a", 2), event("BOOKMARK", "", 9), *ending]
    server = Server([Listing([item("a", 1)], "1")], [first, [event("MODIFIED", "a", 12)]])
    assert server.states(3) == [{"a": "1"}, {"a": "2"}, {"a": "12"}]
    assert server.since == ["1", "9"]
    assert len(server.pauses) == 1


def test_calls_that_end_at_once_come_at_growing_distances() -> None:
    server = Server([Listing([], "1")], [[], [], [], [event("ADDED", "a", 2)]])
    server.states(2)
    assert server.since == ["1"] * 4
    assert all(1 / 2 <= pause / 2**index <= 1 for index, pause in enumerate(server.pauses))


@pytest.mark.parametrize(
    "gone",
    [
        GoneError("too old", 410, "Expired"),
        {"type": "ERROR", "object": {"code": 410, "reason": "Expired", "message": "too old"}},
        {"type": "ERROR", "object": {"code": 500, "message": "unable to decode"}},
    ],
)
def test_a_stale_version_is_followed_by_a_new_list(gone: Any) -> None:
    lists = [Listing([item("a", 1), item("b", 1)], "1"), Listing([item("a", 7)], "7")]
    server = Server(lists, [[gone], [event("MODIFIED", "a", 8)]])
    # What was deleted meanwhile is missing from the list.
    assert server.states(3) == [{"a": "1", "b": "1"}, {"a": "7"}, {"a": "8"}]
    assert server.since == ["1", "7"]


def test_where_watching_is_forbidden_one_looks() -> None:
    lists = [Listing([item("a", version)], str(version)) for version in (1, 2, 3)]
    server = Server(lists, [[ForbiddenError("no", "watch", "tfjobs")]])
    assert server.states(3) == [{"a": "1"}, {"a": "2"}, {"a": "3"}]
    assert server.pauses == [7, 7]
