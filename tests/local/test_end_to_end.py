"""From a file to an answered prediction, through the command line and real processes."""

import contextlib
import csv
import json
import math
import os
import random
import re
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

import pyarrow.parquet as pq
import pytest
from kfp import compiler, dsl

from kfp_tabular.components import ingest_data, validate_data
from kfp_tabular.components.common.artifacts.lineage import read as read_lineage
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.compile import compile_pipeline
from kfp_tabular.pipelines.configuration import PipelineConfig
from kfp_tabular.pipelines.environments.location import Environments
from kfp_tabular.pipelines.local.execution import spec_runner
from kfp_tabular.pipelines.local.run_results import load_run
from kfp_tabular.pipelines.local.virtual_environments.environment_runner import (
    VirtualEnvironmentRunner,
)

PROGRAM = Path(sys.executable).with_name("kfp-tabular")
TASKS = [
    "ingest-data",
    "validate-data",
    "transform-features",
    "tune-hyperparameters",
    "train-model",
    "evaluate-model",
    "register-model",
    "deploy-model",
]


def kfp_tabular(
    *arguments: object, cache: Path | str = "off"
) -> "subprocess.CompletedProcess[str]":
    command = [str(PROGRAM), *map(str, arguments)]
    environment = {**os.environ, "KFP_TABULAR_CACHE": str(cache)}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=280, env=environment
    )


@dataclass(frozen=True)
class Run:
    folder: Path
    data: Path
    summary: dict[str, Any]

    def artifact(self, task: str, name: str) -> Path:
        return next((self.folder / "artifacts").glob(f"*/{task}")) / name


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("run")
    data = folder / "transactions.csv"
    made = kfp_tabular("sample-data", "--rows", 6000, "--seed", 7, "--output", data)
    assert made.returncode == 0, made.stderr
    output = folder / "out"
    done = kfp_tabular(
        *("run", "--data", data, "--label", "is_fraud", "--output", output),
        *("--param", "epochs=4", "--param", "model_name=fraud"),
    )
    assert done.returncode == 0, done.stderr
    return Run(output, data, json.loads((output / "summary.json").read_text()))


def test_the_summary_tells_what_happened(run: Run) -> None:
    assert run.summary["status"] == "succeeded"
    assert [task["name"] for task in run.summary["tasks"]] == TASKS
    assert all(task["status"] == "succeeded" for task in run.summary["tasks"])
    assert all(task["seconds"] > 0 for task in run.summary["tasks"])
    assert run.summary["blessed"] is True
    assert 0.7 < run.summary["metrics"]["auc"] < 1.0
    assert {"pr_auc", "accuracy", "log_loss"} <= run.summary["metrics"].keys()
    assert run.summary["model"] == str(run.folder / "models" / "fraud" / "1")
    assert Path(run.summary["report"]).is_file()


def test_the_report_links_to_pages_that_exist(run: Run) -> None:
    page = (run.folder / "report.html").read_text()

    links = re.findall(r"href='([^']*)'", page)
    files = [link for link in links if not link.startswith("#")]
    assert sum(link.startswith("pages/") for link in files) >= len(TASKS)
    assert all((run.folder / urllib.request.unquote(link)).exists() for link in files)
    assert "http://" not in page.replace("http://www.w3.org/", "")


def test_the_spec_that_ran_is_the_one_that_compile_writes(run: Run, tmp_path: Path) -> None:
    """Without the task that checks parameters: a run here checks them itself, in less time."""
    config = PipelineConfig(check_parameters="never")
    compile_pipeline("training", config, tmp_path / "training.yaml")

    ran, compiled = (
        path.read_text() for path in (run.folder / "pipeline.yaml", tmp_path / "training.yaml")
    )
    # The parameters of a run are known: no alias is among them, so the evaluation may be cached.
    cached = "cachingOptions:\n          enableCache: true\n"
    assert ran.count(cached) == compiled.count(cached) + 1
    never = "cachingOptions: {}\n"
    assert ran.replace(cached, never) == compiled.replace(cached, never)


def test_the_models_lineage_goes_back_to_the_data(run: Run) -> None:
    folder = run.artifact("train-model", "")
    output = json.loads((folder / "executor_output.json").read_text())
    metadata = output["artifacts"]["model"]["artifacts"][0]["metadata"]
    lineage = json.loads((folder / "model" / "_lineage.json").read_text())

    assert metadata["digest"] == lineage["digest"]
    assert len(json.dumps(metadata)) < 500
    assert lineage["seed"] == 0
    assert lineage["versions"]["tensorflow"]
    assert lineage["versions"]["kfp-tabular"]
    transformed = lineage["ancestors"][lineage["inputs"]["transformed_examples"]]
    examples = lineage["ancestors"][transformed["inputs"]["examples"]]
    assert sum(examples["rows"].values()) == 6000
    assert run.data.name in json.dumps(examples)


