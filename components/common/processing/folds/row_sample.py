"""A random sample of rows: those with the smallest random keys."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kfp_tabular.components.common.processing import row_keys
from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.processing.accumulator import Rows
from kfp_tabular.components.common.processing.row_keys import Keys


class RowSample:
    """Keeps the rows with the smallest keys; a row's key follows from its position and the seed.

    Args:
        most: The most rows to keep.
        seed: Seed of the keys.

    Example:
        >>> sample = RowSample(most=2, seed=0)
        >>> sample.add(Rows(pa.RecordBatch.from_pydict({"x": [10, 11, 12]}), first=0))
        >>> sample.result().num_rows
        2
    """

    def __init__(self, most: int, seed: int = 0) -> None:
        self._most = most
        self._seed = seed
        self._limit = np.uint64(2**64 - 1)
        self._keys: list[Keys] = []
        self._tables: list[pa.Table] = []
        self._rows = 0

    def add(self, batch: Rows) -> None:
        """Add rows, with the same columns each time."""
        keys = row_keys.keys(batch.first, batch.batch.num_rows, self._seed)
        chosen = self.wanted(keys)
        self.add_keyed(keys[chosen], batch.batch.take(pa.array(chosen)))

    def wanted(self, keys: Keys) -> npt.NDArray[np.int64]:
        """Return the places of the rows that belong to the sample so far, by their keys."""
        chosen = np.flatnonzero(keys <= self._limit)
        if len(chosen) > self._most:
            chosen = chosen[np.argpartition(keys[chosen], self._most - 1)[: self._most]]
        return chosen

    def add_keyed(self, keys: Keys, batch: pa.RecordBatch) -> None:
        """Add rows that `wanted` has returned, by the keys that `row_keys` has for them."""
        if len(keys):
            self._take(keys, pa.Table.from_batches([batch]))

    def merge(self, other: "RowSample") -> None:
        """Add what another accumulator has seen."""
        for keys, table in zip(other._keys, other._tables, strict=True):
            self._take(keys, table)

    def state(self) -> bytes:
        """Return the state as bytes."""
        self._compact()
        if not self._tables:
            return states.pack({})
        return states.pack({"keys": self._keys[0], "rows": self._tables[0]})

    def from_state(self, state: bytes) -> "RowSample":
        """Return an accumulator with a state."""
        parts = states.unpack(state)
        found = RowSample(self._most, self._seed)
        if parts:
            found._take(parts["keys"], parts["rows"])
        return found

    def result(self) -> pa.Table:
        """Return the sample in random order; a table without columns if there were no rows."""
        self._compact()
        if not self._tables:
            return pa.table({})
        return self._tables[0].take(pa.array(np.argsort(self._keys[0])))

    def _take(self, keys: Keys, table: pa.Table) -> None:
        self._keys.append(keys)
        self._tables.append(table)
        self._rows += len(keys)
        if self._rows > 2 * self._most:
            self._compact()

    def _compact(self) -> None:
        if not self._tables:
            return
        keys, table = np.concatenate(self._keys), pa.concat_tables(self._tables)
        if len(keys) > self._most:
            kept = np.argpartition(keys, self._most - 1)[: self._most]
            keys, table = keys[kept], table.take(pa.array(kept))
        self._keys, self._tables, self._rows = [keys], [table], len(keys)
        if len(keys) == self._most:
            self._limit = keys.max()
