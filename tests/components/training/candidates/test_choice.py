"""Which model is kept, with models whose logits are given."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.training.candidates import blending, choice
from kfp_tabular.components.training.candidates.candidate_plan import CandidatePlan
from kfp_tabular.components.training.candidates.fitted_candidate import FittedCandidate
from kfp_tabular.components.training.input.label_scale import AS_IT_IS
from kfp_tabular.components.training.input.packed_rows import ColumnLayout, PackedRows
from kfp_tabular.components.training.input.training_data import TrainingData

KINDS = ("binary", "multiclass", "regression")
UNITS = {"binary": 1, "multiclass": 3, "regression": 1}
PLAN = CandidatePlan(("trees", "tabm"), blended=True, chosen=True)


class Columns:
    """A model whose logits are columns of its input."""

    variables = ()

    def __init__(self, first, units):
        self.first, self.units = first, units

    def __call__(self, inputs, *, training=False):
        return inputs["numeric"][:, self.first : self.first + self.units]


def drawn(kind, rows, seed, noises):
    """Return data whose columns are the members' logits: the truth with noise."""
    random = np.random.default_rng(seed)
    units = UNITS[kind]
    truth = random.normal(0, 1.5, (rows, units))
    if kind == "regression":
        label = (truth[:, 0] + random.normal(0, 0.3, rows)).astype(np.float32)
    elif kind == "binary":
        label = (random.random(rows) < 1 / (1 + np.exp(-truth[:, 0]))).astype(np.int32)
    else:
        label = (truth + random.gumbel(size=truth.shape)).argmax(axis=1).astype(np.int32)
    logits = [truth + random.normal(0, noise, truth.shape) for noise in noises]
    columns = np.concatenate(logits, axis=1).astype(np.float32)
    classes = tuple("abc"[: {"binary": 2, "multiclass": 3, "regression": 0}[kind]])
    data = TrainingData(
        task=Task(kind, "y", classes),
        columns=ColumnLayout("y", tuple(f"x{at}" for at in range(columns.shape[1])), ()),
        reader=None,
        rows={"train": rows, "eval": rows},
        train_files=(),
        share=(),
        class_counts=np.bincount(label, minlength=len(classes)).tolist() if classes else [],
        label_scale=AS_IT_IS,
        ranges=(),
        has_eval_split=True,
        held_out=PackedRows(columns, np.zeros((rows, 0), np.int32), label),
    )
    fitted = [
        FittedCandidate(
            name=name,
            model=Columns(place * units, units),
            history=(),
            steps=1,
            best_step=1,
            epochs=1.0,
            seconds=1.0,
            rows_per_second=1.0,
            parameters=1,
            size=size,
            objective="log_loss",
        )
        for place, (name, size) in enumerate((("trees", 10), ("tabm", 20)))
    ]
    return data, fitted


def scores(found):
    return {entry.candidate: entry.score for entry in found.leaderboard}


@settings(deadline=None, max_examples=25)
@given(
    kind=st.sampled_from(KINDS),
    rows=st.integers(2, 400),
    seed=st.integers(0, 10**6),
    noises=st.tuples(st.floats(0.01, 4), st.floats(0.01, 4)),
)
def test_what_is_kept_is_never_worse_on_eval_than_the_best_member(kind, rows, seed, noises):
    found = choice.choose(PLAN, *reversed(drawn(kind, rows, seed, noises)))
    by_name = scores(found)
    (kept,) = (entry for entry in found.leaderboard if entry.is_kept)
    assert kept.candidate == found.name
    assert kept.score <= min(by_name["trees"], by_name["tabm"])
    assert sum(found.weights.values()) == pytest.approx(1)
    assert "\n" not in found.reason


@pytest.mark.parametrize("kind", KINDS)
def test_members_that_differ_are_blended(kind):
    data, fitted = drawn(kind, 600, seed=1, noises=(0.8, 0.8))
    found = choice.choose(PLAN, fitted, data)
    assert found.name == "blend"
    assert found.reason.startswith("because its loss in cross-validation is ")
    assert found.reason.endswith("% below its best member's")


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_a_tie_keeps_the_blend_and_names_the_cheaper_model(kind):
    """A hundred rows do not tell whether the blend is better, but that it is not worse."""
    data, fitted = drawn(kind, 100, seed=1, noises=(0.5, 0.5))
    found = choice.choose(PLAN, fitted, data)
    assert found.name == "blend"
    assert "is within a standard error of its best member's (" in found.reason
    assert found.reason.endswith(" alone answers faster")


@pytest.mark.parametrize("kind", KINDS)
def test_a_member_that_knows_nothing_is_left_out(kind):
    data, fitted = drawn(kind, 20_000, seed=3, noises=(0.01, 50.0))
    found = choice.choose(PLAN, fitted, data)
    assert found.weights.get("trees", 0) > 0.98
    assert scores(found)["tabm"] > scores(found)["trees"]


def test_a_blend_that_loses_in_cross_validation_is_not_kept(monkeypatch):
    """It may well be better on the rows that it was fitted on."""

    measured = blending.cross_validated

    def worse(kind, members, label, form, weights=None):
        found = measured(kind, members, label, form, weights)
        return replace(found, losses=found.members.max(axis=0) + 1.0)

    data, fitted = drawn("regression", 600, seed=1, noises=(0.8, 0.8))
    monkeypatch.setattr(choice.blending, "cross_validated", worse)
    found = choice.choose(PLAN, fitted, data)
    assert found.name == found.leaderboard[1].candidate
    assert found.reason.startswith("the best member on the eval split; a blend's loss is ")
    assert found.reason.endswith("% higher in cross-validation")
    assert not found.blend
