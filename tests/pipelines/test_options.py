"""An argument is the same everywhere: in the options, the component and the pipelines that feed it.

KFP needs literal signatures, so a name, type, default and description occurs in the dataclass of a
component's options, in its `component.py` and in the `pipeline.py` of each pipeline. This test
compares them; nothing else has to.
"""

import dataclasses
import importlib
import importlib.util
import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_origin

import pytest

from kfp_tabular import components
from kfp_tabular.components.common import options
from kfp_tabular.components.common.task.component import short
from kfp_tabular.pipelines import registry, spec
from kfp_tabular.pipelines.catalog import interface
from kfp_tabular.pipelines.configuration import PipelineConfig

ROOT = Path(__file__).parents[2]

REQUIRED = {
    ("training", "label"): "A model needs a label; ingestion and validation do without one.",
    ("validation", "schema_uri"): "Without a schema, validation would infer one and always pass.",
}
"""Parameters without a default that feed options with one, and why."""

OWN_DESCRIPTIONS: Mapping[tuple[str, str], str] = {
    ("training", "label"): "Each of its components describes what it does with the label.",
    ("training", "exclude"): "Ingestion does not read them, and the model does not see them.",
    ("training", "model_name"): "Evaluation, registration and deployment use it differently.",
    ("training", "slice_columns"): "Ingestion reads them, and evaluation measures by them.",
    ("training", "entity_columns"): "Ingestion reads them, and evaluation resamples by them.",
    ("training", "fairness_columns"): "Ingestion reads them, and evaluation compares by them.",
    ("validation", "label"): "Both of its components describe what they do with the label.",
    ("training", "seed"): "Search and training draw other random numbers than the evaluation.",
}
"""Parameters whose description is not that of the options that they feed, and why."""

_KINDS = {str: "String", int: "Integer", float: "Float", bool: "Boolean"}
_COLLECTIONS = {dict: "Dict", Mapping: "Dict", list: "List", tuple: "List", Sequence: "List"}


@dataclasses.dataclass(frozen=True)
class Declaration:
    """An argument as one place declares it.

    Attributes:
        kind: KFP's name of its type.
        default: Its default as JSON; `required` without one.
        meaning: Its description on one line.
    """

    kind: str
    default: str
    meaning: str


Declarations = Mapping[str, Declaration]


def of_options(kind: type) -> dict[str, Declaration]:
    """Return what a dataclass of options declares."""
    return {
        name: Declaration(_kind(entry.type), _default(entry.default), entry.meaning)
        for name, entry in options.describe(kind).items()
    }


def of_component(component: Any) -> dict[str, Declaration]:
    """Return what a component declares, artifacts left out."""
    signature = inspect.signature(component.python_func).parameters
    return {
        argument.name: Declaration(
            _plain(component.component_spec.inputs[argument.name].type),
            _default(signature[argument.name].default),
            argument.description,
        )
        for argument in interface.read(component).inputs
        if not argument.artifact
    }


def of_pipeline(pipeline: Any) -> dict[str, Declaration]:
    """Return what a pipeline declares."""
    signature = inspect.signature(pipeline.pipeline_func).parameters
    return {
        name: Declaration(
            _plain(entry.type),
            _default(signature[name].default),
            " ".join((entry.description or "").split()),
        )
        for name, entry in pipeline.component_spec.inputs.items()
    }


def _kind(declared: Any) -> str:
    origin = get_origin(declared) or declared
    return _KINDS.get(origin) or _COLLECTIONS[origin]


def _plain(declared: str) -> str:
    return re.sub(r"\[.*\]$", "", declared.removeprefix("typing."))


def _default(value: Any) -> str:
    if value is inspect.Parameter.empty or value is dataclasses.MISSING:
        return "required"
    return json.dumps(value, sort_keys=True)


def differences(expected: Declarations, found: Declarations) -> list[str]:
    """Return what two places declare differently, one line each."""
    lines = [f"{name}: declared in one place only" for name in expected.keys() ^ found.keys()]
    for name in expected.keys() & found.keys():
        for attribute, wanted in vars(expected[name]).items():
            given = getattr(found[name], attribute)
            if given != wanted:
                lines.append(f"{name}: {attribute} is {given!r}, not {wanted!r}")
    return sorted(lines)


def option_class(component: str) -> type:
    """Return the dataclass of a component's options."""
    module = f"kfp_tabular.components.{components.COMPONENTS[component]}.options"
    found = {
        kind
        for name, kind in vars(importlib.import_module(module)).items()
        if name.endswith("Options") and dataclasses.is_dataclass(kind) and kind.__module__ == module
    }
    parts = {field.type for kind in found for field in dataclasses.fields(kind)}
    parts |= {base for kind in found for base in kind.__mro__[1:]}
    (outer,) = found - parts
    return outer  # type: ignore[return-value]


def fed(pipeline: Any) -> dict[str, list[tuple[str, str]]]:
    """Return the component and argument that each parameter of a pipeline is passed to."""
    document = spec.of(pipeline)
    inputs = {name: name for name in pipeline.component_spec.inputs}
    found: dict[str, list[tuple[str, str]]] = {name: [] for name in inputs}
    for parameter, task, argument in _passed(document, document["root"]["dag"], inputs):
        found[parameter].append((task, argument))
    return found


