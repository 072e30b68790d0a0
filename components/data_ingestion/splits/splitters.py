"""Which split a row belongs to."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.data_ingestion.columns import arrays
from kfp_tabular.components.data_ingestion.columns.arrays import Mask
from kfp_tabular.components.data_ingestion.splits.row_hashing import hash_rows

SplitMethod = Literal["hash", "time", "column"]
SPLIT_METHODS: tuple[SplitMethod, ...] = get_args(SplitMethod)

MOST_SPLITS = 100
"""More values than this in a split column: it is not one."""

_ORDER = {"train": 0, "training": 0, "eval": 1, "validation": 1, "valid": 1, "val": 1, "dev": 1}
_ORDER_TEST, _ORDER_OTHER = 2, 3
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

Assigned = np.ndarray[Any, np.dtype[np.intp]]


@dataclass(frozen=True)
class Assignment:
    """The splits of some rows.

    Attributes:
        splits: The index of each row's split among the splitter's names.
        missing: Rows that cannot be assigned because the value that decides is missing, or None
            where there are none; `splits` means nothing there.
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
        """A column that is not a feature and is left out of the examples."""

    @property
    def decides(self) -> str | None:
        """The column whose missing value leaves a row without a split."""

    def assign(self, columns: Mapping[str, pa.Array]) -> Assignment:
        """Assigns rows.

        Args:
            columns: The columns of a block, as in the examples; at least one.
        """


@dataclass(frozen=True)
class HashSplitter:
    """Assigns a row by the hash of its key: the same key always lands in the same split.

    Attributes:
        names: The splits.
        limits: The cumulative shares, ascending, the last one 1.0.
        keys: The columns that are the key; all of the row's where empty.
        salt: Another salt gives another split.
    """

    names: Sequence[str]
    limits: Sequence[float]
    keys: Sequence[str]
    salt: str
    drops: None = None
    decides: None = None

    def assign(self, columns: Mapping[str, pa.Array]) -> Assignment:
        """Assigns rows."""
        key = {name: columns[name] for name in self.keys} if self.keys else columns
        # The upper 53 bits are exactly a double in [0, 1).
        share = (hash_rows(key, self.salt) >> np.uint64(11)) * 2.0**-53
        return Assignment(np.searchsorted(np.asarray(self.limits[:-1]), share, side="right"))


@dataclass(frozen=True)
class TimeSplitter:
    """Assigns a row by time: the first split holds the earliest rows.

    Attributes:
        names: The splits, the earliest first.
        column: Numbers or ISO 8601 text.
        cuts: The earliest time of each split but the first, as `time_keys` gives it.
        time_format: See `time_keys`.
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
        """Assigns rows; those without a time cannot be."""
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
        names: The splits, which are the column's values.
        column: The column, which is no feature.
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
        """Assigns rows; those without a name cannot be."""
        values = pc.cast(columns[self.column], pa.string())
        indices = pc.index_in(values, arrays.from_texts(self.names))
        missing = ~arrays.to_valid(indices)
        splits = arrays.to_integers(pc.cast(indices, pa.int64())).astype(np.intp)
        return Assignment(splits, missing if missing.any() else None)


def parse_fractions(fractions: Mapping[str, float]) -> dict[str, float]:
    """Checks and normalises the `split_fractions` argument.

    Args:
        fractions: Relative weights by split.

    Returns:
        The shares, which add up to 1, in this order: train, then eval (validation, val, valid,
        dev), then test, then others by name. A mapping that comes through a pipeline has no
        order of its own.

    Raises:
        UserError: Where there is no split, a name is not fit for a directory, or a weight is
            not a positive number.
    """
    if not fractions:
        raise UserError(
            "split_fractions is empty; give weights by split, for example "
            '{"train": 0.7, "eval": 0.15, "test": 0.15}.'
        )
    weights: dict[str, float] = {}
    for name, weight in fractions.items():
        check_name(name, "split_fractions")
        if isinstance(weight, bool) or not isinstance(weight, int | float):
            raise UserError(f"split_fractions: {name!r} is {weight!r}; give a positive number.")
        if not 0 < weight < float("inf"):
            raise UserError(
                f"split_fractions: {name!r} is {weight}; give a positive number, or leave the "
                "split out."
            )
        weights[name] = float(weight)
    total = sum(weights.values())
    return {name: weights[name] / total for name in sorted(weights, key=_rank)}


def limits(shares: Sequence[float]) -> list[float]:
    """Gives the cumulative shares; the last one is exactly 1."""
    return [*np.cumsum(shares)[:-1].tolist(), 1.0]


def check_name(name: str, where: str) -> None:
    """Checks that a split's name is fit for a directory `split=<name>`.

    Args:
        name: The split's name.
        where: What names it, for the message.

    Raises:
        UserError: Where it is not.
    """
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{where}: {name!r} cannot name a split; use letters, digits, '_', '.' and '-'."
        )


def time_cuts(
    keys: "np.ndarray[Any, np.dtype[np.float64]]", shares: Sequence[float]
) -> list[float]:
    """Gives the earliest time of each split but the first.

    Args:
        keys: The times of all rows, NaN where missing; reordered in place.
        shares: The shares of the splits, the earliest first.

    Returns:
        For each split but the first the time at its rank; rows of the same time stay together,
        in the later split.
    """
    known = keys[~np.isnan(keys)]
    if not known.size:
        return []
    ranks = [min(int(limit * known.size), known.size - 1) for limit in limits(shares)[:-1]]
    known.partition(ranks) if ranks else None
    return [float(known[rank]) for rank in ranks]


def time_keys(
    values: pa.Array, column: str, time_format: str = ""
) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Gives times as numbers that sort like them.

    Args:
        values: `int64` or `float64` in any unit, or text.
        column: The column's name, for messages.
        time_format: How text is to be read, in the terms of `strptime`; ISO 8601 where empty
            (`2024-01-31`, `2024-01-31 10:00:00.5`, `2024-01-31T10:00:00+02:00`).

    Returns:
        Doubles: the numbers themselves, or microseconds since 1970 for text. NaN where missing.

    Raises:
        UserError: Where text is not a time.
    """
    if pa.types.is_string(values.type):
        values = pc.cast(_timestamps(values, column, time_format), pa.int64())
    return arrays.to_doubles(values)


