"""`kfp-tabular compile`."""

from pathlib import Path

import click

from kfp_tabular.pipelines.cli.options import PathOption, config_option, find, pipeline_option


@click.command("compile")
@pipeline_option
@config_option
@click.option("--output", type=PathOption(), required=True, help="The YAML to write.")
def compile_command(pipeline: str, config: Path | None, output: Path) -> None:
    """Compile a pipeline to a spec for the Kubeflow UI or the KFP SDK."""
    from kfp_tabular.pipelines.compile import compile_pipeline

    definition = find(pipeline)
    workflow = compile_pipeline(definition, definition.configuration(config), output)
    click.echo(f"{output}: {output.stat().st_size} bytes. {workflow}.")
