import itertools

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.model_document import ModelInput
from kfp_tabular.components.common.prediction.predicted_batches import PredictedBatch
from kfp_tabular.components.evaluation.explanations.row_sample import RowCollector
from tests import accumulator_laws

X = ModelInput("x", "int64", False, "x")


def batches(labels, cuts):
    """The rows with a label that is not negative, cut into batches."""
    bounds = sorted({0, len(labels), *(cut % (len(labels) + 1) for cut in cuts)})
    for start, end in itertools.pairwise(bounds):
        yield predicted(labels, start, end)


def predicted(labels, start, end):
    part = labels[start:end]
    usable = np.flatnonzero(part >= 0)
    return PredictedBatch(
        labels=part[usable],
        predictions=(),
        columns=pa.RecordBatch.from_pydict({"x": part[usable] * 2}),
        inputs={"x": part * 2},
        outputs={},
        usable=usable,
        missing=len(part) - len(usable),
        unknown=0,
        first=start,
    )


def sample(labels, cuts, most, seed):
    collector = RowCollector(most, [X])
    for batch in batches(labels, cuts):
        collector.add(batch, batch.keys(seed))
    return collector.result()


@given(data=st.data(), labels=st.lists(st.integers(-1, 5), max_size=60), most=st.integers(1, 20))
def test_any_cut_gives_the_same_sample(data, labels, most):
    labels = np.array(labels, np.int64)
    accumulator_laws.check(
        data,
        lambda: accumulator_laws.WithKeys(RowCollector(most, [X])),
        len(labels),
        lambda start, stop: predicted(labels, start, stop),
        lambda found: [found.labels, dict(found.inputs)],
    )


@settings(deadline=None)
@given(
    rows=st.integers(1, 500),
    cuts=st.lists(st.integers(0, 500), max_size=20),
    most=st.integers(1, 100),
    seed=st.integers(0, 2**40),
)
def test_the_sample_does_not_depend_on_the_batches(rows, cuts, most, seed):
    labels = np.arange(rows)
    labels[::7] = -1
    labels[0] = 0
    found, whole = sample(labels, cuts, most, seed), sample(labels, (), most, seed)
    assert found.labels.tolist() == whole.labels.tolist()
    assert len(found) == min(most, int((labels >= 0).sum()))
    assert len(set(found.labels.tolist())) == len(found)
    assert (found.inputs["x"] == found.labels * 2).all()
    assert found.first(3).labels.tolist() == found.labels[:3].tolist()


def test_the_sample_is_spread_over_all_rows():
    found = sample(np.arange(20_000), range(0, 20_000, 700), 2000, seed=1)
    parts = np.bincount(found.labels // 5000)
    assert parts.min() > 430
