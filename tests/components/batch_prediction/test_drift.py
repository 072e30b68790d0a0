"""Drift of scored data from the training data, measured while predicting."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.batch_prediction import drift
from kfp_tabular.components.batch_prediction.drift import DriftBatch, DriftFold, TrainedColumn
from kfp_tabular.components.batch_prediction.scored_rows import (
    ScoredBatch,
    ScoredRows,
    counted,
    places,
)
from kfp_tabular.components.common.artifacts.model_document import ModelInput, ModelSpec
from kfp_tabular.components.common.artifacts.raw_features import MISSING_INT
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.prediction.column_decoder import Texts
from kfp_tabular.components.common.statistics import statistics_files
from kfp_tabular.components.common.statistics.column_summary import ColumnSummary
from kfp_tabular.components.common.statistics.distances import Bins, jensen_shannon_divergence
from kfp_tabular.components.data_ingestion.readers.source import RejectedRow
from tests import accumulator_laws
from tests.components.batch_prediction.conftest import predicted
from tests.components.batch_prediction.test_predict import as_csv, some_rows
from tests.pickled_engine import PickledEngine

TRAINED = [
    TrainedColumn("amount", "amount", 0.1, Bins.of([0, 1, 1, 2, 5])),
    TrainedColumn("rooms", "rooms", 0.0, Bins.of_values([1, 2, 3], [5, 3, 2])),
    TrainedColumn("kind", "kind", 0.0, values=(b"flat", b"house"), shares=(0.75, 0.25)),
    TrainedColumn("code", "code", 0.0, values=(1, 2), shares=(0.5, 0.5)),
]
KINDS = (b"flat", b"house", b"boat", b"barn", b"")


def batch(rows: list[tuple[float, int, int, int]]) -> DriftBatch:
    amounts, rooms, kinds, codes = zip(*rows, strict=True) if rows else ((), (), (), ())
    columns = {
        "amount": np.array(amounts, np.float32),
        "rooms": np.array(rooms, np.int64),
        "kind": Texts(np.array(kinds, np.int32), KINDS),
        "code": np.array(codes, np.int64),
    }
    return DriftBatch(columns, len(rows))


ROWS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.5, 1.0, 1.5, 7.0, float("nan")]),
        st.sampled_from([1, 2, 9, MISSING_INT]),
        st.integers(0, len(KINDS) - 1),
        st.sampled_from([1, 2, 3, MISSING_INT]),
    ),
    max_size=40,
)


@settings(deadline=None)
@given(data=st.data(), rows=ROWS)
def test_drift_keeps_the_laws(data, rows):
    accumulator_laws.check(
        data,
        lambda: DriftFold(TRAINED),
        len(rows),
        lambda start, stop: batch(rows[start:stop]),
        lambda found: [
            (
                column.missing,
                0.0 if column.distance is None else column.distance.value,
                list(column.new_values),
                column.new_rows,
            )
            for column in found.values()
        ],
    )


@settings(deadline=None)
@given(data=st.data(), rows=st.lists(st.sampled_from(["a", "b", "", "c"]), max_size=30))
def test_facts_keep_the_laws(data, rows):
    def facts(start: int, stop: int) -> ScoredBatch:
        part = rows[start:stop]
        rejected = [
            RejectedRow("a.csv", line, reason, "")
            for line, reason in enumerate(part, start=start)
            if reason
        ]
        return ScoredBatch(
            rows=len(part),
            predicted=len(part) - len(rejected),
            reasons=counted(row.reason for row in rejected),
            places=places(rejected),
            classes={"yes": len(part) - len(rejected)},
        )

    accumulator_laws.check(data, ScoredRows, len(rows), facts, vars)


def test_equal_data_have_no_distance_and_others_have_one() -> None:
    fold = DriftFold(TRAINED)
    rows = [(float(amount), 1, 0, 1) for amount in (0, 1, 1, 2)]
    fold.add(batch([*rows, (5.0, 2, 1, 2), (float("nan"), MISSING_INT, 2, 3)]))
    found = fold.result()
    assert found["amount"].missing == found["rooms"].missing == pytest.approx(1 / 6)
    kind = found["kind"]
    assert kind.distance is not None
    assert kind.distance.value == pytest.approx(1 / 6)
    assert (list(kind.new_values), kind.new_rows) == ([("boat", 1)], 1)
    assert list(found["code"].new_values) == [("3", 1)]
    same = DriftFold(TRAINED[2:3])
    same.add(batch([(0.0, 1, 0, 1)] * 3 + [(0.0, 1, 1, 1)]))
    distance = same.result()["kind"].distance
    assert distance is not None
    assert distance.value == 0.0


@settings(deadline=None, max_examples=50)
@given(
    a=st.lists(st.floats(-100, 100, width=32), min_size=30, max_size=60),
    b=st.lists(st.floats(-100, 100, width=32), min_size=30, max_size=60),
)
def test_bins_measure_as_quantiles_do(a: list[float], b: list[float]) -> None:
    """Up to the resolution of quantiles: a step between two of a few dozen numbers."""
    bins = Bins.of(np.sort(b).tolist())
    counts = bins.count(np.array(a, np.float32))
    assert counts.sum() == len(a)
    assert len(counts) == len(bins.shares)
    wanted = jensen_shannon_divergence(np.sort(a).tolist(), np.sort(b).tolist())
    assert bins.divergence(counts / len(a)) == pytest.approx(wanted, abs=0.15)


def test_what_can_be_compared() -> None:
    text = ModelInput("a", "string", required=False, input="a")
    number = ModelInput("a", "float32", required=False, input="a")
    many = ColumnSummary(rows=10, missing=0, distinct=5_000, ranked=(("x", 1),))
    assert TrainedColumn.of(text, many, categorical=False) is None
    empty = ColumnSummary(rows=10, missing=10, numeric=True)
    assert TrainedColumn.of(number, empty, categorical=False) is None
    assert TrainedColumn.of(number, many, categorical=False) is None
    ranked = ColumnSummary(rows=4, missing=1, numeric=True, distinct=2, ranked=(("1", 2), ("2", 1)))
    found = TrainedColumn.of(number, ranked, categorical=True)
    assert found is not None
    assert (found.values, found.missing) == ((1, 2), 0.25)


def statistics(folder: Path) -> Path:
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import statistics_pb2

    text = """datasets { num_examples: 100
      features { path { step: "kind" } string_stats { common_stats { num_non_missing: 100 }
        unique: 2 rank_histogram { buckets { label: "flat" sample_count: 90 }
                                   buckets { label: "house" sample_count: 10 } } } } }"""
    folder.mkdir()
    parsed = text_format.Parse(text, statistics_pb2.DatasetFeatureStatisticsList())
    statistics_files.write(folder, {"train": parsed})
    return folder


def test_drift_is_a_finding_and_on_the_page(small_pieces, model: Path, tmp_path: Path) -> None:
    small_pieces(400, 1_200)
    data = tmp_path / "rows.csv"
    data.write_text(as_csv(some_rows(300)))
    uri = str(statistics(tmp_path / "statistics"))
    here = predicted(data, model, tmp_path / "here", statistics_uri=uri)
    there = predicted(data, model, tmp_path / "there", PickledEngine(), statistics_uri=uri)
    assert here["result"].drift == there["result"].drift
    (found,) = [each for each in json.loads(here["findings"]) if each["code"] == "drift"]
    assert found["column"] == "kind"
    assert "L-infinity distance" in found["message"]
    page = (tmp_path / "here" / "report.html").read_text()
    assert "Drift from the training data" in page
    assert "boat" in page
    assert "expected a whole number as in the training data" in page
    again = predicted(
        *(data, model, tmp_path / "calm"), statistics_uri=uri, drift_thresholds={"kind": 1.0}
    )
    assert '"drift"' not in again["findings"]


def test_wrong_statistics_and_thresholds(model: Path, tmp_path: Path) -> None:
    spec = ModelSpec.load(model)
    with pytest.raises(UserError, match="no statistics found"):
        drift.training(tmp_path, spec, None, {})
    folder = statistics(tmp_path / "statistics")
    with pytest.raises(UserError, match="drift_thresholds: the data have no column 'kin'"):
        drift.training(folder, spec, None, {"kin": 0.1})
    (folder / "train.binpb").rename(folder / "eval.binpb")
    with pytest.raises(UserError, match="no statistics of the split 'train'; the splits are eval"):
        drift.training(folder, spec, None, {})


def test_few_rows_are_a_note(model: Path, tmp_path: Path) -> None:
    data = tmp_path / "rows.csv"
    data.write_text("amount,kind,rooms,sold on\n" + "1,house,2,01/02/2024\n" * 4)
    uri = str(statistics(tmp_path / "statistics"))
    found = predicted(data, model, tmp_path / "few", statistics_uri=uri)
    (note,) = [each for each in json.loads(found["findings"]) if "drift" in each["code"]]
    assert (note["code"], note["severity"]) == ("drift-by-chance", "note")
    assert note["message"] == (
        "Above the threshold of drift, but with too few rows to tell it from chance: "
        "'kind' (4 rows)."
    )
    assert ">few rows<" in (tmp_path / "few" / "report.html").read_text()
    data.write_text("amount,kind,rooms,sold on\n" + "1,house,2,01/02/2024\n" * 12)
    again = predicted(data, model, tmp_path / "more", statistics_uri=uri)
    assert '"drift"' in again["findings"]
