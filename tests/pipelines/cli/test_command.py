"""The command as a whole: it starts fast, and every subcommand explains itself."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from kfp_tabular.pipelines.cli import cli

HEAVY = ("kfp", "kubernetes", "markdown_it", "mlflow", "numpy", "pyarrow", "rich", "yaml")


def test_starting_loads_nothing_heavy() -> None:
    program = (
        "import sys, kfp_tabular.pipelines.cli;"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", cli.commands)
def test_every_subcommand_has_help(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--help"])

    assert result.exit_code == 0
    assert cli.commands[name].get_short_help_str()
    for parameter in cli.commands[name].params:
        assert not isinstance(parameter, click.Option) or parameter.help, parameter.name
