import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.raw_features import RawFeature
from kfp_tabular.components.common.processing.accumulator import Rows
from kfp_tabular.components.feature_engineering.features.equality_facts import (
    EqualityFacts,
    EqualityFold,
    Pair,
)
from tests import accumulator_laws


def pair(dtype, names=("a", "b")):
    return Pair(*(RawFeature(name, dtype, False) for name in names))


def facts(dtype, first, second):
    fold = EqualityFold([pair(dtype)])
    types = {"float32": pa.float64(), "int64": pa.int64(), "string": pa.string()}
    columns = {"a": pa.array(first, types[dtype]), "b": pa.array(second, types[dtype])}
    fold.add(Rows(pa.RecordBatch.from_pydict(columns), first=0))
    (found,) = fold.result()
    return found


def test_texts():
    found = facts("string", ["US", "PL", "", None, None], ["US", "US", "", None, "PL"])
    assert found == EqualityFacts(equal=1, present=2, missing=3)


def test_whole_numbers():
    found = facts("int64", [7, 7, None, None], [7, 8, None, 7])
    assert found == EqualityFacts(equal=1, present=2, missing=2)


def test_missing_numbers_are_not_equal():
    found = facts("float32", [1.0, 2.0, np.nan, None], [1.0, 1.0, np.nan, 3.0])
    assert found == EqualityFacts(equal=1, present=2, missing=2)


def test_a_column_in_two_pairs():
    fold = EqualityFold([pair("string"), pair("string", ("a", "c"))])
    columns = {"a": ["x", "y"], "b": ["x", "z"], "c": ["z", "z"]}
    fold.add(Rows(pa.RecordBatch.from_pydict(columns), first=0))
    assert [found.equal for found in fold.result()] == [1, 0]


@given(
    data=st.data(),
    rows=st.lists(st.tuples(*[st.sampled_from(["US", "PL", "", None])] * 3), max_size=60),
)
def test_laws(data, rows):
    types = [("a", pa.string()), ("b", pa.string()), ("c", pa.string())]
    batch = pa.RecordBatch.from_pylist(
        [dict(zip("abc", row, strict=True)) for row in rows], schema=pa.schema(types)
    )
    accumulator_laws.check(
        data,
        lambda: EqualityFold([pair("string"), pair("string", ("a", "c"))]),
        len(rows),
        lambda start, stop: Rows(batch.slice(start, stop - start), start),
        lambda found: [[of.equal, of.present, of.missing] for of in found],
    )
