"""The size of the Workflow: what is in a spec, how often Argo stores it, and what is refused."""

import ast
import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from google.protobuf import json_format
from kfp import dsl

from kfp_tabular import components
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines import configuration, registry, spec
from kfp_tabular.pipelines.cli import cli
from kfp_tabular.pipelines.compile import compile_pipeline, compile_text
from kfp_tabular.pipelines.configuration import PipelineConfig
from kfp_tabular.pipelines.workflow_size import workflow
from kfp_tabular.pipelines.workflow_size.estimate import (
    LIMIT,
    LIMIT_WITH_RETRIES,
    Estimate,
    check,
    estimate,
)

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.yaml"))
TASK_BYTES = 6_000

MEASURED_WITH_SOURCE = 1_235_275
MEASURED_WITHOUT_DOCSTRINGS = 837_770
"""Bytes of Workflows of the training pipeline on KFP 2.17.0 and Argo 4.0.5: when the spec held each
component's source, and without docstrings in it and descriptions of components."""

METADATA_THEN = {f"key-{number:02}": "x" * 40 for number in range(40)}
"""As long as the whole lineages that artifacts had as their metadata in those runs."""


ADDED_SINCE = {
    "ingest_data": (
        "column_formats",
        "csv_comment",
        "csv_escape",
        "csv_header",
        "csv_quote",
        "entity_columns",
        "exclude",
        "fairness_columns",
        "keep",
        "nested",
        "odd_values",
        "outline",
        "processing",
        "slice_columns",
    ),
    "validate_data": ("exclude", "processing"),
    "transform_features": ("positive_class", "processing"),
    "train_model": ("budget_seconds", "calibration", "examples", "outcome_values"),
    "evaluate_model": (
        "accept",
        "baseline",
        "entity_columns",
        "explanation_repetitions",
        "explanation_rows",
        "explanations",
        "fairness_columns",
        "fairness_thresholds",
        "false_negative_cost",
        "false_positive_cost",
        "intended_use",
        "model_card",
        "model_name",
        "outcome_values",
        "processing",
        "slice_correction",
        "tracking_uri",
    ),
    "deploy_model": ("registered_version", "signing_key", "tracking_uri"),
}
"""By component, the arguments that it did not have in those runs."""

TASKS_SINCE = ("register-model",)
"""Tasks that the pipeline did not have in those runs."""

DOCSTRING_BYTES_THEN = {
    "ingest_data": 3_455,
    "validate_data": 3_789,
    "transform_features": 3_224,
    "train_model": 5211,
    "evaluate_model": 3_611,
    "deploy_model": 2940,
}
"""By component, the length of its docstring in those runs."""

BODY_BYTES_AT_MOST = {
    "ingest_data": 1_017,
    "validate_data": 1_077,
    "transform_features": 1_059,
    "train_model": 1_274,
    "evaluate_model": 1_309,
}
"""By component, a bound on the code below its docstring in those runs: since then it opens an
engine, or reads raw examples, too."""


