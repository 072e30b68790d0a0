"""The group of all subcommands, and how errors end the process.

Exit codes: 0 success, 2 bad input or usage, 1 any other failure.
"""

import os
import sys
from collections.abc import Sequence

import click

from kfp_tabular.components.common.errors import (
    USER_ERROR_EXIT_CODE,
    UserError,
    shown,
    storage_error,
)
from kfp_tabular.pipelines.cli.cache import cache_command
from kfp_tabular.pipelines.cli.compile import compile_command
from kfp_tabular.pipelines.cli.completion import completion_command
from kfp_tabular.pipelines.cli.config_schema import config_schema_command
from kfp_tabular.pipelines.cli.demo import demo_command
from kfp_tabular.pipelines.cli.models import models_command
from kfp_tabular.pipelines.cli.new import new_command
from kfp_tabular.pipelines.cli.params import params_command
from kfp_tabular.pipelines.cli.predict import predict_command
from kfp_tabular.pipelines.cli.prune import prune_command
from kfp_tabular.pipelines.cli.render import render_command
from kfp_tabular.pipelines.cli.run import run_command
from kfp_tabular.pipelines.cli.runs import runs_command
from kfp_tabular.pipelines.cli.sample_data import sample_data_command
from kfp_tabular.pipelines.cli.schedule import schedule_command
from kfp_tabular.pipelines.cli.serve import serve_command
from kfp_tabular.pipelines.cli.setup import setup_command
from kfp_tabular.pipelines.cli.show import show_command
from kfp_tabular.pipelines.cli.submit import submit_command
from kfp_tabular.pipelines.cli.ui import ui_command


def main() -> None:
    """Run the command; a `UserError` becomes one line and exit code 2."""
    try:
        check_text(sys.argv[1:])
        cli(standalone_mode=False)
    except UserError as error:
        _fail(error)
    except BrokenPipeError:
        # The reader of the output has gone; Python would complain again when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        told = storage_error(error)
        if told is None:
            raise
        _fail(told)
    except click.ClickException as error:
        error.show()
        sys.exit(USER_ERROR_EXIT_CODE)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        sys.exit(1)


def check_text(arguments: Sequence[str]) -> None:
    r"""Check that arguments are text: specs, logs and reports are, and hold them.

    Raises:
        UserError: For the first that is not.

    Example:
        >>> check_text(["run", "--data", "caf\udce9.csv"])
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: argument 3, 'caf\xe9.csv', is not valid
        UTF-8. Give it in UTF-8; a file can be renamed, or its folder given.
    """
    for number, argument in enumerate(arguments, start=1):
        if any("\ud800" <= character <= "\udfff" for character in argument):
            raise UserError(
                f"argument {number}, '{shown(argument)}', is not valid UTF-8. Give it in UTF-8; a "
                "file can be renamed, or its folder given."
            )


def _fail(error: UserError) -> None:
    click.echo(f"kfp-tabular: error: {' '.join(str(error).split())}", err=True)
    sys.exit(USER_ERROR_EXIT_CODE)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kfp-tabular")
def cli() -> None:
    """From tabular data to a served TensorFlow model, on this machine or on Kubeflow."""


for _subcommand in (
    demo_command,
    sample_data_command,
    params_command,
    config_schema_command,
    compile_command,
    render_command,
    run_command,
    runs_command,
    ui_command,
    models_command,
    predict_command,
    show_command,
    prune_command,
    cache_command,
    serve_command,
    setup_command,
    submit_command,
    schedule_command,
    completion_command,
    new_command,
):
    cli.add_command(_subcommand)
