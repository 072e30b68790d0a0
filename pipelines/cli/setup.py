"""`kfp-tabular setup`."""

import sys
from pathlib import Path

import click

from kfp_tabular.pipelines.cli.options import PathOption
from kfp_tabular.pipelines.environments import location


@click.command("setup")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--folder",
    type=PathOption(file_okay=False),
    metavar="DIR",
    help=f"Where to make them; by default ${location.VARIABLE}, a clone's .venvs, or "
    "~/.local/share/kfp-tabular/venvs.",
)
def setup_command(names: tuple[str, ...], folder: Path | None) -> None:
    """Make the environments that run, serve and demo use, from the package's own locks.

    NAME is tensorflow, tfdv, serving or launcher, all of them by default; spark, for the engine
    of that name; or mlflow, for MLflow's server and UI. Needs about 7 GB of disk and a Python
    package index; takes some minutes, once. What is ready is left alone.
    """
    from kfp_tabular.pipelines.environments import installation

    target = (folder or location.default_folder()).absolute()
    try:
        made = installation.install(target, names, lambda line: click.echo(line, err=True))
    except installation.InstallationError as error:
        click.echo(f"kfp-tabular: error: {error}", err=True)
        sys.exit(1)
    click.echo(f"{target}: {', '.join(made) + ' made' if made else 'everything is ready'}")
    if target != location.default_folder().absolute():
        click.echo(f"export {location.VARIABLE}={target}")
