"""Counting n-grams: the laws of accumulators, and what is counted."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.common.processing.accumulator import Rows
from kfp_tabular.components.feature_engineering.features.text_features import Ngrams, TextColumn
from kfp_tabular.components.feature_engineering.graph import text_counts
from kfp_tabular.components.feature_engineering.graph.text_counts import NgramFold
from tests import accumulator_laws
from tests.components.feature_engineering.conftest import write_examples
from tests.pickled_engine import PickledEngine

COLUMNS = (
    TextColumn("note", Ngrams(words=2, characters=None, length=64), is_prose=True),
    TextColumn("code", Ngrams(words=0, characters=(2, 3), length=64), is_prose=False),
)
TASKS = {
    "binary": Task("binary", "y", ("no", "yes")),
    "regression": Task("regression", "y"),
}


def table(rows, kind, seed=0):
    random = np.random.default_rng(seed)
    words = ["good", "bad", "ride", "Zürich", ""]
    label = random.choice(["no", "yes"], rows) if kind == "binary" else random.normal(size=rows)
    return pa.table(
        {
            "note": pa.array(
                [" ".join(random.choice(words, 3)) for _ in range(rows)],
                mask=random.random(rows) < 0.1,
            ),
            "code": [f"ab-{number:03d}" for number in random.integers(0, 200, rows)],
            "y": pa.array(label, mask=random.random(rows) < 0.1),
        }
    )


def plain(facts):
    return {
        name: [
            found.rows,
            {kind: counts.tolist() for kind, counts in found.frequencies.items()},
            dict(found.scores),
            found.means,
            found.deviations,
        ]
        for name, found in facts.items()
    }


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("counted", [30, 1_000])
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_any_cut_counts_the_same(data, kind, counted):
    given_rows = table(60, kind)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_counts, "COUNTED_ROWS", counted)
        accumulator_laws.check(
            data,
            lambda: NgramFold(COLUMNS, TASKS[kind], total=60),
            60,
            lambda start, stop: Rows(
                given_rows.slice(start, stop - start).combine_chunks().to_batches()[0]
                if stop > start
                else pa.RecordBatch.from_pylist([], given_rows.schema),
                start,
            ),
            plain,
            # Of float32.
            relative=1e-6,
            absolute=1e-9,
        )


@pytest.mark.parametrize("kind", TASKS)
def test_another_engine_counts_the_same(tmp_path, kind):
    path = write_examples(tmp_path / "examples", {"train": table(300, kind)})
    engine = PickledEngine()
    found = text_counts.collect(Examples(path), COLUMNS, TASKS[kind], engine, piece_rows=1)
    expected = text_counts.collect(Examples(path), COLUMNS, TASKS[kind])
    accumulator_laws.assert_same(plain(found), plain(expected), 1e-6)


def test_rows_are_counted(tmp_path):
    given_rows = table(300, "binary")
    path = write_examples(tmp_path / "examples", {"train": given_rows})
    note = text_counts.collect(Examples(path), COLUMNS, TASKS["binary"])["note"]
    labeled = [row for row in given_rows.to_pylist() if row["y"] is not None]
    texts = [row["note"] for row in labeled if row["note"]]
    assert note.rows == len(texts)
    for word in ("good", "bad"):
        assert sum(word in text.split() for text in texts) in note.frequencies["words"]
