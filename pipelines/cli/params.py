"""`kfp-tabular params`."""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kfp_tabular.pipelines.cli.options import config_option, find, pipeline_option

if TYPE_CHECKING:
    from kfp_tabular.pipelines.parameters import Parameter


@click.command("params")
@pipeline_option
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, for scripts.")
def params_command(pipeline: str, config: Path | None, as_json: bool) -> None:
    """List the run-time parameters of a pipeline: type, default and meaning.

    Set them with --param KEY=VALUE, or under 'parameters' in a configuration. With --config, the
    defaults are the configuration's, and the parameters that it locks are marked.
    """
    described = _described(pipeline, config)
    if as_json:
        document = [asdict(parameter) for parameter in described]
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    elif sys.stdout.isatty():
        _print_table(described)
    else:
        for parameter in described:
            click.echo(f"{parameter.name}  ({parameter.type}, {_default(parameter)})")
            if parameter.meaning:
                click.echo(f"    {parameter.meaning}")


def _described(pipeline: str, path: Path | None) -> "list[Parameter]":
    from kfp_tabular.pipelines import locked_parameters, parameters

    definition = find(pipeline)
    config = definition.configuration(path)
    built = definition.builder(config)
    defaults = parameters.convert(config.parameters, parameters.types(built.pipeline_spec))
    locked = locked_parameters.values(built, config.locked)
    known = defaults | locked
    return [
        replace(entry, default=known[entry.name], locked=entry.name in locked, required=False)
        if entry.name in known
        else entry
        for entry in parameters.describe(built)
    ]


def _print_table(described: "list[Parameter]") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("parameter", "type", "default", "meaning", box=None, padding=(0, 2, 0, 0))
    for parameter in described:
        default = escape(_default(parameter))
        table.add_row(
            f"[bold]{parameter.name}[/]",
            parameter.type,
            f"[yellow]{default}[/]" if parameter.required else default,
            escape(parameter.meaning),
        )
    Console().print(table)


def _default(parameter: "Parameter") -> str:
    if parameter.required:
        return "required"
    value = json.dumps(parameter.default, ensure_ascii=False)
    return f"locked: {value}" if parameter.locked else value
