"""What the values of the column that decides a split show, as folds."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.data_ingestion.splits import split_names, split_times

_Doubles = np.ndarray[Any, np.dtype[np.float64]]
_Counts = np.ndarray[Any, np.dtype[np.int64]]


class TimeCuts:
    """Finds the times at which splits begin.

    Exact cuts need the times of all rows: eight bytes each, or sixteen for each distinct one in a
    state.

    Args:
        column: The column, for messages.
        time_format: The format of text, as for `split_times.time_keys`.
        shares: The shares of the splits, earliest split first.

    Example:
        >>> cuts = TimeCuts("at", "", [0.5, 0.5])
        >>> cuts.add(pa.array([4, 1, 3, 2, None]))
        >>> cuts.result()
        [3.0]
    """

    def __init__(self, column: str, time_format: str, shares: Sequence[float]) -> None:
        self._column = column
        self._time_format = time_format
        self._shares = shares
        self._times: list[_Doubles] = []
        self._counted: list[tuple[_Doubles, _Counts]] = []

    def add(self, batch: pa.Array) -> None:
        """Add the values of a block."""
        self._times.append(split_times.time_keys(batch, self._column, self._time_format))

    def merge(self, other: "TimeCuts") -> None:
        """Add the times of other blocks."""
        self._times += other._times
        self._counted += other._counted

    def state(self) -> bytes:
        """Return the distinct times so far with their rows."""
        times, counts = self._distinct()
        return states.pack({"times": times, "counts": counts})

    def from_state(self, state: bytes) -> "TimeCuts":
        """Return a fold of the same column with a state."""
        found, parts = TimeCuts(self._column, self._time_format, self._shares), states.unpack(state)
        found._counted.append((parts["times"], parts["counts"]))
        return found

    def result(self) -> list[float]:
        """Return the earliest time of each split but the first; none where no row has a time."""
        if not self._counted:
            times = np.concatenate([np.empty(0), *self._times])
            return split_times.time_cuts(times, self._shares)
        return split_times.weighted_cuts(*self._distinct(), self._shares)

    def _distinct(self) -> tuple[_Doubles, _Counts]:
        times = np.concatenate([np.empty(0), *self._times])
        times = times[~np.isnan(times)]
        values = np.concatenate([times, *(values for values, _ in self._counted)])
        ones = np.ones(len(times), np.int64)
        rows = np.concatenate([ones, *(counts for _, counts in self._counted)])
        distinct, places = np.unique(values, return_inverse=True)
        return distinct, np.bincount(places, rows, minlength=len(distinct)).astype(np.int64)


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
