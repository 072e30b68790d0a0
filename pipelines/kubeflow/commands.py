"""The commands `kfp-tabular submit` and `kfp-tabular schedule`."""

import functools
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from rich.console import Console

from kfp_tabular.components.common import documents
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.process.termination import interrupt_on_termination
from kfp_tabular.pipelines.kubeflow.connection import COOKIES_VARIABLE, TOKEN_VARIABLE, Server

_FILE = click.Path(path_type=Path, dir_okay=False)


def _server_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options that say which server, and how to be let in."""
    options = [
        click.option("--host", default="", metavar="URL", help="URL of Kubeflow Pipelines' API."),
        click.option("--namespace", default="", help="Your profile's namespace, if there are any."),
        click.option(
            "--token-file", type=_FILE, help=f"A bearer token. Or {TOKEN_VARIABLE} has it."
        ),
        click.option(
            "--cookies-file",
            type=_FILE,
            help=f"Cookies of a login session. Or {COOKIES_VARIABLE} has them.",
        ),
        click.option(
            "--service-account-token", is_flag=True, help="Use the token projected into this pod."
        ),
        click.option("--client-id", default="", help="Client of Google's Identity-Aware Proxy."),
        click.option("--ca-file", type=_FILE, help="Certificates of the authority to trust."),
        click.option("--insecure", is_flag=True, help="Accept any certificate."),
        click.option("--kube-context", default="", help="Context of the kubeconfig."),
        click.option("--ui-host", default="", metavar="URL", help="URL of the UI, if another."),
    ]

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        names = [option.name for option in Server.__dataclass_fields__.values()]
        server = Server(**{name: given.pop(name) for name in names})
        command(server=server, **given)

    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped


def _order_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options that say what is to run."""
    options = [
        click.option("--config", type=_FILE, help="A YAML configuration."),
        click.option("--data", metavar="URI", help="The parameter data_uri."),
        click.option("--label", metavar="COLUMN", help="The parameter label."),
        click.option(
            "--param",
            "params",
            multiple=True,
            metavar="KEY=VALUE",
            help="Set a run-time parameter of the pipeline. Repeatable.",
        ),
        click.option(
            "--experiment", default="kfp-tabular", show_default=True, help="The experiment's name."
        ),
        click.option("--pipeline-root", default="", metavar="URI", help="Where artifacts go."),
        click.option("--no-cache", is_flag=True, help="Run every task anew."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command("submit")
@_server_options
@_order_options
@click.option("--name", default="", help="The run's name; by default with the time.")
@click.option("--wait", is_flag=True, help="Follow the run; exit with 1 where it fails.")
@click.option("--timeout", default="", metavar="DURATION", help="Wait so long at most, such as 4h.")
def submit_command(server: Server, name: str, wait: bool, timeout: str, **given: Any) -> None:
    """Run the training pipeline on Kubeflow Pipelines."""
    from kfp_tabular.pipelines.kubeflow import submission

    limit = _seconds(timeout)
    order = _order(name or f"training {datetime.now():%Y-%m-%d %H:%M:%S}", given)
    submitted = submission.submit(server, order)
    click.echo(f"run:  {submitted.identifier}")
    click.echo(f"page: {submitted.url}")
    if wait:
        _follow(server, submitted.identifier, submitted.tasks, limit)


@click.command("schedule")
@_server_options
@_order_options
@click.option("--name", default="training", show_default=True, help="The schedule's name.")
@click.option("--cron", required=True, help="When: '0 2 * * *' is every night at two.")
@click.option("--start", default="", metavar="TIME", help="Not before; RFC 3339, with a zone.")
@click.option("--end", default="", metavar="TIME", help="Not after; RFC 3339, with a zone.")
@click.option("--max-concurrency", type=int, default=1, show_default=True, help="Runs at a time.")
@click.option("--catch-up", is_flag=True, help="Make up for runs missed while it was off.")
@click.option("--disabled", is_flag=True, help="Make it, but leave it off.")
@click.option("--replace", is_flag=True, help="Take the place of a schedule of this name.")
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
    """Run the training pipeline on Kubeflow Pipelines again and again."""
    from kfp_tabular.pipelines.kubeflow import submission

    when = submission.Schedule(
        cron=cron,
        start=_time("--start", start),
        end=_time("--end", end),
        max_concurrency=max_concurrency,
        catch_up=catch_up,
        enabled=not disabled,
    )
    scheduled = submission.schedule(server, _order(name, given), when, replace=replace)
    click.echo(f"schedule: {scheduled.identifier}{' (disabled)' if disabled else ''}")
    for identifier in scheduled.replaced:
        click.echo(f"replaced: {identifier}")
    click.echo(f"page:     {scheduled.url}")


def _order(name: str, given: dict[str, Any]) -> Any:
    from kfp_tabular.pipelines import parameters
    from kfp_tabular.pipelines.kubeflow.submission import Order
    from kfp_tabular.pipelines.training import config

    arguments: dict[str, Any] = {}
    if given["data"] is not None:
        arguments["data_uri"] = _remote(given["data"])
    if given["label"] is not None:
        arguments["label"] = given["label"]
    return Order(
        config=config.load(given["config"]) if given["config"] else config.PipelineConfig(),
        arguments=arguments | parameters.key_values(given["params"]),
        name=name,
        experiment=given["experiment"],
        pipeline_root=given["pipeline_root"],
        caching=not given["no_cache"],
    )


def _remote(data: str) -> str:
    if not urlsplit(data).scheme and not data.startswith("/"):
        raise UserError(
            f"--data {data!r} is a path on this machine, which a pod does not have; give gs://, "
            "s3://, minio://, or an absolute path on a volume that the configuration mounts."
        )
    return data


def _follow(server: Server, run_id: str, tasks: tuple[str, ...], timeout: int) -> None:
    from kfp_tabular.pipelines.kubeflow import following
    from kfp_tabular.pipelines.local.progress import Progress

    interrupt_on_termination()
    try:
        with Progress(tasks, Console(stderr=True)) as progress:
            outcome = following.follow(server, run_id, tasks, progress, timeout)
    except KeyboardInterrupt:
        click.echo("stopped watching; the run goes on", err=True)
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
