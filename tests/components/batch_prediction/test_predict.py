"""Predictions of data sets: equal to the endpoint's answers, whatever the cut."""

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kfp_tabular.components.batch_prediction import predict
from kfp_tabular.components.batch_prediction.csv_text import joined
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.prediction.tabulated.tabulated_model import TabulatedModel
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.local_engine import LocalEngine
from tests.components.batch_prediction.conftest import predicted
from tests.components.batch_prediction.scored_model import INPUTS, Endpoint
from tests.pickled_engine import PickledEngine

NAMES = ["id", *(entry.name for entry in INPUTS)]
VALUES = {
    "id": [str(number) for number in range(7)],
    "amount": ["", "1.5", " 12 ", "-3e2", "NA", "nan", "1001", "1e39", "free", "true", "1,5"],
    "kind": ["flat", "house", " house ", "boat", "", "crash", "huge", "Zürich, 1\n2"],
    "rooms": ["3", "3.0", "", "1e1", "9223372036854775808", "two", "-9223372036854775808"],
    "sold on": ["31/12/2023", "2023-12-31", "", "30/02/2023", "soon"],
}
BY_TABLES = TabulatedModel.by_tables
ROWS = st.lists(
    st.fixed_dictionaries({name: st.sampled_from(values) for name, values in VALUES.items()}),
    min_size=1,
    max_size=30,
)


def as_csv(rows: list[dict[str, str]], names: list[str] = NAMES) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def some_rows(count: int) -> list[dict[str, str]]:
    usual = {"kind": VALUES["kind"][:4], "amount": VALUES["amount"][:6]}
    return [
        {
            name: values[number * (at + 3) % len(values)]
            for at, (name, values) in enumerate({**VALUES, **usual}.items())
        }
        | {"id": str(number)}
        for number in range(count)
    ]


def check(rows: list[dict[str, str]], found: dict[str, Any], endpoint: Endpoint) -> None:
    """Compare each row with the endpoint's answer for it."""
    answers = iter(found["rows"])
    refusals = iter(found["rejected"])
    for row in rows:
        wanted = endpoint.answer({name: row[name] for name in NAMES if name != "id"})
        if isinstance(wanted, str):
            reason = next(refusals)["reason"]
            assert reason.rstrip(".") == wanted.rstrip(".").replace("this request", "this row")
            continue
        answer = next(answers)
        assert answer["id"] == row["id"]
        assert answer["prediction"] == wanted["classes"].decode()
        both = [answer["probability_no"], answer["probability_yes"]]
        np.testing.assert_allclose(both, wanted["probabilities"], atol=1e-6)
    assert next(answers, None) is None
    assert next(refusals, None) is None


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=ROWS)
def test_equal_to_the_endpoint(
    rows: list[dict[str, str]], model: Path, endpoint: Endpoint, tmp_path: Path
) -> None:
    data = tmp_path / "rows.csv"
    data.write_text(as_csv(rows))
    # A short table may look as if it had no header.
    check(rows, predicted(data, model, tmp_path, csv_header="true", csv_delimiter=","), endpoint)


def test_any_cut_gives_the_same(
    small_pieces, model: Path, endpoint: Endpoint, tmp_path: Path
) -> None:
    rows = some_rows(500)
    data = tmp_path / "rows.csv"
    data.write_text(as_csv(rows))
    small_pieces(400, 1_200)
    engine = PickledEngine()
    there = predicted(data, model, tmp_path / "there", engine, write_csv=True)
    assert engine.pieces[-1] > 10
    check(rows, there, endpoint)
    for threads in (1, 3):
        here = predicted(data, model, tmp_path / f"{threads}", LocalEngine(threads))
        assert (here["rows"], here["rejected"]) == (there["rows"], there["rejected"])
        assert here["findings"] == there["findings"]
    small_pieces(400, 5_000)
    larger = predicted(data, model, tmp_path / "larger", write_csv=True)
    assert (larger["rows"], larger["facts"]) == (there["rows"], there["facts"])
    texts = [b"".join(joined(tmp_path / name / "predictions")) for name in ("there", "larger")]
    assert texts[0] == texts[1]
    # Rows that are predicted with others may differ in the last digit.
    small_pieces(1 << 20, 1 << 20)
    whole = predicted(data, model, tmp_path / "whole")
    assert (whole["rejected"], whole["facts"]) == (there["rejected"], there["facts"])
    check(rows, whole, endpoint)
    listed = list(csv.DictReader(io.StringIO(texts[0].decode())))
    assert [row["id"] for row in listed] == [row["id"] for row in there["rows"]]


