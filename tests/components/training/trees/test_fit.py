"""Tests of training trees."""

import dataclasses
import logging

import numpy as np
import pytest

from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.process.termination import TERMINATED_EXIT_CODE
from kfp_tabular.components.training.input.packed_rows import (
    Categorical,
    ColumnLayout,
    PackedRows,
    Vector,
)
from kfp_tabular.components.training.trees.fit import TreeRequest, fit

LAYOUT = ColumnLayout(
    "label",
    ("fare", "always_zero", "miles"),
    (Categorical("fare__bucket", 0, 4), Categorical("day", 0, 7), Categorical("city", 0, 60)),
    (Vector("tags", 3),),
)


def rows_of(kind, rows=500, seed=0, layout=LAYOUT):
    """Return rows whose label follows from a number and two categories."""
    random = np.random.default_rng(seed)
    numeric = random.normal(size=(rows, layout.width)).astype(np.float32)
    sizes = [column.size for column in layout.categorical]
    categorical = random.integers(0, sizes or 1, (rows, len(sizes))).astype(np.int32)
    score = random.normal(0, 0.3, rows)
    if layout.width:
        score += 2 * numeric[:, 0]
    if "always_zero" in layout.numeric:
        numeric[:, 1] = 0
    for index in range(1, len(sizes)):
        score += np.random.default_rng(7).normal(size=sizes[index])[categorical[:, index]]
    label = {
        "binary": (score > 0).astype(np.int32),
        "multiclass": np.digitize(score, [-1.5, 1]).astype(np.int32),
        "regression": (score / 3).astype(np.float32),
    }[kind]
    return PackedRows(numeric, categorical, label)


def request_of(kind="binary", layout=LAYOUT, **changes):
    hyperparameters = changes.pop("hyperparameters", {"tree_count": 25, "tree_depth": 3})
    return TreeRequest(
        kind=kind,
        units=3 if kind == "multiclass" else 1,
        layout=layout,
        train=changes.pop("train", rows_of(kind, layout=layout)),
        held_out=changes.pop("held_out", rows_of(kind, seed=1, layout=layout)),
        hyperparameters=Hyperparameters(model_type="trees", **hyperparameters),
        **changes,
    )


def logits(fitted, rows):
    inputs = {"numeric": rows.numeric, "categorical": rows.categorical}
    return np.asarray(fitted.model(inputs))


def loss_of(kind, label, values):
    if kind == "regression":
        return float(np.sqrt(np.mean((values[:, 0] - label) ** 2)))
    if kind == "binary":
        values = np.column_stack([np.zeros(len(values)), values[:, 0]])
    values = values - np.logaddexp.reduce(values, axis=1, keepdims=True)
    return float(-values[np.arange(len(label)), label].mean())


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_the_exported_model_has_the_loss_that_catboost_measured(kind):
    request = request_of(kind)
    fitted = fit(request)
    assert 0 < fitted.trees == fitted.best_iteration <= fitted.grown == len(fitted.history) <= 25
    measured = fitted.history[fitted.best_iteration - 1]
    losses = [loss.eval_loss for loss in fitted.history]
    assert min(losses) <= measured.eval_loss <= min(losses) * 1.001
    assert all(loss > min(losses) * 1.001 for loss in losses[: fitted.trees - 1])
    for rows, expected in (
        (request.train, measured.train_loss),
        (request.held_out, measured.eval_loss),
    ):
        values = logits(fitted, rows)
        assert values.shape == (len(rows), request.units)
        loss = loss_of(kind, rows.label, values)
        # Statistics computed out of fold make the loss in training higher.
        assert loss < expected if rows is request.train else loss == pytest.approx(expected, 1e-5)
    untrained = loss_of(kind, request.held_out.label, np.zeros((500, request.units)))
    assert measured.eval_loss < 0.7 * untrained


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_do_not_change_the_trees(threads):
    one, more = fit(request_of(threads=1)), fit(request_of(threads=threads))
    rows = rows_of("binary", seed=2)
    assert np.array_equal(logits(one, rows), logits(more, rows))


