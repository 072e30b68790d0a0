"""Rows that belong together: the entities of the evaluated rows, such as customers.

Rows of one customer resemble each other, so a thousand rows of ten customers say less than a
thousand customers do. All rows of an entity share a group of the bootstrap, which makes it a
cluster bootstrap (Field and Welsh, "Bootstrapping clustered data", 2007).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.processing.row_keys import Keys
from kfp_tabular.components.common.values import hashes

FEWEST = 30
"""With fewer entities, intervals by cluster are too narrow (Cameron, Gelbach and Miller,
"Bootstrap-based improvements for inference with clustered errors", 2008)."""


@dataclass(frozen=True)
class Entities:
    """The entities of the evaluated rows.

    Attributes:
        count: Their number, an estimate if there are many.
        repeat: Whether any entity has several rows.
    """

    count: int
    repeat: bool


def check(names: Sequence[str], known: Sequence[str]) -> None:
    """Check the option `entity_columns`.

    Raises:
        UserError: A name is not a column of the examples.

    Example:
        >>> check(["customer"], ["customer", "amount"])
    """
    for name in names:
        if name not in known:
            raise UserError(
                f"entity_columns: the examples have no column {name!r}.{closest(name, known)} "
                "The entity_columns of ingest_data are read although exclude names them."
            )


def keys_of(columns: pa.RecordBatch, names: Sequence[str], seed: int) -> Keys:
    """Return a random number for the entity of each row, the same for all its rows.

    Args:
        columns: The raw columns.
        names: The columns that name an entity together.
        seed: Any integer.

    Example:
        >>> batch = pa.RecordBatch.from_pydict({"customer": ["ann", "bob", "ann"]})
        >>> first, second, third = keys_of(batch, ["customer"], seed=0).tolist()
        >>> first == third, first == second
        (True, False)
    """
    given = {name: _plain(columns.column(name)) for name in names}
    return hashes.hash_rows(given, salt=str(seed))


class EntityCounts:
    """Counts entities from the smallest of their keys (Bar-Yossef et al., 2002).

    Args:
        most: How many keys are kept; up to as many entities the count is exact.

    Example:
        >>> counts = EntityCounts()
        >>> counts.add(np.array([7, 9, 7], np.uint64))
        >>> counts.result()
        Entities(count=2, repeat=True)
    """

    def __init__(self, most: int = 4096) -> None:
        self._most = most
        self._keys = np.empty(0, np.uint64)
        self._rows = np.empty(0, np.int64)

    def add(self, keys: Keys) -> None:
        """Add the entity's key of each row."""
        if len(self._keys) == self._most:
            keys = keys[keys <= self._keys[-1]]
        found, rows = np.unique(keys, return_counts=True)
        self._take(found, rows)

    def merge(self, other: "EntityCounts") -> None:
        """Add what another accumulator has seen."""
        self._take(other._keys, other._rows)

    def state(self) -> bytes:
        """Return the state as bytes."""
        return states.pack({"keys": self._keys, "rows": self._rows})

    def from_state(self, state: bytes) -> "EntityCounts":
        """Return an accumulator with a state."""
        parts = states.unpack(state)
        found = EntityCounts(self._most)
        found._keys, found._rows = parts["keys"], parts["rows"]
        return found

    def result(self) -> Entities:
        """Return the entities."""
        count = len(self._keys)
        if count == self._most:
            count = round((self._most - 1) / (float(self._keys[-1]) / 2.0**64))
        return Entities(count, bool((self._rows > 1).any()))

    def _take(self, keys: Keys, rows: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> None:
        both = np.concatenate([self._keys, keys])
        distinct, place = np.unique(both, return_inverse=True)
        counts = np.zeros(len(distinct), np.int64)
        np.add.at(counts, place, np.concatenate([self._rows, rows]))
        self._keys, self._rows = distinct[: self._most], counts[: self._most]


def _plain(values: pa.Array) -> pa.Array:
    """Return values of a type that can be hashed: numbers or text."""
    kind = values.type
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return values.cast(pa.int64())
    if pa.types.is_floating(kind):
        return values.cast(pa.float64())
    return values.cast(pa.string())
