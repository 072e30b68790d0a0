"""What a fold is made of.

An accumulator's result depends on the rows that were added, and not on how they were cut into
pieces or in which order pieces were merged: what is random is keyed by a row's position (see
`row_keys`), and what is bounded is bounded by a rule that holds for all rows together. Sums of
floating-point numbers may differ in their last digits.

`tests/accumulator_laws.py` checks this for every accumulator.
"""

from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import pyarrow as pa

BatchT_contra = TypeVar("BatchT_contra", contravariant=True)
ResultT_co = TypeVar("ResultT_co", covariant=True)
SelfT = TypeVar("SelfT")


class Accumulator(Protocol[BatchT_contra, ResultT_co]):
    """Takes batches, merges with others of its kind, and is finished once."""

    def add(self, batch: BatchT_contra) -> None:
        """Add rows."""

    def merge(self: SelfT, other: SelfT) -> None:
        """Add what another accumulator of the same fold has seen; the other is used up."""

    def state(self) -> bytes:
        """Return what was added so far, for `from_state` in another process."""

    def from_state(self: SelfT, state: bytes) -> SelfT:
        """Return an accumulator configured as this one, with a state.

        The configuration (columns, limits, seeds) belongs to the fold, so that states are small.
        """

    def result(self) -> ResultT_co:
        """Return the result over all rows. Nothing is added or merged after it."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A batch of rows that knows where its rows lie.

    Attributes:
        batch: The columns.
        first: The position of the first row among the rows of its split.
        split: The split.
    """

    batch: pa.RecordBatch
    first: int
    split: str = ""

    def with_batch(self, batch: pa.RecordBatch) -> "Rows":
        """Return the same rows with other columns."""
        return replace(self, batch=batch)
