"""Compiles this project's pipelines to pipeline specs."""

import itertools
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kfp_tabular.components.common import files
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.pipelines import parameters, spec
from kfp_tabular.pipelines.training.config import PipelineConfig, without_latest

if TYPE_CHECKING:
    from kfp import dsl


def _training(config: PipelineConfig) -> "dsl.base_component.BaseComponent":
    from kfp_tabular.pipelines.training.pipeline import training_pipeline

    return training_pipeline(config)


PIPELINES: Mapping[str, Callable[[PipelineConfig], "dsl.base_component.BaseComponent"]] = {
    "training": _training,
}


def compile_pipeline(name: str, config: PipelineConfig, output: Path) -> None:
    """Writes the compiled spec of a pipeline. The same configuration gives the same bytes.

    Args:
        name: The pipeline's name, a key of `PIPELINES`.
        config: Its compile-time configuration.
        output: The YAML file to write, whole or not at all.

    Raises:
        UserError: For an unknown pipeline, a parameter that it does not have, a value that does
            not fit the parameter, or an image that is not pinned.
    """
    from kfp import compiler

    if name not in PIPELINES:
        raise UserError(
            f"no pipeline {name!r}.{closest(name, PIPELINES)} Known: {', '.join(PIPELINES)}."
        )
    without_latest(config)
    pipeline = PIPELINES[name](config)
    defaults = parameters.convert(config.parameters, parameters.types(pipeline.pipeline_spec))
    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(pipeline, str(compiled), pipeline_parameters=defaults)
        files.write_text(output, _with_stable_header(compiled.read_text(encoding="utf-8")))


def _with_stable_header(text: str) -> str:
    """Replaces the comment that the compiler writes first: its order of keys is left to chance."""
    lines = text.splitlines(keepends=True)
    body = "".join(itertools.dropwhile(lambda line: line.startswith("#"), lines))
    document = spec.parse(body)
    declared = document["root"]["inputDefinitions"]["parameters"]
    width = max(map(len, declared))
    header = [f"# Pipeline {document['pipelineInfo']['name']}. Parameters:", "#"]
    for name, entry in declared.items():
        default = entry.get("defaultValue")
        shown = "required" if default is None else json.dumps(default, sort_keys=True)
        header.append(f"#   {name:<{width}}  {entry['parameterType']:<14}  {shown}")
    return "\n".join([*header, "", body])
