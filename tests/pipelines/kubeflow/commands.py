"""Calls of the commands that talk to a Kubeflow Pipelines server."""

from click.testing import CliRunner, Result

from kfp_tabular.pipelines.cli import cli
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
