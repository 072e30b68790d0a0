"""Runs the tables and prints their warnings."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.clean_tables.catalog import TABLES
from tests.benchmarks.public_tables import installation, tasks

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
        python = installation.python_with(folder / "environment", installation.PACKAGES)
        sources = {name: TABLES[name][0] for name in arguments.names}
        installation.export(python, folder, sources)
        found: dict[str, list[list[str]]] = {name: [] for name in arguments.names}
        inputs = [
            tasks.TaskInput(name, str(folder / name), str(folder / f"{name}.csv"), TABLES[name][1])
            for name in found
        ]
        for stage in tasks.STAGES:
            for line in tasks.run(stage, inputs):
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


if __name__ == "__main__":
    sys.exit(main())
