"""Rows at given positions, such as those of a sample that is spread over a split."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.processing.accumulator import Rows

Positions = npt.NDArray[np.int64]


class RowsAt:
    """Keeps the rows at given positions.

    Args:
        positions: The positions in the split, ascending.

    Example:
        >>> rows = RowsAt(np.array([0, 2]))
        >>> rows.add(Rows(pa.RecordBatch.from_pydict({"x": [10, 11, 12]}), first=0))
        >>> rows.result()["x"].to_pylist()
        [10, 12]
    """

    def __init__(self, positions: Positions) -> None:
        self._wanted = positions
        self._found: list[Positions] = []
        self._tables: list[pa.Table] = []

    def add(self, batch: Rows) -> None:
        """Add rows, with the same columns each time."""
        ends = [batch.first, batch.first + batch.batch.num_rows]
        chosen = self._wanted[slice(*np.searchsorted(self._wanted, ends))]
        if len(chosen):
            taken = batch.batch.take(pa.array(chosen - batch.first))
            self._found.append(chosen)
            self._tables.append(pa.Table.from_batches([taken]))

    def merge(self, other: "RowsAt") -> None:
        """Add what another accumulator has seen."""
        self._found += other._found
        self._tables += other._tables

    def state(self) -> bytes:
        """Return the state as bytes."""
        if not self._tables:
            return states.pack({})
        return states.pack(
            {"positions": np.concatenate(self._found), "rows": pa.concat_tables(self._tables)}
        )

    def from_state(self, state: bytes) -> "RowsAt":
        """Return an accumulator with a state."""
        parts = states.unpack(state)
        found = RowsAt(self._wanted)
        if parts:
            found._found, found._tables = [parts["positions"]], [parts["rows"]]
        return found

    def result(self) -> pa.Table:
        """Return the rows in the order of their positions; a table without columns for none."""
        if not self._tables:
            return pa.table({})
        order = np.argsort(np.concatenate(self._found), kind="stable")
        return pa.concat_tables(self._tables).take(pa.array(order))