def test_the_seed_decides():
    rows = rows_of("binary", seed=2)
    same, again, other = (logits(fit(request_of(seed=seed)), rows) for seed in (3, 3, 4))
    assert np.array_equal(same, again) and not np.array_equal(same, other)


def test_early_stopping_counts_ten_trees_as_an_evaluation():
    random = np.random.default_rng(0)
    train, held_out = rows_of("binary"), rows_of("binary", seed=1)
    # Noise: nothing that is learned holds.
    train.label[:], held_out.label[:] = random.integers(0, 2, (2, 500))
    changes = {"train": train, "held_out": held_out, "hyperparameters": {"tree_count": 60}}
    fitted = fit(request_of(patience=1, **changes))
    losses = [loss.eval_loss for loss in fitted.history]
    assert fitted.grown == losses.index(min(losses)) + 11 < 60
    assert fit(request_of(patience=0, **changes)).grown == 60


def test_without_an_eval_split_all_trees_are_kept(caplog):
    none = fit(request_of(held_out=None))
    empty = fit(request_of(held_out=rows_of("binary").take(slice(0, 0))))
    assert (none.trees, none.best_iteration, none.grown) == (25, 25, 25)
    assert none.history[-1].eval_loss is None
    assert "no eval split" in caplog.text and "tree_count" in caplog.text
    rows = rows_of("binary", seed=2)
    assert np.array_equal(logits(none, rows), logits(empty, rows))


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_an_eval_split_of_one_class(kind):
    held_out = rows_of(kind, seed=1)
    held_out = held_out.take(held_out.label == 1)
    assert fit(request_of(kind, held_out=held_out)).trees


@pytest.mark.parametrize("held_out", [rows_of("multiclass", seed=1), None])
def test_classes_that_the_train_split_lacks(held_out):
    train = rows_of("multiclass")
    train = train.take(train.label != 1)
    request = request_of(
        "multiclass", train=train, held_out=held_out, class_weights=[1.0, 0.0, 1.0]
    )
    values = logits(fit(request), train).astype(np.float64)
    shares = np.exp(values - np.logaddexp.reduce(values, axis=1, keepdims=True))
    assert shares[:, 1] == pytest.approx(1 / (len(train) + 2), 1e-4)
    assert (values.argmax(axis=1) == train.label).mean() > 0.85


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_a_label_of_one_value(kind):
    train = rows_of(kind)
    train.label[:] = 0
    values = logits(fit(request_of(kind, train=train)), train)
    assert np.isfinite(values).all()
    if kind == "regression":
        assert np.abs(values).max() < 1e-6
    elif kind == "binary":
        assert (values < 0).all()
    else:
        assert (values.argmax(axis=1) == 0).all()


def test_class_weights_move_the_predictions():
    train = rows_of("binary")
    plain = logits(fit(request_of()), train).mean()
    weighted = logits(fit(request_of(class_weights=[1.0, 20.0])), train).mean()
    assert weighted > plain + 0.5


@pytest.mark.parametrize(
    "layout",
    [
        ColumnLayout("label", ("fare",), ()),
        ColumnLayout("label", (), (Categorical("day", 0, 7), Categorical("city", 0, 60))),
        ColumnLayout("label", (), (), (Vector("note", 100),)),
    ],
    ids=["numbers", "ids", "vector"],
)
def test_columns_of_one_kind(layout):
    fitted = fit(request_of(layout=layout))
    assert logits(fitted, rows_of("binary", layout=layout)).shape == (500, 1)


def test_columns_that_do_not_vary_are_an_error():
    train = rows_of("binary")
    train.numeric[:], train.categorical[:] = 1.5, 0
    with pytest.raises(UserError, match="no feature varies.*model_type=linear"):
        fit(request_of(train=train))


