import numpy as np
import pyarrow as pa
import pytest
from tensorflow_metadata.proto.v0 import schema_pb2

from kfp_tabular.components.common.artifacts.examples import Examples, ExamplesWriter
from kfp_tabular.components.common.statistics.column_summary import ColumnSummary
from kfp_tabular.components.data_validation import column_kinds


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("UNIX_DAYS", 86_400), ("UNIX_SECONDS", 1), ("UNIX_MILLISECONDS", 1e-3)],
)
def test_whole_numbers_are_times_in_the_unit_of_the_schema(unit, factor):
    schema = schema_pb2.Schema()
    feature = schema.feature.add(name="when", type=schema_pb2.INT)
    feature.time_domain.integer_format = schema_pb2.TimeDomain.IntegerTimeFormat.Value(unit)
    schema.feature.add(name="fare", type=schema_pb2.INT)
    numbers = {"train": {"when": np.array([10.0, 20.0]), "fare": np.array([1.0, 2.0])}}
    found = column_kinds.points_in_time(schema, numbers, {})["train"]
    assert found.keys() == {"when"}
    assert found["when"].tolist() == [10 * factor, 20 * factor]


def test_texts_are_read_with_their_zone_and_odd_ones_left_out():
    texts = ["1970-01-01T00:00:10Z", "1970-01-01T01:00:20+01:00", "1970-02-30T00:00:00Z"]
    found = column_kinds.points_in_time(schema_pb2.Schema(), {}, {"train": {"when": texts}})
    assert found["train"]["when"].tolist() == [10, 20]


def test_other_formats_are_those_of_the_schema():
    schema = schema_pb2.Schema()
    feature = schema.feature.add(name="when", type=schema_pb2.BYTES)
    feature.time_domain.string_format = "%d.%m.%Y"
    found = column_kinds.points_in_time(schema, {}, {"train": {"when": ["02.01.1970", "?"]}})
    assert found["train"]["when"].tolist() == [86_400]


def test_columns_of_identifiers(tmp_path):
    rows = 400
    table = pa.table(
        {
            "id": [f"T{i:07}" for i in range(rows)],
            "card": [f"C{i // 4:07}" for i in range(rows)],
            "kind": [f"kind {i % 3}" for i in range(rows)],
            "fare": [i * 0.37 for i in range(rows)],
            "label": [f"L{i:07}" for i in range(rows)],
        }
    )
    with ExamplesWriter(tmp_path, table.schema, ["train"]) as writer:
        writer.write("train", table)

    def texts(name):
        values = table[name].to_pylist()
        return ColumnSummary(rows, 0, distinct=len(set(values)), ranked=((values[0], 1),))

    summaries = {"train": {name: texts(name) for name in ("id", "card", "kind", "label")}}
    summaries["train"]["fare"] = ColumnSummary(rows, 0, numeric=True, low=0.0, high=150.0)
    found = column_kinds.identifiers_among(Examples(tmp_path), summaries, ["label"])
    assert found == {"id": "row", "card": "entity"}
