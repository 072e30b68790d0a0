"""Assigns rows to splits: by hash, by time, or by a column."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.values import arrays
from kfp_tabular.components.common.values.arrays import Mask
from kfp_tabular.components.common.values.hashes import (
    Hashes,
    hash_rows,
)
from kfp_tabular.components.data_ingestion.splits.split_times import time_keys

Assigned = np.ndarray[Any, np.dtype[np.intp]]


@dataclass(frozen=True)
class Assignment:
    """The splits of some rows.

    Attributes:
        splits: The index of each row's split in the splitter's names.
        missing: A mask of the rows that lack the value that decides, where `splits` is undefined;
            None where all rows have it.
    """

    splits: Assigned
    missing: Mask | None = None


class Splitter(Protocol):
    """Assigns rows to splits."""

    @property
    def names(self) -> Sequence[str]:
        """The names of the splits."""

    @property
    def drops(self) -> str | None:
        """A column to leave out of the examples because it is not a feature."""

    @property
    def decides(self) -> str | None:
        """The column that a row must have a value in; None where any row can be assigned."""

    def assign(self, columns: Mapping[str, pa.Array]) -> Assignment:
        """Assign rows.

        Args:
            columns: The columns of a block, as in the examples; at least one.
        """


@dataclass(frozen=True)
class HashSplitter:
    """Assigns a row by the hash of its key: equal keys go to the same split.

    Attributes:
        names: The splits.
        limits: The cumulative shares, ascending; the last is 1.0.
        keys: The columns of the key; empty for all columns.
        salt: A different salt gives a different split.
    """

    names: Sequence[str]
    limits: Sequence[float]
    keys: Sequence[str]
    salt: str
    drops: None = None
    decides: None = None

    def assign(self, columns: Mapping[str, pa.Array]) -> Assignment:
        """Assign rows."""
        key = {name: columns[name] for name in self.keys} if self.keys else columns
        return Assignment(splits_of(hash_rows(key, self.salt), self.limits))


@dataclass(frozen=True)
class TimeSplitter:
    """Assigns a row by time: the first split holds the earliest rows.

    Attributes:
        names: The splits, earliest first.
        column: A column of numbers or ISO 8601 text.
        cuts: The earliest time of each split but the first, as `time_keys` returns it.
        time_format: As for `time_keys`.
    """

    names: Sequence[str]
    column: str
    cuts: Sequence[float]
    time_format: str = ""
    drops: None = None

    @property
    def decides(self) -> str:
        """The time column."""
        return self.column

    def assign(self, columns: Mapping[str, pa.Array]) -> Assignment:
        """Assign rows that have a time."""
        keys = time_keys(columns[self.column], self.column, self.time_format)
        missing = np.isnan(keys)
        return Assignment(
            np.searchsorted(np.asarray(self.cuts), keys, side="right"),
            missing if missing.any() else None,
        )


@dataclass(frozen=True)
class ColumnSplitter:
    """Assigns a row to the split that a column names.

    Attributes:
        names: The splits: the column's values.
        column: The column, which is not a feature.
    """

    names: Sequence[str]
    column: str

    @property
    def drops(self) -> str:
        """The split column."""
        return self.column

    @property
    def decides(self) -> str:
        """The split column."""
        return self.column

    def assign(self, columns: Mapping[str, pa.Array]) -> Assignment:
        """Assign rows that name a split."""
        values = pc.cast(columns[self.column], pa.string())
        indices = pc.index_in(values, arrays.from_texts(self.names))
        missing = ~arrays.to_valid(indices)
        splits = arrays.to_integers(pc.cast(indices, pa.int64())).astype(np.intp)
        return Assignment(splits, missing if missing.any() else None)


def splits_of(hashes: Hashes, limits: Sequence[float]) -> Assigned:
    """Return the split of each row, as an index, from the hash that decides it.

    Args:
        hashes: Evenly spread bits for each row.
        limits: The cumulative shares of the splits, ascending; the last is 1.0.
    """
    # The upper 53 bits make an exact double in [0, 1).
    share = (hashes >> np.uint64(11)) * 2.0**-53
    return np.searchsorted(np.asarray(limits[:-1]), share, side="right")


def names_of(splits: Assigned, names: Sequence[str]) -> Iterator[tuple[str, Assigned]]:
    """Yield each split that has rows, with the ascending numbers of its rows.

    Args:
        splits: Each row's split, as an index into `names`.
        names: The splits.

    Example:
        >>> list(names_of(np.array([0, 1, 0]), ["train", "eval"]))
        [('train', array([0, 2])), ('eval', array([1]))]
    """
    for index, name in enumerate(names):
        rows = np.flatnonzero(splits == index)
        if rows.size:
            yield name, rows
