"""What is known about the rows that were read: counts, labels, the first that do not fit."""

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.processing.plain_values import from_plain, to_plain
from kfp_tabular.components.data_ingestion.readers.source import RejectedRow

MOST_PLACES = 5
"""Rows with values that do not fit whose lines are looked up, per column."""

MOST_REJECTED = 10
"""Rejected rows that are kept."""

Place = tuple[int, int, str, int]
"""The numbers of a piece and of a block in it, a file, and a line of it."""


@dataclass(frozen=True)
class LabelFacts:
    """Facts about the labels of some rows.

    Attributes:
        value: One of the labels, the same for all where they do not vary; None where there are
            none.
        varied: Whether there are other values.
    """

    value: str | int | float | None = None
    varied: bool = False

    def with_other(self, other: "LabelFacts") -> "LabelFacts":
        """Return the facts about the labels of both sets of rows."""
        if self.value is None or other.value is None:
            return self if other.value is None else other
        return LabelFacts(self.value, self.varied or other.varied or self.value != other.value)


@dataclass(frozen=True)
class BlockFacts:
    """What is known about the rows of a block.

    Attributes:
        piece: The number of its piece.
        block: Its number in the piece.
        rows: Its rows, with rejected ones.
        rejected: The rejected rows, in order.
        label: Facts about the labels of the others.
        places: By column, files and lines of values that do not fit; at least the first ones.
        missing: Missing values by column of the examples.
    """

    piece: int
    block: int
    rows: int = 0
    rejected: Sequence[RejectedRow] = ()
    label: LabelFacts = field(default_factory=LabelFacts)
    places: Mapping[str, Sequence[tuple[str, int]]] = field(default_factory=dict)
    missing: Mapping[str, int] = field(default_factory=dict)


@dataclass
class _Counted:
    rows: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    label: LabelFacts = field(default_factory=LabelFacts)
    first: list[tuple[int, int, int, RejectedRow]] = field(default_factory=list)
    places: dict[str, list[Place]] = field(default_factory=dict)


@dataclass(frozen=True)
class ReadRows:
    """What is known about all rows.

    Attributes:
        rows: Rows that were read, with rejected ones.
        rejected: Rejected rows by reason, the most frequent first.
        first_rejected: The first of them.
        label: Facts about the labels of the others.
        places: By column, the file and line of the first values that do not fit.
        missing: Missing values by column of the examples.
    """

    rows: int
    rejected: Mapping[str, int]
    first_rejected: Sequence[RejectedRow]
    label: LabelFacts
    places: Mapping[str, Sequence[tuple[str, int]]]
    missing: Mapping[str, int]


class RowFacts:
    """Collects the facts about blocks of rows.

    Example:
        >>> facts = RowFacts()
        >>> facts.add(BlockFacts(0, 0, rows=3, places={"fare": [("taxi.csv", 7)]}))
        >>> facts.result().rows, facts.result().places
        (3, {'fare': [('taxi.csv', 7)]})
    """

    def __init__(self) -> None:
        self._counted = _Counted()

    def add(self, batch: BlockFacts) -> None:
        """Add a block."""
        self._add(
            _Counted(
                batch.rows,
                Counter(row.reason for row in batch.rejected),
                Counter(batch.missing),
                batch.label,
                [
                    (batch.piece, batch.block, number, row)
                    for number, row in enumerate(batch.rejected[:MOST_REJECTED])
                ],
                {
                    name: [(batch.piece, batch.block, file, line) for file, line in found]
                    for name, found in batch.places.items()
                },
            )
        )

    @property
    def rows(self) -> int:
        """Rows so far, with rejected ones."""
        return self._counted.rows

    @property
    def rejected(self) -> int:
        """Rejected rows so far."""
        return self._counted.rejected.total()

    def wanted(self, column: str) -> int:
        """Return how many more places of a column are of interest, if its blocks come in order."""
        return MOST_PLACES - len(self._counted.places.get(column, ()))

    def merge(self, other: "RowFacts") -> None:
        """Add other blocks."""
        self._add(other._counted)

    def state(self) -> bytes:
        """Return the facts so far."""
        return states.pack({"facts": to_plain(self._counted)})

    def from_state(self, state: bytes) -> "RowFacts":
        """Return the facts of a state."""
        found = RowFacts()
        found._counted = from_plain(_Counted, states.unpack(state)["facts"])
        return found

    def result(self) -> ReadRows:
        """Return the facts about all rows."""
        counted = self._counted
        ranked = sorted(counted.rejected.items(), key=lambda entry: (-entry[1], entry[0]))
        return ReadRows(
            counted.rows,
            dict(ranked),
            [row for _, _, _, row in counted.first],
            counted.label,
            {
                name: [(file, line) for _, _, file, line in found]
                for name, found in sorted(counted.places.items())
            },
            dict(sorted(counted.missing.items())),
        )

    def _add(self, other: _Counted) -> None:
        mine = self._counted
        mine.rows += other.rows
        mine.rejected.update(other.rejected)
        mine.missing.update(other.missing)
        mine.label = mine.label.with_other(other.label)
        if other.first:
            mine.first = heapq.nsmallest(
                MOST_REJECTED, [*mine.first, *other.first], key=lambda entry: entry[:3]
            )
        for name, places in other.places.items():
            mine.places[name] = heapq.nsmallest(MOST_PLACES, [*mine.places.get(name, ()), *places])
