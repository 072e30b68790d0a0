"""Counts how often two columns have the same value, by a fold over the train split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.artifacts import example_pieces
from kfp_tabular.components.common.artifacts.dense_columns import dense_column
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.raw_features import RawFeature
from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.processing.accumulator import Rows
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.local_engine import LocalEngine

_BATCH_ROWS = 65_536


@dataclass(frozen=True)
class Pair:
    """Two columns of one type.

    Attributes:
        first: The raw feature that comes first in the schema.
        second: The other raw feature.
    """

    first: RawFeature
    second: RawFeature


@dataclass(frozen=True)
class EqualityFacts:
    """How often two columns have the same value.

    Attributes:
        equal: Rows in which both have a value, and it is the same.
        present: Rows in which both have a value.
        missing: Rows in which a column has no value.
    """

    equal: int
    present: int
    missing: int


class EqualityFold:
    """Accumulates the facts about pairs of columns.

    Args:
        pairs: The pairs.

    Example:
        >>> first, second = (RawFeature(name, "string", False) for name in ("home", "here"))
        >>> fold = EqualityFold([Pair(first, second)])
        >>> fold.add(Rows(pa.RecordBatch.from_pydict({
        ...     "home": ["US", "PL", None], "here": ["US", "US", "US"]}), first=0))
        >>> fold.result()
        [EqualityFacts(equal=1, present=2, missing=1)]
    """

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self._pairs = tuple(pairs)
        self._counts = np.zeros((len(self._pairs), 3), np.int64)

    def add(self, batch: Rows) -> None:
        """Add rows."""
        features = columns(self._pairs)
        dense = {
            name: dense_column(batch.batch.column(name), feature)
            for name, feature in features.items()
        }
        present = {name: _present(column, features[name]) for name, column in dense.items()}
        for at, pair in enumerate(self._pairs):
            first, second = pair.first.name, pair.second.name
            both = pc.and_(present[first], present[second])
            equal = pc.and_(both, pc.equal(dense[first], dense[second]))
            self._counts[at] += (equal.true_count, both.true_count, both.false_count)

    def merge(self, other: "EqualityFold") -> None:
        """Add what another accumulator has seen."""
        self._counts += other._counts

    def state(self) -> bytes:
        """Return the state as bytes."""
        return states.pack({"counts": self._counts})

    def from_state(self, state: bytes) -> "EqualityFold":
        """Return an accumulator with a state."""
        found = EqualityFold(self._pairs)
        found._counts = states.unpack(state)["counts"]
        return found

    def result(self) -> list[EqualityFacts]:
        """Return the facts of each pair."""
        return [EqualityFacts(*counts) for counts in self._counts.tolist()]


def collect(
    examples: Examples, pairs: Sequence[Pair], *, split: str = "train", engine: Engine | None = None
) -> list[EqualityFacts]:
    """Count how often the columns of each pair have the same value.

    Args:
        examples: The examples to read.
        pairs: The pairs.
        split: The split to read.
        engine: What runs the fold; None for threads of this process.
    """
    if not pairs:
        return []
    return (engine or LocalEngine()).fold(
        example_pieces.pieces(examples, split),
        partial(EqualityFold, tuple(pairs)),
        example_pieces.reader(examples, list(columns(pairs)), _BATCH_ROWS),
        what="facts about equal columns",
    )


def columns(pairs: Sequence[Pair]) -> Mapping[str, RawFeature]:
    """Return the columns of pairs by name, each once."""
    return {side.name: side for pair in pairs for side in (pair.first, pair.second)}


def _present(column: pa.Array, feature: RawFeature) -> pa.Array:
    if feature.dtype == "float32":
        return pc.is_finite(column)
    return pc.not_equal(column, pa.scalar(feature.missing, column.type))
