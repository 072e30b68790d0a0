"""What a component carries in a compiled spec."""

import subprocess
import sys
from typing import Any

import pytest
import yaml
from kfp import compiler, dsl

from kfp_tabular import components
from kfp_tabular.components.common.task import component as declaration

LONG = "word " * 40


@declaration.component(base_image="registry.example.com/ml/counts:1")
def count(
    examples: dsl.Input[dsl.Dataset], page: dsl.Output[dsl.HTML], times: int = 2
) -> int:  # pragma: no cover
    """Count letters.

    A paragraph for people.

    Args:
        examples: The examples. Their order
            does not matter.
        page: A page.
        times: How often a word word word word word word word word word word word word counts.

    Returns:
        The count. Zero without letters.
    """
    return times  # a comment


def test_the_spec_names_the_function_and_holds_no_source(tmp_path: Any) -> None:
    path = tmp_path / "count.yaml"

    compiler.Compiler().compile(count, str(path))

    text = path.read_text()
    for absent in (
        "def count",
        "Args:",
        "a comment",
        "A paragraph",
        "does not",
        "Zero",
        "ephemeral",
    ):
        assert absent not in text
    container = yaml.safe_load(text)["deploymentSpec"]["executors"]["exec-count"]["container"]
    assert container["command"] == ["python3", "-m", "kfp_tabular.components.common.task"]
    assert container["args"][:4] == [
        "--component",
        f"{__name__}:count",
        "--executor_input",
        "{{$}}",
    ]
    assert container["image"] == "registry.example.com/ml/counts:1"


def test_descriptions_are_one_line_in_the_spec_and_whole_on_the_function() -> None:
    spec = count.component_spec

    assert spec.description == count.description == "Count letters."
    assert spec.inputs["examples"].description == "The examples."
    assert (
        spec.inputs["times"].description
        == "How often a word word word word word word word word word..."
    )
    assert spec.outputs["Output"].description in (None, "The count.")
    assert "A paragraph for people." in count.python_func.__doc__


def test_a_component_fits_into_a_pipeline_of_plain_kfp(tmp_path: Any) -> None:
    @dsl.pipeline
    def pipeline() -> None:
        examples = dsl.importer(artifact_uri="gs://bucket/e", artifact_class=dsl.Dataset)
        count(examples=examples.output, times=3)

    path = tmp_path / "pipeline.yaml"
    compiler.Compiler().compile(pipeline, str(path))

    spec = yaml.safe_load(path.read_text())
    assert spec["root"]["dag"]["tasks"]["count"]["inputs"]["parameters"]["times"] == {
        "runtimeValue": {"constant": 3.0}
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("One.", "One."),
        ("One line\n    of two.\nAnother.", "One line of two."),
        ("At least one; 0 for none.", "At least one"),
        ("A number such as 0.5 or 1.5, not more.", "A number such as 0.5 or 1.5, not more."),
        (LONG, "word " * 10 + "word..."),
        ("x" * 100, "x" * 57 + "..."),
    ],
)
def test_short(text: str, expected: str) -> None:
    found = declaration.short(text)

    assert found == expected
    assert len(found) <= declaration.LONGEST_DESCRIPTION


@pytest.mark.parametrize("name", components.COMPONENTS)
def test_in_a_task_a_component_is_its_function(name: str) -> None:
    module = f"kfp_tabular.components.{components.COMPONENTS[name]}.component"
    program = f"import {module} as m, types; assert isinstance(m.{name}, types.FunctionType)"

    subprocess.run([sys.executable, "-c", program], env={"_KFP_RUNTIME": "true"}, check=True)


def test_a_function_that_a_task_cannot_import_is_refused() -> None:
    def inner() -> None: ...

    with pytest.raises(TypeError, match=r"inner: a component is a function at the top of a module"):
        declaration.component(base_image="registry.example.com/ml/counts:1")(inner)
    inner.__qualname__, inner.__module__ = "inner", "__main__"
    with pytest.raises(TypeError, match="use dsl.component for others"):
        declaration.component(base_image="registry.example.com/ml/counts:1")(inner)