class StopsAfter:
    """Tells a training to stop after some trees."""

    def __init__(self, trees):
        self.trees = trees
        self.seen = []

    def __call__(self, iteration, train_loss, eval_loss):
        self.seen.append((iteration, train_loss, eval_loss))
        return iteration != self.trees


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_a_stopped_training_resumes_to_the_same_trees(kind, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    whole = fit(request_of(kind))
    request = dataclasses.replace(request_of(kind), directory=tmp_path / "state")
    for stop in (5, 11):
        with pytest.raises(SystemExit) as stopped:
            fit(dataclasses.replace(request, after_iteration=StopsAfter(stop)))
        assert stopped.value.code == TERMINATED_EXIT_CODE
    rest = StopsAfter(0)
    resumed = fit(dataclasses.replace(request, after_iteration=rest))
    assert caplog.text.count("trees: resumed") == 2
    assert [iteration for iteration, _, _ in rest.seen] == list(range(12, whole.grown + 1))
    rows = rows_of(kind, seed=2)
    assert np.array_equal(logits(whole, rows), logits(resumed, rows))
    assert resumed.history == whole.history
    # One that was done is only read again.
    again = StopsAfter(0)
    assert fit(dataclasses.replace(request, after_iteration=again)).history == whole.history
    assert not again.seen


def test_a_training_that_stopped_early_is_not_continued(tmp_path):
    train, held_out = rows_of("binary"), rows_of("binary", seed=1)
    train.label[:], held_out.label[:] = np.random.default_rng(0).integers(0, 2, (2, 500))
    request = request_of(
        train=train, held_out=held_out, patience=1, directory=tmp_path, hyperparameters={}
    )
    first, again = fit(request), fit(request)
    assert (first.grown, first.trees, first.history) == (again.grown, again.trees, again.history)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"class_weights": [1.0, 2.0]},
        {"hyperparameters": {"tree_count": 25, "tree_depth": 3, "tree_learning_rate": 0.5}},
        {"train": rows_of("binary", seed=5)},
        {"held_out": rows_of("binary", seed=5)},
    ],
    ids=["seed", "weights", "rate", "rows", "held_out"],
)
def test_other_trainings_start_over(change, tmp_path, caplog):
    with pytest.raises(SystemExit):
        fit(request_of(directory=tmp_path, after_iteration=StopsAfter(10)))
    all_of_it = StopsAfter(0)
    fitted = fit(request_of(directory=tmp_path, after_iteration=all_of_it, **change))
    assert "other data or parameters" in caplog.text
    assert [iteration for iteration, _, _ in all_of_it.seen] == list(range(1, fitted.grown + 1))
    rows = rows_of("binary", seed=2)
    assert np.array_equal(logits(fitted, rows), logits(fit(request_of(**change)), rows))


def test_a_damaged_snapshot_starts_over(tmp_path, caplog):
    with pytest.raises(SystemExit):
        fit(request_of(directory=tmp_path, after_iteration=StopsAfter(10)))
    (file,) = tmp_path.iterdir()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 255
    file.write_bytes(content)
    fitted = fit(request_of(directory=tmp_path))
    assert "is damaged" in caplog.text
    rows = rows_of("binary", seed=2)
    assert np.array_equal(logits(fitted, rows), logits(fit(request_of()), rows))


def test_an_error_of_the_callback_is_raised_as_it_is():
    def denied(iteration, train_loss, eval_loss):
        raise UserError("training_logs: access denied.")

    with pytest.raises(UserError, match=r"^training_logs: access denied\.$"):
        fit(request_of(after_iteration=denied))


@pytest.mark.parametrize("directory", [None, "state"])
def test_nothing_is_written_to_the_working_directory(directory, tmp_path, monkeypatch):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    here.chmod(0o500)
    fit(request_of(directory=None if directory is None else tmp_path / directory))
    assert not list(here.iterdir())
    if directory:
        assert [path.name for path in (tmp_path / directory).iterdir()] == ["trees.snapshot"]
