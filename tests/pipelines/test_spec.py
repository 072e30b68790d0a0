"""What is read from the specs of pipelines with importers and with pipelines inside."""

from typing import Any

import pytest
from kfp import dsl

from kfp_tabular.pipelines import destinations, spec, task_arguments
from kfp_tabular.pipelines.destinations import Destination


@dsl.component(base_image="python:3.13-slim")
def train_model(data: dsl.Input[dsl.Dataset], checkpoint_uri: str) -> str:
    return checkpoint_uri


@dsl.pipeline
def inner(folder: str):
    data = dsl.importer(artifact_uri="gs://b/d", artifact_class=dsl.Dataset)
    train_model(data=data.output, checkpoint_uri=folder)


@dsl.pipeline
def nested(folder: str = "/own"):
    inner(folder="/a")
    inner(folder="/b")
    data = dsl.importer(artifact_uri="gs://b/d", artifact_class=dsl.Dataset)
    train_model(data=data.output, checkpoint_uri=folder)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return spec.of(nested)


def test_tasks_of_nested_pipelines_have_names_and_arguments_of_their_own(
    document: dict[str, Any],
) -> None:
    names = [name for name in spec.tasks(document) if name.startswith("train-model")]

    arguments = {
        name: task_arguments.of_task(document, name, {}).values["checkpoint_uri"] for name in names
    }
    assert len(arguments) == 3
    assert set(arguments.values()) == {"/own", "/a", "/b"}
    assert sorted(destinations.of_run(document, {}), key=lambda found: found.uri) == [
        Destination(name, "checkpoint_uri", uri)
        for name, uri in sorted(arguments.items(), key=lambda item: item[1])
    ]


def test_an_importer_has_no_image(document: dict[str, Any]) -> None:
    assert set(spec.tasks(document).values()) == {"python:3.13-slim"}


def test_a_task_has_the_name_that_kubeflow_shows(document: dict[str, Any]) -> None:
    assert spec.groups(document).keys() == {"importer", "train-model"}
