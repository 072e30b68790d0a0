import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.values import bags

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
number = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.none() | st.lists(st.none() | text, max_size=4), max_size=6))
def test_bags_of_texts(lists):
    written = bags.from_lists(pa.array(lists, pa.list_(pa.string())), as_text=True)
    assert written.to_pylist() == [None if row is None else bags.write(row) for row in lists]
    kept = [None if row is None else [item for item in row if item] for row in lists]
    assert [None if row is None else json.loads(row) for row in written.to_pylist()] == kept
    found = bags.tokens(written).to_pylist()
    assert [row and [bags.item(token) for token in row] for row in found] == kept


@given(st.lists(st.lists(st.none() | st.floats(), max_size=4), max_size=6))
def test_bags_of_numbers(lists):
    written = bags.from_lists(pa.array(lists, pa.list_(pa.float64())), as_text=False).to_pylist()
    assert written == [bags.write(row) for row in lists]
    assert [bags.write(bags.read(row)) for row in written] == written


@given(number)
def test_a_number_has_one_token(value):
    assert bags.item(bags.token(value)) == value
    assert bags.token(bags.item(bags.token(value))) == bags.token(value)


def test_whole_numbers_are_alike_in_integers_and_doubles():
    assert bags.write([1.0, 2]) == bags.write([1, 2.0]) == "[1,2]"


def test_slices_of_arrays():
    lists = pa.array([["x"], ["a", None], None, ["b"]])[1:]
    assert bags.from_lists(lists, as_text=True).to_pylist() == ['["a"]', None, '["b"]']


def test_numbers_as_text():
    assert bags.from_lists(pa.array([[1, 2]]), as_text=True).to_pylist() == ['["1","2"]']


@pytest.mark.parametrize("broken", ["", "a;b", "{}", "[{}]", "[[1]]", "[NaN]", "[1", "1"])
def test_what_is_no_bag(broken):
    with pytest.raises(ValueError):
        bags.read(broken)
