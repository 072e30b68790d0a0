"""What `kfp-tabular render` prints, and that a run would create just that."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from kfp_tabular.components import train_model, tune_hyperparameters
from kfp_tabular.components.common import storage
from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.kubernetes.client.errors import JobFailedError
from kfp_tabular.components.common.kubernetes.client.resource_kinds import (
    EXPERIMENT,
    POD,
    TFJOB,
    TRAINJOB,
    Kind,
)
from kfp_tabular.components.common.processing.processing_settings import DATA_TASKS
from kfp_tabular.pipelines import configuration, registry, render
from kfp_tabular.pipelines.cli import cli
from kfp_tabular.pipelines.training.definition import TRAINING
from tests.cluster import schemas
from tests.cluster.clusters import Cluster, simulated

KINDS: Mapping[str, Kind] = {"tfjob": TFJOB, "trainjob": TRAINJOB, "experiment": EXPERIMENT}
EACH_KIND = pytest.mark.parametrize("kind", KINDS)
PARAMETERS: Mapping[str, Any] = {
    "task": "binary",
    "max_trials": 4,
    "parallel_trials": 2,
    "workers": 3,
    "epochs": 2,
    "learning_rate": 0.01,
    "hyperparameters": {"dropout": 0.1, "hidden_units": "64,32", "cross_layers": 1},
    "class_weights": "balanced",
    "seed": 11,
    "training_job": {"memory": "8Gi", "volumes": [{"claim": "data", "mount_path": "/data"}]},
    "trial_job": {"cpu": "3", "env": {"LEVEL": "debug"}},
    "trial_kind": "tfjob",
    "additional_metrics": {"eval_log_loss": "min"},
    "retain_trials": True,
}
IMAGE = "registry.example.com/ml/tensorflow:1.2"
PLACES = {
    "transformed_examples": "minio://mlpipeline/run-7/transform/transformed_examples",
    "transform_graph": "minio://mlpipeline/run-7/transform/transform_graph",
    "model": "minio://mlpipeline/run-7/train/model",
}


def parse(parameters: Mapping[str, Any] = PARAMETERS) -> configuration.PipelineConfig:
    document = {"images": {"tensorflow": IMAGE}, "parameters": dict(parameters)}
    return configuration.parse(document, "cluster.yaml", TRAINING.tasks)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cluster.yaml"
    path.write_text(
        yaml.safe_dump({"images": {"tensorflow": IMAGE}, "parameters": dict(PARAMETERS)})
    )
    return path


def invoke(*arguments: str | Path) -> Any:
    return CliRunner().invoke(cli, ["render", *map(str, arguments)], catch_exceptions=True)


def flags(resource: Mapping[str, Any]) -> dict[str, str]:
    pods = {
        "TFJob": lambda spec: spec["tfReplicaSpecs"]["Chief"]["template"]["spec"]["containers"][0],
        "TrainJob": lambda spec: spec["trainer"],
    }
    arguments = pods[resource["kind"]](resource["spec"])["args"]
    return dict(argument[2:].split("=", 1) for argument in arguments)


# What is printed


@EACH_KIND
def test_the_yaml_is_the_resource_and_says_what_it_assumes(kind: str, file: Path) -> None:
    ran = invoke(kind, "--config", file)

    assert ran.exit_code == 0, ran.output
    assert yaml.safe_load(ran.stdout) == render.render(kind, TRAINING, parse()).resource
    comment = [line for line in ran.stdout.splitlines() if line.startswith("#")]
    assert comment[0] == "# Known only when a run starts. Here:"
    assert comment[1].startswith("#   transformed_examples: minio://")
    assert comment[1].endswith("/run-id/transform-features/transformed_examples")
    assert "&" not in ran.stdout


@schemas.needed
@EACH_KIND
def test_what_is_printed_has_its_schema(kind: str) -> None:
    resource = yaml.safe_load(render.to_yaml(render.render(kind, TRAINING, parse())))

    assert schemas.problems(resource) == []


@EACH_KIND
def test_the_same_configuration_gives_the_same_bytes(kind: str) -> None:
    reordered = dict(reversed(PARAMETERS.items()))

    first, second = (
        render.to_yaml(render.render(kind, TRAINING, parse(parameters)))
        for parameters in (PARAMETERS, reordered)
    )

    assert first == second


@EACH_KIND
def test_nothing_is_assumed_of_what_is_given(kind: str) -> None:
    rendered = render.render(kind, TRAINING, parse(), render.RunTime(namespace="team", **PLACES))

    assert set(rendered.assumed) <= {"hyperparameters"}
    assert rendered.resource["metadata"]["namespace"] == "team"
    assert "run-id" not in render.to_yaml(rendered)


def test_places_follow_from_the_pipeline_root() -> None:
    known = render.RunTime(run_id="7", pipeline_root="gs://bucket/root/")
    rendered = render.render("tfjob", TRAINING, parse(), known)

    assert rendered.assumed["model"] == "gs://bucket/root/7/train-model/model"
    assert flags(rendered.resource)["transform-graph"].startswith("gs://bucket/root/7/")


def test_without_a_search_training_has_the_parameters() -> None:
    rendered = render.render("tfjob", TRAINING, parse({**PARAMETERS, "max_trials": 0}))
    given = flags(rendered.resource)

    assert "hyperparameters" not in rendered.assumed
    expected = Hyperparameters().updated(
        {"epochs": 2, "learning_rate": 0.01, **PARAMETERS["hyperparameters"]}
    )
    for name, value in asdict(expected).items():
        assert given[name.replace("_", "-")] == str(value)
    assert given["class-weights"] == "balanced"
    assert given["seed"] == "11"


def test_after_a_search_training_has_what_it_found(tmp_path: Path) -> None:
    found = tmp_path / "hyperparameters.json"
    Hyperparameters().updated({"dropout": 0.4, "batch_size": 512}).save(found)
    rendered = render.render("trainjob", TRAINING, parse(), render.RunTime(hyperparameters=found))

    assert "hyperparameters" not in rendered.assumed
    assert flags(rendered.resource)["dropout"] == "0.4"
    assert flags(rendered.resource)["batch-size"] == "512"


def test_a_search_that_is_still_to_come_is_said() -> None:
    assert "it decides" in render.render("tfjob", TRAINING, parse()).assumed["hyperparameters"]


def test_the_file_is_written_and_named(file: Path, tmp_path: Path) -> None:
    output = tmp_path / "review" / "job.yaml"
    ran = invoke("tfjob", "--config", file, "--output", output)

    assert ran.exit_code == 0
    assert yaml.safe_load(output.read_text())["kind"] == "TFJob"
    assert ran.stdout.startswith(f"{output}: TFJob train-model-")


def test_jobs_ask_for_what_their_parameter_says() -> None:
    """The two job documents do not get mixed up."""
    job = render.render("tfjob", TRAINING, parse()).resource["spec"]["tfReplicaSpecs"]["Worker"]
    template = render.render("experiment", TRAINING, parse()).resource["spec"]["trialTemplate"]
    trial = template["trialSpec"]["spec"]["tfReplicaSpecs"]["Chief"]

    (trainer,), (searcher,) = (
        replica["template"]["spec"]["containers"] for replica in (job, trial)
    )
    assert job["replicas"] == 2
    assert trainer["resources"]["limits"] == {"cpu": "2", "memory": "8Gi"}
    assert searcher["resources"]["limits"] == {"cpu": "3", "memory": "4Gi"}
    assert trainer["image"] == searcher["image"] == IMAGE
    assert template["retain"] is True


def test_an_image_of_its_own_wins_over_the_tasks() -> None:
    own = "registry.example.com/mine:1"
    rendered = render.render("trainjob", TRAINING, parse({"training_job": {"image": own}}))

    assert rendered.resource["spec"]["trainer"]["image"] == own


SPARK: Mapping[str, Any] = {
    "engine": "spark",
    "master": "k8s",
    "kubernetes": {"executors": 8, "driver": {"memory": "6Gi"}},
}


@pytest.mark.parametrize("task", DATA_TASKS)
def test_a_spark_application_is_what_the_data_task_would_make(task: str) -> None:
    definition = next(each for each in registry.PIPELINES.values() if task in each.tasks)
    known = render.RunTime(namespace="team", data_task=task, pipeline_root="s3://b/root")
    document = {"parameters": {"processing": SPARK}}
    config = configuration.parse(document, "cluster.yaml", definition.tasks)
    rendered = render.render("spark-application", definition, config, known)
    resource = rendered.resource

    name = resource["metadata"]["name"]
    assert name.startswith(f"{task}-")
    assert resource["metadata"]["namespace"] == "team"
    assert resource["spec"]["image"].partition(":")[0].endswith("/spark")
    assert resource["spec"]["executor"]["instances"] == 8
    assert resource["spec"]["arguments"] == [
        f"--request=s3://b/root/run-id/kfp-tabular-jobs/{name}/request.json"
    ]
    assert set(rendered.assumed) == {"run_id", "name"}
    if schemas.available():
        assert schemas.problems(resource) == []


def test_a_task_of_another_engine_makes_no_spark_application() -> None:
    document = {**SPARK, "tasks": {"evaluate-model": "local"}}
    known = render.RunTime(data_task="evaluate-model")
    with pytest.raises(
        UserError, match=r"evaluate-model would not run on Kubernetes by Spark\. Set"
    ):
        render.render("spark-application", TRAINING, parse({"processing": document}), known)


def test_a_data_task_that_the_pipeline_lacks() -> None:
    known = render.RunTime(data_task="transform-feature")
    with pytest.raises(UserError, match="Did you mean 'transform-features'"):
        render.render("spark-application", TRAINING, parse({"processing": SPARK}), known)


# What is refused


@pytest.mark.parametrize(
    ("kind", "parameters", "message"),
    [
        ("tfjbo", {}, "resource 'tfjbo' is unknown. Did you mean 'tfjob'?"),
        ("tfjob", {"epoch": 3}, "parameter 'epoch' is unknown. Did you mean 'epochs'"),
        ("tfjob", {"workers": "many"}, "parameter 'workers': expected a whole number"),
        ("tfjob", {"hyperparameters": {"drop": 1}}, "hyperparameter 'drop' is unknown"),
        ("tfjob", {"training_job": {"memroy": "8Gi"}}, "unknown key 'memroy'. Did you mean"),
        ("trainjob", {"training_job": {"evaluator": True}}, "all pods of a TrainJob are workers"),
        (
            "tfjob",
            {"class_weights": "even"},
            "class_weights: expected none or balanced, found 'even'",
        ),
        ("experiment", {}, "max_trials is 0, so the pipeline would not search"),
        ("experiment", {"max_trials": 3}, "task is auto, so the data decides"),
        (
            "experiment",
            {"max_trials": 3, "task": "binary", "algorithm": "tpee"},
            "Did you mean 'tpe'",
        ),
        (
            "experiment",
            {"max_trials": 3, "task": "binary", "parallel_trials": 4},
            "more than max_trials (3)",
        ),
    ],
)
def test_what_the_task_would_refuse_is_refused(
    kind: str, parameters: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        render.render(kind, TRAINING, parse(parameters))

    assert message in str(caught.value)


def test_an_image_that_changes_from_day_to_day_is_refused() -> None:
    document = {"images": {"tensorflow": "registry.example.com/ml/tensorflow:latest"}}
    with pytest.raises(UserError, match="latest"):
        render.render(
            "tfjob", TRAINING, configuration.parse(document, "cluster.yaml", TRAINING.tasks)
        )


def test_the_kind_of_task_can_be_said_on_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text("parameters: {max_trials: 3}")
    ran = invoke("experiment", "--config", path, "--task", "regression")

    assert ran.exit_code == 0, ran.output
    objective = yaml.safe_load(ran.stdout)["spec"]["objective"]
    assert objective["objectiveMetricName"] == "eval_rmse"


def test_nothing_is_written_where_something_is_refused(file: Path, tmp_path: Path) -> None:
    output = tmp_path / "job.yaml"
    ran = invoke("tfjbo", "--config", file, "--output", output)

    assert isinstance(ran.exception, UserError)
    assert not output.exists()


# What a run would create


class Artifact(SimpleNamespace):
    """A KFP artifact, as the component's function gets it."""

    def __init__(self, uri: str, path: Path) -> None:
        super().__init__(uri=uri, path=str(path), metadata={})

    def log_metric(self, name: str, value: float) -> None:
        raise AssertionError("no job ends well here")


