"""Runs the tables and prints their warnings."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.clean_tables.catalog import PACKAGES, TABLES

_ENVIRONMENTS = Path(sys.executable).parents[2]
_STAGES = {"ingest": "tensorflow", "validate": "tfdv", "transform": "tensorflow"}
_MOST_WARNINGS = 1


def main() -> int:
    """Run the chosen tables; return how many have too many warnings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-k", dest="names", nargs="*", default=list(TABLES), help="tables")
    parser.add_argument("--folder", type=Path, help="keep tables and artifacts here")
    parser.add_argument("--verbose", action="store_true", help="print the notes, too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="clean-tables-") as scratch:
        folder = arguments.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        _export(folder, [name for name in arguments.names if not _file(folder, name).exists()])
        found: dict[str, list[list[str]]] = {name: [] for name in arguments.names}
        for stage in _STAGES:
            for line in _run(stage, folder, list(found)):
                found[line["table"]] += line["findings"]
    noisy = 0
    for name, entries in found.items():
        loud = [entry for entry in entries if entry[0] != "note"]
        noisy += len(loud) > _MOST_WARNINGS
        print(f"{name}: {len(loud)} warnings, {len(entries) - len(loud)} notes")
        for severity, code, text in entries if arguments.verbose else loud:
            print(f"    {severity} [{code}]: {text}")
    print(f"{len(found) - noisy} of {len(found)} tables have at most {_MOST_WARNINGS} warning")
    return noisy


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.csv"


def _export(folder: Path, names: list[str]) -> None:
    """Install the packages that hold the tables, and write the tables."""
    if not names:
        return
    uv = _ENVIRONMENTS / "uv" / "bin" / "uv"
    environment = folder / "environment"
    if not environment.exists():
        subprocess.run([uv, "venv", "--quiet", environment], check=True)
        python = environment / "bin" / "python"
        install = [uv, "pip", "install", "--quiet", "--python", python, *PACKAGES]
        subprocess.run(install, check=True)
    script = Path(__file__).with_name("export.py")
    tables = [f"{name}={TABLES[name][0]}" for name in names]
    subprocess.run([environment / "bin" / "python", script, folder, *tables], check=True)


def _run(stage: str, folder: Path, names: list[str]) -> list[dict[str, list[list[str]]]]:
    python = _ENVIRONMENTS / _STAGES[stage] / "bin" / "python"
    command = [python, "-m", "tests.benchmarks.clean_tables.stages", stage, folder, *names]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]


if __name__ == "__main__":
    sys.exit(main())
