"""The pure decisions: schedule, stopping, metrics, settings, place in the cluster."""

import math
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.training.distributed import local_workers
from kfp_tabular.components.training.loop.early_stopping import EarlyStopping
from kfp_tabular.components.training.loop.schedule import plan
from kfp_tabular.components.training.model import architectures, prediction_metrics, saved_model
from kfp_tabular.components.training.worker import program, workspace
from kfp_tabular.components.training.worker_settings import WorkerSettings

SETTINGS = WorkerSettings(
    Path("/data/examples"), Path("/data/graph"), Path("/out/model"), Path("/logs")
)


@given(
    rows=st.integers(1, 10**7),
    batch=st.integers(1, 10**5),
    steps=st.integers(0, 5000),
    epochs=st.integers(0, 200),
    replicas=st.integers(1, 16),
)
def test_a_schedule_is_sound(rows, batch, steps, epochs, replicas):
    hyperparameters = Hyperparameters(batch_size=batch, train_steps=steps, epochs=epochs)
    schedule = plan(hyperparameters, rows, replicas)
    assert schedule.batch == schedule.replica_batch * replicas >= 1
    assert schedule.batch <= min(batch, rows) + replicas
    assert schedule.steps >= 1
    assert 1 <= schedule.interval <= schedule.steps
    assert 1 <= schedule.steps_per_call * schedule.replica_batch <= max(8192, batch)
    evaluations = -(-schedule.steps // schedule.interval)
    assert min(schedule.steps, 6) <= evaluations <= 50
    if steps:
        assert schedule.steps == steps
    elif epochs:
        assert schedule.epoch(schedule.steps) == epochs


def test_epochs_are_evaluated_each():
    schedule = plan(Hyperparameters(epochs=20, batch_size=100), 1000)
    assert (schedule.steps, schedule.interval) == (200, 10)


def test_small_data_gets_enough_steps():
    assert plan(Hyperparameters(), 150).steps >= 500
    assert plan(Hyperparameters(), 1_000_000).steps == 10 * -(-1_000_000 // 256)


def test_stopping_keeps_the_best_and_loses_patience():
    stopping = EarlyStopping("auc", patience=2)
    values = [0.7, 0.8, float("nan"), 0.79]
    assert [stopping.update(value, step) for step, value in enumerate(values)] == [
        True,
        True,
        False,
        False,
    ]
    assert (stopping.best, stopping.best_step, stopping.exhausted) == (0.8, 1, True)
    assert not EarlyStopping("rmse", patience=0, waited=99).exhausted
    lower = EarlyStopping("log_loss", 1)
    assert lower.update(0.5, 1)
    assert lower.update(0.4, 2)


@given(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0])),
        min_size=1,
        max_size=40,
    )
)
def test_auc_is_the_share_of_pairs_in_order(rows):
    positive = np.array([row[0] for row in rows])
    score = np.array([row[1] for row in rows])
    pairs = [(p > n) + 0.5 * (p == n) for p in score[positive] for n in score[~positive]]
    if pairs:
        assert prediction_metrics.auc(positive, score) == pytest.approx(np.mean(pairs))
    else:
        assert math.isnan(prediction_metrics.auc(positive, score))


def test_metrics_of_known_predictions():
    both = prediction_metrics.score("binary", np.array([0, 1]), np.array([[0.8, 0.2], [0.4, 0.6]]))
    expected = -(math.log(0.8) + math.log(0.6)) / 2
    assert both == pytest.approx({"auc": 1.0, "log_loss": expected, "accuracy": 1.0})
    three = prediction_metrics.score(
        "multiclass", np.array([2, 0]), np.array([[0.1, 0.2, 0.7], [0.3, 0.5, 0.2]])
    )
    expected = -(math.log(0.7) + math.log(0.3)) / 2
    assert three == pytest.approx({"log_loss": expected, "accuracy": 0.5})
    line = prediction_metrics.score("regression", np.array([1.0, 3.0]), np.array([1.0, 2.0]))
    assert line == pytest.approx({"rmse": math.sqrt(0.5), "mae": 0.5, "r2": 0.5})
    sure = prediction_metrics.score("binary", np.array([0]), np.array([[0.0, 1.0]]))
    assert math.isfinite(sure["log_loss"])


