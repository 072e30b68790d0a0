"""The registry of cases, and the clean table that they start from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.real_tables.outcome import Expectation, auc, blessed, succeeds
from tests.cases import Table, people, write_csv

ROWS = 3_000


@dataclass(frozen=True)
class Case:
    """A table and what is right.

    Attributes:
        name: The case's name.
        write: Writes the data below a folder and returns their path.
        label: The column to predict.
        arguments: Further arguments of `kfp-tabular run`.
        expectations: What is right.
    """

    name: str
    write: Callable[[Path], Path]
    label: str
    arguments: tuple[str, ...]
    expectations: tuple[Expectation, ...]


CASES: dict[str, Case] = {}

GOOD = (succeeds, auc(0.90, 0.96), blessed(True))
"""What holds for the clean table however it is written."""


def case(
    *expectations: Expectation, label: str = "churn", arguments: Sequence[str] = ()
) -> Callable[[Callable[[Path], Path]], Callable[[Path], Path]]:
    """Register a function that writes a table as a case."""

    def register(write: Callable[[Path], Path]) -> Callable[[Path], Path]:
        name = write.__name__.replace("_", "-")
        CASES[name] = Case(name, write, label, tuple(arguments), expectations)
        return write

    return register


def changed(**changes: Callable[[Any], Any]) -> Table:
    """Return the clean table with columns mapped value by value."""
    table = people()
    for name, change in changes.items():
        table[name] = [change(value) for value in table[name]]
    return table


def plain(folder: Path, table: Table, **dialect: Any) -> Path:
    """Write a table as one CSV file, and return its path."""
    return write_csv(folder / "people.csv", table, **dialect)