@contextmanager
def in_a_run(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process is a task's pod of a run."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "task"},
        "spec": {"containers": [{"name": "main", "image": IMAGE}]},
    }
    cluster.admin.create(POD, pod)
    with monkeypatch.context() as patch:
        patch.setenv("KFP_POD_NAME", "task")
        patch.setenv("KUBECONFIG", str(cluster.kubeconfig))
        # There is no object store here.
        patch.setattr(storage, "upload", lambda path, uri: None)
        yield


@contextmanager
def failing(cluster: Cluster, kind: Kind) -> Iterator[list[dict[str, Any]]]:
    """Run an operator that fails what is created; yield the objects as created."""
    created: list[dict[str, Any]] = []
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.05):
            for resource in [] if created else cluster.admin.list(kind):
                created.append(resource)
                condition = {
                    "type": "Failed",
                    "status": "True",
                    "message": "as the test demands",
                }
                name = resource["metadata"]["name"]
                cluster.admin.status(kind, name, {"conditions": [condition]})

    thread = threading.Thread(target=work, name="operator", daemon=True)
    thread.start()
    try:
        yield created
    finally:
        stop.set()
        thread.join(10)


def training(backend: str, folder: Path) -> None:
    """Call the component as KFP does, with what the search passed on."""
    base = Hyperparameters().updated(
        {"epochs": 2, "learning_rate": 0.01, **PARAMETERS["hyperparameters"]}
    )
    base.save(folder / "hyperparameters.json")
    train_model.python_func(
        transformed_examples=Artifact(PLACES["transformed_examples"], folder),
        transform_graph=Artifact(PLACES["transform_graph"], folder),
        model=Artifact(PLACES["model"], folder / "model"),
        training_logs=Artifact("minio://mlpipeline/run-7/train/logs", folder / "logs"),
        metrics=Artifact("", folder / "metrics"),
        report=Artifact("", folder / "report.html"),
        hyperparameters=Artifact("", folder / "hyperparameters.json"),
        class_weights="balanced",
        early_stopping_patience=5,
        model_fn="",
        workers=3,
        seed=11,
        backend=backend,
        job=PARAMETERS["training_job"],
    )