@pytest.mark.parametrize("engine", [LocalEngine(2), PickledEngine()])
def test_many_rows_are_answered_by_tables(
    small_pieces, monkeypatch, plain_model: Path, tmp_path: Path, engine: Engine
) -> None:
    rows = [
        row
        for row in some_rows(600)
        # This model's graph computes, and refuses no kinds.
        if row["kind"] != "crash"
    ]
    data = tmp_path / "rows.csv"
    data.write_text(as_csv(rows))
    small_pieces(2_000, 6_000)
    monkeypatch.setattr(predict, "_MANY_PIECES", 1_000)
    called = predicted(data, plain_model, tmp_path / "called")
    monkeypatch.setattr(predict, "_MANY_PIECES", 3)
    answered = []
    monkeypatch.setattr(
        TabulatedModel,
        "by_tables",
        lambda self, tables, places: answered.append(places) or BY_TABLES(self, tables, places),
    )
    found = predicted(data, plain_model, tmp_path / "found", engine)
    assert sum(map(len, answered)) > 100
    check(rows, found, Endpoint(plain_model))
    assert (found["rejected"], found["facts"]) == (called["rejected"], called["facts"])


def test_columns(model: Path, regression: Path, tmp_path: Path) -> None:
    data = tmp_path / "rows.csv"
    data.write_text("kind,id,amount,rooms,sold on\nflat,a,1,2,\nhouse,b,3,4,\n")
    found = predicted(data, model, tmp_path)["rows"][0]
    assert list(found) == [
        *("id", "prediction", "probability_no", "probability_yes"),
        *("model_name", "model_version", "model_digest"),
    ]
    assert found["model_digest"].startswith("sha256:")
    found = predicted(data, regression, tmp_path, key_columns=["*"], model_columns=False)["rows"]
    assert found == [
        {
            "kind": "flat",
            "id": "a",
            "amount": "1",
            "rooms": "2",
            "sold on": None,
            "prediction": 460.0,
        },
        {
            "kind": "house",
            "id": "b",
            "amount": "3",
            "rooms": "4",
            "sold on": None,
            "prediction": 1680.0,
        },
    ]
    found = predicted(data, regression, tmp_path, key_columns=["rooms"])["rows"][1]
    assert found["rooms"] == "4"
    assert "id" not in found


def test_rejected_rows_have_file_line_reason_and_text(model: Path, tmp_path: Path) -> None:
    data = tmp_path / "rows.csv"
    data.write_text(
        'id,kind,amount,rooms,sold on\na,flat,1,,\nb,"fl\nat",x,,\nc,flat\nd,,1,,\ne,flat,2000,,\n'
    )
    found = predicted(data, model, tmp_path)
    assert [row["id"] for row in found["rows"]] == ["a"]
    assert [(row["file"], row["line"], row["text"]) for row in found["rejected"]] == [
        (str(data), 3, 'b,"fl\nat",x,,'),
        (str(data), 5, "c,flat"),
        (str(data), 6, "d,,1,,"),
        (str(data), 7, "e,flat,2000,,"),
    ]
    assert [row["reason"] for row in found["rejected"]] == [
        "feature 'amount': expected a number as in the training data, found other text.",
        "2 fields, expected 5",
        "feature 'kind' is required and missing; give text.",
        "feature 'amount': expected a number from -1000 to 1000.",
    ]
    findings = json.loads(found["findings"])
    assert sum(entry["code"] == "rejected" for entry in findings) == 4
    assert f"the first in {data} line 3" in found["findings"]


def test_policies_are_the_endpoints(model: Path, tmp_path: Path) -> None:
    data = tmp_path / "rows.csv"
    data.write_text(
        "id,kind,amount,rooms,sold on\na,boat,1,,\nb,flat,x,,\nc,flat,2000,,\nd,flat,1,,\n"
    )
    found = predicted(data, model, tmp_path)
    assert [row["id"] for row in found["rows"]] == ["a", "d"]
    assert found["facts"].outside == {"amount": 1, "kind": 1}
    found = predicted(
        *(data, model, tmp_path),
        unseen_values="reject",
        out_of_range="count",
        unreadable_values="missing",
    )
    assert [row["id"] for row in found["rows"]] == ["b", "c", "d"]
    assert found["facts"].unreadable == {"amount": 1}
    assert found["rejected"][0]["reason"].startswith("feature 'kind': expected one of the 2 values")


def test_every_format_and_folders(model: Path, tmp_path: Path) -> None:
    rows = [row for row in some_rows(60) if row["kind"] in ("flat", "house")]
    folder = tmp_path / "data" / "region=south"
    folder.mkdir(parents=True)
    (folder / "a.csv").write_text(as_csv(rows[:10]))
    (folder / "b.csv.gz").write_bytes(gzip.compress(as_csv(rows[10:]).encode()))
    wanted = predicted(tmp_path / "data", model, tmp_path / "csv")
    assert {row["region"] for row in wanted["rows"]} == {"south"}
    table = pa.table(
        {
            "id": [row["id"] for row in rows],
            "kind": pa.array([row["kind"] for row in rows]).dictionary_encode(),
            "amount": [row["amount"] or None for row in rows],
            "rooms": [row["rooms"] or None for row in rows],
            "sold on": [row["sold on"] or None for row in rows],
        }
    )
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=7)
    found = predicted(tmp_path / "*.parquet", model, tmp_path / "parquet", key_columns=["id"])
    for row, answer in zip(wanted["rows"], found["rows"], strict=True):
        assert (answer["id"], answer["prediction"]) == (row["id"], row["prediction"])
        assert answer["probability_yes"] == pytest.approx(row["probability_yes"], abs=1e-6)
    assert [row["reason"] for row in found["rejected"]] == [
        row["reason"] for row in wanted["rejected"]
    ]


