"""`kfp-tabular ui`."""

import os

import click

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.cli.tracking_options import tracking_option


@click.command("ui")
@tracking_option
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    default=5000,
    show_default=True,
    help="The port to listen on, on this machine only.",
)
def ui_command(tracking_uri: str, port: int) -> None:
    """Open MLflow's UI on the runs and models that are recorded here.

    Needs the environment mlflow: kfp-tabular setup mlflow makes it. Ctrl-C ends it.
    """
    from kfp_tabular.components.common.tracking import embedded_store, resolve
    from kfp_tabular.pipelines.environments.location import Environments

    found = resolve(tracking_uri, by_default=True)
    if found.kind == "none":
        raise UserError("ui: tracking is off (none). Name a store or a server: --tracking-uri.")
    if found.kind == "server":
        click.echo(f"{found.shown} is a server: open it in a browser")
        return
    python = str(Environments.find().python("mlflow"))
    if not found.database.is_file():
        raise UserError(
            f"{found.database}: no runs are recorded here yet. Start one with kfp-tabular run, or "
            "name the folder of a store in KFP_TABULAR_HOME."
        )
    embedded_store.ensure(found)
    click.echo(f"http://127.0.0.1:{port}", err=True)
    command = [python, "-m", "mlflow", "ui", "--backend-store-uri", found.uri]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    variables = {
        **os.environ,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    # The server replaces this process, so it receives signals and sets the exit code itself.
    os.execve(python, command, variables)  # noqa: S606 - our own program
