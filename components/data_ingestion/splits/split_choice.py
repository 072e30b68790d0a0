"""Chooses the splitter. Where the split depends on all rows, it reads one column first."""

from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing.ordered_threads import Window, threads
from kfp_tabular.components.common.values.arrays import Doubles
from kfp_tabular.components.data_ingestion.columns import (
    column_decision,
    column_evidence,
    conversion,
)
from kfp_tabular.components.data_ingestion.columns.column_evidence import ColumnEvidence
from kfp_tabular.components.data_ingestion.columns.column_formats import Decider
from kfp_tabular.components.data_ingestion.columns.column_names import require_columns
from kfp_tabular.components.data_ingestion.options import (
    BY_COLUMN,
    BY_ROW,
    BY_TIME,
    USING_KEYS,
    SplitOptions,
)
from kfp_tabular.components.data_ingestion.readers.source import Block, Source, blocks
from kfp_tabular.components.data_ingestion.splits import split_names, split_times
from kfp_tabular.components.data_ingestion.splits.chosen_split import ChosenSplit
from kfp_tabular.components.data_ingestion.splits.splitters import (
    ColumnSplitter,
    HashSplitter,
    TimeSplitter,
)
from kfp_tabular.components.data_ingestion.splits.splitting import (
    GivenSplit,
    RowSplit,
    Splitting,
)

_AHEAD = 8

Kept = TypeVar("Kept")


def check(options: SplitOptions) -> None:
    """Check how the options fit together, as far as that needs no data.

    Raises:
        UserError: The fractions are wrong, or a column is missing or has no effect.

    Example:
        >>> check(SplitOptions(split_method="time"))
        Traceback (most recent call last):
        kfp_tabular.components.common.errors.UserError: split_column: split_method 'time' needs a
        column; none is set.
    """
    method = options.split_method
    if method != BY_COLUMN:
        split_names.parse_fractions(options.split_fractions)
    if method in USING_KEYS and options.split_column:
        raise UserError(
            f"split_column: {options.split_column!r} has no effect with split_method {method!r}. "
            "Set split_method to 'time' or 'column', or use split_keys."
        )
    if method not in USING_KEYS and not options.split_column:
        raise UserError(f"split_column: split_method {method!r} needs a column; none is set.")
    if method not in USING_KEYS and options.split_keys:
        raise UserError(
            f"split_keys: has no effect with split_method {method!r}; only 'hash' and 'row' use "
            "keys."
        )


def choose(
    options: SplitOptions, source: Source, decider: Decider, exclude: Collection[str] = ()
) -> Splitting:
    """Return the splitting that the options ask for.

    Args:
        options: Checked options.
        source: The data. The methods `time` and `column` read one column of them.
        decider: Decides how to read columns, and knows the label.
        exclude: Columns that the model does not see, and that decide no split unless they are asked
            to.

    Raises:
        UserError: A column does not exist, or its values cannot be used.
    """
    if options.split_method in USING_KEYS:
        seen = [name for name in source.columns if name not in exclude]
        return _by_hash(options, source, seen, decider.label)
    require_columns([options.split_column], source.columns, "split_column")
    if options.split_method == BY_TIME:
        return GivenSplit(_by_time(options, source, decider))
    if options.split_column == decider.label:
        raise UserError(f"split_column: {decider.label!r} is the label. Choose another column.")
    return GivenSplit(_by_column(options.split_column, source, decider))


def _by_hash(
    options: SplitOptions, source: Source, columns: Sequence[str], label: str
) -> Splitting:
    keys, salt = tuple(options.split_keys), options.split_salt
    require_columns(keys, source.columns, "split_keys")
    shares = split_names.parse_fractions(options.split_fractions)
    names, limits = tuple(shares), split_names.limits(list(shares.values()))
    if options.split_method == BY_ROW:
        return RowSplit(names, limits, keys or columns, salt)
    if keys:
        return GivenSplit(HashSplitter(names, limits, keys, salt))
    return ChosenSplit(names, limits, columns, label, salt)


def _by_time(options: SplitOptions, source: Source, decider: Decider) -> TimeSplitter:
    column, time_format = options.split_column, options.split_time_format
    shares = split_names.parse_fractions(options.split_fractions)

    def keys_of(values: pa.Array) -> Doubles:
        return split_times.time_keys(values, column, time_format)

    # Exact cuts need the times of all rows: eight bytes each.
    keys = np.concatenate([np.empty(0), *_settled(source, decider, column, keys_of)])
    cuts = split_times.time_cuts(keys, list(shares.values()))
    if not cuts and len(shares) > 1:
        raise UserError(f"split_column: column {column!r} has no time in any row.")
    return TimeSplitter(tuple(shares), column, cuts, time_format)


def _by_column(column: str, source: Source, decider: Decider) -> ColumnSplitter:
    def names_in(values: pa.Array) -> list[str]:
        distinct = pc.unique(pc.cast(values, pa.string()))
        return split_names.split_names(distinct.to_pylist(), column)

    found = {name for names in _settled(source, decider, column, names_in) for name in names}
    if not found:
        raise UserError(f"split_column: column {column!r} is empty in every row.")
    return ColumnSplitter(tuple(split_names.split_names(found, column)), column)


def _settled(
    source: Source, decider: Decider, column: str, of: Callable[[pa.Array], Kept]
) -> list[Kept]:
    """Read a column twice: to decide how to read it, and to keep something of each block.

    Args:
        source: The data.
        decider: Decides how to read columns.
        column: The column's name.
        of: What to keep of a block's values, which are as in the examples.
    """

    def look(block: Block) -> ColumnEvidence:
        parsed = block.parse()
        values = column_evidence.without(parsed.columns[column], decider.missing(column))
        return column_evidence.observe(values, stated=column in parsed.stated).evidence

    evidence = ColumnEvidence()
    with Window[Block, ColumnEvidence](threads(), _AHEAD) as window:
        for _, of_block in window.map(look, blocks(source, [column])):
            evidence.add(of_block)
    decision = decider.decide(column, evidence)
    column_decision.require_answers([decision])

    def keep(block: Block) -> Kept:
        values = column_evidence.without(block.parse().columns[column], decider.missing(column))
        return of(conversion.convert(values, decision).values)

    with Window[Block, Kept](threads(), _AHEAD) as keeping:
        return [kept for _, kept in keeping.map(keep, blocks(source, [column]))]
