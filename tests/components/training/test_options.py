"""One declaration of each argument: signature, settings, command line and job follow from it."""

from dataclasses import fields
from pathlib import Path

import pytest

from kfp_tabular.components.common import options
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.training_job.job_kinds import DISTRIBUTED_JOB_KINDS
from kfp_tabular.components.training.component import train_model
from kfp_tabular.components.training.distributed import local_workers
from kfp_tabular.components.training.kubeflow.render import TrainingConfig
from kfp_tabular.components.training.options import (
    BACKENDS,
    LOCAL,
    TrainingOptions,
    WorkerOptions,
)
from kfp_tabular.components.training.training_request import TrainingRequest
from kfp_tabular.components.training.worker import program

PATHS = [Path("/data") / name for name in ("examples", "graph", "model", "logs", "report.html")]


def test_the_signature_has_every_option_with_its_default():
    declared = options.describe(TrainingOptions)
    inputs = train_model.component_spec.inputs

    assert {
        name: entry.default
        for name, entry in inputs.items()
        if not entry.type.startswith("system.")
    } == {name: option.default for name, option in declared.items()}


@pytest.mark.parametrize(
    "changes",
    [
        {"class_weights": "balanced"},
        {"early_stopping_patience": 7},
        {"model_fn": "a.b:c"},
        {"decision_threshold": "0.25"},
        {"seed": 9},
        {"learning_rate": 0.5},
        {"base_hyperparameters": {"dropout": 0.1}},
    ],
)
def test_an_argument_arrives_in_the_worker(tmp_path, changes):
    request = TrainingRequest(options.build(TrainingOptions, changes), *PATHS)
    settings = request.settings()
    document = tmp_path / "hyperparameters.json"
    settings.hyperparameters.save(document)
    arguments = program.parse(local_workers.worker_flags(settings, document))

    for name, value in changes.items():
        if name in options.describe(WorkerOptions):
            assert getattr(settings, name) == getattr(arguments, name) == value
    assert settings.hyperparameters == request.options.hyperparameters()
    assert settings != TrainingRequest(TrainingOptions(), *PATHS).settings()


def test_every_kind_of_distributed_job_is_a_backend():
    assert (LOCAL, *DISTRIBUTED_JOB_KINDS) == BACKENDS


def test_every_worker_option_is_known_to_the_rendered_configuration():
    known = {field.name for field in fields(TrainingConfig)}

    assert set(options.describe(WorkerOptions)) <= known


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backend": "tfjobs"}, "backend: expected local, tfjob or trainjob.*'tfjob'"),
        ({"workers": 0}, "workers: expected at least 1, found 0"),
        ({"decision_threshold": 1.0}, "decision_threshold: expected a number between 0 and 1"),
        ({"batch_size": 0}, "batch_size: expected at least 1"),
    ],
)
def test_an_option_out_of_range_is_a_user_error(changes, message):
    with pytest.raises(UserError, match=message):
        options.check(options.build(TrainingOptions, changes))
