"""Finds what the Spark engine needs: pyspark, and Java."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from kfp_tabular.components.common.errors import UserError

SPARK_HOME = "SPARK_HOME"
"""Names a Spark on this machine, where pyspark is not installed in this environment."""

_LEAST_JAVA = 17
_VERSION = re.compile(r'version "(\d+)')
_SECONDS = 60


def require(home: Path | None = None) -> None:
    """Check that Spark can start here, and make pyspark importable.

    Args:
        home: A Spark to use where this environment has no pyspark; None for `$SPARK_HOME`.

    Raises:
        UserError: pyspark or Java is missing; the message names the way out.
    """
    _require_pyspark(home)
    _require_java()


def spark_home() -> Path:
    """Return the folder of Spark's programs and jars; call `require` first."""
    found = importlib.util.find_spec("pyspark")
    if found is None or found.origin is None:
        return Path(os.environ[SPARK_HOME])
    return Path(found.origin).parent


def _require_pyspark(given: Path | None) -> None:
    if importlib.util.find_spec("pyspark") is not None:
        return
    if given is not None:
        os.environ[SPARK_HOME] = str(given)
    home = Path(os.environ.get(SPARK_HOME, ""))
    # An environment of its own that pip installed pyspark into, or Spark as Apache ships it.
    installed = home.parent if home.name == "pyspark" and (home / "__init__.py").is_file() else None
    archives = [*home.glob("python/lib/py4j-*-src.zip"), *home.glob("python/lib/pyspark.zip")]
    if not os.environ.get(SPARK_HOME) or not (installed or len(archives) == 2):
        raise UserError(
            "processing: the engine spark needs pyspark, which this environment lacks. On a "
            "cluster run the task in the image spark ('image: spark' in --config); on this "
            "machine 'kfp-tabular setup spark' installs it. Or use the engine local."
        )
    # At the end, so that nothing beside pyspark takes the place of this environment's packages.
    sys.path += [str(installed)] if installed else [str(path) for path in archives]


def _require_java() -> None:
    home = os.environ.get("JAVA_HOME")
    program = str(Path(home, "bin", "java")) if home else shutil.which("java")
    if program is None or not os.access(program, os.X_OK):
        where = f"JAVA_HOME is {home}, which holds none" if home else "there is no java on PATH"
        raise _java_error(where)
    shown = subprocess.run(
        [program, "-version"], capture_output=True, text=True, check=False, timeout=_SECONDS
    )
    match = _VERSION.search(shown.stderr + shown.stdout)
    if match is None or int(match[1]) < _LEAST_JAVA:
        raise _java_error(f"{program} is Java {match[1]}" if match else f"{program} does not run")


def _java_error(found: str) -> UserError:
    return UserError(
        f"processing: the engine spark needs Java {_LEAST_JAVA} or later, and {found}. Install a "
        f"runtime, such as openjdk-{_LEAST_JAVA}-jre-headless, or use the engine local."
    )
