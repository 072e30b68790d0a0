"""The `kfp-tabular` command.

Exit codes: 0 done, 2 bad input or usage, 1 anything else.
"""

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import click
from rich.console import Console

from kfp_tabular.components.common.errors import USER_ERROR_EXIT_CODE, UserError
from kfp_tabular.components.common.process.termination import interrupt_on_termination
from kfp_tabular.pipelines import parameters
from kfp_tabular.pipelines.environments.commands import setup_command
from kfp_tabular.pipelines.kubeflow.commands import schedule_command, submit_command

if TYPE_CHECKING:
    from kfp_tabular.pipelines.local.place import Place

_KEY_FIGURES = ("auc", "pr_auc", "accuracy", "log_loss", "r2", "rmse", "mae")


def main() -> None:
    """Runs the command; a `UserError` becomes one line and exit code 2."""
    try:
        cli(standalone_mode=False)
    except UserError as error:
        _fail(" ".join(str(error).split()))
    except click.ClickException as error:
        error.show()
        sys.exit(USER_ERROR_EXIT_CODE)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        sys.exit(1)


def _fail(message: str, code: int = USER_ERROR_EXIT_CODE) -> None:
    click.echo(f"kfp-tabular: error: {message}", err=True)
    sys.exit(code)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kfp-tabular")
def cli() -> None:
    """From tabular data to a served TensorFlow model, on this machine or on Kubeflow."""


cli.add_command(submit_command)
cli.add_command(schedule_command)
cli.add_command(setup_command)


@cli.command("sample-data")
@click.option("--rows", type=int, default=20_000, show_default=True, help="Rows to make.")
@click.option("--seed", type=int, default=7, show_default=True, help="Same seed, same data.")
@click.option(
    "--task",
    type=click.Choice(["binary", "multiclass", "regression"]),
    default="binary",
    show_default=True,
    help="Which label the data has.",
)
@click.option("--output", type=click.Path(path_type=Path), required=True, help="The CSV to write.")
def sample_data_command(
    rows: int, seed: int, task: Literal["binary", "multiclass", "regression"], output: Path
) -> None:
    """Make realistic card transactions with a label to predict."""
    from kfp_tabular.pipelines import sample_data

    table = sample_data.generate(rows, seed, task=task)
    sample_data.write_csv(table, output)
    click.echo(f"{output}: {table.num_rows} rows, {table.num_columns} columns")


@cli.command("compile")
@click.option("--pipeline", required=True, help="The pipeline: training.")
@click.option("--config", type=click.Path(path_type=Path), help="Images, resources, parameters.")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="The YAML to write.")
def compile_command(pipeline: str, config: Path | None, output: Path) -> None:
    """Compile a pipeline to a spec for the Kubeflow UI or the KFP SDK."""
    from kfp_tabular.pipelines.compile import compile_pipeline

    compile_pipeline(pipeline, _config(config), output)
    click.echo(f"{output}: {output.stat().st_size} bytes")


@cli.command("render")
@click.argument("kind", metavar="tfjob|trainjob|experiment|inference-service|inference-graph")
@click.option("--config", type=click.Path(path_type=Path), help="As for compile.")
@click.option("--output", type=click.Path(path_type=Path), help="The YAML to write, if not shown.")
@click.option("--namespace", default="", help="Where it would be; left out unless given.")
@click.option("--run-id", default="", help="The run's id, part of its artifacts' addresses.")
@click.option("--pipeline-root", default="", metavar="URI", help="Where KFP keeps artifacts.")
@click.option("--transformed-examples", default="", metavar="URI", help="The artifact's address.")
@click.option("--transform-graph", default="", metavar="URI", help="The artifact's address.")
@click.option("--model", default="", metavar="URI", help="The address that the model would get.")
@click.option(
    "--hyperparameters",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A document that a search found, for a job that would train with it.",
)
@click.option(
    "--task",
    default="",
    type=click.Choice(["", "binary", "multiclass", "regression"]),
    metavar="KIND",
    help="binary, multiclass or regression, where the parameter task is auto.",
)
@click.option(
    "--split",
    multiple=True,
    metavar="NAME=PERCENT",
    help="For inference-graph: an endpoint's share of the requests. Repeatable.",
)
def render_command(kind: str, config: Path | None, output: Path | None, **known: Any) -> None:
    """Show the Kubernetes resource that the training pipeline would create.

    What is known only when a run starts has a placeholder, or is given by an option; a comment at
    the top says which.
    """
    from kfp_tabular.components.common import files
    from kfp_tabular.pipelines import render

    rendered = render.render(kind, _config(config), render.RunTime(**known))
    text = render.to_yaml(rendered)
    if output is None:
        click.echo(text, nl=False)
    else:
        try:
            files.write_text(output, text)
        except OSError as error:
            raise UserError(f"--output {output}: cannot be written: {error.strerror}.") from error
        click.echo(f"{output}: {rendered.resource['kind']} {rendered.resource['metadata']['name']}")