@given(
    learning_rate=st.floats(1e-6, 1.0),
    batch_size=st.integers(1, 10_000),
    units=st.lists(st.integers(1, 512), min_size=1, max_size=4),
    patience=st.integers(0, 50),
    seed=st.integers(0, 2**31),
    exported=st.booleans(),
)
def test_settings_survive_the_command_line(
    tmp_path_factory, learning_rate, batch_size, units, patience, seed, exported
):
    settings = replace(
        SETTINGS,
        output=SETTINGS.output if exported else None,
        hyperparameters=Hyperparameters(
            learning_rate=learning_rate,
            batch_size=batch_size,
            hidden_units=",".join(map(str, units)),
        ),
        early_stopping_patience=patience,
        seed=seed,
        class_weights="balanced",
        metrics_file=Path("/out/metrics file.txt"),
        model_fn="a.b:c",
    )
    document = tmp_path_factory.getbasetemp() / "hyperparameters.json"
    settings.hyperparameters.save(document)
    arguments = program.parse(local_workers.worker_flags(settings, document))
    with workspace.opened(arguments) as found:
        assert found.settings == settings
    assert (arguments.peers_seconds, arguments.grace_seconds) == (900.0, 25.0)


def test_every_hyperparameter_is_a_flag_and_wins(tmp_path):
    document = tmp_path / "hyperparameters.json"
    document.write_text('{"batch_size": 512.0, "dropout": 0.3}')
    base = ["--transformed-examples=/e", "--transform-graph=/g", "--no-export"]
    arguments = program.parse(
        [*base, f"--hyperparameters={document}", "--batch-size=64", "--learning-rate=0.5"]
    )
    with workspace.opened(arguments) as opened:
        found = opened.settings.hyperparameters
    assert (found.batch_size, found.dropout, found.learning_rate) == (64, 0.3, 0.5)
    for field in fields(Hyperparameters):
        value = getattr(Hyperparameters(), field.name)
        program.parse([*base, f"--{field.name.replace('_', '-')}={value}"])


@pytest.mark.parametrize("flags", [["--lerning-rate=1"], ["--batch=3"], ["--output"], []])
def test_a_wrong_command_line_exits_with_2(flags, capsys):
    with pytest.raises(SystemExit) as ended:
        program.parse(["--transformed-examples=/e", "--transform-graph=/g", *flags])
    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--epochs=1.5", "hyperparameter epochs: expected a whole number, found '1.5'"),
        ("--class-weights=some", "class_weights: expected one of none, balanced, found 'some'"),
    ],
)
def test_a_value_that_does_not_fit_is_a_user_error(flag, message, caplog):
    with pytest.raises(SystemExit) as ended:
        program.main(["--transformed-examples=/e", "--transform-graph=/g", "--no-export", flag])
    assert ended.value.code == 2
    assert message in caplog.text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"class_weights": "balance"},
            "class_weights: expected one of none, balanced.*Did you mean 'balanced'",
        ),
        ({"seed": -1}, "seed: expected at least 0"),
        ({"early_stopping_patience": -3}, "early_stopping_patience"),
        ({"decision_threshold": 0.0}, "decision_threshold: expected a number between 0 and 1"),
        ({"decision_threshold": 1.0}, "decision_threshold: .* found 1"),
        ({"decision_threshold": math.nan}, "decision_threshold: .* found nan"),
    ],
)
def test_settings_out_of_range(changes, message):
    with pytest.raises(UserError, match=message):
        replace(SETTINGS, **changes).check()


@given(st.lists(st.text(min_size=1, max_size=12), unique=True, max_size=30))
def test_input_names_are_distinct_and_fit(names):
    found = saved_model.input_names(names)
    assert list(found) == names
    assert len({name.casefold() for name in found.values()}) >= len(
        {name for name in names if not name.isidentifier()}
    )
    assert len(set(found.values())) == len(names)
    for name, given_name in found.items():
        assert given_name.isascii()
        assert given_name.isidentifier()
        if name.isascii() and name.isidentifier() and name[0] != "_":
            assert given_name == name


def test_embeddings_grow_with_the_vocabulary_within_bounds():
    widths = [architectures.embedding_width(size) for size in (1, 10, 100, 1000, 10**6)]
    assert widths == sorted(widths)
    assert widths == [2, 4, 8, 8, 8]
    assert architectures.embedding_width(1000, 7) == 7


def test_columns_of_rare_ids_are_dropped_more_often():
    assert architectures.column_dropout(5, 200) == 0.5
    assert architectures.column_dropout(1000, 1000) == 0.9
    assert architectures.column_dropout(32, 10**7) < 0.001
    rates = [architectures.column_dropout(size, 10_000) for size in (1, 10, 100, 1000, 10**6)]
    assert rates == sorted(rates)
