"""Cron expressions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.kubeflow.cron import six_fields


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("0 2 * * *", "0 0 2 * * *"),
        (" 30  */6 1-15 JAN,jul MON-FRI ", "0 30 */6 1-15 JAN,jul MON-FRI"),
        ("15 0 2 ? * 1-5", "15 0 2 ? * 1-5"),
        ("@daily", "@daily"),
        ("@every 6h30m", "@every 6h30m"),
    ],
)
def test_what_people_write_is_what_the_scheduler_reads(given: str, expected: str) -> None:
    assert six_fields(given) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("0 2 * *", "expected five fields"),
        ("", "expected five fields"),
        ("60 2 * * *", "minute '60'"),
        ("0 24 * * *", "hour '24'"),
        ("0 2 0 * *", "day of month '0'"),
        ("0 2 * 13 *", "month '13'"),
        ("0 2 * * 7", "day of week '7'"),
        ("0 2 * * FUN", "day of week 'FUN'"),
        ("0 5-2 * * *", "hour '5-2'"),
        ("*/0 2 * * *", "minute '*/0'"),
        ("1,, 2 * * *", "minute ''"),
        ("@nightly", "expected @every"),
    ],
)
def test_a_wrong_field_is_named(given: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        six_fields(given)

    assert message in str(caught.value)


BOUNDS = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)]


@given(st.tuples(*(st.integers(*bounds) for bounds in BOUNDS)))
def test_every_time_has_an_expression(numbers: tuple[int, ...]) -> None:
    text = " ".join(map(str, numbers))

    assert six_fields(text) == f"0 {text}"
    assert six_fields(six_fields(text)) == f"0 {text}"
