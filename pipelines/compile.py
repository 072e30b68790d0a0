"""Compiles pipelines to specs."""

import itertools
import json
import tempfile
from pathlib import Path

from kfp_tabular.components.common import files
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines import parameters, registry, spec
from kfp_tabular.pipelines.configuration import PipelineConfig
from kfp_tabular.pipelines.definition import PipelineDefinition


def compile_pipeline(
    pipeline: PipelineDefinition | str, config: PipelineConfig, output: Path
) -> None:
    """Write the compiled spec of a pipeline. The same configuration gives the same bytes.

    Args:
        pipeline: The pipeline's definition, or what `registry.find` takes: a registered name or
            `PATH.py:function`.
        config: Its compile-time configuration.
        output: The YAML file to write, whole or not at all.

    Raises:
        UserError: As for `compile_text`, for an unknown pipeline, or a file that cannot be written.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     output = Path(folder) / "validation.yaml"
        ...     compile_pipeline("validation", PipelineConfig(), output)
        ...     spec.load(output)["pipelineInfo"]["name"]
        'kfp-tabular-validation'
    """
    definition = registry.find(pipeline) if isinstance(pipeline, str) else pipeline
    text = compile_text(definition, config)
    try:
        files.write_text(output, text)
    except OSError as error:
        raise UserError(f"{output}: cannot be written: {error.strerror}.") from error


def compile_text(definition: PipelineDefinition, config: PipelineConfig) -> str:
    """Return the compiled spec of a pipeline as YAML.

    Args:
        definition: The pipeline's definition.
        config: Its compile-time configuration.

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
    from kfp import compiler

    built = definition.build(config)
    defaults = parameters.convert(config.parameters, parameters.types(built.pipeline_spec))
    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(built, str(compiled), pipeline_parameters=defaults)
        return _with_stable_header(compiled.read_text(encoding="utf-8"))


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
