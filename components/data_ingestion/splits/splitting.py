"""The interface between splits and the passes that write examples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from kfp_tabular.components.data_ingestion.splits.row_hashing import (
    Hashes,
    RowNumbers,
    hash_rows,
)
from kfp_tabular.components.data_ingestion.splits.splitters import (
    Assignment,
    Splitter,
    splits_of,
)

Columns = Mapping[str, pa.Array]
"""The columns of a block, as in the examples; at least one."""


class LookedAt(Protocol):
    """What the splits of a block depend on."""

    @property
    def assignment(self) -> Assignment | None:
        """The splits, where they depend on neither a choice to come nor the rows before."""


class Splitting(Protocol):
    """Assigns the rows of all blocks, perhaps by a choice that depends on the data.

    A pass calls `start`, then `look` for each block in any thread, `choose` with the first blocks,
    and `assign` for each block in order. Unless `is_settled` then, it begins again.
    """

    @property
    def names(self) -> Sequence[str]:
        """The names of the splits."""

    @property
    def drops(self) -> str | None:
        """A column to leave out of the examples because it is not a feature."""

    @property
    def decides(self) -> str | None:
        """The column that a row must have a value in; None where any row can be assigned."""

    def start(self) -> None:
        """Begin with the first row."""

    def forget(self) -> None:
        """Forget a choice that was made from columns which turned out to be others."""

    def look(self, columns: Columns) -> Any:
        """Return what the splits of a block depend on, a `LookedAt`."""

    def choose(self, first: Sequence[Any], blocks: Sequence[Columns]) -> None:
        """Choose how to split, from what `look` returned for the first blocks."""

    def assign(self, looked_at: Any, columns: Columns, /) -> Assignment:
        """Return the splits of the next block, for which `look` returned this."""

    def is_settled(self) -> bool:
        """Return whether all rows agree with the choice."""


@dataclass(frozen=True)
class SplitLookedAt:
    """The splits of a block; a `LookedAt`."""

    assignment: Assignment


class GivenSplit:
    """Splits by a splitter that is known from the start; a `Splitting`."""

    def __init__(self, splitter: Splitter) -> None:
        self.splitter = splitter
        self.names = splitter.names
        self.drops = splitter.drops
        self.decides = splitter.decides

    def start(self) -> None:
        """Do nothing."""

    def forget(self) -> None:
        """Do nothing."""

    def look(self, columns: Columns) -> SplitLookedAt:
        """Assign the rows of a block."""
        return SplitLookedAt(self.splitter.assign(columns))

    def choose(self, first: Sequence[SplitLookedAt], blocks: Sequence[Columns]) -> None:
        """Do nothing."""

    def assign(self, looked_at: SplitLookedAt, columns: Columns, /) -> Assignment:
        """Return the splits that `look` found."""
        del columns
        return looked_at.assignment

    def is_settled(self) -> bool:
        """Return true."""
        return True


@dataclass(frozen=True)
class RowsLookedAt:
    """The hashes of a block's rows; a `LookedAt`."""

    hashes: Hashes
    assignment: None = None


class RowSplit:
    """Splits by the hash of a row's key and its number among equal ones; a `Splitting`.

    So the splits are even however many rows share a key, and depend on which rows there are more
    than on their order.

    Args:
        names: The splits.
        limits: The cumulative shares, ascending; the last is 1.0.
        keys: The columns of the key.
        salt: A different salt gives a different split.
    """

    drops: None = None
    decides: None = None

    def __init__(
        self, names: Sequence[str], limits: Sequence[float], keys: Sequence[str], salt: str
    ) -> None:
        self.names = names
        self._limits = limits
        self._keys = keys
        self._salt = salt
        self._numbers = RowNumbers()

    def start(self) -> None:
        """Begin to number rows."""
        self._numbers = RowNumbers()

    def forget(self) -> None:
        """Do nothing."""

    def look(self, columns: Columns) -> RowsLookedAt:
        """Hash the rows of a block."""
        key = {name: columns[name] for name in self._keys}
        return RowsLookedAt(hash_rows(key, self._salt))

    def choose(self, first: Sequence[RowsLookedAt], blocks: Sequence[Columns]) -> None:
        """Do nothing."""

    def assign(self, looked_at: RowsLookedAt, columns: Columns, /) -> Assignment:
        """Assign the rows of the next block."""
        del columns
        return Assignment(splits_of(self._numbers.tell_apart(looked_at.hashes), self._limits))

    def is_settled(self) -> bool:
        """Return true."""
        return True
