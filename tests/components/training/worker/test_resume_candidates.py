"""A training of several candidates that is killed, and the one that resumes it."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from kfp_tabular.components.common.training_options import WORKER_MODULE
from kfp_tabular.components.training.distributed import local_workers
from kfp_tabular.components.training.worker import training_process

MOMENTS = {
    "while the trees grow": "step=40 ",
    "between the candidates": "trees: trained in",
    "while the network trains": "checkpoint at step",
}


@pytest.fixture(scope="module")
def whole(inputs, tmp_path_factory):
    """The settings, and the record of a training that was not interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    settings = inputs["binary"].settings(
        folder,
        output=None,
        model_type="auto",
        epochs=30,
        tree_count=150,
        tree_learning_rate=0.01,
        early_stopping_patience=0,
        checkpoint_seconds=0.0,
    )
    return settings, training_process.run(settings)


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("while the trees grow", signal.SIGTERM),
        ("between the candidates", signal.SIGKILL),
        ("while the network trains", signal.SIGKILL),
    ],
)
def test_a_killed_training_ends_with_the_same_choice(whole, tmp_path, moment, number, caplog):
    settings, expected = whole
    settings = replace(settings, logs=tmp_path / "logs")
    document = tmp_path / "hyperparameters.json"
    settings.hyperparameters.save(document)
    process = subprocess.Popen(
        [sys.executable, "-m", WORKER_MODULE, *local_workers.worker_flags(settings, document)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    for line in process.stderr:
        if MOMENTS[moment] in line:
            process.send_signal(number)
            break
    process.communicate(timeout=120)
    assert process.returncode in (143, -number)
    assert list((settings.logs / "checkpoints").glob("*/trees/*"))

    caplog.set_level("INFO")
    resumed = training_process.run(settings)
    assert "trees: resumed" in caplog.text
    if moment == "while the network trains":
        assert "resumed at step" in caplog.text
    if moment != "while the trees grow":
        # They are complete: none is grown again.
        assert "step=10 " not in caplog.text.partition("candidate 2 of 2")[0]
    for one, other in zip(expected.leaderboard, resumed.leaderboard, strict=True):
        assert one["candidate"] == other["candidate"]
        assert one["score"] == pytest.approx(other["score"], abs=1e-4)
        assert one["weight"] == pytest.approx(other["weight"], abs=1e-2)
    for one, other in zip(expected.candidates, resumed.candidates, strict=True):
        steps = [entry["step"] for entry in one["history"]]
        assert [entry["step"] for entry in other["history"]] == steps
    assert not list((settings.logs / "checkpoints").glob("*"))