def _timestamps(text: pa.StringArray, column: str, time_format: str) -> pa.Array:
    if time_format:
        times = pc.strptime(text, format=time_format, unit="us", error_is_null=True)
        if times.null_count > text.null_count:
            raise UserError(_no_time(text, times.is_valid(), column, f"format {time_format!r}"))
        return times
    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            return pc.cast(text, kind)
        except pa.ArrowInvalid:
            continue
    fits = arrays.from_mask(
        np.array([value is None or _is_iso(value) for value in text.to_pylist()], np.bool_)
    )
    raise UserError(_no_time(text, fits, column, "ISO 8601 (2024-01-31 10:00:00)"))


def _is_iso(value: str) -> bool:
    try:
        pc.cast(arrays.from_texts([value]), pa.timestamp("us"))
    except pa.ArrowInvalid:
        return False
    return True


def _no_time(text: pa.StringArray, fits: pa.Array, column: str, expected: str) -> str:
    strange = text.filter(pc.and_(pc.invert(fits), text.is_valid()))
    return (
        f"column {column!r}: {strange[0].as_py()!r} is not a time; expected numbers or {expected}. "
        "Give split_time_format for other text."
    )


def split_names(values: Iterable[str | None], column: str) -> list[str]:
    """Gives the names of the splits that a column holds, in the order of `parse_fractions`.

    Args:
        values: Its distinct values; None is missing.
        column: Its name.

    Raises:
        UserError: Where there are too many, or one is not fit for a directory.
    """
    names = [value for value in values if value is not None]
    if len(names) > MOST_SPLITS:
        raise UserError(
            f"column {column!r} has more than {MOST_SPLITS} values ({', '.join(names[:3])}, ...); "
            "a split column holds names such as train, eval and test."
        )
    for name in names:
        check_name(name, f"column {column!r}")
    return sorted(names, key=_rank)


def require_columns(wanted: Sequence[str], columns: Sequence[str], argument: str) -> None:
    """Checks that columns exist.

    Raises:
        UserError: For the first that does not.
    """
    for name in wanted:
        if name not in columns:
            raise UserError(
                f"{argument}: there is no column {name!r}; there are {_some(columns)}."
                + closest(name, columns)
            )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"


def _rank(name: str) -> tuple[int, str]:
    order = _ORDER_TEST if name == "test" else _ORDER.get(name.lower(), _ORDER_OTHER)
    return order, name


def names_of(splits: Assigned, names: Sequence[str]) -> Iterator[tuple[str, Assigned]]:
    """Gives the row numbers of each split that has any.

    Args:
        splits: Each row's split, as an index into `names`.
        names: The splits.

    Yields:
        Name and ascending row numbers.
    """
    for index, name in enumerate(names):
        rows = np.flatnonzero(splits == index)
        if rows.size:
            yield name, rows
