"""The training pipeline in its images, beside the same run in virtual environments."""

import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kfp_tabular.components.common import images
from kfp_tabular.components.common.artifacts.lineage import read as read_lineage
from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.pipelines.local.containers.engine import Engine
from tests.images.conftest import ARBITRARY_USER, run_in

PROGRAM = Path(sys.executable).with_name("kfp-tabular")
ROWS = 6_000
NAME = "fraud"


@dataclass(frozen=True)
class Run:
    folder: Path
    summary: dict[str, Any]

    def artifact(self, task: str, name: str) -> Path:
        return next((self.folder / "artifacts").glob(f"*/{task}")) / name


def kfp_tabular(*arguments: object, cwd: Path) -> "subprocess.CompletedProcess[str]":
    command = [str(PROGRAM), *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=900, cwd=cwd
    )


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    done = kfp_tabular(
        *("sample-data", "--rows", ROWS, "--seed", 7, "--output", folder / "transactions.csv"),
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return folder / "transactions.csv"


def _run(data: Path, folder: Path, runner: str) -> Run:
    done = kfp_tabular(
        *("run", "--data", data, "--label", "is_fraud", "--output", folder, "--runner", runner),
        *("--param", f"model_name={NAME}"),
        cwd=folder.parent,
    )
    assert done.returncode == 0, done.stderr
    return Run(folder, json.loads((folder / "summary.json").read_text()))


@pytest.fixture(scope="session")
def in_containers(engine: Engine, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return _run(data, tmp_path_factory.mktemp("containers") / "run", "docker")


@pytest.fixture(scope="session")
def in_environments(engine: Engine, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return _run(data, tmp_path_factory.mktemp("environments") / "run", "venv")


@pytest.mark.timeout(900)
def test_the_same_spec_ran_in_the_images(in_containers: Run, in_environments: Run) -> None:
    specs = [
        (run.folder / "pipeline.yaml").read_bytes() for run in (in_containers, in_environments)
    ]
    assert specs[0] == specs[1]
    tasks = in_containers.summary["tasks"]
    assert [task["status"] for task in tasks] == ["succeeded"] * 8
    used = {images.TENSORFLOW, images.TFDV, images.SERVING, images.LAUNCHER}
    assert {task["image"] for task in tasks} == used
    assert in_containers.summary["blessed"] is True
    versions = json.loads(
        (in_containers.artifact("validate-data", "statistics") / "_lineage.json").read_text()
    )["versions"]
    assert versions["tensorflow-data-validation"].startswith("1.21.")
    assert versions["python"].startswith("3.13.")


@pytest.mark.timeout(900)
def test_everything_that_was_written_is_the_callers(in_containers: Run) -> None:
    owners = {path.lstat().st_uid for path in in_containers.folder.rglob("*")}
    assert owners == {os.getuid()}


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("ingest-data", "examples"),
        ("ingest-data", "rejected_rows"),
        ("validate-data", "schema"),
        ("transform-features", "transform_graph"),
        ("transform-features", "transformed_examples"),
    ],
)
def test_artifacts_are_the_same(
    in_containers: Run, in_environments: Run, task: str, name: str
) -> None:
    digests = [
        read_lineage(run.artifact(task, name))["digest"] for run in (in_containers, in_environments)
    ]
    assert digests[0] == digests[1]


@pytest.mark.timeout(900)
def test_anomalies_are_the_same(in_containers: Run, in_environments: Run) -> None:
    here, there = (
        run.artifact("validate-data", "anomalies") for run in (in_containers, in_environments)
    )
    assert _contents(here) == _contents(there)


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != "_lineage.json"
    }


@pytest.mark.timeout(900)
def test_metrics_are_the_same(in_containers: Run, in_environments: Run) -> None:
    assert in_containers.summary["metrics"] == pytest.approx(
        in_environments.summary["metrics"], abs=1e-5
    )


@contextlib.contextmanager
def listening(command: list[str], port: int) -> Iterator[str]:
    address = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            deadline = time.monotonic() + 180
            while True:
                try:
                    urllib.request.urlopen(f"{address}/v2/models/{NAME}/ready", timeout=5).close()
                    break
                except (urllib.error.URLError, ConnectionError):
                    if server.poll() is not None:
                        pytest.fail(server.stderr.read() if server.stderr else "")
                    assert time.monotonic() < deadline
                    time.sleep(0.2)
            yield address
        finally:
            server.terminate()
            server.communicate(timeout=60)
    assert server.returncode == 0


