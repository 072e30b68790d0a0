"""Configuration documents."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common import documents
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.pods import quantities


@dataclass(frozen=True)
class Inner:
    name: str = field(metadata={"check": documents.resource_name})
    weight: float = 1.0


@dataclass(frozen=True)
class Outer:
    cpu: str = field(default="", metadata={"check": quantities.parse_quantity})
    count: int = 0
    on: bool = False
    limit: int | None = None
    inner: tuple[Inner, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    free: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.count > 9:
            raise ValueError("count is at most 9")


def test_a_document_becomes_its_dataclass() -> None:
    document = {
        "cpu": 2,
        "count": 3.0,
        "limit": None,
        "inner": [{"name": "a.b", "weight": 2}],
        "env": {"A": 1, "B": "x"},
        "free": {"anything": [1, {}]},
    }

    assert documents.parse(Outer, document, "file") == Outer(
        cpu="2",
        count=3,
        inner=(Inner("a.b", 2.0),),
        env={"A": "1", "B": "x"},
        free={"anything": [1, {}]},
    )


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "file: expected keys and values, found list"),
        ({"cuont": 1}, "file: unknown key 'cuont'. Did you mean 'count'"),
        ({"cpu": "two"}, "file.cpu: expected a Kubernetes quantity"),
        ({"inner": [{"name": ""}]}, "file.inner[0].name: expected a Kubernetes name"),
        ({"cpu": True}, "file.cpu: expected text, found True"),
        ({"count": 1.5}, "file.count: expected a whole number, found 1.5"),
        ({"count": math.nan}, "file.count: expected a whole number, found nan"),
        ({"count": math.inf}, "file.count: expected a whole number, found inf"),
        ({"cpu": math.inf}, "file.cpu: expected text, found inf"),
        ({"count": 10}, "file: count is at most 9"),
        ({"on": "yes"}, "file.on: expected true or false, found 'yes'"),
        ({"inner": {"name": "a"}}, "file.inner: expected a list, found dict"),
        ({"inner": [{}]}, "file.inner[0]: 'name' is missing"),
        ({"inner": [{"name": "A"}]}, "file.inner[0].name: expected a Kubernetes name"),
        ({"inner": [{"name": "a", "weight": math.nan}]}, "inner[0].weight: expected a number"),
        ({"env": {"A": []}}, "file.env.A: expected text, found list"),
        ({"env": []}, "file.env: expected keys and values, found list"),
    ],
)
def test_what_does_not_fit_is_named(document: Any, message: str) -> None:
    with pytest.raises(UserError) as caught:
        documents.parse(Outer, document, "file")

    assert message in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*Outer.__dataclass_fields__, "name", "x"]), inner)
    ),
    max_leaves=8,
)


@given(JSON)
def test_any_document_is_taken_or_refused_in_one_line(document: Any) -> None:
    try:
        assert isinstance(documents.parse(Outer, document, "file"), Outer)
    except UserError as error:
        assert str(error).startswith("file")


@pytest.mark.parametrize(
    ("text", "expected"), [("", 0), ("90", 90), ("90s", 90), ("30m", 1800), ("4h", 14_400)]
)
def test_durations(text: str, expected: int) -> None:
    assert documents.seconds(text) == expected


@pytest.mark.parametrize("text", ["4 hours", "-1s", "1.5h", "h"])
def test_invalid_durations(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        documents.seconds(text)