def compact(value: Any) -> int:
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def leaves(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield the name, the component and the executor of everything that runs in a container."""
    executors = document["deploymentSpec"]["executors"]
    for name, component in document["components"].items():
        if "executorLabel" in component:
            yield name, component, executors[component["executorLabel"]]


def descriptions(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, entry in value.items():
            if key == "description" and isinstance(entry, str):
                yield entry
            yield from descriptions(entry)


def tasks(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for component in (document["root"], *document["components"].values()):
        yield from component.get("dag", {}).get("tasks", {}).values()


def with_source() -> dict[str, Any]:
    """Return the training pipeline's spec as plain `dsl.component` makes it: source and all."""
    document = spec.of(registry.find("training").build(PipelineConfig()))
    for name in components.COMPONENTS:
        function = getattr(components, name).python_func
        plain = dsl.component(
            function, base_image="ghcr.io/i/tensorflow:1", install_kfp_package=False
        )
        alone = json_format.MessageToDict(plain.pipeline_spec)
        document["components"] |= alone["components"]
        document["deploymentSpec"]["executors"] |= alone["deploymentSpec"]["executors"]
    return document


def without_what_was_added(document: dict[str, Any]) -> None:
    """Remove the tasks and arguments that were added since the measurement; cut the docstrings."""
    for task in TASKS_SINCE:
        component = document["components"].pop(f"comp-{task}")
        del document["deploymentSpec"]["executors"][component["executorLabel"]]
        del document["root"]["dag"]["tasks"][task]
        for inner in document["root"]["dag"]["tasks"].values():
            inner["dependentTasks"] = [
                name for name in inner.get("dependentTasks", []) if name != task
            ]
    inside = ("register-model-version", "signing_key", "tracking_uri")
    channels = {f"pipelinechannel--{name}" for name in inside}
    for holder in (*tasks(document), *document["components"].values()):
        for definitions in (holder.get("inputs", {}), holder.get("inputDefinitions", {})):
            for name in channels & definitions.get("parameters", {}).keys():
                del definitions["parameters"][name]
    for name, added in ADDED_SINCE.items():
        reference = f"comp-{name.replace('_', '-')}"
        component = document["components"][reference]
        called = [t["inputs"] for t in tasks(document) if t["componentRef"]["name"] == reference]
        command = document["deploymentSpec"]["executors"][component["executorLabel"]]["container"][
            "command"
        ]
        for argument in added:
            definitions = [component["inputDefinitions"], component["outputDefinitions"], *called]
            holders = [e for entries in definitions for e in entries.values() if argument in e]
            for holder in holders:
                del holder[argument]
            command[-1], signatures = re.subn(rf"(?m)^    {argument}: \S.*,\n", "", command[-1])
            assert (bool(holders), signatures) == (True, 1), argument
        before, docstring, after = command[-1].split('"""')
        inside = DOCSTRING_BYTES_THEN[name] - 2 * len('"""')
        assert len(docstring) > inside
        if name in BODY_BYTES_AT_MOST:
            # As comments, because what is cut off anywhere is no code.
            lines = after[: BODY_BYTES_AT_MOST[name]].splitlines()
            after = "\n    pass\n" + "\n".join(f"#{line[1:]}" for line in lines)
        command[-1] = '"""'.join((before, docstring[:inside], after))
    passed = {
        source.get("componentInputParameter")
        for task in tasks(document)
        for source in task.get("inputs", {}).get("parameters", {}).values()
    }
    declared = document["root"]["inputDefinitions"]["parameters"]
    for name in set(declared) - passed:
        del declared[name]


def without_docstrings(document: dict[str, Any]) -> None:
    """Remove docstrings from the sources, and the descriptions of components."""
    for _, component, executor in leaves(document):
        for definitions in ("inputDefinitions", "outputDefinitions"):
            for kind in component.get(definitions, {}).values():
                for entry in kind.values():
                    entry.pop("description", None)
        command = executor["container"]["command"]
        lines = command[-1].splitlines(keepends=True)
        (function,) = [e for e in ast.parse(command[-1]).body if isinstance(e, ast.FunctionDef)]
        docstring = function.body[0]
        assert docstring.end_lineno is not None
        command[-1] = "".join(lines[: docstring.lineno - 1] + lines[docstring.end_lineno :])


def test_the_estimate_agrees_with_what_was_measured_on_a_cluster() -> None:
    document = with_source()
    without_what_was_added(document)
    full = workflow.measure(document, {}, {}, metadata=METADATA_THEN).total
    without_docstrings(document)
    slim = workflow.measure(document, {}, {}, metadata=METADATA_THEN).total

    assert full == pytest.approx(MEASURED_WITH_SOURCE, rel=0.05)
    assert slim == pytest.approx(MEASURED_WITHOUT_DOCSTRINGS, rel=0.05)


@dsl.component(base_image="registry.example.com/ml/counts:1", install_kfp_package=False)
def count(text: str = "", other: str = "") -> int:
    return len(text + other)


@dsl.pipeline(name="counting")
def counting(text: str = "") -> None:
    count(text=text)


@pytest.mark.parametrize(
    ("where", "first", "retried"),
    [
        # A parameter of the Workflow, two driver nodes, and six times in pod-spec-patch: outputs of
        # the driver's two nodes, inputs of the executor's four. Two more attempts: two more pods.
        ("component", 9, 11),
        ("command", 9, 11),
        # In pod-spec-patch only, as part of the executor's input; the root driver has the run's
        # parameters in the template and in two nodes.
        ("argument", 9, 11),
        # The root's specification: parameter of the Workflow and two driver nodes.
        ("root", 3, 3),
        # A task's specification: the DAG's template and two driver nodes, and within the root.
        ("task", 6, 6),
    ],
)
def test_how_often_a_workflow_holds_it(where: str, first: int, retried: int) -> None:
    def document(text: str) -> dict[str, Any]:
        made = spec.of(counting)
        ((_, component, executor),) = leaves(made)
        if where == "component":
            component["inputDefinitions"]["parameters"]["text"]["description"] = text
        elif where == "command":
            executor["container"]["command"].append(text)
        elif where == "root":
            made["root"]["inputDefinitions"]["parameters"]["text"]["description"] = text
        (task,) = tasks(made)
        task["retryPolicy"] = {"maxRetryCount": 2, "backoffFactor": 2.0}
        task["taskInfo"]["name"] = text if where == "task" else "count"
        return made

    def grown(retried: bool) -> int:
        sizes = [
            workflow.measure(
                document("x" * length),
                {},
                {"text": "x" * length} if where == "argument" else {},
                retried=retried,
            ).total
            for length in (1000, 2000)
        ]
        return sizes[1] - sizes[0]

    assert grown(retried=False) == first * 1000
    assert grown(retried=True) == retried * 1000


def test_quotes_are_escaped_once_and_twice() -> None:
    def size(text: str) -> int:
        made = spec.of(counting)
        ((_, _, executor),) = leaves(made)
        executor["container"]["command"].append(text)
        return workflow.measure(made, {}, {}).total

    # A quote is \" in the three copies of the container's JSON, which is itself a string of the
    # Workflow, and \\\" in the six that are strings of the JSON in pod-spec-patch.
    assert size('"' * 100) - size("x" * 100) == 100 * (3 * 3 + 6 * 3)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_largest_task_carries_six_kilobytes(path: Path) -> None:
    for name, component, executor in leaves(spec.load(path)):
        assert compact(component) + compact(executor) < TASK_BYTES, name


@pytest.mark.parametrize("name", components.COMPONENTS)
def test_a_component_carries_six_kilobytes_into_a_pipeline_of_plain_kfp(name: str) -> None:
    ((_, component, executor),) = leaves(spec.of(getattr(components, name)))

    assert compact(component) + compact(executor) < TASK_BYTES


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_spec_holds_no_source_and_one_line_for_each_parameter(path: Path) -> None:
    document = spec.load(path)

    assert not re.search(r"\bdef |Args:|Raises:|import ", json.dumps(document))
    for entry in spec.parameters(document).values():
        assert 10 < len(entry["description"]) <= 100
        assert "\n" not in entry["description"]
    assert not list(descriptions(document["components"]))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_every_golden_workflow_is_below_the_limit(path: Path) -> None:
    text = path.read_text()

    assert estimate(*spec.documents(text)).size < LIMIT


def test_retries_on_every_task_stay_below_the_limit(tmp_path: Path) -> None:
    config = configuration.parse(
        {"defaults": {"retries": 2}}, "c.yaml", registry.find("training").tasks
    )

    found = compile_pipeline("training", config, tmp_path / "training.yaml")

    assert found.size < LIMIT
    assert found.size < found.size_with_retries < LIMIT_WITH_RETRIES


BULKY = """
from kfp import dsl

TEXT = "{text}"


@dsl.component(base_image="registry.example.com/ml/bulk:1", install_kfp_package=False)
def bulky(text: str = TEXT) -> str:
    return text


@dsl.component(base_image="registry.example.com/ml/bulk:1", install_kfp_package=False)
def small(text: str) -> str:
    return text


@dsl.pipeline(name="bulk")
def bulk(count: int = 1, texts: list = [], word: str = ""):
    {body}
"""


def bulk(folder: Path, body: str, text: str = "") -> registry.PipelineDefinition:
    path = folder / "bulk.py"
    path.write_text(BULKY.format(text=text, body=body))
    return registry.find(f"{path}:bulk")


def test_a_large_component_is_refused_by_name(tmp_path: Path) -> None:
    definition = bulk(tmp_path, "small(text=bulky().output)", "x" * 60_000)
    output = tmp_path / "bulk.yaml"

    with pytest.raises(UserError) as refused:
        compile_pipeline(definition, PipelineConfig(), output)

    message = str(refused.value)
    assert re.search(
        r"Workflow would take about \d{3} KB on a cluster, and at most 800 KB", message
    )
    assert re.search(r"Largest tasks: bulky \d{3} KB, small \d+ KB\. Shorten", message)
    assert "\n" not in message
    assert not output.exists()
    # A run on this machine has no Workflow.
    assert compile_text(definition, PipelineConfig())


def test_many_small_tasks_are_refused(tmp_path: Path) -> None:
    definition = bulk(tmp_path, "[small(text=str(n)) for n in range(60)]")

    with pytest.raises(UserError, match=r"Workflow would take about .* split the pipeline"):
        compile_pipeline(definition, PipelineConfig(), tmp_path / "bulk.yaml")


def test_attempts_are_refused_where_only_they_are_too_many(tmp_path: Path) -> None:
    definition = bulk(tmp_path, "[small(text=str(n)).set_retry(100) for n in range(3)]")

    with pytest.raises(UserError, match=r"if every task used all its retries.*set fewer retries"):
        compile_pipeline(definition, PipelineConfig(), tmp_path / "bulk.yaml")


def test_the_iterations_of_a_loop_count(tmp_path: Path) -> None:
    body = """with dsl.ParallelFor([{items}]) as item:
        small(text=item)"""

    sizes = [
        compile_pipeline(
            bulk(tmp_path, body.format(items=", ".join(f"'{n}'" for n in range(count)))),
            PipelineConfig(),
            tmp_path / "bulk.yaml",
        ).size
        for count in (1, 2, 3)
    ]

    assert sizes[2] - sizes[1] == pytest.approx(sizes[1] - sizes[0], rel=0.05)
    assert sizes[1] - sizes[0] > 20_000
    with pytest.raises(UserError, match="Largest tasks: small"):
        compile_pipeline(
            bulk(tmp_path, body.format(items=str(list(map(str, range(200))))[1:-1])),
            PipelineConfig(),
            tmp_path / "bulk.yaml",
        )


@pytest.mark.parametrize("how", ["locked", "parameters", "arguments"])
def test_a_loop_over_a_parameter_is_as_long_as_its_value(how: str, tmp_path: Path) -> None:
    body = """with dsl.If(count == 1):
        with dsl.ParallelFor(['a', 'b', 'c']):
            with dsl.ParallelFor(texts) as item:
                small(text=item)"""
    definition = bulk(tmp_path, body)

    def size(count: int) -> Estimate:
        value = {"texts": list(map(str, range(count)))}
        given = {} if how == "arguments" else {how: value}
        text = compile_text(definition, PipelineConfig(**given))
        arguments = value if how == "arguments" else {}
        return estimate(*spec.documents(text), arguments)

    one, two, ten = map(size, (1, 2, 10))

    assert one.open_loops == ten.open_loops == ()
    assert two.tasks["small"] == pytest.approx(2 * one.tasks["small"], rel=0.1)
    with pytest.raises(UserError, match="Largest tasks: small"):
        check(ten)


def test_a_long_value_counts_in_a_loop_as_outside(tmp_path: Path) -> None:
    body = "with dsl.ParallelFor(['a', 'b']) as item:\n        small(text=texts)"
    definition = bulk(tmp_path, body.replace("texts", "word"))

    def size(word: str) -> int:
        text = compile_text(definition, PipelineConfig(parameters={"word": word}))
        return estimate(*spec.documents(text)).tasks["small"]

    assert size("x" * 10_000) - size("") > 2 * 3 * 10_000


def test_a_loop_of_unknown_length_is_said(tmp_path: Path) -> None:
    body = "with dsl.ParallelFor(texts) as item:\n        small(text=item)"

    found = compile_pipeline(bulk(tmp_path, body), PipelineConfig(), tmp_path / "bulk.yaml")

    assert found.open_loops == ("for-loop-1",)
    assert "counted as one iteration: for-loop-1" in str(found)


def test_pods_of_a_task_count(tmp_path: Path) -> None:
    plain = compile_pipeline("validation", PipelineConfig(), tmp_path / "v.yaml")
    volumes = [{"claim": f"claim-{n}", "mount_path": f"/mnt/{n}"} for n in range(20)]
    config = configuration.parse(
        {"defaults": {"labels": {"team": "fraud"}}, "tasks": {"ingest-data": {"volumes": volumes}}},
        "c.yaml",
        registry.find("validation").tasks,
    )
    placed = compile_pipeline("validation", config, tmp_path / "v.yaml")

    assert placed.tasks["ingest-data"] - plain.tasks["ingest-data"] > 20 * 9 * 40
    assert dataclasses.asdict(plain)["open_loops"] == ()


def test_conditions_nested_pipelines_and_importers_count(tmp_path: Path) -> None:
    path = tmp_path / "nested.py"
    path.write_text("""
from kfp import dsl


@dsl.component(base_image="registry.example.com/ml/bulk:1", install_kfp_package=False)
def small(text: str) -> str:
    return text


@dsl.component(base_image="registry.example.com/ml/bulk:1", install_kfp_package=False)
def look(data: dsl.Input[dsl.Dataset]) -> str:
    return data.uri


@dsl.pipeline
def inner(text: str):
    with dsl.If(small(text=text).output == "x"):
        small(text="in")


@dsl.pipeline(name="nested")
def nested(text: str = "a"):
    look(data=dsl.importer(artifact_uri="gs://b/d", artifact_class=dsl.Dataset).output)
    end = small(text="end")
    with dsl.ExitHandler(end):
        inner(text=text)
""")

    found = compile_pipeline(f"{path}:nested", PipelineConfig(), tmp_path / "nested.yaml")

    assert {"importer", "look", "inner", "small", "small-2", "condition-1"} <= set(found.tasks)
    assert all(count > 3_000 for count in found.tasks.values())


def test_the_limits_are_said_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs/decisions/workflow-size.md").read_text()

    for figure in (
        "800 KB",
        "1 MiB",
        f"{MEASURED_WITH_SOURCE:,}",
        f"{MEASURED_WITHOUT_DOCSTRINGS:,}",
    ):
        assert figure in page


def test_compile_prints_the_estimate(tmp_path: Path) -> None:
    output = tmp_path / "training.yaml"

    done = CliRunner().invoke(cli, ["compile", "--output", str(output)])

    assert done.exit_code == 0
    assert re.fullmatch(
        rf"{re.escape(str(output))}: \d+ bytes\. "
        r"Workflow on a cluster: about \d{3} KB of at most 800 KB\.\n",
        done.output,
    )
