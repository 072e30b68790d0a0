"""The worker's command line."""

import math
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.training.distributed import local_workers
from kfp_tabular.components.training.worker import program, workspace
from kfp_tabular.components.training.worker_settings import WorkerSettings

SETTINGS = WorkerSettings(
    Path("/data/examples"), Path("/data/graph"), Path("/out/model"), Path("/logs")
)


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
        ("--class-weights=some", "class_weights: expected none or balanced, found 'some'"),
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
            "class_weights: expected none or balanced.*Did you mean 'balanced'",
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
