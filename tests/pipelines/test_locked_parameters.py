"""Parameters that a configuration locks: nothing that a run sets reaches them."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines import configuration, registry
from kfp_tabular.pipelines import spec as specs
from kfp_tabular.pipelines.cli import cli
from kfp_tabular.pipelines.compile import compile_text
from kfp_tabular.pipelines.configuration import PipelineConfig
from kfp_tabular.pipelines.kubeflow.connection import Server
from kfp_tabular.pipelines.kubeflow.submission import SubmissionRequest, submit

RIGHTS = {
    "training_job": {"service_account": "trainer", "image": "registry.example.com/train:1"},
    "trial_job": {},
    "service": {"auth_secret": "keys"},
    "training_backend": "tfjob",
    "tuning_backend": "katib",
    "deployment_backend": "kserve",
    "preprocessing_fn": "",
    "model_fn": "team.models:build",
    "model_repository": "s3://models/team",
    "data_uri": "s3://data/churn",
    "split_fractions": {"train": 3, "test": 1},
    "exclude": ["id"],
    "epochs": 3,
    "retain_trials": True,
    "max_rejected_fraction": 0.5,
}

USER_PIPELINE = """
from kfp import dsl, kubernetes

from kfp_tabular.components import ingest_data, validate_data


@dsl.component
def note(text: str):
    print(text)


@dsl.pipeline(name="own")
def own(data_uri: str, mode: str, secret: str, claim: str, parts: list = ["a"], label: str = ""):
    ingestion = ingest_data(data_uri=data_uri, label=label)
    kubernetes.use_secret_as_env(ingestion, secret_name=secret, secret_key_to_env={"k": "K"})
    kubernetes.mount_pvc(ingestion, pvc_name=claim, mount_path="/data")
    with dsl.If(mode == "strict"):
        checked = validate_data(examples=ingestion.outputs["examples"], label=label)
        kubernetes.use_secret_as_env(checked, secret_name=secret, secret_key_to_env={"k": "K"})
    with dsl.ParallelFor(parts) as part:
        note(text=f"{part} of {mode}")
