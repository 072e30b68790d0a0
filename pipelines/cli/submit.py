"""`kfp-tabular submit`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from kfp_tabular.components.common.errors import USER_ERROR_EXIT_CODE, USER_ERROR_PREFIX
from kfp_tabular.pipelines.cli.options import seconds
from kfp_tabular.pipelines.cli.server_options import (
    server_options,
    submission_options,
    submission_request,
)
from kfp_tabular.pipelines.kubeflow.connection import Server

if TYPE_CHECKING:
    from kfp_tabular.pipelines.kubeflow.following import RunOutcome


@click.command("submit")
@server_options
@submission_options
@click.option("--name", default="", help="The run's name; by default the pipeline's and the time.")
@click.option("--wait", is_flag=True, help="Follow the run, and exit with 1, or 2, if it fails.")
@click.option("--timeout", default="", metavar="DURATION", help="The longest wait, such as 4h.")
def submit_command(server: Server, name: str, wait: bool, timeout: str, **given: Any) -> None:
    """Run a pipeline on Kubeflow Pipelines."""
    from kfp_tabular.pipelines.kubeflow import submission

    limit = seconds("--timeout", timeout)
    request = submission_request(name or f"{{pipeline}} {datetime.now():%Y-%m-%d %H:%M:%S}", given)
    submitted = submission.submit(server, request)
    click.echo(f"run:  {submitted.identifier}")
    click.echo(f"page: {submitted.url}")
    if wait:
        follow_to_end(server, submitted.identifier, submitted.tasks, limit)


def follow_to_end(
    server: Server, run_id: str, tasks: Mapping[str, Sequence[str]], timeout: int
) -> None:
    """Show a run's tasks until it ends; exit with an error if it fails.

    Args:
        server: The server of the run.
        run_id: The run.
        tasks: The pipeline's tasks, and the conditions and loops around each.
        timeout: Seconds to wait at most; 0 for no limit.
    """
    from rich.console import Console

    from kfp_tabular.components.common.process.termination import interrupt_on_termination
    from kfp_tabular.pipelines.kubeflow import following
    from kfp_tabular.pipelines.progress import Progress

    interrupt_on_termination()
    try:
        with Progress(list(tasks), Console(stderr=True)) as progress:
            outcome = following.follow(server, run_id, tasks, progress, timeout)
    except KeyboardInterrupt:
        click.echo("stopped watching; the run continues", err=True)
        raise
    except following.RunTimeoutError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"ended: {outcome.state}")
    if outcome.unknown:
        click.echo(f"kfp-tabular: warning: {_unknown(outcome)}", err=True)
    if outcome.state != "succeeded":
        for line in _errors(outcome):
            click.echo(f"{USER_ERROR_PREFIX}{line}", err=True)
        raise SystemExit(USER_ERROR_EXIT_CODE if outcome.is_user_error else 1)


def _errors(outcome: "RunOutcome") -> list[str]:
    lines = [outcome.error] if outcome.error else []
    lines += [str(failure) for failure in outcome.failures]
    if outcome.state == "stopped":
        during = f" while {' and '.join(outcome.stopped)} ran" if outcome.stopped else ""
        lines.append(f"the run was stopped{during}.")
    return lines or [f"the run {outcome.state}; the server does not say where."]


def _unknown(outcome: "RunOutcome") -> str:
    workflow = f"'kubectl get workflow {outcome.workflow} -o yaml'" if outcome.workflow else "Argo"
    return (
        f"the server knows no end of {', '.join(outcome.unknown)}. Kubeflow Pipelines does not "
        "read the tasks of a Workflow that grew beyond 1 MiB, since Argo compresses them; "
        f"{workflow} has them for as long as the Workflow is kept."
    )
