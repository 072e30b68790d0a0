"""The whole component: outputs, failures, and equal results of all TFDV versions."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pv
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2

from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.values import column_format
from kfp_tabular.components.common.values.column_format import ColumnFormat

from .conftest import repeated

GOLDEN = Path(__file__).with_name("golden")
WRITE_GOLDEN = "KFP_TABULAR_WRITE_GOLDEN"


def trips() -> pa.Table:
    """Every kind of column, the same each time."""
    rows = 600
    return pa.table(
        {
            "amount": pa.array([(i * 37 % 101) / 4 if i % 9 else None for i in range(rows)]),
            "zone": pa.array([i * 7 % 24 for i in range(rows)]),
            "count": pa.array([i * i % 997 for i in range(rows)]),
            "paid by": pa.array(["Cash", "Card", 'Über, "x"', None][i % 4] for i in range(rows)),
            "note": pa.array([f"note {i}" for i in range(rows)]),
            "booked_at": pa.array([1_500_000_000 + 3600 * i for i in range(rows)]),
            "day": pa.array([f"2024-{1 + i % 12:02d}-{1 + i % 28:02d}" for i in range(rows)]),
            "nothing": pa.nulls(rows, pa.string()),
            "label": pa.array([int(i * 13 % 10 < 3) for i in range(rows)]),
        }
    )


def later_trips() -> pa.Table:
    """The same table some time later, with many errors."""
    table = trips()
    changed = {
        "amount": pa.array([float("nan") if i < 2 else i / 7 for i in range(600)]),
        "zone": pa.array([i * 7 % 25 for i in range(600)]),
        "paid by": pa.array(["Cash", "Coin"] * 300),
        "count": pa.array([*map(str, range(598)), "many", "more"]),
    }
    for name, column in changed.items():
        table = table.set_column(table.schema.get_field_index(name), name, column)
    return table.drop(["day"]).append_column("days", table["day"])


def halves(table: pa.Table) -> dict[str, pa.Table]:
    even = pa.array(np.arange(table.num_rows) % 3 != 0)
    return {"train": table.filter(even), "eval": table.filter(pa.compute.invert(even))}


def test_a_bag_that_the_train_split_lacks_is_expected(write_examples, validated):
    examples = write_examples(
        train=pa.table({"tags": ['["a"]', '["b"]'] * 60, "label": [0, 1] * 60}),
        eval=pa.table({"tags": ['["a","b"]'] * 60, "label": [0, 1] * 30}),
    )
    assert validated(examples, label="label").listed
    column_format.write({"tags": ColumnFormat("bag")}, examples.path)
    assert validated(examples, label="label").listed == []


def golden(name: str, found, kind):
    """Return the content of a golden file; write it first if the environment variable is set."""
    file = GOLDEN / name
    if os.environ.get(WRITE_GOLDEN):
        file.write_text(text_format.MessageToString(found, as_utf8=True), encoding="utf-8")
    return text_format.Parse(file.read_text(encoding="utf-8"), kind())


def test_schema_and_anomalies_are_the_golden_ones(write_examples, validated):
    """All TFDV versions must give these; KFP_TABULAR_WRITE_GOLDEN=1 rewrites them."""
    first = validated(write_examples(**halves(trips())), label="label")
    assert first.schema == golden("schema.pbtxt", first.schema, schema_pb2.Schema)
    assert first.result.is_valid

    later = write_examples("later", **halves(later_trips()))
    second = validated(later, label="label", schema_uri=str(first.folder / "schema"))
    found = second.anomalies()
    found.ClearField("baseline")
    # The last digits of distances differ between machines.
    found.ClearField("drift_skew_info")
    assert found == golden("anomalies.pbtxt", found, anomalies_pb2.Anomalies)
    assert second.schema == first.schema


def test_all_outputs_are_there_before_the_task_fails(write_examples, validated):
    table = repeated(90, {"x": [1.0, float("inf")], "label": [0, 1]})
    done = validated(write_examples(**halves(table)), label="label")
    with pytest.raises(UserError, match=r"column 'x' .*infinite values.*45 of 90 rows"):
        done.result.require()
    written = {str(file.relative_to(done.folder)) for file in done.folder.rglob("*.*")}
    assert written >= {
        "schema/schema.pbtxt",
        "schema/_lineage.json",
        "statistics/train.binpb",
        "statistics/eval.binpb",
        "statistics/_lineage.json",
        "anomalies/anomalies.pbtxt",
        "anomalies/anomalies.json",
        "anomalies/train/anomalies.pbtxt",
        "anomalies/eval/anomalies.pbtxt",
        "anomalies/_lineage.json",
        "report.html",
    }
    assert not [name for name in written if "partial" in name]


def test_a_retry_gives_the_same(write_examples, validated):
    examples = write_examples(**halves(trips()))
    one, two = (validated(examples, label="label") for _ in range(2))
    for file in one.folder.rglob("*"):
        if file.is_file():
            same = two.folder / file.relative_to(one.folder)
            assert file.read_bytes() == same.read_bytes(), file.name


def test_lineage_goes_back_to_the_examples(write_examples, validated):
    examples = write_examples(**halves(trips()))
    done = validated(examples, label="label")
    recorded = done.result.lineage
    assert recorded["schema"] == lineage.read(done.folder / "schema")
    assert recorded["statistics"]["rows"] == {"train": 400, "eval": 200}
    inputs = recorded["anomalies"]["inputs"]
    assert inputs["examples"] == lineage.read(examples.path)["digest"]
    assert inputs["schema"] == recorded["schema"]["digest"]
    assert recorded["anomalies"]["valid"] is True
    assert "tensorflow-data-validation" in recorded["schema"]["versions"]


def test_skew_and_drift(write_examples, validated):
    before = repeated(900, {"kind": ["a", "b", "c"], "x": [i / 7 for i in range(450)]})
    moved = repeated(
        900, {"kind": ["a", "a", "a", "a", "b", "c"], "x": [i / 7 + 20 for i in range(450)]}
    )
    first = validated(write_examples(train=before, eval=before))
    assert not first.listed
    arguments = {
        "previous_statistics_uri": str(first.folder / "statistics"),
        "drift_thresholds": {"*": 0.2, "x": 0.9},
        "skew_thresholds": {"kind": 0.01},
    }
    done = validated(write_examples("later", train=moved, eval=before), **arguments)
    assert {(a["kind"], a["column"], a["split"]) for a in done.listed} == {
        ("drift against the earlier data", "kind", "train"),
        ("skew against the train split", "kind", "eval"),
    }
    measured = {info.path.step[0]: info for info in done.anomalies("train").drift_skew_info}
    assert measured["kind"].drift_measurements[0].value == pytest.approx(1 / 3)
    assert 0.2 < measured["x"].drift_measurements[0].value < 0.9
    assert "Skew and drift" in done.page
    assert not done.result.is_valid


def test_drift_needs_splits_in_common(write_examples, validated):
    table = repeated(30, {"x": [1.5, 2.5]})
    first = validated(write_examples(other=table))
    with pytest.raises(UserError, match="the splits other, the examples have train"):
        validated(
            write_examples("later", train=table),
            previous_statistics_uri=str(first.folder / "statistics"),
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"label": "labl"}, "has no column 'labl'.*Did you mean 'label'"),
        ({"label": "zzz"}, "has no column 'zzz'.*Columns: 'x', 'label'"),
        ({"fail_on": "errors"}, "fail_on: expected error, warning or never, found 'errors'"),
        ({"skew_thresholds": {"y": 0.1}}, "skew_thresholds: the data have no column 'y'"),
        (
            {"drift_thresholds": {"x": 2}, "previous_statistics_uri": "/"},
            "between 0 and 1, found 2",
        ),
        ({"drift_thresholds": {"x": 0.1}}, "Set previous_statistics_uri"),
        ({"schema_uri": "/no/such/schema"}, "/no/such/schema"),
        ({"previous_statistics_uri": "/no/such/statistics"}, "/no/such/statistics"),
    ],
)
def test_a_wrong_argument_writes_nothing(write_examples, validated, tmp_path, arguments, message):
    examples = write_examples(train=repeated(30, {"x": [1.5, 2.5], "label": [0, 1]}))
    with pytest.raises(UserError, match=message) as caught:
        validated(examples, **arguments)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("validated-*"))


def test_another_programs_statistics_will_do(write_examples, validated, tmp_path):
    """Plain TFDV statistics lack our custom statistics, so TFDV's quantiles are used."""
    from tensorflow_data_validation.statistics import stats_impl

    from kfp_tabular.components.common.statistics import statistics_files

    table = repeated(900, {"kind": ["a", "b"], "x": [float(i) for i in range(300)]})
    lists = {
        "kind": [[text.encode()] for text in table["kind"].to_pylist()],
        "x": [[number] for number in table["x"].to_pylist()],
    }
    plain = stats_impl.generate_statistics_in_memory(pa.RecordBatch.from_pydict(lists))
    folder = tmp_path / "plain"
    folder.mkdir()
    statistics_files.write(folder, {"train": plain})
    done = validated(
        write_examples(train=table),
        previous_statistics_uri=str(folder),
        drift_thresholds={"*": 0.05},
    )
    assert done.listed == []
    (x,) = (i for i in done.anomalies("train").drift_skew_info if i.path.step[0] == "x")
    assert x.drift_measurements[0].value < 0.05