@schemas.needed
def test_an_endpoint_is_rendered_from_what_is_known() -> None:
    parameters = {**PARAMETERS, "model_name": "taxi", "model_repository": "s3://models"}
    rendered = render.render(
        "inference-service", TRAINING, parse(parameters), render.RunTime("", "team")
    )

    assert schemas.problems(rendered.resource) == []
    assert rendered.resource["metadata"]["namespace"] == "team"
    assert "s3://models/taxi/VERSION" in render.to_yaml(rendered)
    here = render.render(
        "inference-service", TRAINING, parse(parameters | {"model_repository": ""})
    )
    assert "s3://mlpipeline/v2/artifacts" in render.to_yaml(here)


@schemas.needed
def test_a_split_is_rendered_for_blue_and_green() -> None:
    parameters = {**PARAMETERS, "model_name": "taxi", "service": {"strategy": "blue_green"}}

    rendered = render.render("inference-graph", TRAINING, parse(parameters))

    assert schemas.problems(rendered.resource) == []
    steps = rendered.resource["spec"]["nodes"]["root"]["steps"]
    # Of a model that is not called as its InferenceService, KServe would ask for a wrong path.
    path = "/v1/models/taxi:predict"
    assert {step["serviceUrl"]: step["weight"] for step in steps} == {
        f"http://taxi-blue-predictor{path}": 90,
        f"http://taxi-green-predictor{path}": 10,
    }


