"""Chooses the splitter. Where the split depends on all rows, it reads one column first."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.folds.number_counts import Bin
from kfp_tabular.components.common.processing.pieces import Piece
from kfp_tabular.components.data_ingestion.columns import (
    column_decision,
    column_evidence,
    conversion,
)
from kfp_tabular.components.data_ingestion.columns.column_decision import Decision
from kfp_tabular.components.data_ingestion.columns.column_formats import Decider
from kfp_tabular.components.data_ingestion.columns.column_names import require_columns
from kfp_tabular.components.data_ingestion.columns.evidence_fold import EvidenceFold
from kfp_tabular.components.data_ingestion.options import (
    BY_COLUMN,
    BY_ROW,
    BY_TIME,
    USING_KEYS,
    SplitOptions,
)
from kfp_tabular.components.data_ingestion.readers.column_observer import ColumnObserver
from kfp_tabular.components.data_ingestion.readers.source import Reader, Source
from kfp_tabular.components.data_ingestion.splits import split_names
from kfp_tabular.components.data_ingestion.splits.chosen_split import ChosenSplit
from kfp_tabular.components.data_ingestion.splits.named_splits import ColumnNames
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
from kfp_tabular.components.data_ingestion.splits.time_cuts import (
    CountedTimes,
    TimeCounts,
    time_cuts,
)


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
    options: SplitOptions,
    source: Source,
    decider: Decider,
    engine: Engine,
    exclude: Collection[str] = (),
) -> Splitting:
    """Return the splitting that the options ask for.

    Args:
        options: Checked options.
        source: The data. The methods `time` and `column` read one column of them.
        decider: Decides how to read columns, and knows the label.
        engine: Reads that column.
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
        return GivenSplit(_by_time(options, source, decider, engine))
    if options.split_column == decider.label:
        raise UserError(f"split_column: {decider.label!r} is the label. Choose another column.")
    return GivenSplit(_by_column(options.split_column, source, decider, engine))


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


def _by_time(
    options: SplitOptions, source: Source, decider: Decider, engine: Engine
) -> TimeSplitter:
    column, time_format = options.split_column, options.split_time_format
    shares = split_names.parse_fractions(options.split_fractions)
    pieces, read = source.pieces(engine), _column_reader(source, decider, column, engine)

    def count(ranges: Sequence[Bin]) -> CountedTimes:
        return engine.fold(pieces, partial(TimeCounts, column, time_format, ranges), read)

    cuts = time_cuts(count, list(shares.values()))
    if not cuts and len(shares) > 1:
        raise UserError(f"split_column: column {column!r} has no time in any row.")
    return TimeSplitter(tuple(shares), column, cuts, time_format)


def _by_column(column: str, source: Source, decider: Decider, engine: Engine) -> ColumnSplitter:
    read = _column_reader(source, decider, column, engine)
    names = engine.fold(source.pieces(engine), partial(ColumnNames, column), read)
    if not names:
        raise UserError(f"split_column: column {column!r} is empty in every row.")
    return ColumnSplitter(tuple(names), column)


def _column_reader(source: Source, decider: Decider, column: str, engine: Engine) -> "ColumnReader":
    """Return what reads a column, after reading it once to decide how."""
    # A source reads pieces that it has made.
    pieces = source.pieces(engine)
    reader = source.reader([column])
    observe = ColumnObserver(reader, decider)
    shown = engine.fold(pieces, partial(EvidenceFold, [column]), observe)
    decision = decider.decide(column, shown[column])
    column_decision.require_answers([decision])
    return ColumnReader(reader, decider, column, decision)


@dataclass(frozen=True)
class ColumnReader:
    """Reads a column of a piece, as in the examples.

    Attributes:
        reader: Reads the piece.
        decider: Knows the texts that mean missing.
        column: The column's name.
        decision: How to read it.
    """

    reader: Reader
    decider: Decider
    column: str
    decision: Decision

    def __call__(self, piece: Piece) -> Iterator[pa.Array]:
        """Yield the values of each block."""
        for block in self.reader(piece):
            read = block.parse().columns[self.column]
            values = column_evidence.without(read, self.decider.missing(self.column))
            yield conversion.convert(values, self.decision).values