@contextlib.contextmanager
def served(model: str, name: str) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(PROGRAM), "serve", "--model", model, "--name", name, "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            address = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + 120
            while True:
                try:
                    urllib.request.urlopen(f"{address}/v2/models/{name}/ready", timeout=5).close()
                    break
                except (urllib.error.URLError, ConnectionError):
                    assert server.poll() is None
                    assert time.monotonic() < deadline
                    time.sleep(0.2)
            yield address
        finally:
            server.terminate()
            assert server.wait(30) == 0


def post(address: str, body: object) -> Any:
    request = urllib.request.Request(
        address, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def test_served_predictions_equal_the_evaluators(run: Run) -> None:
    golden = json.loads(
        (run.artifact("evaluate-model", "golden_examples") / "golden.json").read_text()
    )
    expected = [prediction["probabilities"] for prediction in golden["predictions"]]
    instances = golden["instances"]
    with served(run.summary["model"], "fraud") as address:
        v1 = post(f"{address}/v1/models/fraud:predict", {"instances": instances})
        inputs = json.loads((Path(run.summary["model"]) / "model.json").read_text())["inputs"]
        datatypes = {"float32": "FP32", "int64": "INT64", "string": "BYTES"}
        tensors = [
            {
                "name": entry["name"],
                "datatype": datatypes[entry["dtype"]],
                "shape": [len(instances)],
                "data": [instance.get(entry["name"]) for instance in instances],
            }
            for entry in inputs
        ]
        v2 = post(f"{address}/v2/models/fraud/infer", {"inputs": tensors})

    for answer, wanted in zip(v1["predictions"], expected, strict=True):
        assert answer["probabilities"] == pytest.approx(wanted, abs=1e-5)
    outputs = {output["name"]: output["data"] for output in v2["outputs"]}
    flat = [probability for row in expected for probability in row]
    assert outputs["probabilities"] == pytest.approx(flat, abs=1e-5)
    assert outputs["classes"] == [prediction["class"] for prediction in golden["predictions"]]


def test_the_same_seed_gives_the_same_run(run: Run, tmp_path: Path) -> None:
    done = kfp_tabular(
        *("run", "--data", run.data, "--label", "is_fraud", "--output", tmp_path),
        *("--param", "epochs=4", "--param", "model_name=fraud"),
    )
    assert done.returncode == 0, done.stderr
    again = Run(tmp_path, run.data, json.loads((tmp_path / "summary.json").read_text()))

    for task, name in [
        ("ingest-data", "examples"),
        ("validate-data", "schema"),
        ("transform-features", "transformed_examples"),
    ]:
        digests = [read_lineage(each.artifact(task, name))["digest"] for each in (run, again)]
        assert digests[0] == digests[1], name
    for metric in ("auc", "accuracy", "log_loss"):
        assert again.summary["metrics"][metric] == pytest.approx(
            run.summary["metrics"][metric], abs=1e-3
        )


def _write(path: Path, header: list[str], rows: list[list[object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path


def test_a_multiclass_data_set_needs_nothing_but_data_and_label(tmp_path: Path) -> None:
    draw = random.Random(3)
    rows: list[list[object]] = []
    for _ in range(1500):
        length, width = draw.uniform(1, 8), draw.uniform(0, 3)
        noise = draw.gauss(0, 0.3)
        kind = "long" if length + noise > 5 else "wide" if width + noise > 1.5 else "small"
        rows.append([round(length, 2), round(width, 2), draw.choice("ab"), kind])
    data = _write(tmp_path / "flowers.csv", ["length mm", "width.mm", "größe", "kind"], rows)

    done = kfp_tabular("run", "--data", data, "--label", "kind", "--output", tmp_path / "out")

    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["blessed"] is True
    assert summary["metrics"]["accuracy"] > 0.75


def test_a_regression_data_set_needs_nothing_but_data_and_label(tmp_path: Path) -> None:
    draw = random.Random(4)
    rows: list[list[object]] = []
    for _ in range(1500):
        size, age = draw.uniform(20, 200), draw.uniform(0, 80)
        price = 1000 * size * (1 - age / 160) * math.exp(draw.gauss(0, 0.1))
        rows.append([round(size, 1), round(age), draw.choice(["north", "south"]), round(price)])
    data = _write(tmp_path / "houses.csv", ["size", "age", "side", "price"], rows)

    done = kfp_tabular("run", "--data", data, "--label", "price", "--output", tmp_path / "out")

    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["blessed"] is True
    assert summary["metrics"]["r2"] > 0.7


def test_a_run_is_at_hand_in_a_notebook(run: Run, tmp_path: Path) -> None:
    golden = json.loads(
        (run.artifact("evaluate-model", "golden_examples") / "golden.json").read_text()
    )
    loaded = load_run(run.folder)

    assert loaded.metrics == run.summary["metrics"]
    assert loaded.status == "succeeded"
    assert "auc" in loaded._repr_html_()
    assert "auc" in repr(loaded)
    examples = loaded.examples("test")
    assert examples.num_rows == loaded.examples().num_rows > 500
    with pytest.raises(UserError, match="nosuch"):
        loaded.examples("nosuch")

    predicted = loaded.predict(golden["instances"])
    expected = [prediction["probabilities"] for prediction in golden["predictions"]]
    names = [name for name in predicted.column_names if name.startswith("probability_")]
    for row, wanted in zip(predicted.select(names).to_pylist(), expected, strict=True):
        assert list(row.values()) == pytest.approx(wanted, abs=1e-5)
    with pytest.raises(UserError, match="TensorFlow is needed in this environment"):
        _ = loaded.model

    with run.data.open(newline="", encoding="utf-8") as stream:
        header, *rows = list(csv.reader(stream))
    few = _write(tmp_path / "few.csv", header, rows[:20])
    done = kfp_tabular("predict", "--model", run.folder, "--data", few)
    assert done.returncode == 0, done.stderr
    answers = list(csv.DictReader(done.stdout.splitlines()))
    assert [answer["transaction_id"] for answer in answers] == [row[0] for row in rows[:20]]
    texts = [dict(zip(header, row, strict=True)) for row in rows[:20]]
    assert [answer["prediction"] for answer in answers] == loaded.predict(texts)[
        "prediction"
    ].to_pylist()
    amount = header.index("amount")
    wrong = [[*rows[0][:amount], "much", *rows[0][amount + 1 :]]]
    refused = kfp_tabular(
        "predict", "--model", run.folder, "--data", _write(tmp_path / "wrong.csv", header, wrong)
    )
    assert refused.returncode == 2
    assert "feature 'amount': expected a number as in the training data" in refused.stderr


def test_an_interrupted_training_goes_on_from_its_checkpoint(run: Run, tmp_path: Path) -> None:
    output = tmp_path / "out"
    steps = ["--param", "train_steps=1500", "--param", "early_stopping_patience=0"]
    command = [str(PROGRAM), "run", "--data", str(run.data), "--label", "is_fraud", *steps]
    command += ["--param", "model_type=wide_and_deep", "--output", str(output)]
    log = output / "logs" / "train-model.log"
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        while not (log.is_file() and "step=" in log.read_text()):
            assert process.poll() is None
            time.sleep(0.1)
        process.terminate()
        process.wait(60)
    states = {task["name"]: task["status"] for task in summary_of(output)["tasks"]}
    assert states["transform-features"] == "succeeded"
    assert states["train-model"] == "stopped"

    done = kfp_tabular("run", "--resume", output)

    assert done.returncode == 0, done.stderr
    states = {task["name"]: task["status"] for task in summary_of(output)["tasks"]}
    assert states["transform-features"] == "cached"
    assert states["train-model"] == "succeeded"
    assert "resumed at step" in log.read_text()


def summary_of(output: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((output / "summary.json").read_text())
    return document


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For runs that differ in how they train: the tasks before are done once."""
    return tmp_path_factory.mktemp("cache")


@pytest.mark.reference_data
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_taxi_trips_reach_the_boosted_trees(
    chicago_taxi: Path, tmp_path: Path, seed: int, cache: Path
) -> None:
    done = kfp_tabular(
        *("run", "--data", chicago_taxi, "--label", "big_tipper", "--exclude", "tips"),
        *("--param", f"seed={seed}", "--output", tmp_path),
        cache=cache,
    )

    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["metrics"]["auc"] >= 0.945


def test_new_data_are_validated_against_an_earlier_run(run: Run, tmp_path: Path) -> None:
    earlier = {name: run.artifact("validate-data", name) for name in ("schema", "statistics")}
    with run.data.open(newline="", encoding="utf-8") as stream:
        header, *rows = list(csv.reader(stream))
    night = _write(tmp_path / "night.csv", header, rows[:3000])

    def validate(data: Path, output: Path) -> "subprocess.CompletedProcess[str]":
        return kfp_tabular(
            *("run", "--pipeline", "validation", "--data", data, "--label", "is_fraud"),
            *("--param", f"schema_uri={earlier['schema']}", "--output", output),
            *("--param", f"previous_statistics_uri={earlier['statistics']}"),
            *("--param", 'drift_thresholds={"*": 0.3}'),
        )

    done = validate(night, tmp_path / "same")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"valid:   yes\nreport:  {tmp_path}/same/report.html\n"
    summary = json.loads((tmp_path / "same" / "summary.json").read_text())
    assert (summary["pipeline"], summary["status"]) == ("validation", "succeeded")
    assert (summary["valid"], summary["blessed"], summary["model"]) == (True, None, None)
    assert summary["metrics"] == {}
    assert [task["name"] for task in summary["tasks"]] == ["ingest-data", "validate-data"]

    amount = header.index("amount")
    changed = [
        [*row[:amount], str(900 + index % 50), *row[amount + 1 :]]
        for index, row in enumerate(rows[:3000])
    ]
    drifted = validate(_write(tmp_path / "drifted.csv", header, changed), tmp_path / "drifted")
    assert drifted.returncode == 2
    assert "validate-data:" in drifted.stderr
    assert "amount" in drifted.stderr


def test_a_component_runs_twice_in_a_pipeline_of_ones_own(run: Run, tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(
        "from kfp import dsl\n"
        "from kfp_tabular.components import ingest_data\n\n\n"
        "@dsl.pipeline\n"
        "def two_tables(first: str, second: str):\n"
        "    ingest_data(data_uri=first)\n"
        "    ingest_data(data_uri=second, split_salt='other')\n"
    )
    output = tmp_path / "out"

    done = kfp_tabular(
        *("run", "--pipeline", f"{own}:two_tables", "--output", output),
        *("--param", f"first={run.data}", "--param", f"second={run.data}"),
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == f"report:  {output}/report.html\n"
    summary = json.loads((output / "summary.json").read_text())
    assert summary["pipeline"] == "two_tables"
    assert {task["name"]: task["status"] for task in summary["tasks"]} == {
        "ingest-data": "succeeded",
        "ingest-data-2": "succeeded",
    }
    folders = {path.name for path in (output / "artifacts").glob("*/*")}
    assert folders == {"ingest-data", "ingest-data-2"}


def test_an_option_without_its_parameter_is_refused(run: Run) -> None:
    done = kfp_tabular("run", "--pipeline", "validation", "--data", run.data, "--task", "binary")

    assert done.returncode == 2
    assert "--task: the pipeline 'validation' has no parameter 'task'." in done.stderr


@dsl.component(base_image="registry.example/analytics/launcher:3", install_kfp_package=False)
def count_columns(schema: dsl.Input[dsl.Artifact], valid: bool) -> int:
    from pathlib import Path

    text = (Path(schema.path) / "schema.pbtxt").read_text()
    return text.count("\nfeature {") + text.startswith("feature {") if valid else -1


def test_components_fit_into_anybodys_pipeline(run: Run, tmp_path: Path) -> None:
    @dsl.pipeline(name="somebody-elses")
    def pipeline(data: str) -> int:
        examples = ingest_data(data_uri=data).outputs["examples"]
        validation = validate_data(examples=examples)
        return count_columns(
            schema=validation.outputs["schema"], valid=validation.outputs["Output"]
        ).output

    path = tmp_path / "pipeline.yaml"
    compiler.Compiler().compile(pipeline, str(path))

    results = spec_runner.run_spec(
        path,
        {"data": str(run.data)},
        tmp_path / "out",
        _Silent(),
        VirtualEnvironmentRunner(Environments.find()),
    )

    assert [result.error for result in results] == ["", "", ""]
    columns = pq.read_schema(next(results[0].folder.glob("examples/split=train/*.parquet"))).names
    counted = json.loads((results[2].folder / "executor_output.json").read_text())
    assert counted["parameterValues"]["Output"] == len(columns)


class _Silent:
    def started(self, name: str) -> None: ...

    def printed(self, name: str, line: str) -> None: ...

    def finished(self, result: object) -> None: ...
