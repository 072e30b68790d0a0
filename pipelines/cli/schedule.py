"""`kfp-tabular schedule`."""

from datetime import datetime
from typing import Any, Literal

import click

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.cli.options import seconds
from kfp_tabular.pipelines.cli.server_options import (
    server_options,
    submission_options,
    submission_request,
)
from kfp_tabular.pipelines.kubeflow.connection import Server


@click.command("schedule")
@server_options
@submission_options
@click.option("--name", default="", help="The schedule's name; by default the pipeline's.")
@click.option("--cron", required=True, help="When: '0 2 * * *' is every night at two.")
@click.option("--start", default="", metavar="TIME", help="Not before; RFC 3339, with a zone.")
@click.option("--end", default="", metavar="TIME", help="Not after; RFC 3339, with a zone.")
@click.option("--max-concurrency", type=int, default=1, show_default=True, help="Runs at a time.")
@click.option("--catch-up", is_flag=True, help="Make up for runs missed while it was off.")
@click.option("--disabled", is_flag=True, help="Create it, but leave it off.")
@click.option("--replace", is_flag=True, help="Replace a schedule of this name.")
@click.option(
    "--running",
    type=click.Choice(["refuse", "wait", "stop", "leave"]),
    default="refuse",
    show_default=True,
    help="What --replace does if the old schedule has a run that has not ended: refuse; wait for "
    "it; stop it; or leave it to its end and the old schedule switched off.",
)
@click.option("--timeout", default="", metavar="DURATION", help="The longest wait for such a run.")
def schedule_command(
    server: Server,
    name: str,
    cron: str,
    start: str,
    end: str,
    max_concurrency: int,
    catch_up: bool,
    disabled: bool,
    replace: bool,
    running: Literal["refuse", "wait", "stop", "leave"],
    timeout: str,
    **given: Any,
) -> None:
    """Run a pipeline on Kubeflow Pipelines on a schedule."""
    from kfp_tabular.components.common.process.termination import interrupt_on_termination
    from kfp_tabular.pipelines.kubeflow import scheduling
    from kfp_tabular.pipelines.kubeflow.following import RunTimeoutError
    from kfp_tabular.pipelines.kubeflow.replacement import ReplacementPolicy

    if not replace and (running != "refuse" or timeout):
        raise UserError("--running and --timeout are about the old schedule: add --replace.")
    policy = ReplacementPolicy(running, seconds("--timeout", timeout)) if replace else None
    when = scheduling.RunSchedule(
        cron=cron,
        start=_time("--start", start),
        end=_time("--end", end),
        max_concurrency=max_concurrency,
        catch_up=catch_up,
        enabled=not disabled,
    )
    request = submission_request(name or "{pipeline}", given)
    interrupt_on_termination()
    try:
        scheduled = scheduling.schedule(server, request, when, policy, _say)
    except RunTimeoutError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"schedule: {scheduled.identifier}{' (disabled)' if disabled else ''}")
    for identifier in scheduled.replaced:
        click.echo(f"replaced: {identifier}")
    for identifier in scheduled.left:
        click.echo(f"left:     {identifier} (disabled; its run goes on)")
    click.echo(f"page:     {scheduled.url}")


def _say(text: str) -> None:
    click.echo(text, err=True)


def _time(option: str, text: str) -> str:
    if not text:
        return ""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UserError(
            f"{option} {text!r}: expected a time such as 2030-01-31T02:00:00Z."
        ) from error
    if moment.tzinfo is None:
        raise UserError(f"{option} {text!r} has no zone; add Z for UTC, or an offset like +01:00.")
    return moment.isoformat()