@contextlib.contextmanager
def served_by_image(engine: Engine, model: str, name: str) -> Iterator[str]:
    port = _free_port()
    command = [
        *(engine.program, "run", "--rm", "--init", f"--name={name}", "--read-only"),
        *("--tmpfs=/tmp", "--cap-drop=ALL", f"--user={ARBITRARY_USER}", "--network=host"),
        f"--mount=type=bind,source={model},target=/mnt/models,readonly",
        *(f"--env=PORT={port}", images.SERVING),
        *("python3", "-m", "kfp_tabular.serving", "--model=/mnt/models", f"--name={NAME}"),
        *("--host=127.0.0.1", f"--port={port}"),
    ]
    with listening(command, port) as address:
        yield address


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def predictions(address: str, instances: list[dict[str, Any]]) -> list[list[float]]:
    request = urllib.request.Request(
        f"{address}/v1/models/{NAME}:predict",
        json.dumps({"instances": instances}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return [answer["probabilities"] for answer in json.load(response)["predictions"]]


@pytest.fixture(scope="session")
def rows(in_containers: Run) -> list[dict[str, Any]]:
    """Every third row of the data, as a client would send it."""
    model = ModelSpec.load(Path(in_containers.summary["model"]))
    examples = in_containers.artifact("ingest-data", "examples")
    files = sorted(examples.glob("split=*/*.parquet"))
    table = pa.concat_tables(pq.ParquetFile(file).read() for file in files)
    columns = table.select([entry.name for entry in model.inputs])
    return columns.take(list(range(0, ROWS, 3))).to_pylist()


@pytest.mark.timeout(900)
def test_predictions_over_http_are_the_same(
    engine: Engine, in_containers: Run, in_environments: Run, rows: list[dict[str, Any]]
) -> None:
    with served_by_image(engine, in_containers.summary["model"], "kfp-tabular-test-serving") as url:
        here = predictions(url, rows)
        health = _health(engine, "kfp-tabular-test-serving")
    port = _free_port()
    command = [str(PROGRAM), "serve", "--model", in_environments.summary["model"]]
    with listening([*command, "--name", NAME, "--port", str(port)], port) as url:
        there = predictions(url, rows)

    assert len(here) == len(there) == ROWS // 3
    furthest = max(
        abs(a - b) for p, q in zip(here, there, strict=True) for a, b in zip(p, q, strict=True)
    )
    assert furthest <= 1e-5
    assert health == "healthy"


def _health(engine: Engine, name: str) -> str:
    """Wait for the image's own health check to say something of a running container."""
    deadline = time.monotonic() + 60
    while True:
        done = subprocess.run(
            [engine.program, "inspect", "--format", "{{.State.Health.Status}}", name],
            capture_output=True,
            text=True,
            check=True,
        )
        state = done.stdout.strip()
        if state != "starting" or time.monotonic() > deadline:
            return state
        time.sleep(0.5)


# At its end, a task's process notes what it has loaded.
_WATCH = """
import atexit, sys

def note():
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    with open("/proc/self/maps") as maps:
        files.update(line.split()[-1] for line in maps)
    for file in sorted(file for file in files if file and "/site-packages/" in file):
        print("LOADED", file.split("/site-packages/")[1], flush=True)

atexit.register(note)
"""
_FUNCTIONS = """
import tensorflow_transform as tft
from kfp_tabular.components.feature_engineering.preprocessing import fill_missing

def preprocess(inputs):
    return {"amount": tft.scale_to_z_score(fill_missing(inputs["amount"], 0.0))}
"""


@pytest.mark.timeout(900)
def test_the_tensorflow_image_holds_nothing_large_that_is_never_loaded(
    engine: Engine, data: Path, tmp_path: Path
) -> None:
    # Python imports `sitecustomize` from the folder of a function of one's own. With that function
    # Beam runs, too, and trials and workers are processes of their own: no task loads more.
    tmp_path.chmod(0o755)
    (tmp_path / "sitecustomize.py").write_text(_WATCH)
    (tmp_path / "functions.py").write_text(_FUNCTIONS)
    small = tmp_path / "small.csv"
    with data.open(encoding="utf-8") as source:
        small.write_text("".join(itertools.islice(source, 3001)))
    # With several workers no trees are trained.
    for workers in (2, 1):
        done = kfp_tabular(
            *("run", "--data", small, "--label", "is_fraud", "--output", tmp_path / f"{workers}"),
            *("--param", "epochs=1", "--param", "preprocessing_fn=functions:preprocess"),
            *("--param", "max_trials=2", "--param", f"workers={workers}", "--runner", "docker"),
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
    logs = [log.read_text() for log in tmp_path.glob("[12]/logs/*.log")]
    loaded = {line.split()[-1] for log in logs for line in log.splitlines() if "LOADED " in line}
    assert any(file.startswith("tensorflow/") for file in loaded)

    script = "cd /opt/kfp-tabular/lib/python3*/site-packages && du -sm -- * */* google/*/*"
    sizes = [
        line.split("\t")
        for line in run_in(engine, images.TENSORFLOW, ["sh", "-c", script]).stdout.splitlines()
    ]
    large = {name for size, name in sizes if int(size) > 50}
    assert "tensorflow" in large
    unused = {
        name for name in large if not any(f == name or f.startswith(f"{name}/") for f in loaded)
    }
    assert unused == set()
