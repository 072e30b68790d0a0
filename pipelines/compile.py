"""Compiles pipelines to specs."""

import itertools
import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_tabular.components.common import files
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.task.component import short
from kfp_tabular.pipelines import (
    lightweight_source,
    model_aliases,
    parameter_checks,
    parameters,
    registry,
    spec,
)
from kfp_tabular.pipelines.configuration import ALWAYS, AUTO, NEVER, PipelineConfig
from kfp_tabular.pipelines.definition import PipelineDefinition
from kfp_tabular.pipelines.workflow_size.estimate import Estimate, check, estimate, has_room

if TYPE_CHECKING:
    from kfp.pipeline_spec import pipeline_spec_pb2

_LONGEST_DESCRIPTION = 100


def compile_pipeline(
    pipeline: PipelineDefinition | str, config: PipelineConfig, output: Path
) -> Estimate:
    """Write the compiled spec of a pipeline. The same configuration gives the same bytes.

    Args:
        pipeline: The pipeline's definition, or what `registry.find` takes: a registered name or
            `PATH.py:function`.
        config: Its compile-time configuration.
        output: The YAML file to write, whole or not at all.

    Returns:
        The estimated size of the Workflow that a run of it becomes on a cluster.

    Raises:
        UserError: As for `compile_text`, for an unknown pipeline, a default that does not fit, a
            Workflow that would be too large, or a file that cannot be written.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     output = Path(folder) / "validation.yaml"
        ...     workflow = compile_pipeline("validation", PipelineConfig(), output)
        ...     spec.load(output)["pipelineInfo"]["name"], workflow.size < 250_000
        ('kfp-tabular-validation', True)
    """
    definition = registry.find(pipeline) if isinstance(pipeline, str) else pipeline
    text = compile_text(definition, config, open_to_users=True)
    document, platform = spec.documents(text)
    parameter_checks.check(document, {})
    workflow = estimate(document, platform)
    check(workflow)
    try:
        files.write_text(output, text)
    except OSError as error:
        raise UserError(f"{output}: cannot be written: {error.strerror}.") from error
    return workflow


def compile_text(
    definition: PipelineDefinition,
    config: PipelineConfig,
    arguments: Mapping[str, Any] = {},
    *,
    open_to_users: bool = False,
) -> str:
    """Return the compiled spec of a pipeline as YAML.

    The task that checks parameters is left out where the Workflow has no room for it.

    Args:
        definition: The pipeline's definition.
        config: Its compile-time configuration.
        arguments: The parameters of its runs as far as they are known. A task is not cached where
            they name a model by an alias.
        open_to_users: Whether runs may be started with other parameters, as in the UI of Kubeflow
            Pipelines. A task is not cached then if a parameter could name a model by an alias.

    Raises:
        UserError: For a parameter that the pipeline does not have, a value that does not fit the
            parameter, or an image that is not pinned.

    Example:
        >>> compile_text(registry.find("validation"), PipelineConfig(parameters={"labl": "price"}))
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: parameter 'labl' is unknown. Did you mean
        'label'? 'kfp-tabular params' lists the pipeline's parameters.
    """
    if config.check_parameters == AUTO:
        checked = replace(config, check_parameters=ALWAYS)
        text = _compiled(definition, checked, arguments, open_to_users=open_to_users)
        if has_room(estimate(*spec.documents(text))):
            return text
        config = replace(config, check_parameters=NEVER)
    return _compiled(definition, config, arguments, open_to_users=open_to_users)


def _compiled(
    definition: PipelineDefinition,
    config: PipelineConfig,
    arguments: Mapping[str, Any],
    *,
    open_to_users: bool,
) -> str:
    from kfp import compiler

    built = definition.build(config)
    defaults = parameters.convert(config.parameters, parameters.types(built.pipeline_spec))
    for name, value in defaults.items():
        if parameters.has_null(value):
            raise UserError(f"parameter {name!r}: a default cannot have null in it; leave it out.")
    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder) / "pipeline.yaml"
        known = {**defaults, **arguments}
        if open_to_users:
            known = model_aliases.any_given(built.pipeline_spec)
        model_aliases.leave_uncached(built.pipeline_spec, known)
        _shorten_descriptions(built.pipeline_spec)
        lightweight_source.remove_docstrings(built.pipeline_spec)
        compiler.Compiler().compile(built, str(compiled), pipeline_parameters=defaults)
        return _with_stable_header(compiled.read_text(encoding="utf-8"))


def _shorten_descriptions(pipeline: "pipeline_spec_pb2.PipelineSpec") -> None:
    """Cut the descriptions of the pipeline's parameters to one line, and leave those of tasks out.

    Nothing on Kubeflow shows a task's descriptions, and the Workflow holds them nine times.
    `kfp-tabular params` has the whole text of the parameters, a component's page that of the rest.
    """
    for component in (pipeline.root, *pipeline.components.values()):
        for definitions in (component.input_definitions, component.output_definitions):
            for entries in (definitions.parameters, definitions.artifacts):
                for entry in entries.values():
                    if component is not pipeline.root:
                        entry.ClearField("description")
                    elif entry.description:
                        entry.description = short(entry.description, _LONGEST_DESCRIPTION)


def _with_stable_header(text: str) -> str:
    """Replace the comment that the compiler writes first, whose keys come in random order."""
    lines = text.splitlines(keepends=True)
    body = "".join(itertools.dropwhile(lambda line: line.startswith("#"), lines))
    document = spec.parse(body)
    declared = spec.parameters(document)
    width = max(map(len, declared), default=0)
    header = [f"# Pipeline {document['pipelineInfo']['name']}. Parameters:", "#"]
    for name, entry in declared.items():
        default = entry.get("defaultValue")
        shown = "required" if default is None else json.dumps(default, sort_keys=True)
        header.append(f"#   {name:<{width}}  {entry['parameterType']:<14}  {shown}")
    return "\n".join([*header, "", body])
