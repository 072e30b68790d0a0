"""Tiny artifacts, and requests to tune on them with a stand-in for training."""

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.tuning import limits, tune

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
def make_request(tmp_path: Path) -> Callable[..., tune.Request]:
    """Makes requests; keywords replace fields of the request, or of its base."""
    for name in ("transformed_examples", "transform_graph"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "content").write_text(name)
    Task("binary", "y", ("0", "1"), (5, 5)).save(tmp_path / "transform_graph")

    def make(trials: int = 4, parallel: int = 1, **changes: Any) -> tune.Request:
        names = {field.name for field in dataclasses.fields(Hyperparameters)}
        base = {name: changes.pop(name) for name in list(changes) if name in names}
        return tune.Request(
            **{
                "transformed_examples": tmp_path / "transformed_examples",
                "transform_graph": tmp_path / "transform_graph",
                "hyperparameters": tmp_path / "task" / "hyperparameters",
                "report": tmp_path / "task" / "report.html",
                "base": Hyperparameters().updated({"epochs": 2, **base}),
                "search_space": SPACE,
                "limits": limits.Limits(
                    trials, parallel, max_failed_trials=changes.pop("max_failed_trials", 3)
                ),
                "seed": 7,
                "program": STAND_IN,
                **changes,
            }
        )

    return make
