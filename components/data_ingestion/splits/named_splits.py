"""The splits that a column names, as a fold."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.data_ingestion.splits import split_names


class ColumnNames:
    """Finds the splits that a column names.

    Args:
        column: The column, for messages.

    Example:
        >>> names = ColumnNames("part")
        >>> names.add(pa.array(["test", "train", None]))
        >>> names.result()
        ['train', 'test']
    """

    def __init__(self, column: str) -> None:
        self._column = column
        self._names: set[str] = set()

    def add(self, batch: pa.Array) -> None:
        """Add the values of a block."""
        found = pc.unique(pc.cast(batch, pa.string())).to_pylist()
        self._add(split_names.split_names(found, self._column))

    def merge(self, other: "ColumnNames") -> None:
        """Add the names of other blocks."""
        self._add(other._names)

    def state(self) -> bytes:
        """Return the names so far."""
        return states.pack({"names": sorted(self._names)})

    def from_state(self, state: bytes) -> "ColumnNames":
        """Return a fold of the same column with a state."""
        found = ColumnNames(self._column)
        found._names = set(states.unpack(state)["names"])
        return found

    def result(self) -> list[str]:
        """Return the names in the order of splits."""
        return split_names.split_names(self._names, self._column)

    def _add(self, names: "Sequence[str] | set[str]") -> None:
        self._names.update(names)
        # More names than a split may have are an error, so no more than that are held.
        split_names.split_names(sorted(self._names), self._column)
