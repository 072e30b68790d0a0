"""The registered pipelines, users' own, and how a configuration reaches their tasks."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format

from kfp_tabular import components
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines import configuration, registry, spec, task_definitions
from kfp_tabular.pipelines.compile import compile_pipeline
from kfp_tabular.pipelines.configuration import PipelineConfig, TaskConfig
from kfp_tabular.pipelines.definition import ResultTasks

EACH = pytest.mark.parametrize("name", registry.PIPELINES)

OWN = """
from kfp import dsl, kubernetes
from kfp_tabular.components import train_model, transform_features, validate_data, ingest_data
from kfp_tabular.pipelines.configuration import PipelineConfig


@dsl.component(base_image="python:3.13-slim")
def foreign() -> int:
    return 1


@dsl.pipeline(name="two-models", display_name="Two models")
def two_models(data: str, label: str = "y"):
    \"\"\"Compare two models.\"\"\"
    examples = ingest_data(data_uri=data, label=label).outputs["examples"]
    schema = validate_data(examples=examples, label=label).set_memory_limit("3G")
    schema = schema.outputs["schema"]
    features = transform_features(examples=examples, schema=schema, label=label)
    made = dict(
        transformed_examples=features.outputs["transformed_examples"],
        transform_graph=features.outputs["transform_graph"],
    )
    train_model(**made, model_type="linear")
    train_model(**made, model_type="dnn")
    foreign()


@dsl.pipeline
def limited(data: str):
    kubernetes.set_timeout(ingest_data(data_uri=data), 60)


def with_configuration(config: PipelineConfig):
    @dsl.pipeline(name="configured", display_name=f"in {config.registry or 'public'}")
    def configured(data: str):
        ingest_data(data_uri=data)

    return configured


def not_a_pipeline(data: str, label: str):
    pass


def returns_nothing(config):
    pass


def fails(config):
    raise ValueError("broken")


NUMBER = 3
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return path


def compiled(name: str, document: dict[str, Any], folder: Path) -> tuple[Any, Any]:
    definition = registry.find(name)
    config = configuration.parse(document, "own.yaml", definition.tasks)
    output = folder / "pipeline.yaml"
    compile_pipeline(definition, config, output)
    main, platform = yaml.safe_load_all(output.read_text())
    return main, platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


@EACH
def test_a_definition_agrees_with_its_pipeline(name: str) -> None:
    definition = registry.PIPELINES[name]
    built = definition.build(PipelineConfig())
    document = spec.of(built)
    tasks = spec.tasks(document)

    assert list(definition.tasks) == list(tasks)
    assert set(definition.required_parameters) == set(spec.required_parameters(document))
    assert built.component_spec.name == f"kfp-tabular-{name}"
    results = vars(definition.results).values()
    assert {task for task in results if task} <= set(tasks)


@pytest.mark.parametrize("name", components.COMPONENTS)
def test_the_default_image_of_a_task_is_its_components(name: str) -> None:
    base = getattr(components, name).component_spec.implementation.container.image

    definition = task_definitions.of_component(name)

    assert PipelineConfig().image(name.replace("_", "-"), definition.image) == base


def test_a_component_that_occurs_twice_has_its_defaults_twice(own: Path, tmp_path: Path) -> None:
    document = {
        "registry": "registry.example.com/ml",
        "defaults": {"retries": 1},
        "tasks": {
            "train-model": {"memory": "8G", "cpu": 2},
            "train-model-2": {"memory": "16G", "caching": False},
        },
    }

    main, pods = compiled(f"{own}:two_models", document, tmp_path)

    executors = main["deploymentSpec"]["executors"]
    containers = {name: entry["container"] for name, entry in executors.items()}
    first, second = (containers[f"exec-train-model{suffix}"] for suffix in ("", "-2"))
    assert first["image"] == second["image"]
    assert first["image"].startswith("registry.example.com/ml/tensorflow:")
    assert [entry["resources"]["resourceMemoryLimit"] for entry in (first, second)] == ["8G", "16G"]
    assert [entry["resources"]["resourceCpuLimit"] for entry in (first, second)] == ["2", "2"]
    tasks = main["root"]["dag"]["tasks"]
    assert tasks["train-model"]["cachingOptions"]["enableCache"]
    assert tasks["train-model-2"]["cachingOptions"] == {}
    assert tasks["train-model-2"]["retryPolicy"]["maxRetryCount"] == 1
    assert pods["exec-train-model-2"]["activeDeadlineSeconds"] == "14400"


def test_without_its_own_settings_a_further_task_has_those_of_the_first() -> None:
    config = PipelineConfig(tasks={"train-model": TaskConfig(memory="8G")})

    assert config.task("train-model-2").memory == "8G"
    assert config.task("train-models").memory == ""