"""


def compiled(pipeline: str, **locked: Any) -> tuple[dict[str, Any], str]:
    text = compile_text(registry.find(pipeline), PipelineConfig(locked=locked))
    return specs.parse(text), text


def leaf_tasks(document: dict[str, Any]) -> dict[str, Any]:
    tasks = dict(document["root"]["dag"]["tasks"])
    for component in document["components"].values():
        tasks |= component.get("dag", {}).get("tasks", {})
    return tasks


def given(document: dict[str, Any], task: str, argument: str) -> Any:
    source = leaf_tasks(document)[task]["inputs"]["parameters"][argument]
    return source.get("runtimeValue", {}).get("constant", source)


def test_locked_parameters_are_constants_and_no_inputs() -> None:
    document, _ = compiled("training", **RIGHTS)

    declared = specs.parameters(document)
    assert not set(RIGHTS) & set(declared)
    assert {"label", "model_name", "workers"} <= set(declared)
    assert specs.required_parameters(document) == ["label"]
    assert given(document, "train-model", "job") == RIGHTS["training_job"]
    assert given(document, "train-model", "backend") == "tfjob"
    assert given(document, "tune-hyperparameters", "job") == {}
    assert given(document, "tune-hyperparameters", "model_fn") == "team.models:build"
    assert given(document, "tune-hyperparameters", "epochs") == 3
    assert given(document, "tune-hyperparameters", "retain_trials") is True
    assert given(document, "transform-features", "preprocessing_fn") == ""
    assert given(document, "ingest-data", "data_uri") == "s3://data/churn"
    assert given(document, "ingest-data", "split_fractions") == {"train": 3, "test": 1}
    assert given(document, "ingest-data", "max_rejected_fraction") == 0.5
    # The deployment is inside a condition: the group gets the constant, and passes it on.
    outer = document["root"]["dag"]["tasks"]["condition-1"]["inputs"]["parameters"]
    for name in ("service", "deployment_backend", "model_repository"):
        assert outer[f"pipelinechannel--{name}"] == {"runtimeValue": {"constant": RIGHTS[name]}}


def test_nothing_refers_to_a_locked_parameter_any_more() -> None:
    everything = {
        "data_uri": "a.csv",
        "schema_uri": "s",
        **{
            name: entry["defaultValue"]
            for name, entry in specs.parameters(compiled("validation")[0]).items()
            if "defaultValue" in entry
        },
    }

    document, text = compiled("validation", **everything)

    assert specs.parameters(document) == {}
    assert "componentInputParameter" not in text


def test_locking_changes_nothing_else() -> None:
    plain, _ = compiled("training")
    locked, _ = compiled("training", service={})

    assert plain["components"] == locked["components"]
    assert plain["deploymentSpec"] == locked["deploymentSpec"]
    assert list(plain["root"]["dag"]["tasks"]) == list(locked["root"]["dag"]["tasks"])


def test_a_users_own_pipeline(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(USER_PIPELINE)
    values = {"mode": "strict", "secret": "store", "claim": "data", "parts": ["b", "c"]}

    document, text = compiled(f"{path}:own", **values)

    assert set(specs.parameters(document)) == {"data_uri", "label"}
    root = document["root"]["dag"]["tasks"]
    assert root["condition-1"]["inputs"]["parameters"]["pipelinechannel--mode"] == {
        "runtimeValue": {"constant": "strict"}
    }
    loop = root["for-loop-2" if "for-loop-2" in root else "for-loop-1"]
    assert {"runtimeValue": {"constant": ["b", "c"]}} in loop["inputs"]["parameters"].values()
    platform = list(yaml.safe_load_all(text))[1]["platforms"]["kubernetes"]["deploymentSpec"]
    ingestion = platform["executors"]["exec-ingest-data"]
    assert ingestion["secretAsEnv"][0]["secretNameParameter"] == {
        "runtimeValue": {"constant": "store"}
    }
    mount = ingestion["pvcMount"][0]
    assert mount["pvcNameParameter"] == {"runtimeValue": {"constant": "data"}}
    assert mount["constant"] == "data"
    assert "componentInputParameter" not in mount
    # Inside of the group, the secret's name is the group's input, which has the constant.
    inner = platform["executors"]["exec-validate-data"]["secretAsEnv"][0]["secretNameParameter"]
    assert inner == {"componentInputParameter": "pipelinechannel--secret"}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, standalone_mode=False, catch_exceptions=True)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "team.yaml"
    path.write_text("locked: {service: {min_replicas: 2}, data_uri: s3://data/churn}\n")
    return path


@pytest.mark.parametrize(
    "command",
    [
        ("run", "--param", "service={}"),
        ("run", "--data", "other.csv"),
        ("submit", "--host", "http://localhost:9", "--param", "service={}"),
        ("submit", "--host", "http://localhost:9", "--data", "s3://other"),
        (
            "schedule",
            "--host",
            "http://localhost:9",
            "--cron",
            "0 2 * * *",
            "--param",
            "service={}",
        ),
    ],
    ids=" ".join,
)
def test_a_run_cannot_set_them(command: tuple[str, ...], config: Path, tmp_path: Path) -> None:
    result = run(*command, "--label", "churned", "--config", str(config))

    name = "data_uri" if "--data" in command else "service"
    assert isinstance(result.exception, UserError)
    assert str(result.exception).startswith(f"parameter {name!r} is locked in {config}, so a run")


def test_nor_can_a_program() -> None:
    locked = PipelineConfig(locked={"service": {}})
    request = SubmissionRequest(
        registry.find("training"), locked, {"service": {"cpu": "1"}}, name="nightly"
    )

    with pytest.raises(UserError, match="'service' is locked in the configuration"):
        submit(Server(host="http://localhost:9"), request)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("locked: {servise: {}}", "locked: parameter 'servise' is unknown. Did you mean 'service'"),
        ("locked: {epochs: many}", "locked: parameter 'epochs': expected a whole number, found"),
        ("locked: {service: }", "locked: parameter 'service': expected keys and values"),
        ("locked: [service]", "locked: expected keys and values, found list"),
        ("{locked: {epochs: 1}, parameters: {epochs: 2}}", "'epochs' is in both parameters and"),
    ],
)
def test_a_wrong_lock_is_named(document: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "team.yaml"
    path.write_text(document)

    with pytest.raises(UserError) as caught:
        registry.find("training").configuration(path)

    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


def test_params_shows_what_is_locked(config: Path) -> None:
    config.write_text(config.read_text() + "parameters: {epochs: 7, label: churned}\n")

    listed = run("params", "--config", str(config)).output

    assert '\nservice  (mapping, locked: {"min_replicas": 2})\n' in listed
    assert 'data_uri  (text, locked: "s3://data/churn")\n' in listed
    assert "\nepochs  (integer, 7)\n" in listed
    assert '\nlabel  (text, "churned")\n' in listed


def test_render_shows_the_resource_with_what_is_locked(tmp_path: Path) -> None:
    path = tmp_path / "team.yaml"
    path.write_text(
        "locked: {training_job: {memory: 9Gi}, trial_job: {memory: 8Gi}, max_trials: 4, "
        "task: binary, model_name: taxi, service: {min_replicas: 3}}\n"
    )

    assert "memory: 9Gi" in run("render", "tfjob", "--config", str(path)).output
    assert "memory: 8Gi" in run("render", "experiment", "--config", str(path)).output
    assert "minReplicas: 3" in run("render", "inference-service", "--config", str(path)).output


def test_a_lock_is_part_of_the_schema() -> None:
    from kfp_tabular.pipelines import configuration_schema

    schema = configuration_schema.build(registry.find("training"))

    locked = schema["properties"]["locked"]
    assert locked["properties"]["service"]["type"] == ["object", "string"]
    assert not locked["additionalProperties"]
    assert configuration.parse({"locked": {"epochs": 1}}, "a.yaml", ()).locked == {"epochs": 1}
