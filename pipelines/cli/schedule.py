"""`kfp-tabular schedule`."""

from datetime import datetime
from typing import Any

import click

from kfp_tabular.components.common.errors import UserError
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
    **given: Any,
) -> None:
    """Run a pipeline on Kubeflow Pipelines on a schedule."""
    from kfp_tabular.pipelines.kubeflow import submission

    when = submission.RunSchedule(
        cron=cron,
        start=_time("--start", start),
        end=_time("--end", end),
        max_concurrency=max_concurrency,
        catch_up=catch_up,
        enabled=not disabled,
    )
    request = submission_request(name or "{pipeline}", given)
    scheduled = submission.schedule(server, request, when, replace=replace)
    click.echo(f"schedule: {scheduled.identifier}{' (disabled)' if disabled else ''}")
    for identifier in scheduled.replaced:
        click.echo(f"replaced: {identifier}")
    click.echo(f"page:     {scheduled.url}")


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