@pytest.mark.parametrize("split", ["a", "a=x", "=1"])
def test_an_invalid_share_is_reported(split: str) -> None:
    with pytest.raises(UserError, match="split"):
        render.render("inference-graph", TRAINING, parse(), render.RunTime(split=(split, "b=50")))


def test_an_invalid_namespace_is_rejected() -> None:
    parameters = {**PARAMETERS, "service": {"strategy": "blue_green"}}

    with pytest.raises(UserError, match="namespace: 'Team A': expected at most 63"):
        render.render(
            "inference-graph", TRAINING, parse(parameters), render.RunTime(namespace="Team A")
        )


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    for output in (tmp_path, tmp_path / "file" / "x.yaml"):
        (tmp_path / "file").write_text("")
        result = invoke("inference-service", "--output", output)

        assert isinstance(result.exception, UserError)
        assert str(output) in str(result.exception)
        assert [path.name for path in tmp_path.iterdir()] == ["file"]


def tuning(folder: Path) -> None:
    graph = folder / "graph"
    graph.mkdir()
    Task("binary", "y", ("0", "1"), (5, 5)).save(graph)
    tune_hyperparameters.python_func(
        transformed_examples=Artifact(PLACES["transformed_examples"], folder),
        transform_graph=Artifact(PLACES["transform_graph"], graph),
        hyperparameters=Artifact("", folder / "found.json"),
        report=Artifact("", folder / "report.html"),
        metrics=Artifact("", folder / "metrics"),
        max_trials=4,
        parallel_trials=2,
        epochs=2,
        learning_rate=0.01,
        base_hyperparameters=PARAMETERS["hyperparameters"],
        class_weights="balanced",
        seed=11,
        backend="katib",
        job=PARAMETERS["trial_job"],
        additional_metrics={"eval_log_loss": "min"},
        retain_trials=True,
    )


LAUNCHERS: Mapping[str, Callable[[Path], None]] = {
    "tfjob": lambda folder: training("tfjob", folder),
    "trainjob": lambda folder: training("trainjob", folder),
    "experiment": tuning,
}


@EACH_KIND
def test_a_run_creates_what_was_printed(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = render.RunTime(namespace="team", **PLACES)
    printed = yaml.safe_load(render.to_yaml(render.render(kind, TRAINING, parse(), known)))
    with (
        simulated(None) as cluster,
        in_a_run(cluster, monkeypatch),
        failing(cluster, KINDS[kind]) as created,
        pytest.raises((JobFailedError, RuntimeError)),
    ):
        LAUNCHERS[kind](tmp_path)

    (launched,) = created
    for name in ("uid", "resourceVersion", "creationTimestamp", "generation"):
        del launched["metadata"][name]
    assert launched == printed
