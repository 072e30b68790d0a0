"""Calls of the commands that talk to a Kubeflow Pipelines server."""

from typing import Any

import click
from click.testing import CliRunner, Result

from kfp_tabular.pipelines.cli import cli
from kfp_tabular.pipelines.cli.submit import follow_to_end
from kfp_tabular.pipelines.kubeflow.connection import Server
from tests.pipelines.kubeflow.pipelines_server import PipelinesServer

WHAT = ["--data", "gs://bucket/churn.csv", "--label", "churned"]


def call(server: PipelinesServer, *arguments: str) -> Result:
    """Run a command against the server."""
    command, *rest = arguments
    return CliRunner().invoke(
        cli, [command, "--host", server.url, *rest], standalone_mode=False, catch_exceptions=True
    )


def submit(server: PipelinesServer, *arguments: str) -> Result:
    """Run `submit` with the required parameters."""
    return call(server, "submit", *WHAT, *arguments)


TASKS = {
    "ingest-data": (),
    "validate-data": (),
    "transform-features": (),
    "tune-hyperparameters": (),
    "train-model": (),
    "evaluate-model": (),
    "deploy-model": ("condition-1",),
}
"""Those of the training pipeline."""

RUN = "run-1"


def follow(server: PipelinesServer, timeout: int = 0, **options: Any) -> Result:
    """Follow a run of the training pipeline as `submit --wait` does."""
    server.runs[RUN] = {"run_id": RUN}

    @click.command()
    def command() -> None:
        follow_to_end(Server(host=server.url, namespace="team", **options), RUN, TASKS, timeout)

    return CliRunner().invoke(command, standalone_mode=False)
