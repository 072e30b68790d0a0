"""`kfp-tabular submit`."""

from datetime import datetime
from typing import Any

import click

from kfp_tabular.components.common import documents
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.cli.server_options import (
    server_options,
    submission_options,
    submission_request,
)
from kfp_tabular.pipelines.kubeflow.connection import Server


@click.command("submit")
@server_options
@submission_options
@click.option("--name", default="", help="The run's name; by default the pipeline's and the time.")
@click.option("--wait", is_flag=True, help="Follow the run; exit with 1 if it fails.")
@click.option("--timeout", default="", metavar="DURATION", help="The longest wait, such as 4h.")
def submit_command(server: Server, name: str, wait: bool, timeout: str, **given: Any) -> None:
    """Run a pipeline on Kubeflow Pipelines."""
    from kfp_tabular.pipelines.kubeflow import submission

    limit = _seconds(timeout)
    request = submission_request(name or f"{{pipeline}} {datetime.now():%Y-%m-%d %H:%M:%S}", given)
    submitted = submission.submit(server, request)
    click.echo(f"run:  {submitted.identifier}")
    click.echo(f"page: {submitted.url}")
    if wait:
        _follow(server, submitted.identifier, submitted.tasks, limit)


def _follow(server: Server, run_id: str, tasks: tuple[str, ...], timeout: int) -> None:
    from rich.console import Console

    from kfp_tabular.components.common.process.termination import interrupt_on_termination
    from kfp_tabular.pipelines.kubeflow import following
    from kfp_tabular.pipelines.progress import Progress

    interrupt_on_termination()
    try:
        with Progress(tasks, Console(stderr=True)) as progress:
            outcome = following.follow(server, run_id, tasks, progress, timeout)
    except KeyboardInterrupt:
        click.echo("stopped watching; the run continues", err=True)
        raise
    except following.RunTimeoutError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"ended: {outcome.state.lower()}")
    if outcome.state != following.SUCCEEDED:
        click.echo(f"kfp-tabular: error: {outcome.error or outcome.state.lower()}", err=True)
        raise SystemExit(1)


def _seconds(text: str) -> int:
    try:
        return documents.seconds(text)
    except ValueError as error:
        raise UserError(f"--timeout {text!r}: {error}.") from error