def test_typed_columns_are_read_as_numbers(model: Path, endpoint: Endpoint, tmp_path: Path) -> None:
    import datetime

    table = pa.table(
        {
            "amount": pa.array([1.5, None, float("nan"), 3], pa.float32()),
            "kind": ["flat", "house", "flat", "house"],
            "rooms": pa.array([1, 2, None, 4], pa.int8()),
            "sold on": pa.array([datetime.date(2023, 12, 31), None, None, None]),
        }
    )
    pq.write_table(table, tmp_path / "rows.parquet")
    found = predicted(tmp_path / "rows.parquet", model, tmp_path)
    for row, answer in zip(table.to_pylist(), found["rows"], strict=True):
        wanted = endpoint.answer(row)
        assert answer["probability_yes"] == pytest.approx(wanted["probabilities"][1], abs=1e-6)


def test_columns_that_are_not_there(model: Path, tmp_path: Path) -> None:
    data = tmp_path / "rows.csv"
    data.write_text("id,kind,Amount\na,flat,1\nb,house,2\n")
    found = predicted(data, model, tmp_path)
    assert len(found["rows"]) == 2
    assert (
        "no column 'amount', so it counts as missing. Did you mean 'Amount'?" in found["findings"]
    )
    data.write_text("id,amount\na,1\nb,2\n")
    with pytest.raises(UserError, match="no column 'kind', which the model cannot do without"):
        predicted(data, model, tmp_path / "none")
    assert not (tmp_path / "none").exists()
    data.write_text("a;b\n1;2\n3;4\n")
    with pytest.raises(UserError, match="the data have no column 'amount'"):
        predicted(data, model, tmp_path / "none")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"key_columns": ["ids"]}, "key_columns: the data have no column 'ids'"),
        ({"exclude": ["ids"]}, "exclude: the data have no column 'ids'"),
        ({"unseen_values": "keep"}, "unseen_values: expected count or reject, found 'keep'"),
        ({"max_rejected_fraction": 0.1}, r"1 of 3 rows \(33.3%\) were rejected, .* line 4"),
        ({"data_format": "parquet"}, "looks like csv, expected parquet"),
    ],
)
def test_wrong_options(model: Path, tmp_path: Path, given: dict[str, Any], message: str) -> None:
    data = tmp_path / "rows.csv"
    data.write_text("id,kind,amount\na,flat,1\nb,house,2\nc,flat,x\n")
    with pytest.raises(UserError, match=message):
        predicted(data, model, tmp_path / "out", **given)
    assert not (tmp_path / "out" / "predictions").exists()
    assert not (tmp_path / "out" / "rejected_rows").exists()


def test_wrong_model_and_data(model: Path, tmp_path: Path) -> None:
    data = tmp_path / "rows.csv"
    data.write_text("kind\nflat\n")
    with pytest.raises(UserError, match="not found"):
        predicted(data, tmp_path / "nothing", tmp_path)
    with pytest.raises(UserError, match="A model directory holds saved_model.pb and model.json"):
        predicted(data, tmp_path, tmp_path)
    with pytest.raises(UserError, match="not found"):
        predicted(tmp_path / "nothing.csv", model, tmp_path)
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(UserError, match="the file is empty"):
        predicted(tmp_path / "empty.csv", model, tmp_path)
    (tmp_path / "header.csv").write_text("kind,amount\n")
    with pytest.raises(UserError, match="columns but no rows"):
        predicted(tmp_path / "header.csv", model, tmp_path, csv_header="true")
    data.write_text("kind,prediction\nflat,1\n")
    with pytest.raises(UserError, match="column 'prediction' has the name of a prediction"):
        predicted(data, model, tmp_path)
    pq.write_table(pa.table({"kind": [["flat"]]}), tmp_path / "lists.parquet")
    with pytest.raises(UserError, match="column 'kind' has type list"):
        predicted(tmp_path / "lists.parquet", model, tmp_path)


def test_all_rows_may_be_rejected(model: Path, tmp_path: Path) -> None:
    data = tmp_path / "rows.csv"
    data.write_text("kind,amount\nflat,x\nflat,y\n")
    found = predicted(data, model, tmp_path, write_csv=True)
    assert not found["rows"]
    assert len(found["rejected"]) == 2
    assert b"".join(joined(tmp_path / "predictions")).startswith(b"prediction,probability_no")
