"""A killed training, and the one that resumes it."""

import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.training_options import WORKER_MODULE
from kfp_tabular.components.training.distributed import local_workers
from kfp_tabular.components.training.distributed.replica_role import ALONE
from kfp_tabular.components.training.loop import checkpoints
from kfp_tabular.components.training.worker import training_process


@pytest.fixture
def settings(inputs, tmp_path):
    return inputs["binary"].settings(
        tmp_path,
        output=None,
        epochs=120,
        dropout=0.3,
        early_stopping_patience=0,
        checkpoint_seconds=0.0,
    )


@pytest.mark.parametrize(
    ("number", "model_type"),
    [
        (signal.SIGTERM, "wide_and_deep"),
        (signal.SIGKILL, "wide_and_deep"),
        (signal.SIGKILL, "tabm"),
    ],
)
def test_a_killed_training_resumes_to_the_same_result(settings, number, model_type, caplog):
    """The second process has the same seed, and ends with the same result."""
    own = replace(settings.hyperparameters, model_type=model_type)
    if model_type == "tabm":
        own = replace(own, epochs=20)
    settings = replace(settings, hyperparameters=own)
    document = settings.logs.parent / "hyperparameters.json"
    settings.hyperparameters.save(document)
    process = subprocess.Popen(
        [sys.executable, "-m", WORKER_MODULE, *local_workers.worker_flags(settings, document)],
        stderr=subprocess.PIPE,
        text=True,
    )
    # Training takes long enough to be interrupted once its first checkpoint is there.
    for line in process.stderr:
        if "checkpoint at step" in line:
            process.send_signal(number)
            break
    _, rest = process.communicate(timeout=120)
    assert process.returncode == (143 if number == signal.SIGTERM else -9)
    assert ("SIGTERM: stopped at step" in rest) == (number == signal.SIGTERM)
    assert list((settings.logs / "checkpoints").glob("*/ckpt-*.index"))

    caplog.set_level("INFO")
    resumed = training_process.run(settings)
    assert "resumed at step" in caplog.text
    whole = training_process.run(replace(settings, logs=settings.logs / "whole", checkpoints=""))
    steps = [entry["step"] for entry in whole.history]
    assert [entry["step"] for entry in resumed.history] == steps
    for name in ("eval_auc", "eval_log_loss", "train_log_loss", "best_step", "steps"):
        assert resumed.metrics[name] == pytest.approx(whole.metrics[name], abs=1e-4), name
    for one, other in zip(resumed.history, whole.history, strict=True):
        assert one["train_loss"] == pytest.approx(other["train_loss"], abs=1e-4)
    assert not list((settings.logs / "checkpoints").glob("*"))


def test_another_configuration_does_not_resume(settings, inputs):
    """Each has its own directory, named after everything that affects the result."""
    own = checkpoints.directory(settings, ALONE)
    assert own == checkpoints.directory(replace(settings, metrics_file=settings.logs), ALONE)
    changed = [
        replace(settings, seed=1),
        replace(settings, hyperparameters=replace(settings.hyperparameters, epochs=121)),
        replace(settings, transformed_examples=inputs["regression"].examples),
    ]
    others = {checkpoints.directory(other, ALONE) for other in changed}
    others.add(checkpoints.directory(settings, replace(ALONE, workers=2)))
    assert len(others) == 4
    assert own not in others


def test_a_directory_on_storage_out_of_reach(settings):
    unreachable = replace(settings, checkpoints="nowhere://bucket/checkpoints")
    with pytest.raises(UserError, match="nowhere:// is not supported"):
        training_process.run(unreachable)
