"""`kfp-tabular params`."""

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from kfp_tabular.pipelines.cli.options import find, pipeline_option

if TYPE_CHECKING:
    from kfp_tabular.pipelines.parameters import Parameter


@click.command("params")
@pipeline_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, for scripts.")
def params_command(pipeline: str, as_json: bool) -> None:
    """List the run-time parameters of a pipeline: type, default and meaning.

    Set them with --param KEY=VALUE, or under 'parameters' in a configuration.
    """
    from kfp_tabular.pipelines import parameters
    from kfp_tabular.pipelines.configuration import PipelineConfig

    described = parameters.describe(find(pipeline).builder(PipelineConfig()))
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
    return json.dumps(parameter.default, ensure_ascii=False)
