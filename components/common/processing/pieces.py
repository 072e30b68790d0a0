"""A piece of input: what one call of a fold or a map reads."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

PieceKind = Literal["bytes", "blocks", "row-groups"]


@dataclass(frozen=True)
class Piece:
    """A byte range of a file, blocks of whole rows of some files, or row groups of a Parquet file.

    Attributes:
        uri: The file: a local path or a URI.
        kind: What `start` and `stop` count.
        start: The first byte, block or row group.
        stop: The end, exclusive.
        split: The split that the rows belong to; empty for none.
        rows: The number of rows; 0 where it is not known.
        first_row: The position of the first row among the rows of its split, in the order of
            files and rows. It identifies rows, however they are cut into pieces.
        number: The number of the piece among those of a map, or of its split. What a map writes
            is named and ordered by it.

    Example:
        >>> piece = Piece("split=train/part-00000.parquet", "row-groups", 0, 2, "train", rows=9)
        >>> Piece.from_json(piece.to_json()) == piece
        True
    """

    uri: str
    kind: PieceKind
    start: int
    stop: int
    split: str = ""
    rows: int = 0
    first_row: int = 0
    number: int = 0

    def to_json(self) -> str:
        """Return the piece as one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Piece":
        """Return the piece that `to_json` wrote."""
        return cls(**json.loads(text))


def join(pieces: Iterable[Piece], rows: int) -> list[Piece]:
    """Join neighbors until a piece has at least `rows` rows.

    Args:
        pieces: Pieces in order. Only those that continue one another in one file are joined.
        rows: The wanted number of rows.

    Example:
        >>> parts = [Piece("a", "row-groups", at, at + 1, rows=4) for at in range(3)]
        >>> [(piece.start, piece.stop, piece.rows) for piece in join(parts, rows=6)]
        [(0, 2, 8), (2, 3, 4)]
    """
    joined: list[Piece] = []
    for piece in pieces:
        last = joined[-1] if joined else None
        if last is not None and last.rows < rows and _continues(last, piece):
            joined[-1] = replace(last, stop=piece.stop, rows=last.rows + piece.rows)
        else:
            joined.append(piece)
    return joined


def numbered(pieces: Iterable[Piece]) -> list[Piece]:
    """Return pieces with their numbers, from 0.

    Example:
        >>> parts = [Piece("a.csv", "bytes", 0, 10), Piece("a.csv", "bytes", 10, 25)]
        >>> [piece.number for piece in numbered(parts)]
        [0, 1]
    """
    return [replace(piece, number=number) for number, piece in enumerate(pieces)]


def total_rows(pieces: Sequence[Piece]) -> int:
    """Return the rows of some pieces together."""
    return sum(piece.rows for piece in pieces)


def amount(pieces: Sequence[Piece]) -> str:
    """Return how many rows pieces have; where that is not known, how many pieces there are.

    Example:
        >>> amount([Piece("a.parquet", "row-groups", 0, 1, rows=9)])
        '9 rows'
        >>> amount([Piece("a.csv", "bytes", 0, 10)])
        '1 piece'
    """
    rows = total_rows(pieces)
    found, unit = (rows, "row") if rows else (len(pieces), "piece")
    return f"{found} {unit}" if found == 1 else f"{found} {unit}s"


def progress(done: Sequence[Piece], pieces: Sequence[Piece]) -> str:
    """Return how many rows or pieces of all are done.

    Example:
        >>> parts = [Piece("a.parquet", "row-groups", at, at + 1, rows=9) for at in range(2)]
        >>> progress(parts[:1], parts)
        '9 of 18 rows'
    """
    found = total_rows(done) if total_rows(pieces) else len(done)
    return f"{found} of {amount(pieces)}"


def _continues(last: Piece, piece: Piece) -> bool:
    return (last.uri, last.kind, last.split, last.stop) == (
        piece.uri,
        piece.kind,
        piece.split,
        piece.start,
    )