def test_odd_column_names_work(write_examples, validated):
    names = ["a b", "c.d", "ünïcödé", "<b>&\"'", "split", "*", "日本"]
    table = repeated(60, {name: [0.5, 1.5, None] for name in names})
    done = validated(write_examples(train=table, eval=table), label="a b")
    assert [feature.name for feature in done.schema.feature] == names
    assert "&lt;b&gt;&amp;&quot;&#x27;" in done.page
    assert "<b>&" not in done.page
    again = validated(
        write_examples("more", train=table), schema_uri=str(done.folder / "schema"), label="a b"
    )
    assert again.result.is_valid


def test_the_page_needs_nothing_from_elsewhere(write_examples, validated):
    page = validated(write_examples(**halves(trips())), label="label").page
    assert not re.search(r"<script|<link|@import|url\(|src=|https?://", page)
    for column in trips().column_names:
        assert column.replace('"', "&quot;") in page
    assert page.index("<h2>Anomalies") < page.index("<h2>Columns")


def test_taxi_trips(chicago_taxi, write_examples, validated):
    """The reference data: a fresh schema finds nothing, and halves of it are close."""
    options = pv.ConvertOptions(strings_can_be_null=True, null_values=[""])
    table = pv.read_csv(chicago_taxi, convert_options=options)
    examples = write_examples(**halves(table))
    done = validated(examples, label="big_tipper", skew_thresholds={"*": 0.05})
    assert done.result.is_valid, done.result.failure
    by_name = {feature.name: feature for feature in done.schema.feature}
    assert by_name["trip_start_timestamp"].WhichOneof("domain_info") == "time_domain"
    assert by_name["big_tipper"].WhichOneof("domain_info") == "bool_domain"
    assert by_name["pickup_community_area"].int_domain.is_categorical
    assert by_name["trip_start_hour"].WhichOneof("domain_info") is None
    assert by_name["payment_type"].WhichOneof("domain_info") == "string_domain"
    assert by_name["fare"].WhichOneof("domain_info") is None
    listed = json.loads((done.folder / "anomalies" / "anomalies.json").read_text())
    assert {a["severity"] for a in listed} <= {"warning"}