def test_the_rest_of_a_pipeline_of_ones_own_stays_as_it_is(own: Path, tmp_path: Path) -> None:
    main, pods = compiled(f"{own}:two_models", {"timeout": "2h"}, tmp_path)

    executors = main["deploymentSpec"]["executors"]
    assert executors["exec-foreign"]["container"]["image"] == "python:3.13-slim"
    assert "exec-foreign" not in pods
    memory = executors["exec-validate-data"]["container"]["resources"]["resourceMemoryLimit"]
    assert memory == "3G"
    assert main["pipelineInfo"] == {
        "name": "two-models",
        "displayName": "Two models",
        "description": "Compare two models.",
    }


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, "60"),
        ({"tasks": {"ingest-data": {"timeout": "2m"}}}, "120"),
        ({"tasks": {"ingest-data": {"timeout": "0"}}}, None),
    ],
)
def test_the_configuration_wins_over_what_the_function_sets(
    own: Path, tmp_path: Path, document: dict[str, Any], expected: str | None
) -> None:
    definition = registry.find(f"{own}:limited")
    config = configuration.parse(document, "own.yaml", definition.tasks)
    built = definition.build(config)
    platform = json_format.MessageToDict(built.component_spec.platform_spec)
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]

    assert pods["exec-ingest-data"].get("activeDeadlineSeconds") == expected


def test_the_definition_of_a_pipeline_of_ones_own_is_read_from_it(own: Path) -> None:
    definition = registry.find(f"{own}:two_models")

    assert definition.name == "two_models"
    assert definition.description == "Compare two models."
    assert list(definition.tasks)[-2:] == ["train-model", "train-model-2"]
    assert "foreign" not in definition.tasks
    assert definition.results == ResultTasks(model="train-model-2", validity="validate-data")
    assert definition.required_parameters == ("data",)


def test_a_function_of_the_configuration_gets_it(own: Path, tmp_path: Path) -> None:
    document = {"registry": "registry.example.com"}

    main, pods = compiled(f"{own}:with_configuration", document, tmp_path)

    assert main["pipelineInfo"]["displayName"] == "in registry.example.com"
    image = main["deploymentSpec"]["executors"]["exec-ingest-data"]["container"]["image"]
    assert image.startswith("registry.example.com/tensorflow:")
    assert pods["exec-ingest-data"]["activeDeadlineSeconds"] == "3600"


def test_settings_of_a_task_that_the_pipeline_does_not_have_are_refused() -> None:
    with pytest.raises(UserError, match=re.escape("tasks: unknown key 'train-model'")):
        configuration.parse(
            {"tasks": {"train-model": {}}}, "a.yaml", registry.PIPELINES["validation"].tasks
        )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("trainning", "pipeline 'trainning' does not exist. Did you mean 'training'?"),
        ("nowhere.py:pipeline", "nowhere.py does not exist"),
        ("{own}", "add the function, as in {own}:NAME. Pipelines in it: two_models, limited."),
        ("{own}:", "add the function"),
        ("{own}:two_model", "{own} has no function 'two_model'. Did you mean 'two_models'?"),
        ("{own}:zzz", "{own} has no function 'zzz'. Pipelines in it: two_models, limited."),
        ("{own}:NUMBER", "{own}:NUMBER is not a pipeline; expected a function decorated with"),
        ("{own}:not_a_pipeline", "{own}:not_a_pipeline is not a pipeline"),
        ("{own}:returns_nothing", "{own}:returns_nothing returns NoneType, not a pipeline"),
        ("{own}:fails", "{own} line 50: ValueError: broken"),
    ],
)
def test_what_is_not_a_pipeline_is_said(own: Path, name: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        registry.find(name.format(own=own))

    assert message.format(own=own) in str(caught.value)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import nothing_of_the_kind", " line 1: ModuleNotFoundError: No module named 'nothing_of"),
        ("a = 1\nb = a.c", " line 2: AttributeError: 'int' object has no attribute 'c'"),
        ("def f(:\n", " line 1: invalid syntax"),
        ("import sys\nsys.exit(3)", ": ends the program (SystemExit: 3)"),
    ],
)
def test_an_error_in_the_file_is_one_line_with_its_place(
    tmp_path: Path, code: str, message: str
) -> None:
    path = tmp_path / "broken.py"
    path.write_text(code)

    with pytest.raises(UserError) as caught:
        registry.find(f"{path}:pipeline")

    assert str(caught.value).startswith(f"{path}{message}")


def test_a_function_that_is_not_decorated_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "plain.py"
    path.write_text("def plain(data_uri: str) -> None:\n    pass\n")

    with pytest.raises(UserError) as caught:
        registry.find(f"{path}:plain")

    assert str(caught.value) == (
        f"{path}:plain is not a pipeline yet; decorate it with @dsl.pipeline."
    )


def test_a_folder_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder, not a Python file"):
        registry.find(f"{tmp_path}:plain")
