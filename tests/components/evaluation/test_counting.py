"""The folds of evaluation keep the laws of accumulators: any cut, any order, the same result."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.model_document import ModelInput, ModelSpec
from kfp_tabular.components.common.outcome_value.outcome_values import OutcomeValues
from kfp_tabular.components.common.prediction.predicted_batches import PredictedBatch
from kfp_tabular.components.common.processing import row_keys
from kfp_tabular.components.common.statistics import bootstrap
from kfp_tabular.components.evaluation import golden_selection
from kfp_tabular.components.evaluation.counting import CountingPlan, EvaluationFold, align_classes
from kfp_tabular.components.evaluation.golden_selection import GoldenSelection
from kfp_tabular.components.evaluation.metrics import code_counts, ranking
from kfp_tabular.components.evaluation.metrics.answer_sample import AnswerSample
from kfp_tabular.components.evaluation.metrics.code_counts import CodeCounts, PlaceCounts
from kfp_tabular.components.evaluation.metrics.measurement import MeasurementFold
from kfp_tabular.components.evaluation.slices import Cut, Slicing
from tests import accumulator_laws

INPUTS = (
    ModelInput("size", "float32", False, "size"),
    ModelInput("rooms", "int64", False, "rooms"),
    ModelInput("floor", "float32", True, "floor"),
    ModelInput("kind", "string", True, "kind"),
)
CLASSES = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "regression": ()}
WEIGHTS = bootstrap.weights(100, 0)
SLICING = Slicing("kind", (Cut("kind"),), (("flat",), ("house",)), 1)

tasks = st.sampled_from(sorted(CLASSES))
seeds = st.integers(0, 2**32)


def spec_of(task):
    return ModelSpec(task, "y", CLASSES[task], 0.5, INPUTS, "sha256:0")


class Data:
    """Rows with predictions of two models; some have no label."""

    def __init__(self, task, rows, seed, distinct=10**6):
        random = np.random.default_rng(seed)
        classes = len(CLASSES[task])
        self.task, self.rows = task, rows
        self.usable = random.random(rows) < 0.9
        self.inputs = {
            "size": np.where(random.random(rows) < 0.2, np.nan, random.normal(size=rows)),
            "rooms": random.integers(0, 5, rows),
            "floor": np.where(random.random(rows) < 0.3, np.nan, 1.0),
            "kind": random.choice(["flat", "house", "hut", ""], rows),
        }
        if classes:
            self.labels = random.integers(0, classes, rows)
            scores = random.random((2, rows, classes)) + np.eye(classes)[self.labels]
            scores = np.floor(scores * distinct) + 1
            self.predictions = (scores / scores.sum(-1, keepdims=True)).astype(np.float32)
        else:
            self.labels = 1e5 + random.normal(size=rows)
            self.predictions = (self.labels + random.normal(size=(2, rows))).astype(np.float32)

    def batch(self, start, stop):
        usable = np.flatnonzero(self.usable[start:stop])
        inputs = {name: values[start:stop] for name, values in self.inputs.items()}
        columns = {name: pa.array(values[usable]) for name, values in inputs.items()}
        dense = {
            "size": inputs["size"].astype(np.float32),
            "rooms": inputs["rooms"],
            "floor": inputs["floor"].astype(np.float32),
            "kind": np.array([text.encode() for text in inputs["kind"]], object),
        }
        return PredictedBatch(
            labels=self.labels[start:stop][usable],
            predictions=tuple(part[start:stop][usable] for part in self.predictions),
            columns=pa.RecordBatch.from_pydict(columns),
            inputs=dense,
            outputs={},
            usable=usable,
            missing=stop - start - len(usable),
            unknown=0,
            first=start,
        )


def seen_statistics(statistics, cells):
    found = []
    for cell in range(cells):
        measured = statistics.measured(cell, WEIGHTS)
        found.append([measured.rows, measured.points, measured.replicates])
    if hasattr(statistics, "confusion") and cells == 1:
        found.append(statistics.confusion())
    return found


def seen(measurement):
    return {
        "overall": seen_statistics(measurement.overall, 1),
        "sliced": [seen_statistics(each, 2) for each in measurement.sliced],
        "sample": list(vars(measurement.sample).values()),
    }


def seen_golden(golden):
    return [golden.inputs, golden.strata]


def seen_tally(tally):
    return [
        tally.rows,
        tally.without_label,
        [seen(each) for each in tally.measurements],
        seen_golden(tally.golden),
        [dict(tally.explained.inputs), tally.explained.labels],
        [*tally.comparison.paired.discordant, *tally.comparison.paired.scores],
        None if tally.entities is None else vars(tally.entities),
        [[each.left_out, each.curve()] for each in tally.profits],
    ]


@pytest.mark.parametrize("task", sorted(CLASSES))
@settings(max_examples=40)
@given(data=st.data(), rows=st.integers(0, 120), seed=seeds, distinct=st.sampled_from([2, 10**6]))
def test_any_cut_gives_the_same_evaluation(task, data, rows, seed, distinct):
    made = Data(task, rows, seed, distinct)
    owners = ("kind", "rooms") if seed % 2 else ()
    worth = OutcomeValues.parse({"true_positive": "size"}, "binary") if task == "binary" else None
    plan = CountingPlan((spec_of(task),) * 2, (SLICING,), 3, 20, owners, worth)
    accumulator_laws.check(
        data,
        lambda: EvaluationFold(plan, "test"),
        rows,
        made.batch,
        seen_tally,
        # In groups of many rows, labels near 100,000 leave 11 digits of their spread.
        absolute=1e-8 if owners else 1e-12,
    )


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@settings(max_examples=25)
@given(data=st.data(), seed=seeds)
def test_any_cut_gives_the_same_bins_of_many_scores(task, data, seed):
    rows, classes = 300, len(CLASSES[task])
    made = Data(task, rows, seed)
    keys = row_keys.keys(0, rows, 0)

    class Fold(MeasurementFold):
        def add(self, places):
            start, stop = places
            part = slice(start, stop)
            cells = [np.arange(start, stop) % 3 - 1]
            super().add(keys[part], made.labels[part], made.predictions[0][part], cells)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "_FINE", (40 * classes, 40 * classes))
        patch.setattr(ranking, "_GROUPED", (2000, 2000))
        patch.setattr(code_counts, "_PENDING", 50)
        accumulator_laws.check(
            data,
            lambda: _as(Fold, spec_of(task)),
            rows,
            lambda start, stop: (start, stop),
            seen,
            absolute=1e-12,
        )


def _as(kind, spec):
    return kind(spec, [2])


codes = st.lists(st.integers(0, 2**40) | st.integers(0, 300), max_size=60)


@given(data=st.data(), values=codes, most=st.integers(1, 20), low_bits=st.integers(0, 40))
def test_any_cut_gives_the_same_code_counts(data, values, most, low_bits):
    numbers = np.array(values, np.int64)

    def bins(found):
        return [found.dropped, *found.between(0, 2**41)]

    accumulator_laws.check(
        data,
        lambda: CodeCounts(most, low_bits),
        len(numbers),
        lambda start, stop: numbers[start:stop].copy(),
        bins,
    )
    counts = CodeCounts(most, low_bits)
    counts.add(numbers)
    dropped, found, rows = bins(counts.result())
    expected = np.unique(numbers >> dropped << dropped, return_counts=True)
    assert [found.tolist(), rows.tolist()] == [part.tolist() for part in expected]
    assert len(found) <= most or dropped == low_bits
    if dropped:
        assert len(np.unique(numbers >> (dropped - 1))) > most


@given(data=st.data(), values=st.lists(st.integers(0, 99), max_size=60), dense=st.booleans())
def test_any_cut_gives_the_same_place_counts(data, values, dense):
    numbers = np.array(values, np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(code_counts, "_DENSE", 100 if dense else 10)
        accumulator_laws.check(
            data,
            lambda: PlaceCounts(100),
            len(numbers),
            lambda start, stop: numbers[start:stop],
            lambda found: found.between(10, 90),
        )
        counts = PlaceCounts(100)
        counts.add(numbers)
        expected = np.bincount(numbers, minlength=100)[10:90]
        assert counts.result().between(10, 90).tolist() == expected.tolist()


@given(data=st.data(), task=tasks, rows=st.integers(0, 60), seed=seeds, most=st.integers(1, 20))
def test_any_cut_gives_the_same_answer_sample(data, task, rows, seed, most):
    made = Data(task, rows, seed)
    keys = row_keys.keys(0, rows, seed)

    class Sample(AnswerSample):
        def add(self, places):
            part = slice(*places)
            super().add(keys[part], made.labels[part], made.predictions[0][part])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kfp_tabular.components.evaluation.metrics.answer_sample._LEAST_ROWS", most)
        patch.setattr("kfp_tabular.components.evaluation.metrics.answer_sample._MOST_ROWS", most)
        accumulator_laws.check(
            data,
            lambda: Sample(len(CLASSES[task])),
            rows,
            lambda start, stop: (start, stop),
            lambda found: list(vars(found).values()),
        )
        found = AnswerSample(len(CLASSES[task]))
        found.add(keys, made.labels, made.predictions[0])
        smallest = np.argsort(keys)[:most]
        assert found.result().labels.tolist() == made.labels[smallest].tolist()
        assert found.result().groups.tolist() == bootstrap.groups_of(keys[smallest]).tolist()


@given(data=st.data(), task=tasks, rows=st.integers(0, 300), seed=seeds)
def test_any_cut_gives_the_same_golden_rows(data, task, rows, seed):
    made = Data(task, rows, seed)
    accumulator_laws.check(
        data,
        lambda: accumulator_laws.WithKeys(GoldenSelection(spec_of(task))),
        rows,
        made.batch,
        seen_golden,
    )


@given(task=tasks, seed=seeds)
def test_golden_rows_are_the_first_of_each_stratum_and_of_all(task, seed):
    rows = 500
    made = Data(task, rows, seed)
    batch = made.batch(0, rows)
    keys = batch.keys(0)
    selection = GoldenSelection(spec_of(task))
    selection.add(batch, keys)
    found = selection.result()
    sendable = ~np.isnan(batch.inputs["floor"][batch.usable])
    assert not np.isnan(found.inputs["floor"]).any()
    missing = np.isnan(batch.inputs["size"]) | (batch.inputs["kind"] == b"")
    missing = missing[batch.usable]
    assert sum(found.strata % 2) >= min(8, (missing & sendable).sum())
    order = np.argsort(keys[sendable])[: golden_selection.ROWS]
    firsts = batch.inputs["size"][batch.usable][sendable][order]
    kept = found.inputs["size"]
    assert {repr(value) for value in firsts} <= {repr(value) for value in kept}
    if CLASSES[task]:
        counts = np.bincount(found.strata // 2, minlength=len(CLASSES[task]))
        assert counts.min() >= 6


def test_classes_in_another_order_are_aligned():
    given_classes = np.array([[0.25, 0.75]], np.float32)
    assert align_classes(given_classes, ("a", "b"), ("b", "c", "a")).tolist() == [[0.75, 0, 0.25]]


def test_rows_of_other_batches_have_the_keys_of_their_positions():
    made = Data("binary", 40, 0)
    whole = made.batch(0, 40).keys(5)
    parts = np.concatenate([made.batch(0, 13).keys(5), made.batch(13, 40).keys(5)])
    assert whole.tolist() == parts.tolist()
    assert dataclasses.replace(made.batch(0, 13), first=1).keys(5).tolist() != whole[:13].tolist()
