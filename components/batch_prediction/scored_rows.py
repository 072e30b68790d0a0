"""What is known about the rows that were read: how many, and what became of them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.data_ingestion.readers.source import RejectedRow


@dataclass(frozen=True)
class ScoredBatch:
    """Facts about some rows.

    Attributes:
        rows: The rows that were read.
        predicted: Those that were predicted.
        reasons: Why the others were not, each with the number of rows.
        places: The file and line of the first row of each reason; of several files, the first by
            name.
        unreadable: Values that cannot be read and count as missing, by feature.
        outside: Values outside of what the schema allows, by feature.
        classes: The predicted rows by class.
    """

    rows: int = 0
    predicted: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    places: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    unreadable: Mapping[str, int] = field(default_factory=dict)
    outside: Mapping[str, int] = field(default_factory=dict)
    classes: Mapping[str, int] = field(default_factory=dict)

    @property
    def rejected(self) -> int:
        """The rows that were not predicted."""
        return self.rows - self.predicted


_COUNTS = ("reasons", "unreadable", "outside", "classes")


class ScoredRows:
    """An accumulator of facts about rows.

    Example:
        >>> facts = ScoredRows()
        >>> facts.add(ScoredBatch(rows=3, predicted=2, reasons={"too long": 1}))
        >>> facts.result().rejected
        1
    """

    def __init__(self) -> None:
        self._rows = self._predicted = 0
        self._counts: dict[str, Counter[str]] = {name: Counter() for name in _COUNTS}
        self._places: dict[str, tuple[str, int]] = {}

    def add(self, batch: ScoredBatch) -> None:
        """Add rows."""
        self._rows += batch.rows
        self._predicted += batch.predicted
        for name, counts in self._counts.items():
            counts.update(getattr(batch, name))
        for reason, place in batch.places.items():
            self._places[reason] = min(place, self._places.get(reason, place))

    def merge(self, other: "ScoredRows") -> None:
        """Add what another accumulator has seen."""
        self.add(other.result())

    def state(self) -> bytes:
        """Return what was added so far."""
        counts: dict[str, Any] = {name: dict(found) for name, found in self._counts.items()}
        return states.pack(
            {"rows": self._rows, "predicted": self._predicted, "places": self._places, **counts}
        )

    def from_state(self, state: bytes) -> "ScoredRows":
        """Return an accumulator with a state."""
        found = ScoredRows()
        parts = states.unpack(state)
        parts["places"] = {reason: (file, line) for reason, (file, line) in parts["places"].items()}
        found.add(ScoredBatch(**parts))
        return found

    def result(self) -> ScoredBatch:
        """Return the facts about all rows; counts by name."""
        counts = {name: dict(sorted(found.items())) for name, found in self._counts.items()}
        placed = dict(sorted(self._places.items()))
        return ScoredBatch(self._rows, self._predicted, places=placed, **counts)


def counted(values: Iterable[str]) -> Mapping[str, int]:
    """Return how often each text occurs.

    Example:
        >>> counted(["a", "b", "a"])
        Counter({'a': 2, 'b': 1})
    """
    return Counter(values)


def places(rejected: Iterable[RejectedRow]) -> dict[str, tuple[str, int]]:
    """Return the file and line of the first row of each reason.

    Example:
        >>> rows = [RejectedRow("a.csv", line, "too long", "...") for line in (7, 3)]
        >>> places(rows)
        {'too long': ('a.csv', 3)}
    """
    found: dict[str, tuple[str, int]] = {}
    for row in rejected:
        place = (row.file, row.line)
        found[row.reason] = min(place, found.get(row.reason, place))
    return found


def first(reasons: Mapping[str, int], most: int) -> Sequence[tuple[str, int]]:
    """Return the most frequent reasons, then by text.

    Example:
        >>> first({"b": 1, "a": 1, "c": 5}, most=2)
        [('c', 5), ('a', 1)]
    """
    return sorted(reasons.items(), key=lambda each: (-each[1], each[0]))[:most]
