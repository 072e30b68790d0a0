"""Tiny artifacts, and requests to tune on them with a stub of the training worker."""

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.tuning.options import TuningOptions
from kfp_tabular.components.tuning.tuning_request import TuningRequest

STAND_IN = (sys.executable, "-S", str(Path(__file__).with_name("stand_in_worker.py")))


def double(name: str, low: object, high: object, **more: object) -> dict[str, Any]:
    return {
        "name": name,
        "parameterType": "double",
        "feasibleSpace": {"min": low, "max": high, **more},
    }


SPACE = [
    double("learning_rate", "0.0001", "0.1", distribution="logUniform"),
    double("dropout", "0", "0.5"),
]


@pytest.fixture
def make_request(tmp_path: Path) -> Callable[..., TuningRequest]:
    """Return a function that makes requests; keywords are options or hyperparameters."""
    for name in ("transformed_examples", "transform_graph"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "content").write_text(name)
    Task("binary", "y", ("0", "1"), (5, 5)).save(tmp_path / "transform_graph")

    def make(trials: int = 4, parallel: int = 1, **changes: Any) -> TuningRequest:
        names = {field.name for field in dataclasses.fields(Hyperparameters)}
        base = {name: changes.pop(name) for name in list(changes) if name in names}
        given = {
            "search_space": SPACE,
            "max_trials": trials,
            "parallel_trials": parallel,
            "base_hyperparameters": {"epochs": 2, **base},
            "seed": 7,
            **changes,
        }
        return TuningRequest(
            options=TuningOptions(**given),
            transformed_examples=tmp_path / "transformed_examples",
            transform_graph=tmp_path / "transform_graph",
            hyperparameters=tmp_path / "task" / "hyperparameters",
            report=tmp_path / "task" / "report.html",
            program=STAND_IN,
        )

    return make