def _passed(
    document: Mapping[str, Any], dag: Mapping[str, Any], scope: Mapping[str, str]
) -> Iterator[tuple[str, str, str]]:
    """Yield a pipeline's parameter, the component and the argument, conditions included."""
    for task in dag["tasks"].values():
        sources = task.get("inputs", {}).get("parameters", {})
        outside = {
            name: scope[source["componentInputParameter"]]
            for name, source in sources.items()
            if source.get("componentInputParameter") in scope
        }
        component = document["components"][task["componentRef"]["name"]]
        if "dag" in component:
            yield from _passed(document, component["dag"], outside)
            continue
        name = re.sub(r"^comp-|-[0-9]+$", "", task["componentRef"]["name"]).replace("-", "_")
        for argument, parameter in outside.items():
            yield parameter, name, argument


def pipeline_differences(name: str, pipeline: Any) -> list[str]:
    """Return where a pipeline's parameters differ from the arguments that they feed."""
    declared = of_pipeline(pipeline)
    lines = []
    for parameter, targets in fed(pipeline).items():
        found = declared[parameter]
        meanings = set()
        for component, argument in targets:
            wanted = of_component(getattr(components, component))[argument]
            meanings.add(wanted.meaning)
            if found.kind != wanted.kind:
                lines.append(f"{parameter}: type {found.kind}, not {wanted.kind} ({component})")
            expected = "required" if (name, parameter) in REQUIRED else wanted.default
            if found.default != expected:
                lines.append(f"{parameter}: default {found.default}, not {expected} ({component})")
        if not targets:
            lines.append(f"{parameter}: no task uses it")
        elif (name, parameter) in OWN_DESCRIPTIONS:
            if meanings == {found.meaning}:
                lines.append(
                    f"{parameter}: has the options' description; leave it out of the table"
                )
        elif meanings != {found.meaning}:
            lines.append(f"{parameter}: description {found.meaning!r}, not {meanings}")
    return lines


@pytest.mark.parametrize("component", components.COMPONENTS)
def test_a_component_has_the_arguments_of_its_options(component: str) -> None:
    expected = of_options(option_class(component))

    assert differences(expected, of_component(getattr(components, component))) == []


@pytest.mark.parametrize("component", components.COMPONENTS)
def test_a_components_spec_has_the_beginning_of_each_description(component: str) -> None:
    found = getattr(components, component)
    inputs = found.component_spec.inputs
    whole = {argument.name: argument.description for argument in interface.read(found).inputs}

    for name, entry in inputs.items():
        assert entry.description == short(whole[name])


def test_long_descriptions_are_cut_in_the_spec() -> None:
    inputs = components.train_model.component_spec.inputs
    whole = {
        argument.name: argument.description
        for argument in interface.read(components.train_model).inputs
    }

    assert any(len(whole[name]) > len(entry.description) for name, entry in inputs.items())


@pytest.mark.parametrize("name", registry.PIPELINES)
def test_a_pipeline_has_the_arguments_of_its_components(name: str) -> None:
    pipeline = registry.PIPELINES[name].builder(PipelineConfig())

    assert pipeline_differences(name, pipeline) == []


@pytest.mark.parametrize("table", [REQUIRED, OWN_DESCRIPTIONS], ids=["required", "descriptions"])
def test_the_tables_name_parameters_that_exist(table: Mapping[tuple[str, str], str]) -> None:
    known = {
        (name, parameter)
        for name, definition in registry.PIPELINES.items()
        for parameter in definition.builder(PipelineConfig()).component_spec.inputs
    }
    assert set(table) <= known


def test_a_default_changed_in_the_options_alone_is_found() -> None:
    kind = option_class("validate_data")
    field = next(entry for entry in dataclasses.fields(kind) if entry.name == "fail_on")
    changed = dataclasses.make_dataclass(
        "Changed",
        [("fail_on", str, dataclasses.field(default="never", metadata=field.metadata))],
        bases=(kind,),
        frozen=True,
    )

    found = differences(of_options(changed), of_component(components.validate_data))

    assert found == ["""fail_on: default is '"error"', not '"never"'"""]


def _changed(path: Path, old: str, new: str, folder: Path) -> Any:
    """Import a copy of a module in which one text is another."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    copy = folder / f"changed_{path.stem}.py"
    copy.write_text(text.replace(old, new), encoding="utf-8")
    found = importlib.util.spec_from_file_location(copy.stem, copy)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[copy.stem] = module
    found.loader.exec_module(module)
    return module


def test_a_default_changed_in_the_component_alone_is_found(tmp_path: Path) -> None:
    path = ROOT / "components" / "data_validation" / "component.py"
    module = _changed(path, 'fail_on: str = "error"', 'fail_on: str = "never"', tmp_path)

    found = differences(
        of_options(option_class("validate_data")), of_component(module.validate_data)
    )

    assert found == ["""fail_on: default is '"never"', not '"error"'"""]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("batch_size: int = 256", "batch_size: int = 128", "batch_size: default 128, not 256"),
        ("workers: Worker", "workers: Many", "workers: description 'Many"),
        ("workers=workers", "workers=1", "workers: no task uses it"),
    ],
)
def test_a_change_in_the_pipeline_alone_is_found(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = ROOT / "pipelines" / "training" / "pipeline.py"
    pipeline = _changed(path, old, new, tmp_path).training_pipeline

    assert [line for line in pipeline_differences("training", pipeline) if line.startswith(message)]
