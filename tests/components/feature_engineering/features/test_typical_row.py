"""The typical row of columns of every kind."""

import pyarrow as pa

from kfp_tabular.components.common.artifacts.raw_features import RawFeature
from kfp_tabular.components.common.processing.accumulator import Rows
from kfp_tabular.components.common.values.column_format import ColumnFormat, TimeFormat
from kfp_tabular.components.feature_engineering.features import typical_row
from kfp_tabular.components.feature_engineering.features.column_facts import FactsFold
from kfp_tabular.components.feature_engineering.features.planned_features import (
    FeaturePlan,
    Hashed,
    TransformedColumn,
)


def facts_of(columns, features, pieces=1):
    batch = pa.RecordBatch.from_pydict(columns)
    folds = [FactsFold(features, {}, batch.num_rows) for _ in range(pieces)]
    size = -(-batch.num_rows // pieces)
    for number, fold in enumerate(folds):
        fold.add(Rows(batch.slice(number * size, size), first=number * size))
    for other in reversed(folds[1:]):
        folds[0].merge(other.from_state(other.state()))
    return folds[0].result()


def typical(columns, dtypes, formats=None, pieces=1):
    features = [RawFeature(name, dtype, required=False) for name, dtype in dtypes.items()]
    facts = facts_of(columns, features, pieces)
    return typical_row.of_features(features, facts, formats or {})


def test_numbers_texts_times_and_bags():
    columns = {
        "fare": [1.5, 9.25, 2.5, None, 3.5],
        "rooms": [3, 1, 2, 2, 9],
        "shop": ["b", "a", "a", "b", "c"],
        "id": ["p1", "p2", "p3", "p4", "p5"],
        "rare": [None, None, "x", None, "x"],
        "day": ["02/01/2024", "01/03/2023", "28/12/2023", None, "31/05/2023"],
        "tags": ['["x","y"]', '["x"]', '["x"]', "[]", "[]"],
        "long": ["x" * 300] * 5,
    }
    dtypes = dict.fromkeys(columns, "string") | {"fare": "float32", "rooms": "int64"}
    formats = {"day": ColumnFormat("time", time=TimeFormat(("%d/%m/%Y",), canonical="%d/%m/%Y"))}
    row = typical(columns, dtypes, formats)
    # Identifiers, long texts and what is mostly missing are no typical values.
    expected = {"fare": 2.5, "rooms": 2, "shop": "a", "day": "31/05/2023", "tags": '["x"]'}
    assert row == expected
    assert typical(columns, dtypes, formats, pieces=3) == row


def test_of_more_values_than_are_counted_it_is_the_median_of_a_sample():
    count = 5_000
    columns = {
        "fare": [value / 7 for value in range(count)],
        "text": [f"t{value}" for value in range(count)],
    }
    row = typical(columns, {"fare": "float32", "text": "string"}, pieces=4)
    assert row == typical(columns, {"fare": "float32", "text": "string"})
    assert abs(row["fare"] - count / 14) < 1
    assert "text" not in row


def test_a_code_is_the_most_frequent_one_or_zero_where_none_repeats():
    def code(values):
        feature = RawFeature("code", "int64", required=True)
        planned = Hashed(feature, "", 8, TransformedColumn("code", 9))
        return typical_row.of_plan(
            FeaturePlan((planned,), ()), facts_of({"code": values}, [feature])
        )

    assert code([70, 10, 70, 30, 40]) == {"code": 70}
    assert code([70, 10, 20, 30, 40]) == {"code": 0}
    # Missing is a value that the model knows.
    assert code([70, 10, 20, None, 40]) == {}
