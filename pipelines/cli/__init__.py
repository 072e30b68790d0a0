"""The `kfp-tabular` command: a module for each subcommand, `main` to start it."""

from kfp_tabular.pipelines.cli.command import cli, main

__all__ = ["cli", "main"]
