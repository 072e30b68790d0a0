"""The process of a task, as a container starts it."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from kfp_tabular import components
from kfp_tabular.components import COMPONENTS as NAMES
from kfp_tabular.components import ingest_data
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.task import task_process

COMPONENTS_OF_PROJECT = [getattr(components, name) for name in NAMES]

COMPONENTS = '''
import os

from kfp import dsl

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.task.component import component


@component(base_image="registry.example.com/ml/counts:1")
def count(text: str, page: dsl.Output[dsl.Markdown], times: int = 2) -> int:
    """Count letters."""
    if not text:
        raise UserError("text is empty;\\n expected at least one letter.")
    if times < 0:
        raise RuntimeError("a defect")
    with open(page.path, "w") as stream:
        stream.write(f"{text} in a task: {os.environ['_KFP_RUNTIME']}")
    page.metadata["letters"] = len(text)
    return len(text) * times
'''


def start(
    folder: Path, component: str = "counts:count", **parameters: Any
) -> subprocess.CompletedProcess[str]:
    """Run a component of the module `counts` in `folder` and return its process."""
    source = folder / "counts.py"
    if not source.exists():
        source.write_text(COMPONENTS)
    executor_input = {
        "inputs": {"parameterValues": parameters},
        "outputs": {
            "outputFile": str(folder / "out" / "executor_output.json"),
            "artifacts": {
                "page": {
                    "artifacts": [
                        {
                            "name": "page",
                            "type": {"schemaTitle": "system.Markdown"},
                            "uri": str(folder / "out" / "page"),
                        }
                    ]
                }
            },
        },
    }
    arguments = ["--component", component, "--executor_input", json.dumps(executor_input)]
    return subprocess.run(
        [sys.executable, "-m", task_process.MODULE, *arguments],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_outputs_are_where_kfp_expects_them(tmp_path: Path) -> None:
    done = start(tmp_path, text="abc", times=4)

    assert done.returncode == 0, done.stdout + done.stderr
    written = json.loads((tmp_path / "out" / "executor_output.json").read_text())
    assert written["parameterValues"] == {"Output": 12}
    (page,) = written["artifacts"]["page"]["artifacts"]
    assert page["metadata"] == {"letters": 3}
    assert Path(page["uri"]).read_text() == "abc in a task: true"
    assert 'count({"text": "abc", "times": 4})' in done.stdout


def test_bad_input_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    done = start(tmp_path, text="")

    assert done.returncode == 2
    assert (
        "kfp-tabular: error: text is empty; expected at least one letter."
        in done.stdout.splitlines()[-1]
    )
    assert "Traceback" not in done.stdout + done.stderr


def test_a_defect_is_a_traceback_and_exit_code_1(tmp_path: Path) -> None:
    done = start(tmp_path, text="abc", times=-1)

    assert done.returncode == 1
    assert "RuntimeError: a defect" in done.stderr


@pytest.mark.parametrize(
    ("component", "parameters", "problem"),
    [
        ("counts:count", {"text": "a", "colour": 1}, "does not have the argument colour"),
        ("counts:count", {"times": 1}, "requires the argument text, which the spec lacks"),
        ("counts:sum_up", {"text": "a"}, "has no component counts:sum_up"),
        ("count.component:count", {"text": "a"}, "has no component count.component:count"),
    ],
)
def test_a_spec_of_another_version_is_refused(
    component: str, parameters: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    done = start(tmp_path, component, **parameters)

    assert done.returncode == 2
    line = done.stdout.splitlines()[-1]
    assert problem in line
    assert "use the images of the version that compiled it" in line


def test_an_output_of_another_version_is_refused() -> None:
    """KFP's executor would leave it out, and a later task would not find it."""
    artifacts = ("chart", "examples", "page", "rejected_rows", "summary")
    executor_input = {
        "inputs": {"parameterValues": {"data_uri": "a"}},
        "outputs": {
            "artifacts": {name: {} for name in artifacts},
            "parameters": {"Output": {}},
        },
    }

    with pytest.raises(UserError, match="ingest_data of .* have the output Output, chart, page"):
        task_process._check_arguments(ingest_data.python_func, executor_input)


@pytest.mark.parametrize("component", COMPONENTS_OF_PROJECT, ids=lambda each: each.name)
def test_a_spec_of_this_version_is_accepted(component: Any) -> None:
    spec = component.component_spec
    inputs = dict.fromkeys(spec.inputs or {}, "x")
    outputs = {name: {} for name in spec.outputs or {}}

    task_process._check_arguments(
        component.python_func,
        {"inputs": {"parameterValues": inputs}, "outputs": {"artifacts": outputs}},
    )


def test_a_module_that_a_component_lacks_is_a_defect_of_the_image(tmp_path: Path) -> None:
    (tmp_path / "counts.py").write_text("import nowhere_to_be_found")

    done = start(tmp_path, text="a")

    assert done.returncode == 1
    assert "No module named 'nowhere_to_be_found'" in done.stderr


def test_starting_a_task_imports_neither_the_compiler_nor_tensorflow(tmp_path: Path) -> None:
    source = COMPONENTS.replace("return len", "import sys; print(*sys.modules); return len")
    (tmp_path / "counts.py").write_text(textwrap.dedent(source))

    done = start(tmp_path, text="abc")

    loaded = set(done.stdout.split())
    assert "kfp.dsl.executor" in loaded
    assert not loaded & {"kfp.compiler", "tensorflow", "pyarrow", "kubernetes", "google.protobuf"}
