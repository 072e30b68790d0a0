"""Results of maps as bytes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.processing import results
from kfp_tabular.components.common.processing.pieces import Piece

PIECE = Piece("a.csv", "bytes", 4, 9)


@dataclass(frozen=True)
class Part:
    name: str
    sizes: tuple[int, ...]
    share: float | None = None


@dataclass(frozen=True)
class Made:
    parts: Mapping[str, Sequence[Part]]
    kinds: set[str]
    pair: tuple[int, str]
    lines: list[bytes]


class Maker:
    def __call__(self, piece: Piece) -> Made:
        raise NotImplementedError


parts = st.builds(
    Part,
    st.text(),
    st.lists(st.integers()).map(tuple),
    st.none() | st.floats(allow_nan=False),
)
made = st.builds(
    Made,
    st.dictionaries(st.text(), st.lists(parts)),
    st.sets(st.text()),
    st.tuples(st.integers(), st.text()),
    st.lists(st.binary()),
)


@settings(deadline=None)
@given(result=made)
def test_a_result_comes_back_as_the_type_that_the_function_names(result: Made) -> None:
    packed = results.pack(Maker(), result)

    assert results.unpack(Maker(), packed) == result
    json.loads(packed)


def test_functions_and_partials_name_their_type() -> None:
    def found(factor: int, piece: Piece) -> list[Part]:
        return [Part(piece.uri, (factor * piece.start,))]

    function = partial(found, 2)

    packed = results.pack(function, function(PIECE))

    assert results.unpack(function, packed) == [Part("a.csv", (8,))]


@pytest.mark.parametrize("result", [None, 3, 2.5, "x", True])
def test_a_plain_value_needs_no_annotation(result: Any) -> None:
    def function(piece):  # type: ignore[no-untyped-def]
        return result

    assert results.unpack(function, results.pack(function, result)) == result


def test_what_is_not_annotated_is_an_error() -> None:
    with pytest.raises(TypeError, match="returns a Part, which its annotations do not tell"):
        results.pack(lambda piece: None, Part("a", ()))  # type: ignore[arg-type, return-value]


def test_what_is_not_plain_is_an_error() -> None:
    def function(piece: Piece) -> object:
        return object()

    with pytest.raises(TypeError, match="not JSON serializable"):
        results.pack(function, function(PIECE))
