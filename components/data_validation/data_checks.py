"""Checks beyond TFDV's: values that are not finite, labels that cannot be learned."""

import math
from collections.abc import Collection, Iterator

import pyarrow.compute as pc

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.statistics.column_summary import (
    ColumnSummary,
    SplitSummaries,
)
from kfp_tabular.components.data_validation.anomalies import Anomaly
from kfp_tabular.components.data_validation.schema_features import listed
from kfp_tabular.components.data_validation.schema_inference import MOST_TEXTS
from kfp_tabular.components.data_validation.value_rules import count

TRAIN = "train"

_UNSEEN_SHARE = 0.01  # rarer values may be in one split only by chance
_UNSEEN_ROWS = 4  # the same, where there are few rows
_SIGMAS = 3
_ROWS_PER_TEXT = 2  # with fewer, the texts are names or notes that differ in every row


def run(
    examples: Examples,
    found: SplitSummaries,
    label: str,
    restricted: Collection[str] = (),
    engine: Engine | None = None,
) -> list[Anomaly]:
    """Run all checks that need no schema.

    Args:
        examples: The data.
        found: The summaries of their columns, by split.
        label: The label's column; empty for no label.
        restricted: Columns not to check for values that the train split lacks.
        engine: What counts rows; None for threads of this process.
    """
    anomalies = [*_empty_splits(examples, found), *_not_numbers(examples, found, engine)]
    anomalies += [*_without_values(found, label), *_unseen_values(found, label, restricted)]
    if label:
        anomalies += _label(found, label)
    return anomalies


def reference_split(found: SplitSummaries) -> str:
    """Return the split that others are compared with: `train`, else the first one with rows.

    Example:
        >>> fare = ColumnSummary(rows=90, missing=0)
        >>> reference_split({"eval": {"fare": fare}, "train": {"fare": fare}})
        'train'
        >>> reference_split({"eval": {"fare": fare}, "train": {}})
        'eval'
    """
    with_rows = [split for split, columns in found.items() if columns]
    return TRAIN if TRAIN in with_rows or not with_rows else with_rows[0]


def _empty_splits(examples: Examples, found: SplitSummaries) -> Iterator[Anomaly]:
    for split, rows in examples.rows().items():
        if not rows and split in found:
            yield Anomaly(
                "error", "", split, "no rows", "some", "none", 0, 0, "DATASET_LOW_NUM_EXAMPLES"
            )


def _not_numbers(
    examples: Examples, found: SplitSummaries, engine: Engine | None
) -> Iterator[Anomaly]:
    for split, columns in found.items():
        for name, summary in columns.items():
            if summary.nan:
                yield Anomaly(
                    severity="error",
                    column=name,
                    split=split,
                    kind="not a number",
                    expected="numbers, and missing values left empty",
                    found="NaN",
                    rows=summary.nan,
                    total=summary.rows,
                    reason="FLOAT_TYPE_HAS_NAN",
                )
            if summary.numeric and float("inf") in (-summary.low, summary.high):
                counted = count(examples, split, name, pc.is_inf, engine=engine)
                yield Anomaly(
                    severity="error",
                    column=name,
                    split=split,
                    kind="infinite values",
                    expected="finite numbers",
                    found=listed([float(value) for value in counted.values]),
                    rows=counted.rows,
                    total=summary.rows,
                    reason="FLOAT_TYPE_HAS_INF",
                )


def _without_values(found: SplitSummaries, label: str) -> Iterator[Anomaly]:
    with_rows = {split: columns for split, columns in found.items() if columns}
    train = reference_split(found)
    for name in with_rows.get(train, {}):
        if name == label or with_rows[train][name].present:
            continue
        everywhere = not any(columns[name].present for columns in with_rows.values())
        splits = list(with_rows) if everywhere else [train]
        rows = sum(with_rows[split][name].rows for split in splits)
        yield Anomaly(
            severity="warning",
            column=name,
            split="" if everywhere else train,
            kind="no values",
            expected="some",
            found="every row empty",
            rows=rows,
            total=rows,
        )


def _unseen_by_chance(seen: ColumnSummary, rows: int) -> float:
    """Return how many rows of another split may have values that the train split lacks by chance.

    The share of rows with a value that was never seen is about that of values seen once (Good and
    Turing, 1953).
    """
    once = sum(1 for _, count in seen.ranked if count == 1)
    expected = rows * once / max(seen.present, 1)
    return max(expected + _SIGMAS * math.sqrt(expected), _UNSEEN_SHARE * rows, float(_UNSEEN_ROWS))


def _unseen_values(
    found: SplitSummaries, label: str, restricted: Collection[str]
) -> Iterator[Anomaly]:
    train = reference_split(found)
    for name, seen in found.get(train, {}).items():
        few = 0 < seen.distinct <= MOST_TEXTS and seen.present >= _ROWS_PER_TEXT * seen.distinct
        if seen.numeric or not few or name in restricted:
            continue
        known = {text for text, _ in seen.ranked}
        for split, columns in found.items():
            if split == train or name not in columns:
                continue
            unseen = [(text, rows) for text, rows in columns[name].ranked if text not in known]
            rows = sum(number for _, number in unseen)
            usual = name != label and rows <= _unseen_by_chance(seen, columns[name].rows)
            if rows and not usual:
                yield Anomaly(
                    severity="warning",
                    column=name,
                    split=split,
                    kind=f"values that split {train} lacks",
                    expected=listed([text for text, _ in seen.ranked]),
                    found=listed([text for text, _ in unseen]),
                    rows=rows,
                    total=columns[name].rows,
                )


def _label(found: SplitSummaries, label: str) -> Iterator[Anomaly]:
    train = reference_split(found)
    total = sum(columns[label].rows for columns in found.values() if columns)
    present = sum(
        columns[label].present - columns[label].nan for columns in found.values() if columns
    )
    if total and not present:
        yield Anomaly(
            "error", label, "", "label without values", "values", "every row empty", total, total
        )
        return
    for split, columns in found.items():
        if not columns:
            continue
        summary = columns[label]
        missing = summary.missing + summary.nan
        if missing:
            yield Anomaly(
                severity="error" if missing == summary.rows else "warning",
                column=label,
                split=split,
                kind="rows without a label",
                expected="a value in every row",
                found="none" if missing == summary.rows else "some without",
                rows=missing,
                total=summary.rows,
            )
        value = _only_value(summary)
        if value is not None and summary.rows > 1:
            yield Anomaly(
                severity="error" if split == train else "warning",
                column=label,
                split=split,
                kind="constant label",
                expected="at least 2 distinct values",
                found=f"{value} alone, so there is nothing to learn",
                rows=summary.present,
                total=summary.rows,
            )


def _only_value(summary: ColumnSummary) -> str | None:
    """Return the value that all rows share; None where values differ."""
    if not summary.present:
        return None
    if summary.numeric:
        return f"{summary.low:g}" if summary.low == summary.high else None
    return repr(summary.ranked[0][0]) if summary.distinct == 1 else None
