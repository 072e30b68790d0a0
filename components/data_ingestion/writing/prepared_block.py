"""A block of rows made ready to be written: checked, typed, assigned to splits."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.data_ingestion.columns import arrays
from kfp_tabular.components.data_ingestion.columns.arrays import Mask
from kfp_tabular.components.data_ingestion.columns.column_types import Kind
from kfp_tabular.components.data_ingestion.readers.source import Block, Parsed, RejectedRow
from kfp_tabular.components.data_ingestion.splits.splitters import Splitter, names_of


@dataclass(frozen=True)
class LabelSeen:
    """What the labels of some rows are like.

    Attributes:
        value: One of them; None where there is none.
        varied: Whether there are others.
    """

    value: object = None
    varied: bool = False

    def with_other(self, other: "LabelSeen") -> "LabelSeen":
        """Gives what the labels of both lots of rows are like."""
        if self.value is None or other.value is None:
            return self if other.value is None else other
        return LabelSeen(self.value, self.varied or other.varied or self.value != other.value)


@dataclass(frozen=True)
class Prepared:
    """A block that is ready to be written.

    Attributes:
        kinds: The kinds of its columns.
        rows: The number of rows in the block, rejected ones included.
        splits: The accepted rows of each split that has any, in order.
        rejected: The other rows, in order.
        label: What the accepted rows' labels are like.
    """

    kinds: Mapping[str, Kind]
    rows: int
    splits: Mapping[str, pa.RecordBatch]
    rejected: list[RejectedRow]
    label: LabelSeen


def prepare(block: Block, least: Mapping[str, Kind], splitter: Splitter, label: str) -> Prepared:
    """Parses a block and assigns its rows.

    RejectedRow are rows that cannot be parsed, that have no label, that hold an infinite number, or
    that cannot be assigned to a split.

    Args:
        block: Rows.
        least: See `Block.parse`.
        splitter: Assigns rows to splits.
        label: The label's column; empty where there is none.
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
                f"column {splitter.decides!r}, which decides on the split, is missing",
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
    return Prepared(
        kinds=parsed.kinds,
        rows=parsed.rows + len(parsed.unreadable),
        splits=by_split,
        rejected=sorted(rejected, key=lambda row: row.line),
        label=_label_seen(by_split, label),
    )


def missing_label(label: str) -> str:
    """Gives the reason why rows without a label are rejected."""
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


def _reject(parsed: Parsed, why: "np.ndarray", reasons: list[str]) -> list[RejectedRow]:
    rows = np.flatnonzero(why >= 0)
    return [
        RejectedRow(parsed.file, place.line, reasons[why[row]], place.text)
        for row, place in zip(rows, parsed.places(rows), strict=True)
    ]


def _label_seen(splits: Mapping[str, pa.RecordBatch], label: str) -> LabelSeen:
    seen = LabelSeen()
    if label:
        for batch in splits.values():
            values = batch.column(label)
            first = values[0]
            varied = pc.any(pc.not_equal(values, first)).as_py()
            seen = seen.with_other(LabelSeen(first.as_py(), bool(varied)))
    return seen
