"""Prepares a block of rows for writing: checks it, and assigns rows to splits."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.values import arrays
from kfp_tabular.components.common.values.arrays import Mask
from kfp_tabular.components.data_ingestion.columns.column_types import ColumnType
from kfp_tabular.components.data_ingestion.readers.source import Block, ParsedBlock, RejectedRow
from kfp_tabular.components.data_ingestion.splits.splitters import Assignment, names_of
from kfp_tabular.components.data_ingestion.splits.splitting import Splitting


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
    """A block that is checked and ready to be split.

    Attributes:
        column_types: The types of its columns.
        rows: The number of rows in the block, including rejected ones.
        columns: The values by column, including those of rejected rows.
        accepted: A mask of the rows that are not rejected; None for all.
        rejected: The rejected rows, in order.
        looked_at: What the splits depend on.
        split: The block's rows by split, where that depends on the block only.
    """

    column_types: Mapping[str, ColumnType]
    rows: int
    columns: Mapping[str, pa.Array]
    accepted: Mask | None
    rejected: list[RejectedRow]
    looked_at: Any
    split: "SplitBlock | None" = None


@dataclass(frozen=True)
class SplitBlock:
    """The accepted rows of a block by split.

    Attributes:
        splits: The rows of each split that has any, in order.
        label: Facts about the labels.
    """

    splits: Mapping[str, pa.RecordBatch]
    label: LabelFacts


def prepare(
    block: Block, least: Mapping[str, ColumnType], splitting: Splitting, label: str
) -> PreparedBlock:
    """Parse a block, check its rows, and assign them to splits where that is possible already.

    Rejects rows that cannot be parsed, that have no label, that hold an infinite number, or that
    cannot be assigned to a split.

    Args:
        block: The rows.
        least: As for `Block.parse`.
        splitting: Assigns rows to splits.
        label: The label's column; empty for no label.

    Example:
        >>> from kfp_tabular.components.data_ingestion.readers.parquet_source import TypedBlock
        >>> from kfp_tabular.components.data_ingestion.splits.splitters import HashSplitter
        >>> from kfp_tabular.components.data_ingestion.splits.splitting import GivenSplit
        >>> rows = pa.RecordBatch.from_pydict({"fare": [5.5, 7.0], "tip": [1, None]})
        >>> block = TypedBlock(rows, "taxi.parquet", first_row=1, forced={})
        >>> splitting = GivenSplit(HashSplitter(["train"], [1.0], [], ""))
        >>> prepared = prepare(block, {}, splitting, label="tip")
        >>> [row.reason for row in prepared.rejected]
        ["label 'tip' is missing"]
        >>> prepared.split.splits["train"].to_pydict()
        {'fare': [5.5], 'tip': [1]}
    """
    parsed = block.parse(least)
    looked_at = splitting.look(parsed.columns)
    assignment: Assignment | None = looked_at.assignment
    reasons = list(parsed.faults)
    for name, values in parsed.columns.items():
        infinite = _infinite(values)
        if infinite is not None:
            reasons.append((infinite, f"column {name!r}: the number is infinite"))
    if label and parsed.columns[label].null_count:
        missing = ~arrays.to_valid(parsed.columns[label])
        reasons.append((missing, missing_label(label)))
    if assignment is not None and assignment.missing is not None:
        reasons.append(
            (
                assignment.missing,
                f"column {splitting.decides!r}, which decides the split, is missing",
            )
        )

    rejected = list(parsed.unreadable)
    accepted = None
    if reasons:
        why = _first_reason(reasons, parsed.rows)
        rejected += _reject(parsed, why, [reason for _, reason in reasons])
        accepted = why < 0
    prepared = PreparedBlock(
        column_types=parsed.column_types,
        rows=parsed.rows + len(parsed.unreadable),
        columns=parsed.columns,
        accepted=accepted,
        rejected=sorted(rejected, key=lambda row: row.line),
        looked_at=looked_at,
    )
    if assignment is None:
        return prepared
    split = cut(prepared, assignment, splitting, label)
    return dataclasses.replace(prepared, columns={}, accepted=None, split=split)


def cut(
    prepared: PreparedBlock, assignment: Assignment, splitting: Splitting, label: str
) -> SplitBlock:
    """Return the accepted rows of a block by split.

    Args:
        prepared: The block.
        assignment: The split of each of its rows.
        splitting: What assigned them.
        label: The label's column; empty for no label.
    """
    splits = assignment.splits
    if prepared.accepted is not None:
        splits = np.where(prepared.accepted, splits, -1)
    names = [name for name in prepared.columns if name != splitting.drops]
    batch = pa.RecordBatch.from_arrays([prepared.columns[name] for name in names], names)
    by_split = {
        name: batch if len(rows) == batch.num_rows else batch.take(arrays.from_integers(rows))
        for name, rows in names_of(splits, splitting.names)
    }
    return SplitBlock(by_split, _label_facts(by_split, label))


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
