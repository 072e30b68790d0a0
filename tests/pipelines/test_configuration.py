"""The compile-time configuration."""

from pathlib import Path

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines import configuration
from kfp_tabular.pipelines.training.definition import TRAINING

COMPLETE = """
registry: registry.local:5000/ml
tag: "2"
images: {tfdv: "registry.local:5000/tfdv@sha256:%s"}
defaults:
  memory: 2G
  retries: 2
  secrets: [{name: store, env: {accesskey: MINIO_ACCESS_KEY}}]
tasks:
  train-model:
    {cpu: 4, memory: 16G, gpus: 1, retries: 1, caching: false, timeout: 8h, image: launcher}
parameters: {epochs: 3, exclude: [tips]}
""" % ("0" * 64)


def test_a_complete_configuration(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(COMPLETE)

    loaded = TRAINING.configuration(path)

    assert loaded.image("validate-data", "tfdv") == f"registry.local:5000/tfdv@sha256:{'0' * 64}"
    assert loaded.image("train-model", "tensorflow") == "registry.local:5000/ml/launcher:2"
    secrets = (configuration.Secret("store", {"accesskey": "MINIO_ACCESS_KEY"}),)
    assert loaded.task("train-model") == configuration.TaskConfig(
        image="launcher",
        cpu="4",
        memory="16G",
        gpus=1,
        retries=1,
        caching=False,
        timeout="8h",
        secrets=secrets,
    )
    assert loaded.task("ingest-data") == configuration.TaskConfig(
        memory="2G", retries=2, secrets=secrets
    )
    assert loaded.parameters == {"epochs": 3, "exclude": ["tips"]}


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.touch()

    assert TRAINING.configuration(path) == configuration.PipelineConfig()


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"image": {}}, "unknown key 'image'. Did you mean 'images'"),
        ({"images": {"tensorflo": "x"}}, "images: unknown key 'tensorflo'. Did you mean"),
        ({"images": {"tfdv": "a b"}}, "images.tfdv: expected an image reference"),
        ({"tasks": {"train_model": {}}}, "Did you mean 'train-model'"),
        ({"tasks": {"train-model": {"memry": "1G"}}}, "tasks.train-model: unknown key 'memry'"),
        ({"tasks": {"train-model": {"gpus": "one"}}}, "train-model.gpus: expected a whole number"),
        ({"tasks": {"train-model": {"caching": 1}}}, "caching: expected true or false"),
        ({"tasks": {"train-model": {"memory": "16 GB"}}}, "memory: expected a size such as 512Mi"),
        ({"tasks": {"train-model": {"image": "lancher!"}}}, "train-model.image: expected an image"),
        ({"tasks": {"train-model": []}}, "tasks.train-model: expected keys and values, found list"),
        ({"defaults": {"timeout": "4 hours"}}, "defaults.timeout: expected a duration"),
        ({"defaults": {"retries": -1}}, "defaults.retries: expected at least 0, found -1"),
        ({"defaults": {"secrets": [{"name": "s"}]}}, "secrets[0]: give env"),
        ({"defaults": {"secrets": [{"env": {}}]}}, "secrets[0]: 'name' is missing"),
        ({"defaults": {"volumes": [{"claim": "Data", "mount_path": "/d"}]}}, "volumes[0].claim"),
        ({"defaults": {"volumes": [{"claim": "d", "mount_path": "d"}]}}, "an absolute path"),
        ({"defaults": {"tolerations": [{"effect": "Never"}]}}, "effect: expected NoSchedule, Pref"),
        ({"defaults": {"tolerations": [{"value": "a"}]}}, "operator Equal needs a key"),
        ({"defaults": {"env": {"1A": "1"}}}, "'1A' is not a valid name for an environment"),
        ({"defaults": {"memory": 4}}, "defaults.memory: expected a size with its unit"),
        ({"defaults": {"cpu": 0}}, "defaults.cpu: expected more than 0"),
        ({"workspace": {"size": "50"}}, "workspace.size: expected a size with its unit"),
        ({"workspace": {"size": "big"}}, "workspace.size: expected a size such as 512Mi"),
        ({"service_account": "Bot"}, "service_account: expected a Kubernetes name"),
        ({"tasks": None}, "tasks: expected keys and values, found nothing"),
        ({"parameters": []}, "parameters: expected keys and values, found list"),
        ([], "expected keys and values, found list"),
    ],
)
def test_a_wrong_key_is_named(document: object, message: str) -> None:
    with pytest.raises(UserError) as caught:
        configuration.parse(document, "run.yaml", TRAINING.tasks)

    assert message in str(caught.value)
    assert str(caught.value).startswith("run.yaml")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("{epoch: 3}", "parameter 'epoch' is unknown. Did you mean 'epochs'?"),
        ("{epochs: many}", "parameter 'epochs': expected a whole number, found 'many'."),
    ],
)
def test_a_wrong_parameter_is_named_with_its_file(
    tmp_path: Path, parameters: str, message: str
) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(f"parameters: {parameters}")

    with pytest.raises(UserError) as caught:
        TRAINING.configuration(path)

    assert str(caught.value).startswith(f"{path}: {message}")


def test_tasks_of_a_pipeline_without_components_of_the_project_are_refused() -> None:
    with pytest.raises(UserError, match="no task of the pipeline is a component of this project"):
        configuration.parse({"tasks": {"count": {}}}, "run.yaml", [])


def test_an_error_in_yaml_is_one_line_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("registry: a\ntasks: [1\n")

    with pytest.raises(UserError) as caught:
        TRAINING.configuration(path)

    assert str(caught.value) == (
        f"{path} line 3, column 1: not YAML: expected ',' or ']', but got '<stream end>'."
    )


@pytest.mark.parametrize("content", ["a: [", "\x00"])
def test_what_is_not_yaml_is_said(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(content)

    with pytest.raises(UserError, match="not YAML"):
        TRAINING.configuration(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere.yaml: cannot be read"):
        TRAINING.configuration(tmp_path / "nowhere.yaml")
