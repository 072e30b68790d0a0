"""Options that several subcommands share."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kfp_tabular.components.common.errors import UserError

if TYPE_CHECKING:
    from kfp_tabular.pipelines.definition import PipelineDefinition

Decorator = Callable[[Callable[..., None]], Callable[..., None]]

FILE = click.Path(path_type=Path, dir_okay=False)

pipeline_option = click.option(
    "--pipeline",
    default="training",
    show_default=True,
    metavar="NAME|PATH.py:FUNCTION",
    help="The pipeline: training, validation, or your own in a Python file.",
)

config_option = click.option(
    "--config",
    type=FILE,
    help="A YAML configuration: images, resources, parameters. config-schema describes it.",
)

params_option = click.option(
    "--param",
    "params",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set a run-time parameter of the pipeline. Repeatable; kfp-tabular params lists them.",
)


def find(pipeline: str) -> "PipelineDefinition":
    """Return the pipeline that `--pipeline` names."""
    from kfp_tabular.pipelines import registry

    return registry.find(pipeline)


def check_shortcuts(
    pipeline: "PipelineDefinition", declared: Mapping[str, Any], given: Mapping[str, str]
) -> None:
    """Check that the options that set one parameter each fit the pipeline.

    Args:
        pipeline: The pipeline.
        declared: Its parameters by name.
        given: The options that are given, such as `--data`, by the parameter that they set.

    Raises:
        UserError: For an option whose parameter the pipeline does not have.
    """
    for parameter, option in given.items():
        if parameter not in declared:
            raise UserError(
                f"{option}: the pipeline {pipeline.name!r} has no parameter {parameter!r}. "
                f"Its parameters: {', '.join(declared)}."
            )
