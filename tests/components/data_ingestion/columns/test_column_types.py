import math

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.data_ingestion.columns import column_types
from kfp_tabular.components.data_ingestion.columns.column_types import ColumnType

VALUES = st.one_of(
    st.none(),
    st.integers(-(2**70), 2**70).map(str),
    st.integers(-99, 99).map(str),
    st.floats(allow_infinity=False).map(repr),
    st.sampled_from(
        ["true", "False", "NA", "nan", " 7 ", "007", "0x1F", "1e3", "-0", "+5", "0.50"]
    ),
    st.text(max_size=3),
).map(lambda value: value or None)


def infer(values, least=ColumnType.NOTHING):
    return column_types.infer(pa.array(values, pa.string()), least)


def settle(blocks):
    """Infer over all blocks, again and again, until the type no longer widens."""
    kind = ColumnType.NOTHING
    while True:
        before = kind
        for block in blocks:
            kind = column_types.join(kind, infer(block, kind).column_type)
        if kind is before:
            return kind, [
                value for block in blocks for value in infer(block, kind).values.to_pylist()
            ]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["1", "-2", None], ColumnType.INTEGER, [1, -2, None]),
        (["9223372036854775807"], ColumnType.INTEGER, [2**63 - 1]),
        (["1", "2.5"], ColumnType.NUMBER, [1.0, 2.5]),
        (["1e3", ".5", "-1.", "+4"], ColumnType.NUMBER, [1000.0, 0.5, -1.0, 4.0]),
        (["0", "0.5", "-0.25", "0e1"], ColumnType.NUMBER, [0.0, 0.5, -0.25, 0.0]),
        ([" 1", "2 "], ColumnType.INTEGER, [1, 2]),
        (["1", "NA", "null", "n/a", " "], ColumnType.INTEGER, [1, None, None, None, None]),
        (["1.5", "nan", "NaN", "-nan", "NAN"], ColumnType.NUMBER, [1.5, None, None, None, None]),
        (["1", "nan"], ColumnType.INTEGER, [1, None]),
        (["inf", "-Infinity", "1"], ColumnType.NUMBER, [math.inf, -math.inf, 1.0]),
        (["true", "FALSE", "True", None, "NA"], ColumnType.BOOLEAN, [1, 0, 1, None, None]),
        ([None, None], ColumnType.NOTHING, [None, None]),
        (["NA", None], ColumnType.NOTHING, [None, None]),
        # Codes, not numbers.
        (["00123", "4567"], ColumnType.TEXT, ["00123", "4567"]),
        (["-05"], ColumnType.TEXT, ["-05"]),
        (["0x10"], ColumnType.TEXT, ["0x10"]),
        (["12345678901234567890"], ColumnType.TEXT, ["12345678901234567890"]),
        (["9007199254740993", "0.5"], ColumnType.TEXT, ["9007199254740993", "0.5"]),
        # Text that only looks like something.
        (["true", "1"], ColumnType.TEXT, ["true", "1"]),
        (["true", "yes"], ColumnType.TEXT, ["true", "yes"]),
        (["1", "x", "NA", " 2"], ColumnType.TEXT, ["1", "x", "NA", " 2"]),
        (["1,5"], ColumnType.TEXT, ["1,5"]),
        (["1_000"], ColumnType.TEXT, ["1_000"]),
        (["2024-01-31 10:00:00"], ColumnType.TEXT, ["2024-01-31 10:00:00"]),
        (["\u0661"], ColumnType.TEXT, ["\u0661"]),
    ],
)
def test_infer(values, kind, expected):
    found = infer(values)
    assert found.column_type is kind
    assert found.values.type == kind.arrow
    assert found.values.to_pylist() == expected
    # The same values deep inside a long column.
    filler = [values[-1]] * 500
    assert infer(filler + values).column_type is kind


def test_large_doubles_written_as_such_are_numbers():
    assert infer(["1e300", "-2.5e20"]).column_type is ColumnType.NUMBER


@given(st.lists(VALUES, max_size=30), st.randoms(), st.integers(1, 7))
def test_the_result_depends_neither_on_blocks_nor_on_order(values, random, size):
    whole, expected = settle([values])
    blocks = [values[i : i + size] for i in range(0, len(values), size)]
    kind, found = settle(blocks)
    assert kind is whole
    assert str(found) == str(expected)
    random.shuffle(blocks)
    assert settle(blocks)[0] is whole


@given(st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))))
def test_integers_survive(values):
    assert infer([None if v is None else str(v) for v in values]).values.to_pylist() == values


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=False))))
def test_numbers_survive(values):
    text = [None if v is None else repr(v) for v in values]
    assert settle([text])[1] == values


@given(st.lists(VALUES), st.sampled_from(list(ColumnType)))
def test_types_only_widen(values, least):
    found = infer(values, least)
    assert column_types.join(least, found.column_type) is found.column_type
    assert len(found.values) == len(values)
    if (
        found.column_type is not ColumnType.TIME
        and found.column_type is not ColumnType.FRACTIONAL_TIME
    ):
        assert found.values.type == found.column_type.arrow


@given(*[st.sampled_from(list(ColumnType))] * 3)
def test_join_is_a_semilattice(a, b, c):
    assert column_types.join(a, a) is a
    assert column_types.join(a, b) is column_types.join(b, a)
    assert column_types.join(column_types.join(a, b), c) is column_types.join(
        a, column_types.join(b, c)
    )


@pytest.mark.parametrize(
    ("values", "kind", "expected", "misfits"),
    [
        (["007", "+8", "NA", " 9"], ColumnType.INTEGER, [7, 8, None, 9], None),
        (["1", "x", "1.5"], ColumnType.INTEGER, [1, None, None], [False, True, True]),
        (
            ["9" * 30, "9223372036854775807", "-9223372036854775808"],
            ColumnType.INTEGER,
            None,
            [True, False, False],
        ),
        (["9223372036854775808", "1"], ColumnType.INTEGER, None, [True, False]),
        (
            ["01.5", "1e3", "x", None],
            ColumnType.NUMBER,
            [1.5, 1000.0, None, None],
            [False, False, True, False],
        ),
        (["1", "02"], ColumnType.TEXT, ["1", "02"], None),
    ],
)
def test_force(values, kind, expected, misfits):
    found = column_types.force(pa.array(values, pa.string()), kind)
    assert found.column_type is kind
    assert found.values.type == kind.arrow
    if expected is not None:
        assert found.values.to_pylist() == expected
    assert (None if found.misfits is None else found.misfits.tolist()) == misfits


def test_parse_column_types():
    assert column_types.parse_column_types({"a": "int", "b": "Text", "c": "number"}) == {
        "a": ColumnType.INTEGER,
        "b": ColumnType.TEXT,
        "c": ColumnType.NUMBER,
    }
    with pytest.raises(UserError, match=r"'a'.*Did you mean 'integer'"):
        column_types.parse_column_types({"a": "integr"})
