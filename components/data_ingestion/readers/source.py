"""What the readers of the file formats have in common."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.data_ingestion.columns.arrays import Mask
from kfp_tabular.components.data_ingestion.columns.column_types import Kind

MOST_TEXT = 10_000
"""Characters of a rejected row that are kept: a runaway quote can swallow megabytes."""

RowNumbers = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class RejectedRow:
    r"""A row that is not among the examples.

    Attributes:
        file: The URI of the file that it is in.
        line: In CSV the line that it starts on, counted from 1, the header included; in other
            formats the row's number, counted from 1.
        reason: Why it was left out.
        text: The row as it stands in the file (bytes that are not text as `\\xNN`); in formats
            other than CSV the row as JSON. At most `MOST_TEXT` characters.
    """

    file: str
    line: int
    reason: str
    text: str


@dataclass(frozen=True)
class SourceLine:
    """Where a row stands in its source.

    Attributes:
        line: See `RejectedRow.line`.
        text: See `RejectedRow.text`.
    """

    line: int
    text: str


@dataclass(frozen=True)
class Parsed:
    """A block of rows as columns.

    Attributes:
        columns: The values by column, all of the same length: `int64`, `float64` or `string`;
            missing is null. May hold infinities.
        kinds: What the values turned out to be: at least the kinds that were asked for.
        rows: The number of rows.
        file: The URI of the file that they are from.
        places: Gives the places of the rows of these numbers (counted from 0 in this block).
            Costs time, so it is asked only for rows that are rejected.
        unreadable: Rows that could not be parsed; they are not in `columns`.
        faults: Rows (marked in a mask) that must be rejected, and why.
    """

    columns: Mapping[str, pa.Array]
    kinds: Mapping[str, Kind]
    rows: int
    file: str
    places: Callable[[RowNumbers], list[SourceLine]]
    unreadable: Sequence[RejectedRow] = ()
    faults: Sequence[tuple[Mask, str]] = ()


class Block(Protocol):
    """Some consecutive rows of a file, not parsed yet. Parsing may run in any thread."""

    def parse(self, least: Mapping[str, Kind]) -> Parsed:
        """Parses the rows.

        Args:
            least: The kinds that columns are known to need at least. Columns that are not in
                here may hold anything.
        """


class Source(Protocol):
    """Files of one format that hold the same columns."""

    @property
    def columns(self) -> Sequence[str]:
        """The names of the columns, in the order of the first file."""

    def blocks(self, columns: Sequence[str] | None = None) -> Iterator[Block]:
        """Cuts the files into blocks, in order; can be called again.

        Args:
            columns: The columns that are wanted; all where None.
        """


def check_same_columns(
    first: str, columns: Sequence[str], file: str, others: Sequence[str]
) -> None:
    """Checks that a file has the columns of the first one, in whatever order.

    Args:
        first: The URI of the first file.
        columns: Its columns.
        file: The URI of another file.
        others: The other file's columns.

    Raises:
        UserError: For the first column that only one of them has.
    """
    expected, found = set(columns), set(others)
    for name in columns:
        if name not in found:
            raise UserError(
                f"{file}: column {name!r} is missing; {first} has it. All files must have the "
                f"same columns.{closest(name, others)}"
            )
    for name in others:
        if name not in expected:
            raise UserError(
                f"{file}: column {name!r} is not in {first}. All files must have the same "
                f"columns.{closest(name, columns)}"
            )
