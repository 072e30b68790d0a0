"""Slices of the data: which slice each row belongs to.

A slicing is a column, or a cross of columns. Text columns and columns with few distinct numbers
have a slice for each value; other numbers are split at their quartiles. Two folds over the slicing
columns alone decide the slices, so that the pass over all data counts a bounded number of them.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.artifacts import example_pieces
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.processing.accumulator import Rows
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.folds.number_counts import NumberCounts
from kfp_tabular.components.common.processing.local_engine import LocalEngine
from kfp_tabular.components.common.statistics.bootstrap import Ints

MISSING = "(missing)"

_MOST_NUMBERS = 50
_MOST_VALUES = 100_000


@dataclass(frozen=True)
class Cut:
    """How the values of a column become names of slices.

    Attributes:
        column: The column.
        quartiles: Where numbers are split, ascending; empty if each value is a slice.
    """

    column: str
    quartiles: tuple[float, ...] = ()

    def names(self, values: pa.Array) -> pa.Array:
        """Return the name of each value, missing ones included.

        Example:
            >>> Cut("fare", (10.0, 20.0)).names(pa.array([5.0, 15.0, None])).to_pylist()
            ['below 10', '10 to 20', '(missing)']
        """
        if not self.quartiles:
            return pc.fill_null(pc.cast(values, pa.string()), MISSING)
        numbers = np.asarray(pc.cast(values, pa.float64(), safe=False).fill_null(np.nan))
        part = np.searchsorted(self.quartiles, numbers, side="right")
        part[np.isnan(numbers)] = len(self.quartiles) + 1
        ends = [f"{end:.6g}" for end in self.quartiles]
        between = [f"{low} to {high}" for low, high in pairwise(ends)]
        names = [f"below {ends[0]}", *between, f"{ends[-1]} and up", MISSING]
        return pa.array(names).take(pa.array(part))


@dataclass(frozen=True)
class Slicing:
    """The slices of a column or of a cross of columns.

    Attributes:
        name: Name of the column, or names of the crossed columns joined by commas.
        cuts: How the values of each column become names.
        slices: The slices that are measured, largest first: a name for each column.
        left_out: Number of smaller slices that are not measured.
    """

    name: str
    cuts: tuple[Cut, ...]
    slices: tuple[tuple[str, ...], ...]
    left_out: int

    def titles(self) -> list[str]:
        """Return the title of each slice, such as `company=Flash Cab`."""
        return [
            ", ".join(f"{cut.column}={value}" for cut, value in zip(self.cuts, values, strict=True))
            for values in self.slices
        ]

    def cells(self, batch: pa.RecordBatch) -> Ints:
        """Return the slice of each row as its index in `slices`; -1 for none."""
        if not self.slices:
            return np.full(batch.num_rows, -1)
        codes = np.zeros(batch.num_rows, np.int64)
        slice_codes = np.zeros(len(self.slices), np.int64)
        for position, cut in enumerate(self.cuts):
            known = list(dict.fromkeys(values[position] for values in self.slices))
            found = pc.index_in(cut.names(batch.column(cut.column)), value_set=pa.array(known))
            # 0 means a value that is in no slice.
            place = np.asarray(pc.fill_null(found, -1)).astype(np.int64) + 1
            codes = codes * (len(known) + 1) + place
            index = {value: number for number, value in enumerate(known, start=1)}
            slice_codes = slice_codes * (len(known) + 1) + np.array(
                [index[values[position]] for values in self.slices], np.int64
            )
        order = np.argsort(slice_codes)
        at = np.minimum(np.searchsorted(slice_codes[order], codes), len(order) - 1)
        return np.where(slice_codes[order][at] == codes, order[at], -1)


def plan(
    examples: Examples,
    split: str,
    slice_columns: Sequence[str],
    most: int,
    engine: Engine | None = None,
) -> tuple[Slicing, ...]:
    """Find the slices of a split.

    Args:
        examples: The examples.
        split: The split.
        slice_columns: Columns, or crosses such as `a,b`.
        most: The most slices in all; the largest are kept.
        engine: What runs the folds; None for this machine.

    Raises:
        UserError: If a column is unknown or has more than 100,000 values.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from kfp_tabular.components.common.artifacts.examples import ExamplesWriter
        >>> table = pa.table({"company": ["blue", "blue", "yellow", None]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with ExamplesWriter(folder, table.schema, ["test"]) as writer:
        ...         writer.write("test", table)
        ...     (slicing,) = plan(Examples(Path(folder)), "test", ["company"], most=2)
        >>> slicing.slices, slicing.left_out
        ((('blue',), ('(missing)',)), 1)
    """
    crosses = {
        ",".join(columns): columns
        for columns in (_columns(entry, examples.schema.names) for entry in slice_columns)
    }
    columns = dict.fromkeys(column for cross in crosses.values() for column in cross)
    engine = LocalEngine() if engine is None else engine
    cuts = _cuts(engine, examples, split, list(columns))
    counts = _count(
        engine,
        examples,
        split,
        {name: tuple(cuts[column] for column in cross) for name, cross in crosses.items()},
    )
    ranked = sorted(
        ((rows, name, values) for name, found in counts.items() for values, rows in found.items()),
        key=lambda entry: (-entry[0], entry[1:]),
    )
    kept = {(name, values) for _, name, values in ranked[:most]}
    return tuple(
        Slicing(
            name=name,
            cuts=tuple(cuts[column] for column in cross),
            slices=tuple(
                values for _, owner, values in ranked if owner == name and (name, values) in kept
            ),
            left_out=sum((name, values) not in kept for values in counts[name]),
        )
        for name, cross in crosses.items()
    )


def names(slice_columns: Sequence[str], known: Sequence[str] | None = None) -> list[str]:
    """Return the names of the slicings, which bounds refer to.

    Args:
        slice_columns: Columns, or crosses such as `a,b`.
        known: The columns of the examples; None if they are not known yet.

    Raises:
        UserError: If a column is unknown.

    Example:
        >>> names(["company", "city, company"])
        ['company', 'city,company']
    """
    return [
        ",".join(_columns(entry, _parts(entry) if known is None else known))
        for entry in slice_columns
    ]


def _parts(entry: str) -> list[str]:
    return [part.strip() for part in entry.split(",")] if isinstance(entry, str) else []


def _columns(entry: str, known: Sequence[str]) -> tuple[str, ...]:
    if not isinstance(entry, str):
        raise UserError(f"slice_columns: {entry!r} is not text; give names of columns.")
    if entry in known:
        return (entry,)
    columns = tuple(_parts(entry))
    for column in columns:
        if column not in known:
            raise UserError(
                f"slice_columns: the examples have no column {column!r}.{closest(column, known)}"
            )
    if len(set(columns)) < len(columns):
        raise UserError(f"slice_columns: {entry!r} crosses a column with itself.")
    return columns


def _cuts(engine: Engine, examples: Examples, split: str, columns: Sequence[str]) -> dict[str, Cut]:
    """Return how each column becomes names."""
    kinds = {column: examples.schema.field(column).type for column in columns}
    numeric = [
        column
        for column, kind in kinds.items()
        if pa.types.is_integer(kind) or pa.types.is_floating(kind)
    ]
    found = {column: Cut(column) for column in columns}
    if numeric:
        found |= engine.fold(
            example_pieces.pieces(examples, split),
            partial(CutFold, numeric),
            example_pieces.reader(examples, numeric),
        )
    return found


def _count(
    engine: Engine, examples: Examples, split: str, crosses: Mapping[str, tuple[Cut, ...]]
) -> dict[str, Counter[tuple[str, ...]]]:
    columns = list(dict.fromkeys(cut.column for cuts in crosses.values() for cut in cuts))
    if not columns:
        return {}
    return engine.fold(
        example_pieces.pieces(examples, split),
        partial(SliceFold, crosses),
        example_pieces.reader(examples, columns),
    )


class CutFold:
    """Counts the numbers of slicing columns, which decide how they become names.

    Args:
        columns: Columns of numbers.

    Example:
        >>> fold = CutFold(["fare"])
        >>> fold.add(Rows(pa.RecordBatch.from_pydict({"fare": list(range(101))}), first=0))
        >>> fold.result()["fare"].quartiles
        (25.0, 50.0, 75.0)
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self._counts = {column: NumberCounts() for column in columns}

    def add(self, batch: Rows) -> None:
        """Add rows."""
        for column, counts in self._counts.items():
            values = batch.batch.column(batch.batch.schema.get_field_index(column)).drop_null()
            if pa.types.is_floating(values.type):
                values = pc.cast(values, pa.float64())
                values = values.filter(pc.is_finite(values))
            else:
                values = pc.cast(values, pa.int64())
            counts.add(values)

    def merge(self, other: "CutFold") -> None:
        """Add what another accumulator has seen."""
        for column, counts in self._counts.items():
            counts.merge(other._counts[column])

    def state(self) -> bytes:
        """Return the state as bytes."""
        return states.pack({column: counts.state() for column, counts in self._counts.items()})

    def from_state(self, state: bytes) -> "CutFold":
        """Return an accumulator with a state."""
        found = CutFold(list(self._counts))
        for column, part in states.unpack(state).items():
            found._counts[column] = found._counts[column].from_state(part)
        return found

    def result(self) -> dict[str, Cut]:
        """Return how the columns become names."""
        return {
            column: Cut(column, () if _are_few(counts) else _quartiles(counts))
            for column, counts in self._counts.items()
        }


def _are_few(counts: NumberCounts) -> bool:
    return counts.are_exact and len(counts) <= _MOST_NUMBERS


def _quartiles(counts: NumberCounts) -> tuple[float, ...]:
    places = (counts.rows - 1) * np.array([0.25, 0.5, 0.75])
    low, high = counts.ordered(np.floor(places)), counts.ordered(np.ceil(places))
    return tuple(np.unique(low + (high - low) * (places - np.floor(places))).tolist())


class SliceFold:
    """Counts the rows of each slice.

    Args:
        crosses: By the name of a slicing, how the values of its columns become names.

    Example:
        >>> fold = SliceFold({"kind": (Cut("kind"),)})
        >>> fold.add(Rows(pa.RecordBatch.from_pydict({"kind": ["a", "b", "a"]}), first=0))
        >>> fold.result()["kind"].most_common(1)
        [(('a',), 2)]
    """

    def __init__(self, crosses: Mapping[str, tuple[Cut, ...]]) -> None:
        self._crosses = crosses
        self._counts: dict[str, Counter[tuple[str, ...]]] = {name: Counter() for name in crosses}

    def add(self, batch: Rows) -> None:
        """Add rows.

        Raises:
            UserError: If a slicing has more than 100,000 values.
        """
        columns = batch.batch
        for name, cuts in self._crosses.items():
            places = [columns.schema.get_field_index(cut.column) for cut in cuts]
            named = [cut.names(columns.column(at)) for cut, at in zip(cuts, places, strict=True)]
            labels = [str(position) for position in range(len(cuts))]
            grouped = pa.table(named, names=labels).group_by(labels).aggregate([([], "count_all")])
            values = zip(*(grouped.column(label).to_pylist() for label in labels), strict=True)
            rows = grouped.column("count_all").to_pylist()
            self._update(name, dict(zip(values, rows, strict=True)))

    def merge(self, other: "SliceFold") -> None:
        """Add what another accumulator has seen."""
        for name, counts in other._counts.items():
            self._update(name, counts)

    def state(self) -> bytes:
        """Return the state as bytes."""
        return states.pack(
            {
                name: [[*key, rows] for key, rows in found.items()]
                for name, found in self._counts.items()
            }
        )

    def from_state(self, state: bytes) -> "SliceFold":
        """Return an accumulator with a state."""
        found = SliceFold(self._crosses)
        for name, entries in states.unpack(state).items():
            found._update(name, {tuple(key): rows for *key, rows in entries})
        return found

    def result(self) -> dict[str, Counter[tuple[str, ...]]]:
        """Return the rows of each slice, by slicing."""
        return self._counts

    def _update(self, name: str, rows: Mapping[tuple[str, ...], int]) -> None:
        counts = self._counts[name]
        counts.update(rows)
        if len(counts) > _MOST_VALUES:
            raise UserError(
                f"slice_columns: {','.join(cut.column for cut in self._crosses[name])!r} has more "
                f"than {_MOST_VALUES:,} values; slice by a column with fewer."
            )
