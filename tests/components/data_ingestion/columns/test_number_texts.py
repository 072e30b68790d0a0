"""What bytes tell about numbers, against plain Python, for any cut of an array."""

import re

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.data_ingestion.columns.number_texts import NumberTexts

SIGNS = st.sampled_from(["", "-", "+"])
DIGITS = st.text("0123456789", max_size=6)
NUMBERS = st.builds(lambda sign, whole, rest: f"{sign}{whole}{rest}", SIGNS, DIGITS, st.one_of(
    st.just(""), DIGITS.map(lambda digits: f".{digits}")))  # fmt: skip
VALUES = st.lists(st.none() | NUMBERS, max_size=20)
LEADING_ZERO = re.compile(r"[+-]?0[^.eE]")
GROUPS = re.compile(r"[+-]?[1-9][0-9]{0,2}\.[0-9]{3}")


def text(value: str | None) -> str:
    return "" if value is None else value


@given(before=VALUES, values=VALUES, after=VALUES)
def test_it_tells_what_the_texts_are(before, values, after):
    whole = pa.array([*before, *values, *after], pa.string())

    texts = NumberTexts(whole.slice(len(before), len(values)))

    assert texts.lengths().tolist() == [len(text(value)) for value in values]
    assert texts.longest() == max((len(text(value)) for value in values), default=0)
    assert texts.points() == sum(text(value).count(".") for value in values)
    assert texts.has_leading_zero() == any(LEADING_ZERO.match(text(value)) for value in values)
    grouped = [bool(GROUPS.fullmatch(text(value))) for value in values]
    assert texts.groupable().tolist() == grouped
