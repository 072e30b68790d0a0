"""What a task is called with, read from a spec."""

from typing import Any

import pytest
from google.protobuf import json_format
from kfp import dsl

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines import task_arguments


@dsl.component(base_image="python:3.13-slim")
def make(text: str = "none", number: int = 7) -> str:
    return f"{text} {number}"


@dsl.component(base_image="python:3.13-slim")
def use(
    run_id: str,
    text: str = "",
    job: dict = {"cpu": "1"},  # noqa: B006 - KFP reads it
    fixed: int = 3,
    left_out: float = 0.5,
):
    print(run_id, text, job, fixed, left_out)


@dsl.pipeline(name="example")
def example(
    label: str,
    job: dict = {},  # noqa: B006 - KFP reads it
    on: bool = True,
    number: int = 3,
    both: str = "b",
):
    first = make(text=label, number=number)
    use(run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER, text=first.output, job=job, fixed=5)
    with dsl.If(on == True, name="on"), dsl.If(number > 2, name="more"):  # noqa: E712 - KFP's
        make(text=both)


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    document: dict[str, Any] = json_format.MessageToDict(example.pipeline_spec)
    return document


def test_parameters_constants_and_defaults_are_known(spec: dict[str, Any]) -> None:
    found = task_arguments.of_task(spec, "use", {"label": "x", "job": {"cpu": "2"}}, run_id="r-1")

    assert found.values == {"run_id": "r-1", "job": {"cpu": "2"}, "fixed": 5, "left_out": 0.5}
    assert found.later == {"text"}


def test_a_parameter_left_out_has_the_pipelines_default_and_not_the_components(
    spec: dict[str, Any],
) -> None:
    assert task_arguments.of_task(spec, "use", {}).values["job"] == {}
    assert task_arguments.of_task(spec, "make", {"label": "x"}).values == {"text": "x", "number": 3}


def test_what_a_required_parameter_would_be_is_not_made_up(spec: dict[str, Any]) -> None:
    found = task_arguments.of_task(spec, "make", {})

    assert "text" not in found.values
    assert found.later == {"text"}


def test_tasks_inside_conditions_are_found(spec: dict[str, Any]) -> None:
    assert task_arguments.of_task(spec, "make-2", {"both": "c"}).values == {
        "text": "c",
        "number": 7,
    }


def test_a_task_that_is_not_there_is_an_error(spec: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="no task 'train', only"):
        task_arguments.of_task(spec, "train", {})
