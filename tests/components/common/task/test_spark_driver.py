"""The driver of a SparkApplication, as its pod starts it, and a whole task with it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from kfp_tabular.components.common import storage
from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.kubernetes.client.resource_kinds import SPARK_APPLICATION
from kfp_tabular.components.common.processing.spark import installation
from kfp_tabular.components.common.spark_task import spark_application
from kfp_tabular.components.common.spark_task.task_request import TaskRequest
from kfp_tabular.components.common.task import task_process
from kfp_tabular.components.data_ingestion import ingest
from kfp_tabular.components.data_ingestion.options import IngestionOptions
from kfp_tabular.components.evaluation import evaluate
from kfp_tabular.components.evaluation.options import EvaluationOptions
from kfp_tabular.components.feature_engineering import transform
from kfp_tabular.components.feature_engineering.options import TransformOptions
from tests import accumulator_laws, spark_cluster
from tests.cluster.clusters import Cluster
from tests.cluster.operators import Job, Operator
from tests.components.common.spark_task.flavours import SPARK_FLAVOUR, runs
from tests.components.feature_engineering import conftest as transform_cases

COMPONENTS = '''
from pathlib import Path
from typing import Any, Dict

from kfp import dsl

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.task.component import component


@component(base_image="registry.example.com/ml/tfdv:1")
def validate_data(
    examples: dsl.Input[dsl.Dataset],
    page: dsl.Output[dsl.HTML],
    folder: dsl.Output[dsl.Artifact],
    label: str = "",
    processing: Dict[str, Any] = {},
) -> bool:
    """Count the bytes of the examples."""
    size = sum(path.stat().st_size for path in Path(examples.path).rglob("*") if path.is_file())
    Path(page.path).write_text(f"{size} bytes")
    if label == "missing":
        raise UserError("no column 'missing'.")
    Path(folder.path).mkdir(exist_ok=True)
    (Path(folder.path) / "size").write_text(str(size))
    folder.metadata["shards"] = processing.get("shards_uri", "")
    return size > 0
'''
DOCUMENT = {"engine": "spark", "master": "k8s", "executor_cores": 1}
EVALUATED = (
    *("metrics", "classification_metrics", "golden_examples"),
    *("evaluation", "report", "model_card"),
)
RUN = "0b6a3c1e-7f0f-4b53-9e5b-2f1f3f0a9d11"


def artifacts(root: str, *names: str) -> dict[str, Any]:
    return {name: {"artifacts": [{"name": name, "uri": f"{root}/{name}"}]} for name in names}


def executor_input(
    folder: Path, inputs: Mapping[str, Any], outputs: Mapping[str, Any], **parameters: Any
) -> dict[str, Any]:
    return {
        "inputs": {"parameterValues": parameters, "artifacts": inputs},
        "outputs": {"outputFile": str(folder / "executor_output.json"), "artifacts": outputs},
    }


def put(uri: str, text: str, folder: Path) -> None:
    path = folder / "put"
    path.write_text(text)
    storage.upload(path, uri)


def drive(job: Job, pod: str, folder: Path, properties: str = "") -> int:
    """Run the driver's command as the pod would, with what Spark adds to it."""
    driver = job.resource["spec"]["driver"]["template"]["spec"]["containers"][0]
    assert driver["command"] == ["python3", "-m", spark_application.DRIVER_MODULE]
    file = folder / "spark.properties"
    file.write_text(properties)
    submitted = ["driver", "--properties-file", str(file), "--class", "PythonRunner"]
    done = subprocess.run(
        [
            sys.executable,
            *driver["command"][1:],
            *submitted,
            spark_application.MAIN_FILE,
            *job.resource["spec"]["arguments"],
        ],
        env={**os.environ, "SPARK_DRIVER_BIND_ADDRESS": "127.0.0.1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    job.log(pod, *done.stdout.splitlines())
    return done.returncode


def start(cluster: Cluster, component: str, given: Mapping[str, Any]) -> Any:
    """Run the task in a process of its own, as KFP's launcher does."""
    return subprocess.run(
        [
            sys.executable,
            "-m",
            task_process.MODULE,
            "--component",
            component,
            "--executor_input",
            json.dumps(given),
        ],
        env={**os.environ, "KUBECONFIG": str(cluster.kubeconfig)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "counts.py").write_text(COMPONENTS)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return "counts:validate_data"


def on_a_volume(folder: Path, **parameters: Any) -> dict[str, Any]:
    """Return the input of a task whose artifacts are on a volume that all pods mount."""
    root = f"{folder}/volume/{RUN}"
    put(f"{root}/in/examples/data", "12345", folder)
    volume = {"claim": "artifacts", "mount_path": str(folder / "volume")}
    return executor_input(
        folder / "task",
        artifacts(f"{root}/in", "examples"),
        artifacts(f"{root}/out", "page", "folder"),
        processing={**DOCUMENT, "kubernetes": {"volumes": [volume]}},
        **parameters,
    )


def test_the_driver_calls_the_component_of_the_task(
    cluster: Cluster, module: str, tmp_path: Path
) -> None:
    script = runs(lambda job, pod: drive(job, pod, tmp_path))
    with Operator(cluster, SPARK_FLAVOUR, script).working():
        done = start(cluster, module, on_a_volume(tmp_path))

    assert done.returncode == 0, done.stdout
    written = json.loads((tmp_path / "task" / "executor_output.json").read_text())
    assert written["parameterValues"] == {"Output": True}
    (folder,) = written["artifacts"]["folder"]["artifacts"]
    out = tmp_path / "volume" / RUN / "out"
    assert folder["uri"] == str(out / "folder")
    assert (out / "page").read_text() == "5 bytes"
    assert (out / "folder" / "size").read_text() == "5"
    assert not (out.parent / "kfp-tabular-jobs" / "request.json").exists()


@pytest.mark.parametrize("label", ["", "missing"])
def test_a_driver_without_a_volume_reads_and_writes_uris(
    s3: str, module: str, tmp_path: Path, label: str
) -> None:
    root = f"{s3}/{tmp_path.name}/{RUN}"
    put(f"{root}/in/examples/data", "12345", tmp_path)
    shards = f"{root}/shards"
    given = executor_input(
        tmp_path / "task",
        artifacts(f"{root}/in", "examples"),
        artifacts(f"{root}/out", "page", "folder"),
        processing={**DOCUMENT, "shards_uri": shards},
        label=label,
    )
    put(f"{root}/job/request.json", TaskRequest(module, given).to_json(), tmp_path)

    done = subprocess.run(
        [
            sys.executable,
            "-m",
            spark_application.DRIVER_MODULE,
            "driver",
            "--properties-file",
            "/missing",
            spark_application.MAIN_FILE,
            f"--request={root}/job/request.json",
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    made = storage.Folder(f"{root}/job")
    assert made.read_text("outputs/page") == "5 bytes"
    if label:
        # What explains the error is there, and no result.
        assert done.returncode == 2
        assert done.stdout.splitlines()[-1].endswith("kfp-tabular: error: no column 'missing'.")
        assert sorted(made.list()) == ["outputs/page", "request.json"]
        return
    assert done.returncode == 0, done.stdout + done.stderr
    assert made.read_text("outputs/folder/size") == "5"
    output = json.loads(made.read_text("executor_output.json") or "")
    assert output["parameterValues"] == {"Output": True}
    assert output["artifacts"]["folder"]["artifacts"][0]["metadata"] == {"shards": shards}


def test_bad_input_ends_the_task_with_its_line(
    cluster: Cluster, module: str, tmp_path: Path
) -> None:
    script = runs(lambda job, pod: drive(job, pod, tmp_path))
    with Operator(cluster, SPARK_FLAVOUR, script).working():
        done = start(cluster, module, on_a_volume(tmp_path, label="missing"))

    assert done.returncode == 2
    assert done.stdout.splitlines()[-1].endswith("kfp-tabular: error: no column 'missing'.")
    assert "Traceback" not in done.stdout
    assert (tmp_path / "volume" / RUN / "out" / "page").read_text() == "5 bytes"


def test_a_document_that_does_not_fit_needs_no_cluster(module: str, tmp_path: Path) -> None:
    given = executor_input(
        tmp_path,
        artifacts("s3://b/in", "examples"),
        artifacts("s3://b/out", "page", "folder"),
        processing={**DOCUMENT, "kubernetes": {"executor": {"memry": "1Gi"}}},
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            task_process.MODULE,
            "--component",
            module,
            "--executor_input",
            json.dumps(given),
        ],
        env={**os.environ, "KUBECONFIG": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "unknown key 'memry'. Did you mean 'memory'?" in done.stdout


def on_spark(
    cluster: Cluster,
    folder: Path,
    component: str,
    inputs: Mapping[str, Path],
    *outputs: str,
    **given: Any,
) -> Path:
    """Run a task in a SparkApplication, whose Spark is `local[2]`; return where its outputs are.

    Args:
        cluster: The cluster.
        folder: What the task and the driver mount.
        component: The task's component.
        inputs: Its input artifacts.
        outputs: The names of its output artifacts.
        given: Its arguments.
    """
    root = f"{folder}/k8s/{RUN}"
    volume = {"claim": "a", "mount_path": str(folder)}
    properties = "spark.master=local[2]\nspark.app.name=taxi\nspark.driver.host=127.0.0.1\n"
    script = runs(lambda job, pod: drive(job, pod, folder, properties))
    task = executor_input(
        folder / "k8s",
        {name: {"artifacts": [{"name": name, "uri": str(path)}]} for name, path in inputs.items()},
        artifacts(f"{root}/out", *outputs),
        processing={**DOCUMENT, "kubernetes": {"volumes": [volume]}},
        **given,
    )
    with Operator(cluster, SPARK_FLAVOUR, script).working():
        done = start(cluster, component, task)
    assert done.returncode == 0, done.stdout
    assert "Spark k8s: started in" in done.stdout
    assert len(cluster.admin.list(SPARK_APPLICATION)) == 1
    return Path(root, "out")


@pytest.fixture
def spark(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spark's own files, or the test is skipped."""
    spark_cluster.require()
    monkeypatch.setenv(installation.SPARK_HOME, str(installation.spark_home()))


@pytest.mark.usefixtures("spark")
def test_an_ingestion_with_spark(cluster: Cluster, tmp_path: Path) -> None:
    source = tmp_path / "taxi.csv"
    rows = (f"{number},{number % 7 * 0.5},{'ab'[number % 3 > 0]}" for number in range(3000))
    source.write_text("\n".join(["id,fare,kind", *rows, ""]))
    here = ingest.IngestionRequest(
        IngestionOptions(str(source)),
        *(tmp_path / "here" / name for name in ("examples", "rejected", "summary")),
    )
    ingest.run(here)

    component = "kfp_tabular.components.data_ingestion.component:ingest_data"
    names = ("examples", "rejected_rows", "outline", "summary")
    made = on_spark(cluster, tmp_path, component, {}, *names, data_uri=str(source))

    found = [Examples(path).manifest for path in (made / "examples", here.examples)]
    assert found[0] is not None and found[1] is not None
    assert found[0].digest == found[1].digest


@pytest.mark.usefixtures("spark")
def test_a_transform_with_spark(cluster: Cluster, tmp_path: Path) -> None:
    table = pa.table(
        {
            "fare": [number % 7 * 0.5 for number in range(900)],
            "kind": ["abc"[number % 3] for number in range(900)],
            "y": [number % 2 for number in range(900)],
        }
    )
    examples = transform_cases.write_examples(tmp_path / "examples", {"train": table})
    schema = transform_cases.write_schema(tmp_path / "schema", transform_cases.schema_of(table))
    here = transform.TransformRequest(
        TransformOptions(label="y"),
        examples,
        schema,
        *(tmp_path / "here" / name for name in ("graph", "transformed", "summary")),
    )
    transform.run(here)

    component = "kfp_tabular.components.feature_engineering.component:transform_features"
    names = ("transform_graph", "transformed_examples", "summary")
    inputs = {"examples": examples, "schema": schema}
    made = on_spark(cluster, tmp_path, component, inputs, *names, label="y")

    graphs = [lineage.read(path)["digest"] for path in (made / names[0], here.transform_graph)]
    assert graphs[0] == graphs[1]
    rows = [
        [row for batch in Examples(path).batches("train") for row in batch.to_pylist()]
        for path in (made / names[1], here.transformed_examples)
    ]
    assert rows[0] == rows[1]


@pytest.mark.usefixtures("spark")
def test_an_evaluation_with_spark(
    cluster: Cluster,
    tmp_path: Path,
    data: SimpleNamespace,
    export: Callable[[], Path],
) -> None:
    rows = {"train": data.binary_rows(300, seed=3), "test": data.binary_rows(900)}
    examples = data.write(tmp_path / "examples", **rows)
    options = {"bootstrap_samples": 100, "slice_columns": ["kind"], "explanations": False}
    here = evaluate.EvaluationRequest(
        examples=examples,
        model=export(),
        evaluation=tmp_path / "here" / "evaluation",
        golden_examples=tmp_path / "here" / "golden",
        report=tmp_path / "here" / "report.html",
        options=EvaluationOptions(**options),
    )
    evaluate.run(here)
    # The driver mounts the folder, and no other.
    shutil.copytree(export(), tmp_path / "model")

    component = "kfp_tabular.components.evaluation.component:evaluate_model"
    inputs = {"examples": examples, "model": tmp_path / "model"}
    made = on_spark(cluster, tmp_path, component, inputs, *EVALUATED, **options)

    documents = [
        json.loads((path / evaluate.EVALUATION_FILE).read_text())
        for path in (made / "evaluation", here.evaluation)
    ]
    accumulator_laws.assert_same(*documents, 1e-9, 1e-15)
    assert (made / "golden_examples" / "golden.json").is_file()
    assert (made / "report").stat().st_size > 1_000
