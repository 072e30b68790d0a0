"""Prepares a block of rows for writing: converts it, checks it, and assigns rows to splits."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.values import arrays
from kfp_tabular.components.common.values.arrays import Mask
from kfp_tabular.components.data_ingestion.columns import column_evidence, conversion
from kfp_tabular.components.data_ingestion.columns.column_decision import Decision
from kfp_tabular.components.data_ingestion.columns.column_evidence import ColumnEvidence, Observed
from kfp_tabular.components.data_ingestion.columns.column_formats import Decider
from kfp_tabular.components.data_ingestion.readers.source import (
    ParsedBlock,
    RejectedRow,
    RowNumbers,
    SourceLine,
)
from kfp_tabular.components.data_ingestion.splits.splitters import Assignment, names_of
from kfp_tabular.components.data_ingestion.splits.splitting import LookedAt, Splitting
from kfp_tabular.components.data_ingestion.writing.row_facts import MOST_PLACES, LabelFacts


@dataclass(frozen=True)
class ObservedBlock:
    """A block that was read, and what its columns show.

    Attributes:
        parsed: The block.
        columns: Its columns.
    """

    parsed: ParsedBlock
    columns: Mapping[str, Observed]

    @classmethod
    def of(cls, parsed: ParsedBlock, decider: Decider, *, evidence: bool = True) -> "ObservedBlock":
        """Look at a block.

        Args:
            parsed: The block.
            decider: Decides how to read columns, and knows the texts that mean missing.
            evidence: Whether to take evidence; otherwise it is empty.
        """
        columns = {}
        for name, read in parsed.columns.items():
            values = column_evidence.without(read, decider.missing(name))
            if evidence and not decider.is_as_given(name):
                columns[name] = column_evidence.observe(values, stated=name in parsed.stated)
            else:
                columns[name] = Observed(values, ColumnEvidence())
        return cls(parsed, columns)

    @property
    def evidence(self) -> dict[str, ColumnEvidence]:
        """What the columns show."""
        return {name: column.evidence for name, column in self.columns.items()}


@dataclass(frozen=True)
class PreparedBlock:
    """A block that is converted and checked, ready to be split.

    Attributes:
        rows: The number of rows in the block, including rejected ones.
        columns: The values by column, including those of rejected rows.
        accepted: A mask of the rows that are not rejected; None for all.
        rejected: The rejected rows, in order.
        looked_at: What the splits depend on.
        odd: The first rows with a value that does not fit, by column.
        file: The URI of the rows' file.
        source_lines: Where rows are in the file.
        split: The block's rows by split, where that depends on the block only.
    """

    rows: int
    columns: Mapping[str, pa.Array]
    accepted: Mask | None
    rejected: list[RejectedRow]
    looked_at: LookedAt
    odd: Mapping[str, RowNumbers]
    file: str
    source_lines: Callable[[RowNumbers], list[SourceLine]]
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
    block: ObservedBlock,
    decisions: Mapping[str, Decision],
    splitting: Splitting,
    label: str,
    *,
    reject_odd: bool = False,
) -> PreparedBlock:
    """Convert a block, check its rows, and assign them to splits where that is possible already.

    Rejects rows that cannot be parsed, that have no label, that cannot be assigned to a split and,
    if asked for, those with a value that does not fit.

    Args:
        block: The rows.
        decisions: How to read their columns.
        splitting: Assigns rows to splits.
        label: The label's column; empty for no label.
        reject_odd: Whether to reject rows with a value that does not fit.

    Example:
        >>> from kfp_tabular.components.common.values.column_format import ColumnFormat
        >>> from kfp_tabular.components.data_ingestion.readers.parquet_source import TypedBlock
        >>> from kfp_tabular.components.data_ingestion.splits.splitters import HashSplitter
        >>> from kfp_tabular.components.data_ingestion.splits.splitting import GivenSplit
        >>> rows = pa.RecordBatch.from_pydict({"fare": [5.5, 7.0], "tip": [1, None]})
        >>> block = TypedBlock(rows, "taxi.parquet", first_row=1).parse()
        >>> observed = ObservedBlock.of(block, Decider())
        >>> formats = {"fare": ColumnFormat("number"), "tip": ColumnFormat("integer")}
        >>> decisions = {name: Decision(given) for name, given in formats.items()}
        >>> splitting = GivenSplit(HashSplitter(["train"], [1.0], [], ""))
        >>> prepared = prepare(observed, decisions, splitting, label="tip")
        >>> [row.reason for row in prepared.rejected]
        ["label 'tip' is missing"]
        >>> prepared.split.splits["train"].to_pydict()
        {'fare': [5.5], 'tip': [1]}
    """
    parsed = block.parsed
    converted = _convert(block, decisions, label, reject_odd=reject_odd)
    columns, reasons = converted.columns, converted.reasons
    looked_at = splitting.look(columns)
    assignment = looked_at.assignment
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
        rows=parsed.rows + len(parsed.unreadable),
        columns=columns,
        accepted=accepted,
        rejected=sorted(rejected, key=lambda row: row.line),
        looked_at=looked_at,
        odd=converted.odd,
        file=parsed.file,
        source_lines=parsed.source_lines,
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
        # The rows are those of the block, so nothing checks them against its bounds.
        name: batch
        if len(rows) == batch.num_rows
        else pc.take(batch, arrays.from_integers(rows), boundscheck=False)
        for name, rows in names_of(splits, splitting.names)
    }
    return SplitBlock(by_split, _label_facts(by_split, label))


@dataclass(frozen=True)
class _Converted:
    columns: Mapping[str, pa.Array]
    reasons: list[tuple[Mask, str]]
    odd: Mapping[str, RowNumbers]


def _convert(
    block: ObservedBlock, decisions: Mapping[str, Decision], label: str, *, reject_odd: bool
) -> _Converted:
    columns: dict[str, pa.Array] = {}
    derived: dict[str, pa.Array] = {}
    reasons = list(block.parsed.faults)
    odd: dict[str, RowNumbers] = {}
    for name, column in block.columns.items():
        decision = decisions[name]
        converted = conversion.convert(column.values, decision, column.numbers)
        columns[name] = converted.values
        derived |= converted.derived
        misfits = converted.odd
        if misfits is not None and reject_odd and name != label:
            reasons.append((misfits, f"column {name!r}: the value is no {decision.format.kind}"))
        if name == label:
            lost = arrays.to_valid(column.values) & ~arrays.to_valid(converted.values)
            misfits = lost if lost.any() else None
        if misfits is not None:
            odd[name] = np.flatnonzero(misfits)[:MOST_PLACES]
    if label and columns[label].null_count:
        reasons.append((~arrays.to_valid(columns[label]), missing_label(label)))
    return _Converted({**columns, **derived}, reasons, odd)


def missing_label(label: str) -> str:
    """Return the reason for rejecting rows without a label.

    Example:
        >>> missing_label("tip")
        "label 'tip' is missing"
    """
    return f"label {label!r} is missing"


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
