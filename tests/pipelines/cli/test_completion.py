"""The scripts that make shells complete the command, and what they complete."""

import shutil
import subprocess

import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

from kfp_tabular.pipelines.cli import cli


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_printed(shell: str) -> None:
    result = CliRunner().invoke(cli, ["completion", shell], catch_exceptions=False)

    assert result.exit_code == 0
    assert "_KFP_TABULAR_COMPLETE" in result.output
    if shell == "bash":
        program = shutil.which("bash")
        assert program
        subprocess.run([program, "-n"], input=result.output, text=True, check=True)


@pytest.mark.parametrize(
    ("words", "incomplete", "expected"),
    [
        ([], "sc", "schedule"),
        (["run"], "--pi", "--pipeline"),
        (["run", "--pipeline"], "val", "validation"),
        (["run", "--task"], "reg", "regression"),
    ],
)
def test_names_are_completed(words: list[str], incomplete: str, expected: str) -> None:
    complete = BashComplete(cli, {}, "kfp-tabular", "_KFP_TABULAR_COMPLETE")

    found = [item.value for item in complete.get_completions(words, incomplete)]

    assert found == [expected]
