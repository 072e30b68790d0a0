"""Chooses the splitter; where the split depends on all rows, by looking through one column."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.data_ingestion.columns.arrays import Doubles
from kfp_tabular.components.data_ingestion.columns.column_types import Kind, join
from kfp_tabular.components.data_ingestion.ordered_threads import Window, threads
from kfp_tabular.components.data_ingestion.readers.source import Block, Source
from kfp_tabular.components.data_ingestion.splits import splitters
from kfp_tabular.components.data_ingestion.splits.splitters import (
    SPLIT_METHODS,
    ColumnSplitter,
    HashSplitter,
    Splitter,
    TimeSplitter,
)

_logger = logging.getLogger(__name__)

_AHEAD = 8

Kept = TypeVar("Kept")


@dataclass(frozen=True)
class SplitRequest:
    """How rows are to be assigned to splits; see `component.ingest_data` for each field."""

    method: str = "hash"
    fractions: Mapping[str, float] = field(
        default_factory=lambda: {"train": 0.7, "eval": 0.15, "test": 0.15}
    )
    column: str = ""
    keys: Sequence[str] = ()
    salt: str = ""
    time_format: str = ""

    def check(self) -> None:
        """Checks what can be checked without the data.

        Raises:
            UserError: Where the method is unknown, the fractions are bad, or a column is needed
                and not given, or given and not used.
        """
        if self.method not in SPLIT_METHODS:
            raise UserError(
                f"split_method: {self.method!r} is unknown; give {', '.join(SPLIT_METHODS)}."
                + closest(self.method, SPLIT_METHODS)
            )
        if self.method != "column":
            splitters.parse_fractions(self.fractions)
        if self.method == "hash" and self.column:
            raise UserError(
                f"split_column: {self.column!r} is given, but split_method is 'hash', which does "
                "not use it; give split_method 'time' or 'column', or split_keys."
            )
        if self.method != "hash" and not self.column:
            raise UserError(f"split_column is empty; split_method {self.method!r} needs it.")
        if self.method != "hash" and self.keys:
            raise UserError(
                f"split_keys is given, but split_method is {self.method!r}; only 'hash' uses keys."
            )


def choose(request: SplitRequest, source: Source, label: str) -> Splitter:
    """Gives the splitter that a request asks for.

    Args:
        request: A checked request.
        source: The data. Read once, one column of it, where the method is `time` or `column`.
        label: The label's column; empty where there is none.

    Raises:
        UserError: Where a column does not exist, or its values cannot be used.
    """
    if request.method == "hash":
        splitters.require_columns(request.keys, source.columns, "split_keys")
        shares = splitters.parse_fractions(request.fractions)
        return HashSplitter(
            tuple(shares),
            splitters.limits(list(shares.values())),
            tuple(request.keys),
            request.salt,
        )
    splitters.require_columns([request.column], source.columns, "split_column")
    if request.method == "time":
        return _by_time(request, source)
    if request.column == label:
        raise UserError(f"split_column: {label!r} is the label; it cannot also name the splits.")
    return _by_column(request, source)


def _by_time(request: SplitRequest, source: Source) -> TimeSplitter:
    shares = splitters.parse_fractions(request.fractions)

    def keys_of(values: pa.Array) -> Doubles:
        return splitters.time_keys(values, request.column, request.time_format)

    # Eight bytes a row are kept: exact cut points need all of them.
    keys = np.concatenate([np.empty(0), *_settled(source, request.column, keys_of)])
    cuts = splitters.time_cuts(keys, list(shares.values()))
    if not cuts and len(shares) > 1:
        raise UserError(f"column {request.column!r}: no row has a time; nothing to split by.")
    return TimeSplitter(tuple(shares), request.column, cuts, request.time_format)


def _by_column(request: SplitRequest, source: Source) -> ColumnSplitter:
    def names_in(values: pa.Array) -> list[str]:
        distinct = pc.unique(pc.cast(values, pa.string()))
        return splitters.split_names(distinct.to_pylist(), request.column)

    found = {name for names in _settled(source, request.column, names_in) for name in names}
    if not found:
        raise UserError(f"split_column: {request.column!r} is missing in every row.")
    return ColumnSplitter(tuple(splitters.split_names(found, request.column)), request.column)


def _settled(source: Source, column: str, of: Callable[[pa.Array], Kept]) -> list[Kept]:
    """Looks through a column and keeps something of each block.

    Args:
        source: The data; read again where the type of the column widens on the way.
        column: The column's name.
        of: What to keep of a block's values, which are of the type that holds for all of them.
    """
    kind = Kind.NOTHING
    while True:
        least = {column: kind}

        def look(block: Block, least: Mapping[str, Kind] = least) -> tuple[Kind, bool, Kept]:
            parsed = block.parse(least)
            values = parsed.columns[column]
            return parsed.kinds[column], values.null_count == len(values), of(values)

        seen, kept = set(), []
        with Window[Block, tuple[Kind, bool, Kept]](threads(), _AHEAD) as window:
            for _, (found, all_missing, of_block) in window.map(look, source.blocks([column])):
                kind = join(kind, found)
                kept.append(of_block)
                if not all_missing:
                    seen.add(found)
        if seen <= {kind}:
            return kept
