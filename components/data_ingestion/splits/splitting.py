"""The interface between splits and the passes that write examples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from kfp_tabular.components.common.values.hashes import (
    Hashes,
    hash_rows,
)
from kfp_tabular.components.data_ingestion.splits.row_hashing import RowNumbers
from kfp_tabular.components.data_ingestion.splits.split_evidence import SplitEvidence
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
        """The splits, where they do not depend on a choice to come or on the rows before."""

    @property
    def evidence(self) -> SplitEvidence | None:
        """What the rows show about the choice; None where there is none to make."""

    @property
    def row_hashes(self) -> Hashes | None:
        """What tells rows apart that are numbered; None where they are not."""


class Splitting(Protocol):
    """Assigns the rows of all blocks, perhaps by a choice that depends on the data.

    A pass calls `choose` with the first blocks, then `look` and `assign` for each block, in any
    thread or process. Unless `is_settled` with the evidence of all blocks, it begins again.
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

    @property
    def is_numbered(self) -> bool:
        """Whether a row's split depends on its number among equal rows."""

    def forget(self) -> None:
        """Forget a choice that was made from columns which turned out to be others."""

    def look(self, columns: Columns) -> LookedAt:
        """Return what the splits of a block depend on."""

    def choose(self, first: Sequence[Any], blocks: Sequence[Columns]) -> None:
        """Choose how to split, from what `look` returned for the first blocks."""

    def again(self, looked_at: Any, columns: Columns, /) -> LookedAt:
        """Return what the splits of a block depend on, which was looked at before the choice."""

    def assign(self, looked_at: Any, numbers: RowNumbers, /) -> Assignment:
        """Return the splits of a block.

        Args:
            looked_at: What the splits depend on.
            numbers: Numbers rows; it has seen the rows before.
        """

    def is_settled(self, evidence: SplitEvidence | None) -> bool:
        """Return whether all rows agree with the choice.

        Args:
            evidence: What all rows show; None where there is no choice to make.
        """


@dataclass(frozen=True)
class SplitLookedAt:
    """The splits of a block; a `LookedAt`."""

    assignment: Assignment
    evidence: None = None
    row_hashes: None = None


@dataclass(frozen=True)
class GivenSplit:
    """Splits by a splitter that is known from the start; a `Splitting`.

    Attributes:
        splitter: The splitter.
        is_numbered: No number of a row plays a part.
    """

    splitter: Splitter
    is_numbered: bool = False

    @property
    def names(self) -> Sequence[str]:
        """The names of the splits."""
        return self.splitter.names

    @property
    def drops(self) -> str | None:
        """A column to leave out of the examples."""
        return self.splitter.drops

    @property
    def decides(self) -> str | None:
        """The column that a row must have a value in."""
        return self.splitter.decides

    def forget(self) -> None:
        """Do nothing."""

    def look(self, columns: Columns) -> SplitLookedAt:
        """Assign the rows of a block."""
        return SplitLookedAt(self.splitter.assign(columns))

    def choose(self, first: Sequence[Any], blocks: Sequence[Columns]) -> None:
        """Do nothing."""

    def again(self, looked_at: SplitLookedAt, columns: Columns, /) -> SplitLookedAt:
        """Return what is given."""
        del columns
        return looked_at

    def assign(self, looked_at: SplitLookedAt, numbers: RowNumbers, /) -> Assignment:
        """Return the splits that `look` found."""
        del numbers
        return looked_at.assignment

    def is_settled(self, evidence: SplitEvidence | None) -> bool:
        """Return true."""
        del evidence
        return True


@dataclass(frozen=True)
class RowsLookedAt:
    """The hashes of a block's rows; a `LookedAt`."""

    row_hashes: Hashes
    assignment: None = None
    evidence: None = None


@dataclass(frozen=True)
class RowSplit:
    """Splits by the hash of a row's key and its number among equal ones; a `Splitting`.

    So the splits are even however many rows share a key, and depend on which rows there are more
    than on their order.

    Attributes:
        names: The splits.
        limits: The cumulative shares, ascending; the last is 1.0.
        keys: The columns of the key.
        salt: A different salt gives a different split.
    """

    names: Sequence[str]
    limits: Sequence[float]
    keys: Sequence[str]
    salt: str
    drops: None = None
    decides: None = None
    is_numbered: bool = True

    def forget(self) -> None:
        """Do nothing."""

    def look(self, columns: Columns) -> RowsLookedAt:
        """Hash the rows of a block."""
        key = {name: columns[name] for name in self.keys}
        return RowsLookedAt(hash_rows(key, self.salt))

    def choose(self, first: Sequence[Any], blocks: Sequence[Columns]) -> None:
        """Do nothing."""

    def again(self, looked_at: RowsLookedAt, columns: Columns, /) -> RowsLookedAt:
        """Return what is given."""
        del columns
        return looked_at

    def assign(self, looked_at: RowsLookedAt, numbers: RowNumbers, /) -> Assignment:
        """Assign the rows of a block."""
        return Assignment(splits_of(numbers.tell_apart(looked_at.row_hashes), self.limits))

    def is_settled(self, evidence: SplitEvidence | None) -> bool:
        """Return true."""
        del evidence
        return True
