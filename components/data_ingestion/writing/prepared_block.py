"""Prepares a block of rows for writing: checks it, and assigns rows to splits."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.values import arrays
from kfp_tabular.components.common.values.arrays import Mask
from kfp_tabular.components.data_ingestion.columns.column_types import ColumnType
from kfp_tabular.components.data_ingestion.readers.source import Block, ParsedBlock, RejectedRow
from kfp_tabular.components.data_ingestion.splits.splitters import Splitter, names_of


@dataclass(frozen=True)
class LabelFacts:
    """Facts about the labels of some rows.

    Attributes:
        value: One of the labels; None where there are none.
        varied: Whether there are other values.
    """

    value: object = None
    varied: bool = False

    def with_other(self, other: "LabelFacts") -> "LabelFacts":
        """Return the facts about the labels of both sets of rows."""
        if self.value is None or other.value is None:
            return self if other.value is None else other
        return LabelFacts(self.value, self.varied or other.varied or self.value != other.value)


@dataclass(frozen=True)
class PreparedBlock:
    """A block that is ready to be written.

    Attributes:
        column_types: The types of its columns.
        rows: The number of rows in the block, including rejected ones.
        splits: The accepted rows of each split that has any, in order.
        rejected: The rejected rows, in order.
        label: Facts about the labels of the accepted rows.
    """

    column_types: Mapping[str, ColumnType]
    rows: int
    splits: Mapping[str, pa.RecordBatch]
    rejected: list[RejectedRow]
    label: LabelFacts


def prepare(
    block: Block, least: Mapping[str, ColumnType], splitter: Splitter, label: str
) -> PreparedBlock:
    """Parse a block and assign its rows to splits.

    Rejects rows that cannot be parsed, that have no label, that hold an infinite number, or that
    cannot be assigned to a split.

    Args:
        block: The rows.
        least: As for `Block.parse`.
        splitter: Assigns rows to splits.
        label: The label's column; empty for no label.

    Example:
        >>> from kfp_tabular.components.data_ingestion.readers.parquet_source import TypedBlock
        >>> from kfp_tabular.components.data_ingestion.splits.splitters import HashSplitter
        >>> rows = pa.RecordBatch.from_pydict({"fare": [5.5, 7.0], "tip": [1, None]})
        >>> block = TypedBlock(rows, "taxi.parquet", first_row=1, forced={})
        >>> prepared = prepare(block, {}, HashSplitter(["train"], [1.0], [], ""), label="tip")
        >>> prepared.splits["train"].to_pydict(), [row.reason for row in prepared.rejected]
        ({'fare': [5.5], 'tip': [1]}, ["label 'tip' is missing"])
    """
    parsed = block.parse(least)
    assignment = splitter.assign(parsed.columns)
    reasons = list(parsed.faults)
    for name, values in parsed.columns.items():
        infinite = _infinite(values)
        if infinite is not None:
            reasons.append((infinite, f"column {name!r}: the number is infinite"))
    if label and parsed.columns[label].null_count:
        missing = ~arrays.to_valid(parsed.columns[label])
        reasons.append((missing, missing_label(label)))
    if assignment.missing is not None:
        reasons.append(
            (
                assignment.missing,
                f"column {splitter.decides!r}, which decides the split, is missing",
            )
        )

    rejected = list(parsed.unreadable)
    splits = assignment.splits
    if reasons:
        why = _first_reason(reasons, parsed.rows)
        rejected += _reject(parsed, why, [reason for _, reason in reasons])
        splits = np.where(why >= 0, -1, splits)
    names = [name for name in parsed.columns if name != splitter.drops]
    batch = pa.RecordBatch.from_arrays([parsed.columns[name] for name in names], names)
    by_split = {
        name: batch if len(rows) == batch.num_rows else batch.take(arrays.from_integers(rows))
        for name, rows in names_of(splits, splitter.names)
    }
    return PreparedBlock(
        column_types=parsed.column_types,
        rows=parsed.rows + len(parsed.unreadable),
        splits=by_split,
        rejected=sorted(rejected, key=lambda row: row.line),
        label=_label_facts(by_split, label),
    )


def missing_label(label: str) -> str:
    """Return the reason for rejecting rows without a label.

    Example:
        >>> missing_label("tip")
        "label 'tip' is missing"
    """
    return f"label {label!r} is missing"


def _infinite(values: pa.Array) -> Mask | None:
    if not pa.types.is_float64(values.type):
        return None
    mask = np.isinf(arrays.to_doubles(values))
    return mask if mask.any() else None


def _first_reason(reasons: list[tuple[Mask, str]], rows: int) -> "np.ndarray":
    why = np.full(rows, -1, np.int64)
    for number, (mask, _) in reversed(list(enumerate(reasons))):
        why[mask] = number
    return why


def _reject(parsed: ParsedBlock, why: "np.ndarray", reasons: list[str]) -> list[RejectedRow]:
    rows = np.flatnonzero(why >= 0)
    return [
        RejectedRow(parsed.file, line.line, reasons[why[row]], line.text)
        for row, line in zip(rows, parsed.source_lines(rows), strict=True)
    ]


def _label_facts(splits: Mapping[str, pa.RecordBatch], label: str) -> LabelFacts:
    seen = LabelFacts()
    if label:
        for batch in splits.values():
            values = batch.column(label)
            first = values[0]
            varied = pc.any(pc.not_equal(values, first)).as_py()
            seen = seen.with_other(LabelFacts(first.as_py(), bool(varied)))
    return seen
