"""Tells which rows were left out of the examples, why, and whether that skews the labels."""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kfp_tabular.components.common.artifacts.examples import ShardDestination
from kfp_tabular.components.common.artifacts.findings import Findings
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.data_ingestion import label_counts
from kfp_tabular.components.data_ingestion.label_counts import (
    CountedLabels,
    LabelCounts,
    LabelReader,
)
from kfp_tabular.components.data_ingestion.readers.csv_source import CsvSource
from kfp_tabular.components.data_ingestion.readers.source import Source
from kfp_tabular.components.data_ingestion.writing import rejected_rows
from kfp_tabular.components.data_ingestion.writing.passes import WrittenExamples
from kfp_tabular.components.data_ingestion.writing.prepared_block import missing_label

_MOST_REASONS = 5
_MOST_ROWS = 100_000
_LONGEST_TEXT = 80
_CHANCE = 0.02
"""Rows lost at random have one label with a chance below this: the loss depends on the label."""

_OPTIONS = (
    (r"not valid ", "csv_encoding"),
    (r"\d+ fields, expected", "csv_delimiter, csv_quote, csv_escape"),
    (r"an opening quote", "csv_quote"),
    (r".*column_types", "column_types"),
)


def report(
    findings: Findings,
    source: Source,
    label: str,
    written: WrittenExamples,
    destination: ShardDestination,
    rejected: Path,
    engine: Engine,
) -> None:
    """Add a warning for each reason that rows were left out for, with one example.

    Args:
        findings: Takes the warnings.
        source: What was read.
        label: The label's column; empty for none.
        written: The examples that were written.
        destination: Where they were written.
        rejected: The directory of the rejected rows.
        engine: Reads the labels of the examples.

    Raises:
        UserError: All rows that were left out have the same label, which chance does not explain.
    """
    lost = _read(rejected, missing_label(label) if label else "")
    reasons = lost.reasons
    if not reasons:
        return
    read = written.read.rows
    for reason, count in reasons.most_common(_MOST_REASONS):
        row = lost.firsts[reason]
        findings.warning(
            "lost-rows",
            f"{count} of {read} rows are left out: {reason}, such as {row['file']} line "
            f"{row['line']}: {_short(row['text'])!r}.",
            option=_option(reason),
        )
    others = sum(count for _, count in reasons.most_common()[_MOST_REASONS:])
    if others:
        findings.warning(
            "lost-rows",
            f"{others} of {read} rows are left out for {len(reasons) - _MOST_REASONS} other "
            "reasons; rejected_rows lists them.",
        )
    if label and lost.labelled.num_rows:
        candidates = list(_lost_labels(source, label, lost.labelled))
        # Two labels that are certain end the question, and no shard is read.
        if len({values[0] for values in candidates if len(set(values)) == 1} - {""}) > 1:
            return
        wanted = {value for values in candidates for value in values}
        counted = engine.fold(
            label_counts.pieces(destination.root, written.shards),
            partial(LabelCounts, wanted),
            LabelReader(label),
        )
        _check_labels(lost.labelled, candidates, counted)


@dataclass(frozen=True)
class _Lost:
    """The rejected rows.

    Attributes:
        reasons: Their number by reason.
        firsts: The first one by reason.
        labelled: The first ones that may have a label.
    """

    reasons: Counter[str]
    firsts: Mapping[str, Mapping[str, Any]]
    labelled: pa.Table


def _read(rejected: Path, unlabelled: str) -> _Lost:
    """Read the rejected rows, and keep a bounded number.

    Args:
        rejected: Their directory.
        unlabelled: The reason of rows without a label: what those have there, such as `n/d`, is
            no label.
    """
    reasons: Counter[str] = Counter()
    firsts: dict[str, Mapping[str, Any]] = {}
    kept: list[pa.RecordBatch] = []
    rows = 0
    with pq.ParquetFile(rejected / rejected_rows.FILE_NAME) as parquet:
        for batch in parquet.iter_batches():
            names = batch.column("reason").to_pylist()
            reasons.update(names)
            for reason in dict.fromkeys(names):
                if reason not in firsts:
                    firsts[reason] = batch.slice(names.index(reason), 1).to_pylist()[0]
            if rows < _MOST_ROWS:
                labelled = pa.Table.from_batches([batch])
                labelled = labelled.filter(pc.not_equal(labelled["reason"], unlabelled))
                labelled = labelled.slice(0, _MOST_ROWS - rows)
                kept.extend(labelled.to_batches())
                rows += labelled.num_rows
    return _Lost(reasons, firsts, pa.Table.from_batches(kept, rejected_rows.SCHEMA))


def _check_labels(
    table: pa.Table, candidates: Sequence[Sequence[str]], counted: CountedLabels
) -> None:
    found = Counter(_chosen(candidates, counted.wanted))
    if len(found) != 1:
        return
    ((value, lost),) = found.items()
    share = counted.share(value)
    if share**lost >= _CHANCE:
        return
    row = table.slice(0, 1).to_pylist()[0]
    option = _option(row["reason"])
    raise UserError(
        f"All {lost} rows that would be left out have the label {value!r}, and {share:.1%} of the "
        f"others, so the model would learn from what is left out. The first: {row['file']} line "
        f"{row['line']}: {row['reason']}: {_short(row['text'])!r}. "
        + (f"Set {option} so that they are read, or remove them." if option else "Mend them.")
    )


def _lost_labels(source: Source, label: str, table: pa.Table) -> Iterator[Sequence[str]]:
    """Yield what each row may have as its label, the most likely first."""
    for row in table.to_pylist():
        if isinstance(source, CsvSource):
            yield source.values_of(row["file"], row["text"], label)
        else:
            yield [_of_record(row["text"], label)]


def _chosen(candidates: Iterable[Sequence[str]], known: Collection[str]) -> Iterator[str]:
    for values in candidates:
        # Where a row has too many or too few fields, the label is counted from either end.
        fitting = {value for value in values if value in known} or set(values[:1])
        if len(fitting) == 1 and (value := fitting.pop()):
            yield value


def _of_record(text: str, label: str) -> str:
    try:
        value = json.loads(text).get(label)
    except ValueError:  # The text of a long row is cut.
        return ""
    return "" if value is None else str(value)


def _option(reason: str) -> str:
    return next((option for start, option in _OPTIONS if re.match(start, reason)), "")


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 3]}..."