@cli.command("run")
@click.option("--data", required=True, metavar="PATH_OR_URI", help="File, directory, glob or URI.")
@click.option("--label", required=True, metavar="COLUMN", help="The column to predict.")
@click.option(
    "--task",
    type=click.Choice(["auto", "binary", "multiclass", "regression"]),
    help="What kind of prediction; auto (the default) decides by the label.",
)
@click.option("--exclude", multiple=True, metavar="COLUMN", help="Leave a column out. Repeatable.")
@click.option("--config", type=click.Path(path_type=Path), help="A YAML configuration.")
@click.option(
    "--param",
    "params",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set a run-time parameter of the pipeline. Repeatable.",
)
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR", help="The run's folder.")
@click.option(
    "--runner",
    type=click.Choice(["venv", "docker"]),
    default="venv",
    show_default=True,
    help="Run tasks in the virtual environments of their images, or in containers.",
)
def run_command(
    data: str,
    label: str,
    task: str | None,
    exclude: tuple[str, ...],
    config: Path | None,
    params: tuple[str, ...],
    output: Path | None,
    runner: Literal["venv", "docker"],
) -> None:
    """Compile the training pipeline and run it here, each task in its own environment."""
    interrupt_on_termination()
    arguments: dict[str, Any] = {"data_uri": _data_uri(data), "label": label}
    if task is not None:
        arguments["task"] = task
    if exclude:
        arguments["exclude"] = list(exclude)
    arguments.update(parameters.key_values(params))
    folder = output or Path("runs") / f"training-{datetime.now():%Y%m%d-%H%M%S}"
    compile_time = _config(config)

    from kfp_tabular.pipelines.local import training_run

    console = Console(stderr=True)
    outcome = training_run.run(compile_time, arguments, folder.resolve(), console, _place(runner))
    summary = outcome.summary
    if summary.status != "succeeded":
        failed = next(task for task in summary.tasks if task.error)
        click.echo(f"report: {summary.report}", err=True)
        code = USER_ERROR_EXIT_CODE if outcome.user_error else 1
        _fail(f"{failed.name}: {failed.error}", code)
    figures = [
        f"{key} {summary.metrics[key]:.4f}" for key in _KEY_FIGURES if key in summary.metrics
    ]
    click.echo(f"metrics: {', '.join(figures)}")
    click.echo(f"blessed: {'yes' if summary.blessed else 'no'}")
    click.echo(f"model:   {summary.model}")
    click.echo(f"report:  {summary.report}")


@cli.command("serve")
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="A model's directory, or that of a model in a repository (its newest version is served).",
)
@click.option("--name", help="The model's name in URLs; by default that of its directory.")
@click.option("--port", type=click.IntRange(1, 65_535), default=8080, show_default=True)
def serve_command(model: Path, name: str | None, port: int) -> None:
    """Serve a model over HTTP with KServe's v1 and v2 protocols."""
    from kfp_tabular.components.common import images
    from kfp_tabular.components.common.process.tensorflow import ENVIRONMENT
    from kfp_tabular.pipelines.environments.location import Environments

    python = str(Environments.find().python(images.SERVING))
    command = [python, "-m", "kfp_tabular.serving", "--model", str(model), "--port", str(port)]
    if name:
        command += ["--name", name]
    # The server takes this process's place, so signals and the exit code are its own.
    os.execve(python, command, {**os.environ, **ENVIRONMENT})  # noqa: S606 - our own program


def _config(path: Path | None) -> Any:
    from kfp_tabular.pipelines.training import config

    return config.load(path) if path else config.PipelineConfig()


def _place(runner: Literal["venv", "docker"]) -> "Place":
    if runner == "docker":
        from kfp_tabular.pipelines.local.docker import Containers
        from kfp_tabular.pipelines.local.docker_engine import Engine

        return Containers(Engine.find())
    from kfp_tabular.pipelines.environments.location import Environments
    from kfp_tabular.pipelines.local.virtual import VirtualEnvironments

    return VirtualEnvironments(Environments.find())


def _data_uri(data: str) -> str:
    """Makes a local path absolute, since tasks run elsewhere; other URIs stay as they are."""
    return data if urlsplit(data).scheme else str(Path(data).absolute())
