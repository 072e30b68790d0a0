"""`kfp-tabular render`."""

from pathlib import Path
from typing import Any

import click

from kfp_tabular.pipelines.cli.options import (
    PathOption,
    config_option,
    find,
    pipeline_option,
    write_output,
)


@click.command("render")
@click.argument(
    "kind", metavar="tfjob|trainjob|experiment|spark-application|inference-service|inference-graph"
)
@pipeline_option
@config_option
@click.option(
    "--output",
    type=PathOption(),
    help="The file to write; by default the YAML is printed.",
)
@click.option("--namespace", default="", help="The resource's namespace; left out by default.")
@click.option("--run-id", default="", help="The run's id, part of its artifacts' addresses.")
@click.option("--pipeline-root", default="", metavar="URI", help="Where KFP keeps artifacts.")
@click.option("--transformed-examples", default="", metavar="URI", help="The artifact's address.")
@click.option("--transform-graph", default="", metavar="URI", help="The artifact's address.")
@click.option("--model", default="", metavar="URI", help="The address that the model would get.")
@click.option(
    "--hyperparameters",
    type=PathOption(),
    metavar="FILE",
    help="A document that a search found, for a job that would train with it.",
)
@click.option(
    "--task",
    type=click.Choice(["binary", "multiclass", "regression"]),
    metavar="KIND",
    help="binary, multiclass or regression; an experiment needs it if the parameter is auto.",
)
@click.option(
    "--data-task",
    default="transform-features",
    show_default=True,
    metavar="NAME",
    help="For spark-application: the task that processes rows on it.",
)
@click.option(
    "--split",
    multiple=True,
    metavar="NAME=PERCENT",
    help="For inference-graph: an endpoint's share of the requests. Repeatable.",
)
def render_command(
    kind: str,
    pipeline: str,
    config: Path | None,
    output: Path | None,
    task: str | None,
    **known: Any,
) -> None:
    """Show the Kubernetes resource that a task of the pipeline would create.

    Values that are known only when a run starts have a placeholder unless an option gives them; a
    comment at the top lists the placeholders.
    """
    from kfp_tabular.pipelines import render

    definition = find(pipeline)
    run_time = render.RunTime(task=task or "", **known)
    rendered = render.render(kind, definition, definition.configuration(config), run_time)
    text = render.to_yaml(rendered)
    if output is None:
        click.echo(text, nl=False)
    else:
        write_output(output, text)
        click.echo(f"{output}: {rendered.resource['kind']} {rendered.resource['metadata']['name']}")
