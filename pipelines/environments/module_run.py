"""Runs a module of this package in an environment of its own, and waits for its end."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from kfp_tabular.components.common.errors import UserError, find_user_error
from kfp_tabular.components.common.process.tensorflow import ENVIRONMENT


class ModuleFailedError(RuntimeError):
    """A module that ended with a failure; the message is the last line that it printed."""


def run_module(python: Path, module: str, arguments: Sequence[str] = (), given: str = "") -> str:
    """Run a module and return what it printed.

    Args:
        python: The interpreter of the environment.
        module: Its name, as `python -m` takes it.
        arguments: Its arguments.
        given: What it reads from standard input.

    Raises:
        UserError: As the module reported it.
        ModuleFailedError: If it failed in another way.
    """
    done = subprocess.run(
        [str(python), "-m", module, *arguments],
        input=given,
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        lines = done.stderr.splitlines()
        message = find_user_error(lines)
        if message:
            raise UserError(message)
        raise ModuleFailedError(lines[-1] if lines else "no output")
    return done.stdout
