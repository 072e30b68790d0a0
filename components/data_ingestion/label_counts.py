"""How often labels occur in the examples, to compare them with the labels of rejected rows."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.artifacts.examples import damaged_parquet
from kfp_tabular.components.common.artifacts.examples.shard_file import open_parquet
from kfp_tabular.components.common.artifacts.manifest import Shard
from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.processing.pieces import Piece
from kfp_tabular.components.common.values.hashes import hash_values, mix

_Counts = np.ndarray[Any, np.dtype[np.int64]]

_ROWS_PER_BATCH = 65_536
_SLOT_BITS = 16


@dataclass(frozen=True)
class CountedLabels:
    """The labels of the examples.

    Attributes:
        rows: All rows.
        wanted: The rows of the labels that were asked for, by their text; only those that occur.
        most: The rows of the most frequent label. Of many labels, at most a few too many.
    """

    rows: int
    wanted: Mapping[str, int]
    most: int

    def share(self, label: str) -> float:
        """Return the share of a label in the rows; of an unknown one, that of the most frequent.

        Example:
            >>> CountedLabels(10, {"0": 4}, 6).share("0"), CountedLabels(10, {}, 6).share("n/d")
            (0.4, 0.6)
        """
        return self.wanted.get(label, self.most) / max(self.rows, 1)


class LabelCounts:
    """Counts the rows of some labels, and bounds those of the most frequent one.

    Its size depends on the labels that are asked for only, so it suits a number as the label, too.

    Args:
        wanted: The labels to count, as text.

    Example:
        >>> counts = LabelCounts(["1", "7"])
        >>> counts.add(pa.array([1, 0, 0]))
        >>> counts.result()
        CountedLabels(rows=3, wanted={'1': 1}, most=2)
    """

    def __init__(self, wanted: Collection[str]) -> None:
        self._wanted = sorted(set(wanted))
        self._counts = np.zeros(len(self._wanted), np.int64)
        self._slots = np.zeros(1 << _SLOT_BITS, np.int64)
        self._rows = 0
        self._known: dict[pa.DataType, tuple[pa.Array, _Counts]] = {}

    def add(self, batch: pa.Array) -> None:
        """Add labels as in the examples."""
        if not len(batch):
            return
        self._rows += len(batch)
        slots = mix(hash_values(batch)) >> np.uint64(64 - _SLOT_BITS)
        self._slots += np.bincount(slots.astype(np.int64), minlength=len(self._slots))
        values, places = self._typed(batch.type)
        found = pc.index_in(batch, values).drop_null().to_numpy(zero_copy_only=False)
        self._counts += np.bincount(places[found], minlength=len(self._counts))

    def merge(self, other: "LabelCounts") -> None:
        """Add the labels of other rows."""
        self._rows += other._rows
        self._counts += other._counts
        self._slots += other._slots

    def state(self) -> bytes:
        """Return the counts so far."""
        slots = np.flatnonzero(self._slots)
        return states.pack(
            {
                "rows": self._rows,
                "counts": self._counts,
                "slots": slots,
                "of_slots": self._slots[slots],
            }
        )

    def from_state(self, state: bytes) -> "LabelCounts":
        """Return counts of the same labels with a state."""
        found, parts = LabelCounts(self._wanted), states.unpack(state)
        found._rows, found._counts = parts["rows"], parts["counts"]
        found._slots[parts["slots"]] = parts["of_slots"]
        return found

    def result(self) -> CountedLabels:
        """Return what is known about all rows."""
        counted = zip(self._wanted, self._counts.tolist(), strict=True)
        return CountedLabels(
            self._rows, {label: rows for label, rows in counted if rows}, int(self._slots.max())
        )

    def _typed(self, kind: pa.DataType) -> "tuple[pa.Array, _Counts]":
        """Return the labels that a value of a type is written as, as values, and their places."""
        if kind not in self._known:
            found = dict(self._parsed(kind))
            self._known[kind] = (
                pa.array(list(found), kind),
                np.array(list(found.values()), np.int64),
            )
        return self._known[kind]

    def _parsed(self, kind: pa.DataType) -> Iterator[tuple[Any, int]]:
        parse = int if pa.types.is_integer(kind) else float if pa.types.is_floating(kind) else str
        for place, text in enumerate(self._wanted):
            try:
                value = parse(text)
                if str(value) == text:
                    yield pa.scalar(value, kind).as_py(), place
            except (ValueError, OverflowError, pa.ArrowInvalid):
                continue


@dataclass(frozen=True)
class LabelReader:
    """Reads the labels of a shard.

    Attributes:
        label: Their column.
    """

    label: str

    def __call__(self, piece: Piece) -> Iterator[pa.Array]:
        """Yield the labels in batches."""
        groups = range(piece.start, piece.stop)
        with open_parquet(piece.uri, groups, [self.label]) as parquet:
            for batch in damaged_parquet.batches(
                parquet, piece.uri, _ROWS_PER_BATCH, groups, [self.label]
            ):
                yield batch.column(self.label)


def pieces(root: str, shards: Mapping[str, Sequence[Shard]]) -> list[Piece]:
    """Return the shards of all splits as pieces.

    Args:
        root: Where they are: a directory or a URI.
        shards: The shards by split.
    """
    return [
        Piece(f"{root}/{shard.path}", "row-groups", 0, len(shard.row_groups), split, shard.rows)
        for split, found in shards.items()
        for shard in found
    ]
