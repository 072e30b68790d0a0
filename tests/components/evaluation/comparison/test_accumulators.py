"""The folds of the comparison keep the laws of accumulators."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing import row_keys
from kfp_tabular.components.evaluation.comparison import entities
from kfp_tabular.components.evaluation.comparison.entities import EntityCounts
from kfp_tabular.components.evaluation.comparison.paired_answers import PairedAnswers
from tests import accumulator_laws

seeds = st.integers(0, 2**32)


class Rows:
    """Random rows with the answers of two models, in three slices, or none."""

    def __init__(self, classes, rows, seed):
        random = np.random.default_rng(seed)
        self.keys = row_keys.keys(0, rows, 0)
        self.labels = random.integers(0, classes, rows)
        answers = random.random((2, rows, classes)).astype(np.float32)
        self.answers = [given / given.sum(1, keepdims=True) for given in answers]
        self.cells = random.integers(-1, 3, rows)
        self.owners = random.integers(0, 9, rows).astype(np.uint64)

    def part(self, start, stop):
        part = slice(start, stop)
        return (
            self.keys[part],
            self.labels[part],
            [given[part] for given in self.answers],
            [self.cells[part]],
            self.owners[part],
        )


class Paired(PairedAnswers):
    def add(self, part):
        super().add(*part)


def seen(found):
    return [
        *found.rows,
        *found.discordant,
        *found.scores,
        *found.cells,
        found.is_complete,
        found.entities,
    ]


@pytest.mark.parametrize(("task", "classes"), [("binary", 2), ("multiclass", 3)])
@given(data=st.data(), rows=st.integers(0, 80), seed=seeds, most=st.integers(1, 30))
def test_any_cut_gives_the_same_paired_answers(task, classes, data, rows, seed, most):
    made = Rows(classes, rows, seed)

    def make():
        return Paired(task, (0.4, 0.6), [3], most, has_entities=seed % 2 == 0)

    accumulator_laws.check(data, make, rows, made.part, seen)


@given(rows=st.integers(0, 80), seed=seeds)
def test_paired_answers_count_who_alone_is_right(rows, seed):
    made = Rows(2, rows, seed)
    counts = PairedAnswers("binary", (0.4, 0.6), [3], has_entities=True)
    counts.add(*made.part(0, rows))
    found = counts.result()
    right = [
        (given[:, 1] >= np.float32(threshold)) == made.labels
        for given, threshold in zip(made.answers, (0.4, 0.6), strict=True)
    ]
    for slicing, cell, chosen in [
        (0, 0, np.ones(rows, bool)),
        *((1, cell, made.cells == cell) for cell in range(3)),
    ]:
        seen_of = found.discordance(slicing, cell)
        assert seen_of.rows == chosen.sum()
        assert seen_of.ours == (chosen & right[0] & ~right[1]).sum()
        assert seen_of.theirs == (chosen & right[1] & ~right[0]).sum()
        pairs = found.pairs(slicing, cell)
        expected = made.answers[0][chosen & (made.labels == 1), 1]
        assert sorted(pairs.positives[:, 0].tolist()) == sorted(expected.tolist())
        owners = dict(zip(made.answers[0][:, 1].tolist(), made.owners.tolist(), strict=True))
        for scores, keys in (
            (pairs.positives, pairs.positive_entities),
            (pairs.negatives, pairs.negative_entities),
        ):
            assert keys.tolist() == [owners[score] for score in scores[:, 0].tolist()]


def test_few_sampled_rows_of_a_slice_give_no_pairs():
    made = Rows(2, 5000, 0)
    counts = PairedAnswers("binary", (0.5, 0.5), [3], most=1500)
    counts.add(*made.part(0, 5000))
    found = counts.result()
    assert not found.is_complete
    assert len(found.pairs(0, 0).positives) == 1500
    assert found.pairs(1, 0) is None


@given(
    data=st.data(),
    owners=st.lists(st.integers(0, 40), max_size=80),
    most=st.integers(1, 60),
)
def test_any_cut_gives_the_same_entity_counts(data, owners, most):
    names = pa.array([f"customer {owner}" for owner in owners], pa.string())
    batch = pa.RecordBatch.from_arrays([names], names=["customer"])
    keys = entities.keys_of(batch, ["customer"], 7)

    accumulator_laws.check(
        data,
        lambda: EntityCounts(most),
        len(owners),
        lambda start, stop: keys[start:stop],
        lambda found: [found.count, found.repeat],
    )
    if most > 41:
        counts = EntityCounts(most)
        counts.add(keys)
        found = counts.result()
        assert found.count == len(set(owners))
        assert found.repeat == (len(set(owners)) < len(owners))


def test_many_entities_are_estimated():
    batch = pa.RecordBatch.from_pydict({"customer": list(range(200_000))})
    counts = EntityCounts()
    for start in range(0, 200_000, 50_000):
        counts.add(entities.keys_of(batch.slice(start, 50_000), ["customer"], 0))
    assert counts.result().count == pytest.approx(200_000, rel=0.05)


def test_a_key_is_of_the_entity_whatever_the_type():
    columns = {
        "shop": pa.array([1, 2, 1], pa.int32()),
        "day": pa.array([0, 0, 0], pa.date32()),
        "member": pa.array([True, None, True]),
        "score": pa.array([0.5, 0.5, 0.5], pa.float32()),
    }
    batch = pa.RecordBatch.from_pydict(columns)
    first, second, third = entities.keys_of(batch, list(columns), 0).tolist()
    assert first == third
    assert first != second


def test_an_unknown_entity_column_is_refused():
    with pytest.raises(UserError, match=r"entity_columns: .* no column 'custommer'.*'customer'"):
        entities.check(["custommer"], ["customer"])
