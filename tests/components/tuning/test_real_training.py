"""Trials of the real training worker, as processes of the task and as Katib would start them."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from kfp_tabular.components.common.artifacts.examples import ExamplesWriter
from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.tuning import tune
from kfp_tabular.components.tuning.katib.experiment import METRICS_FILE
from kfp_tabular.components.tuning.options import KATIB, TuningOptions
from kfp_tabular.components.tuning.tuning_request import ArtifactUris, TuningRequest
from tests.cluster import clusters
from tests.components.tuning.katib import pods
from tests.components.tuning.katib.controller import Katib, Search

ROWS = {"train": 2000, "eval": 1000}
FEATURE = """feature {{
  name: "{name}"
  type: {type}
  {domain}
  presence {{ min_fraction: 1.0 }}
  shape {{ }}
}}
"""


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Transformed examples with a label that depends on one of two numbers, with noise."""
    root = tmp_path_factory.mktemp("artifacts")
    examples, graph = root / "transformed_examples", root / "transform_graph"
    examples.mkdir()
    random = np.random.default_rng(0)
    schema = pa.schema({"a": pa.float32(), "b": pa.float32(), "c": pa.int64(), "y": pa.int64()})
    with ExamplesWriter(examples, schema, list(ROWS)) as writer:
        for split, rows in ROWS.items():
            a, b = random.normal(size=(2, rows)).astype(np.float32)
            columns = {
                "a": a,
                "b": b,
                "c": random.integers(0, 5, rows),
                "y": (a + random.normal(size=rows) > 0).astype(np.int64),
            }
            writer.write(split, pa.record_batch(columns, schema=schema))
    metadata = graph / "transformed_metadata" / "schema.pbtxt"
    metadata.parent.mkdir(parents=True)
    domain = "int_domain {{ min: 0 max: {} is_categorical: true }}"
    metadata.write_text(
        FEATURE.format(name="a", type="FLOAT", domain="")
        + FEATURE.format(name="b", type="FLOAT", domain="")
        + FEATURE.format(name="c", type="INT", domain=domain.format(4))
        + FEATURE.format(name="y", type="INT", domain="")
    )
    Task("binary", "y", ("0", "1"), (1000, 1000)).save(graph)
    return examples, graph


def test_real_trials(artifacts, tmp_path):
    options = TuningOptions(
        epochs=2,
        batch_size=50,
        search_space=[
            {
                "name": "model_type",
                "parameterType": "categorical",
                "feasibleSpace": {"list": ["trees", "tabm", "auto"]},
            }
        ],
        algorithm="grid",
        max_trials=3,
        parallel_trials=2,
        early_stopping_patience=0,
        class_weights="balanced",
        study_directory=str(tmp_path / "studies"),
    )
    request = TuningRequest(
        options=options,
        transformed_examples=artifacts[0],
        transform_graph=artifacts[1],
        hyperparameters=tmp_path / "hyperparameters",
        report=tmp_path / "report.html",
    )
    result = tune.run(request)
    assert result.metrics["trials_succeeded"] == 3
    # Each type chooses its own; so does the training that follows.
    assert result.hyperparameters.learning_rate == 0
    # P(y | a) is known, and its AUC is 0.84.
    assert 0.8 < result.metrics["eval_auc"] < 0.88
    for trial in (tmp_path / "studies").glob("study-*/trials/*"):
        files = {path.name for path in trial.iterdir()}
        assert files == {"hyperparameters.json", "log.txt", "metrics.txt"}

    space = [
        {
            "name": "dropout",
            "parameterType": "discrete",
            "feasibleSpace": {"list": ["1.5"]},
        }
    ]
    refused = replace(options, model_type="dnn", search_space=space)
    with pytest.raises(UserError, match=r"trial 0: exit code 2: .*dropout"):
        tune.run(replace(request, options=refused))


class Kubelet:
    """Runs a trial's container on this machine, as Katib's webhook leaves it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.reported: list[dict[str, list[str]]] = []

    def run(self, search: Search, values: dict[str, str]) -> dict[str, list[str]]:
        """Run a trial to its end; return what Katib's collector finds in its metrics file."""
        metrics = self._directory / f"trial-{len(self.reported)}" / "metrics.log"
        metrics.parent.mkdir(parents=True)
        job = pods.assigned(search.experiment, values)
        container = pods.container(job)
        # The volume that Katib mounts is a directory here.
        command = [
            word.replace(METRICS_FILE, str(metrics))
            for word in pods.wrapped(container["command"], False, str(metrics.parent))
        ]
        variables = {entry["name"]: entry["value"] for entry in container["env"]}
        environment = {
            **os.environ,
            **variables,
            "HOME": str(self._directory),
            "TMPDIR": str(self._directory),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        done = subprocess.run(
            pods.started(command, variables),
            env=environment,
            cwd=self._directory,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        marks = [file.read_text() for file in metrics.parent.glob("*.pid")]
        assert marks == ["completed\n"]
        self.reported.append(pods.collected(search.experiment, metrics.read_text()))
        return self.reported[-1]


@pytest.fixture
def cluster(monkeypatch):
    with clusters.simulated(None) as made:
        monkeypatch.setenv("KUBECONFIG", str(made.kubeconfig))
        yield made


def test_real_trials_of_katib(artifacts, cluster, tmp_path):
    # A place whose name would not survive Katib's way of joining words.
    volume = tmp_path / 'it\'s a "place" & $more'
    for source in artifacts:
        shutil.copytree(source, volume / source.name)
    examples, graph = (volume / source.name for source in artifacts)
    kubelet = Kubelet(tmp_path / "work")

    def script(search: Search) -> None:
        for units in ("8", "16,8"):
            trial = search.trial(pod=False, hidden_units=units)
            reports = kubelet.run(search, {"hidden_units": units})
            search.succeed(trial, max(map(float, reports["eval_auc"])))
        search.finish()

    with Katib(cluster, script).working():
        result = tune.run(
            TuningRequest(
                options=TuningOptions(
                    model_type="dnn",
                    epochs=2,
                    batch_size=50,
                    learning_rate=0.01,
                    search_space=[
                        {
                            "name": "hidden_units",
                            "parameterType": "categorical",
                            # Spaces are not part of a value.
                            "feasibleSpace": {"list": ["8", "16, 8"]},
                        }
                    ],
                    algorithm="random",
                    max_trials=2,
                    additional_metrics={"eval_log_loss": ""},
                    early_stopping_patience=0,
                    backend=KATIB,
                    trial_kind="job",
                    job={"volumes": [{"claim": "data", "mount_path": str(tmp_path)}]},
                    run_id="run-1",
                ),
                transformed_examples=examples,
                transform_graph=graph,
                hyperparameters=tmp_path / "hyperparameters",
                report=tmp_path / "report.html",
                uris=ArtifactUris(str(examples), str(graph)),
            )
        )
    assert 0.8 < result.metrics["eval_auc"] < 0.88
    for reports in kubelet.reported:
        # An evaluation at a time, so that Katib can stop a trial early; and at the end.
        assert len(reports["eval_auc"]) > 4
        assert len(reports["eval_log_loss"]) == len(reports["eval_auc"])
    assert result.lineage["experiment"].startswith("team/tune-hyperparameters-")
