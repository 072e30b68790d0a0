import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.processing.accumulator import Rows
from kfp_tabular.components.data_validation import value_rules
from tests import accumulator_laws


@given(data=st.data(), values=st.lists(st.none() | st.integers(0, 40), max_size=30))
def test_broken_values_keep_the_laws_of_accumulators(data, values):
    batch = pa.RecordBatch.from_arrays([pa.array(values, pa.int64())], ["x"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(value_rules, "_COUNTED_VALUES", 6)
        accumulator_laws.check(
            data,
            lambda: value_rules.BrokenValues(lambda column: pc.greater(column, 20), most=3),
            len(values),
            lambda start, stop: Rows(batch.slice(start, stop - start), start),
            lambda found: [found.rows, found.values],
        )


def test_the_most_frequent_values_are_named(write_examples):
    table = pa.table({"kind": ["a"] * 3 + ["c"] * 2 + ["b"] * 2 + ["ok", None]})
    counted = value_rules.count(
        write_examples(train=table), "train", "kind", lambda kinds: pc.not_equal(kinds, "ok"), 2
    )
    assert counted == value_rules.CountedValues(7, ("a", "b"))
