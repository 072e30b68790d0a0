"""The interface of the readers: a source of blocks, which parse to columns."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from kfp_tabular.components.common.artifacts.findings import Finding
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.local_engine import LocalEngine
from kfp_tabular.components.common.processing.pieces import Piece
from kfp_tabular.components.common.values.arrays import Mask
from kfp_tabular.components.common.values.column_format import ColumnFormat

MOST_TEXT = 10_000
"""Characters of a rejected row that are kept. After a stray quote a row can be megabytes long."""

RowNumbers = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class RejectedRow:
    r"""A row that is left out of the examples.

    Attributes:
        file: The URI of the row's file.
        line: In CSV, the line that the row starts on, counted from 1 with the header; in other
            formats, the number of the row, counted from 1.
        reason: Why the row was left out.
        text: In CSV, the row as in the file (bytes that do not decode as `\\xNN`); in other
            formats, the row as JSON. At most `MOST_TEXT` characters.
    """

    file: str
    line: int
    reason: str
    text: str


@dataclass(frozen=True)
class SourceLine:
    """The line of a file that a row starts on.

    Attributes:
        line: The line's number, as in `RejectedRow`.
        text: The row's text, as in `RejectedRow`.
    """

    line: int
    text: str


@dataclass(frozen=True)
class ParsedBlock:
    """A block of rows as columns.

    Attributes:
        columns: The values by column, all of the same length: text in CSV, otherwise what
            `typed_columns.plain` returns; missing is null.
        rows: The number of rows.
        file: The URI of the rows' file.
        source_lines: Takes numbers of rows (counted from 0 in this block) and returns where they
            are in the file. Slow, so it is called for rejected rows only.
        unreadable: Rows that cannot be parsed; they are not in `columns`.
        faults: Masks of rows to reject, each with the reason.
        stated: The columns whose type the file states: their text is text.
    """

    columns: Mapping[str, pa.Array]
    rows: int
    file: str
    source_lines: Callable[[RowNumbers], list[SourceLine]]
    unreadable: Sequence[RejectedRow] = ()
    faults: Sequence[tuple[Mask, str]] = ()
    stated: Collection[str] = ()


class Block(Protocol):
    """Consecutive rows of a file, not parsed yet. Parsing may run in any thread."""

    def parse(self) -> ParsedBlock:
        """Parse the rows."""


class Source(Protocol):
    """Files of one format with the same columns."""

    @property
    def columns(self) -> Sequence[str]:
        """The names of the columns that are read, in the order of the first file."""

    @property
    def known(self) -> Sequence[str]:
        """All names of columns that options may use: excluded and nested ones too."""

    @property
    def bags(self) -> Mapping[str, ColumnFormat]:
        """The formats of the columns that are read as bags."""

    @property
    def notes(self) -> Sequence[Finding]:
        """What was decided about the columns."""

    def pieces(self, engine: Engine) -> Sequence[Piece]:
        """Return pieces that together are the files, in order.

        Args:
            engine: Looks for places to cut at.
        """

    def reader(self, columns: Sequence[str] | None = None) -> "Reader":
        """Return what reads the pieces.

        Args:
            columns: The columns to read; None for all.
        """


Reader = Callable[[Piece], Iterator[Block]]
"""Reads a piece as blocks, in order; in any thread or process."""


def blocks(source: Source, columns: Sequence[str] | None = None) -> Iterator[Block]:
    """Yield all blocks of a source, in order.

    Args:
        source: The source.
        columns: The columns to read; None for all.
    """
    pieces = source.pieces(LocalEngine())
    reader = source.reader(columns)
    for piece in pieces:
        yield from reader(piece)
