"""`kfp-tabular demo`."""

import logging
import sys
from pathlib import Path

import click

from kfp_tabular.pipelines.cli.options import PathOption, resolved


@click.command("demo")
@click.option(
    "--output",
    type=PathOption(file_okay=False),
    default=Path("demo"),
    show_default=True,
    metavar="DIR",
    help="The demo's folder.",
)
@click.option(
    "--rows",
    type=click.IntRange(min=1),
    default=20_000,
    show_default=True,
    help="Rows of sample data.",
)
def demo_command(output: Path, rows: int) -> None:
    """Go from sample data to a served model and an answered prediction."""
    from kfp_tabular.pipelines.environments.location import Environments
    from kfp_tabular.pipelines.local import demo

    # Without environments, nothing below can run: fail before any data is written.
    Environments.find()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sys.exit(demo.run(resolved(output), rows))
