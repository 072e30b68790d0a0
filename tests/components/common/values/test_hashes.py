import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.values.hashes import (
    hash_rows,
    hash_text,
    hash_values,
)

TEXTS = st.lists(st.one_of(st.none(), st.text(max_size=40)), min_size=1, max_size=20)


def fold(text: str) -> int:
    """The definition, a word at a time, in Python's own integers."""
    data = text.encode()
    state = len(data) * 0x9E3779B97F4A7C15 % 2**64
    for start in range(0, len(data), 8):
        word = int.from_bytes(data[start : start + 8], "little")
        state = (state ^ word) * 0xBF58476D1CE4E5B9 % 2**64
        state ^= state >> 29
    return state


@given(TEXTS)
def test_text_is_hashed_as_defined(texts):
    values = pa.array(texts, pa.string())
    assert hash_text(values).tolist() == [fold(text or "") for text in texts]


def test_hashes_never_change():
    columns = {
        "a": pa.array([1, None, -7], pa.int64()),
        "b": pa.array([0.5, 1e300, None], pa.float64()),
        "c": pa.array(["", "naïve, text", "twenty-three bytes long"], pa.string()),
    }
    # These values must never change: data that were split with them must split the same way.
    assert [f"{value:016x}" for value in hash_rows(columns, "salt")] == EXPECTED


EXPECTED = ["edccb39735560199", "e7cc8717af341f3f", "618ae7478435e453"]


@given(TEXTS, st.integers(0, 5))
def test_a_slice_hashes_like_its_rows(texts, start):
    whole = pa.array(texts, pa.string())
    numbers = pa.array(range(len(texts)))
    expected = hash_rows({"t": whole, "n": numbers})[start:]
    sliced = {"t": whole[start:], "n": numbers[start:]}
    assert np.array_equal(hash_rows(sliced), expected)


def test_the_order_of_columns_does_not_matter():
    one = {"a": pa.array([1, 2]), "b": pa.array(["x", "y"])}
    assert np.array_equal(hash_rows(one), hash_rows(dict(reversed(one.items()))))


def test_a_column_that_turns_from_integer_to_number_keeps_its_hashes():
    integers = pa.array([0, -3, 12, None])
    numbers = pc.cast(integers, pa.float64())
    assert np.array_equal(hash_rows({"a": integers}), hash_rows({"a": numbers}))
    assert hash_rows({"a": pa.array([0.0])}) == hash_rows({"a": pa.array([-0.0])})


def test_missing_is_neither_zero_nor_empty():
    for empty in (pa.array([None, 0]), pa.array([None, ""]), pa.array([None, 0.0])):
        missing, zero = hash_rows({"a": empty})
        assert missing != zero


def test_the_salt_matters():
    values = {"a": pa.array(range(1000))}
    assert not np.any(hash_rows(values, "x") == hash_rows(values, "y"))


@pytest.mark.parametrize(
    "columns",
    [
        {"a": pa.array(range(100_000))},
        {"a": pa.array([float(i) * 1e6 for i in range(100_000)])},
        {"a": pa.array([f"user-{i:08d}" for i in range(100_000)])},
        {
            "a": pa.array([i % 10 for i in range(100_000)]),
            "b": pa.array([i // 10 for i in range(100_000)]),
        },
    ],
)
def test_bits_are_even_and_hashes_distinct(columns):
    hashes = hash_rows(columns)
    assert len(np.unique(hashes)) == len(hashes)
    bits = np.unpackbits(hashes.view(np.uint8).reshape(-1, 8), axis=1).mean(axis=0)
    # Five standard deviations of a fair coin thrown 100,000 times.
    assert np.all(np.abs(bits - 0.5) < 5 * 0.5 / np.sqrt(len(hashes)))
    counts = np.bincount((hashes >> np.uint64(54)).astype(int), minlength=1024)
    chi2 = ((counts - len(hashes) / 1024) ** 2 / (len(hashes) / 1024)).sum()
    assert abs(chi2 - 1023) < 5 * np.sqrt(2 * 1023)


@pytest.mark.parametrize("distinct", [1, 7, 600, 5_000])
@pytest.mark.parametrize("missing", [0, 3])
def test_repeated_text_hashes_like_each_value_alone(distinct, missing):
    texts = [f"value {row % distinct}" for row in range(5_000)]
    texts[10 : 10 + missing] = [None] * missing
    values = pa.array(texts, pa.string())
    expected = hash_text(values)
    found = hash_rows({"t": values})
    alone = hash_rows({"t": values[10:13]})
    assert np.array_equal(found[10:13], alone)
    present = np.array([text is not None for text in texts])
    assert np.array_equal(hash_values(values)[present], expected[present])
