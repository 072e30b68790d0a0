"""A cluster with Katib, and a tuning task on it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import dsl

from kfp_tabular.components import tune_hyperparameters
from kfp_tabular.components.common.artifacts.supervised_task import Task
from tests.cluster import clusters
from tests.cluster.api_server import Rule

_ROLE = Path(__file__).parents[4] / "manifests" / "base" / "access" / "launcher-role.yaml"


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[clusters.Cluster]:
    """An empty cluster where a task has the rights that the manifests grant."""
    rules = [Rule.of(rule) for rule in yaml.safe_load(_ROLE.read_text())["rules"]]
    with clusters.simulated(rules) as made:
        monkeypatch.setenv("KUBECONFIG", str(made.kubeconfig))
        yield made


@pytest.fixture
def tune(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Call the component with inputs on a volume; return its artifacts."""
    inputs = tmp_path / "inputs"
    for name in ("transformed_examples", "transform_graph"):
        (inputs / name).mkdir(parents=True)
        (inputs / name / "content").write_text(name)
    Task("binary", "y", ("0", "1"), (5, 5)).save(inputs / "transform_graph")

    def call(**arguments: Any) -> dict[str, Any]:
        artifacts = {
            "transformed_examples": dsl.Dataset(uri=str(inputs / "transformed_examples")),
            "transform_graph": dsl.Artifact(uri=str(inputs / "transform_graph")),
            "hyperparameters": dsl.Artifact(uri=str(tmp_path / "out" / "hyperparameters")),
            "report": dsl.HTML(uri=str(tmp_path / "out" / "report")),
            "metrics": dsl.Metrics(uri=str(tmp_path / "out" / "metrics")),
        }
        job = {
            "volumes": [{"claim": "data", "mount_path": str(inputs)}],
            **arguments.pop("job", {}),
        }
        given = {
            "backend": "katib",
            "run_id": "run-1",
            "max_trials": 4,
            "parallel_trials": 2,
            "search_space": [
                {
                    "name": "learning_rate",
                    "parameterType": "double",
                    "feasibleSpace": {"min": "0.001", "max": "0.1"},
                },
                {
                    "name": "hidden_units",
                    "parameterType": "categorical",
                    "feasibleSpace": {"list": ["64", "128,64"]},
                },
            ],
            **arguments,
        }
        tune_hyperparameters.python_func(**artifacts, job=job, **given)
        return artifacts

    return call
