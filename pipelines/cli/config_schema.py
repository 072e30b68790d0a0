"""`kfp-tabular config-schema`."""

import json
from pathlib import Path

import click

from kfp_tabular.pipelines.cli.options import PathOption, find, pipeline_option, write_output

_HELP = """Write the JSON schema of a pipeline's configuration, for editors.

An editor with the YAML language server completes and checks a configuration that begins with

\b
# yaml-language-server: $schema=config.schema.json
"""


@click.command("config-schema", help=_HELP)
@pipeline_option
@click.option(
    "--output",
    type=PathOption(),
    help="The file to write; by default the JSON is printed.",
)
def config_schema_command(pipeline: str, output: Path | None) -> None:
    """Write the JSON schema of a pipeline's configuration."""
    from kfp_tabular.pipelines import configuration_schema

    schema = configuration_schema.build(find(pipeline))
    text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    if output is None:
        click.echo(text, nl=False)
        return
    write_output(output, text)
    click.echo(f"{output}: {len(text)} bytes")
