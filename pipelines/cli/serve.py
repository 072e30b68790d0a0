"""`kfp-tabular serve`."""

import os
from pathlib import Path

import click

from kfp_tabular.pipelines.cli.options import PathOption


@click.command("serve")
@click.option(
    "--model",
    type=PathOption(),
    required=True,
    metavar="DIR",
    help="A model's directory, or that of a model in a repository (its newest version is served).",
)
@click.option("--name", help="The model's name in URLs; by default that of its directory.")
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    default=8080,
    show_default=True,
    help="The port to listen on.",
)
@click.option("--lenient", is_flag=True, help="Take values as CSV readers and pandas give them.")
def serve_command(model: Path, name: str | None, port: int, lenient: bool) -> None:
    """Serve a model over HTTP with KServe's v1 and v2 protocols."""
    from kfp_tabular.components.common import images
    from kfp_tabular.components.common.process.tensorflow import ENVIRONMENT
    from kfp_tabular.pipelines.environments.location import Environments

    python = str(Environments.find().python(images.SERVING))
    command = [python, "-m", "kfp_tabular.serving", "--model", str(model), "--port", str(port)]
    if name:
        command += ["--name", name]
    if lenient:
        command.append("--lenient")
    # The server replaces this process, so it receives signals and sets the exit code itself.
    os.execve(python, command, {**os.environ, **ENVIRONMENT})  # noqa: S606 - our own program
