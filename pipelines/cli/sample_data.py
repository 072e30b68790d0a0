"""`kfp-tabular sample-data`."""

from pathlib import Path
from typing import Literal

import click

from kfp_tabular.pipelines.cli.options import PathOption


@click.command("sample-data")
@click.option("--rows", type=int, default=20_000, show_default=True, help="Rows to generate.")
@click.option("--seed", type=int, default=7, show_default=True, help="Same seed, same data.")
@click.option(
    "--task",
    type=click.Choice(["binary", "multiclass", "regression"]),
    default="binary",
    show_default=True,
    help="The kind of label.",
)
@click.option("--output", type=PathOption(), required=True, help="The CSV to write.")
def sample_data_command(
    rows: int, seed: int, task: Literal["binary", "multiclass", "regression"], output: Path
) -> None:
    """Generate realistic card transactions with a label to predict."""
    from kfp_tabular.pipelines import sample_data

    table = sample_data.generate(rows, seed, task=task)
    sample_data.write_csv(table, output)
    click.echo(f"{output}: {table.num_rows} rows, {table.num_columns} columns")
