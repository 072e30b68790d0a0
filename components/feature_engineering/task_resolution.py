"""Finds the supervised task that a label defines."""

import functools
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.artifacts import example_pieces
from kfp_tabular.components.common.artifacts.example_pieces import PieceReader
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.findings import Findings
from kfp_tabular.components.common.artifacts.supervised_task import Task, TaskKind
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.folds.value_counts import ValueCounts
from kfp_tabular.components.common.processing.local_engine import LocalEngine
from kfp_tabular.components.common.processing.pieces import Piece
from kfp_tabular.components.feature_engineering import label_findings, positive_class
from kfp_tabular.components.feature_engineering.target_encoding import class_text, present

TRAIN = "train"

MOST_INTEGER_CLASSES = 20
"""With `auto`, whole numbers with more distinct values are a quantity rather than classes."""

MOST_CLASSES = 1_000
"""A text label with more distinct values is rejected as a mistake."""

_SHOWN = 100
"""Up to this many whole numbers are explained; more are a quantity beyond doubt."""


def require_train(examples: Examples) -> None:
    """Check that there are rows to train on.

    Raises:
        UserError: There is no train split, or it has no rows.
    """
    if not examples.rows().get(TRAIN):
        examples.require(TRAIN)
        raise UserError(f"{examples.path}: the train split has no rows. Choose other splits.")


def resolve(
    examples: Examples,
    label: str,
    task: str,
    positive: str = "",
    found: Findings | None = None,
    engine: Engine | None = None,
) -> Task:
    """Find the task that a label defines.

    A class that is too rare to occur in the train split is still a class: the model cannot learn
    it, and the evaluation counts it.

    With `auto`, two distinct values define a binary task; text, or at most `MOST_INTEGER_CLASSES`
    distinct whole numbers of whatever type, a multiclass one; everything else regression. Missing,
    NaN and infinite labels do not count.

    Args:
        examples: The examples to read.
        label: The label's column.
        task: `auto`, or the task to check the label against.
        positive: The positive class of a binary task; empty to choose.
        found: The findings of the task.
        engine: What counts the labels; None for threads of this process.

    Raises:
        UserError: The column or the task does not exist, or the label is missing or constant in
            the train split or does not fit the task.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import pyarrow.parquet as pq
        >>> table = pa.table({"tip": ["no", "yes", "no"]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Path(folder, "split=train").mkdir()
        ...     pq.write_table(table, f"{folder}/split=train/0.parquet")
        ...     resolve(Examples(Path(folder)), "tip", "auto")
        Task(kind='binary', label='tip', classes=('no', 'yes'), class_counts=(2, 1))
    """
    found = Findings() if found is None else found
    names = examples.schema.names
    if label not in names:
        raise UserError(f"label: the data have no column {label!r}.{closest(label, names)}")
    counts = _counts(examples, label, TRAIN, engine)
    if not counts:
        raise UserError(f"label {label!r}: the train split has no value. Choose another column.")
    if len(counts) == 1:
        (value,) = counts
        raise UserError(
            f"label {label!r}: always {value!r} in the train split, so there is nothing to learn. "
            "Choose another column, or other splits."
        )
    splits = {
        split: _counts(examples, label, split, engine)
        for split in examples.splits
        if split != TRAIN
    }
    values = set(counts).union(*splits.values())
    kind = _kind(label, values, examples.schema.field(label).type, task)
    if positive and kind != "binary":
        raise UserError(
            f"positive_class: label {label!r} makes a {kind} task; only a binary one has a "
            "positive class. Remove it."
        )
    if task == "auto" and len(values) <= _SHOWN and _are_whole(values):
        label_findings.add_whole_numbers(label, sorted(values), kind, found)
    if kind == "regression":
        return Task(kind, label)
    if len(values) > MOST_CLASSES:
        raise UserError(_too_many_classes(label, values))
    by_split = {TRAIN: counts, **splits}
    classes = sorted(values)
    if kind == "binary":
        rows = {value: counts.get(value, 0) for value in classes}
        classes = list(positive_class.order(rows, label, positive, found))
    label_findings.add_classes(label, classes, by_split, found)
    return Task(
        kind,
        label,
        tuple(class_text(value) for value in classes),
        tuple(counts.get(value, 0) for value in classes),
    )


def _kind(label: str, values: Set[Any], kind: pa.DataType, task: str) -> TaskKind:
    text = pa.types.is_string(kind)
    if task == "binary":
        if len(values) != 2:
            raise UserError(
                f"label {label!r}: task=binary needs 2 distinct values, found "
                f"{_listed(sorted(values))}."
            )
        return "binary"
    if task == "multiclass":
        return "multiclass"
    if task == "regression":
        if text:
            others = sorted(value for value in values if not _is_number(value))
            raise UserError(
                f"label {label!r}: task=regression needs numbers, found text such as "
                f"{_listed(others or sorted(values), 3)}. To take such values as missing, ingest "
                f'with column_types={{"{label}": "number"}}.'
            )
        return "regression"
    if len(values) == 2:
        return "binary"
    if text or (len(values) <= MOST_INTEGER_CLASSES and _are_whole(values)):
        return "multiclass"
    return "regression"


def _are_whole(values: Set[Any]) -> bool:
    return all(not isinstance(value, str) and value == int(value) for value in values)


def _too_many_classes(label: str, values: Set[Any]) -> str:
    where = f"label {label!r}: more than {MOST_CLASSES} distinct values are too many classes."
    others = sorted(value for value in values if isinstance(value, str) and not _is_number(value))
    if any(isinstance(value, str) for value in values) and len(others) <= len(values) / 2:
        return (
            f"{where} Most are numbers, but {_listed(others)} are not. For regression, ingest them "
            f'as missing: column_types={{"{label}": "number"}} with odd_values=missing, or '
            "missing_values."
        )
    return (
        f"{where} Is it an identifier or free text? Choose another column, or group the values to "
        "fewer classes. For numbers, choose task=regression."
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _labels(reader: PieceReader, piece: Piece) -> Iterator[pa.Array]:
    for rows in reader(piece):
        column = rows.batch.column(0)
        yield column.filter(present(column))


def _counts(
    examples: Examples, label: str, split: str, engine: Engine | None = None
) -> Mapping[Any, int]:
    """Return rows by value; of more than `MOST_CLASSES` values, those of the first rows alone."""
    labels = functools.partial(_labels, example_pieces.reader(examples, [label]))

    def of_first_rows() -> dict[Any, int]:
        counts: dict[Any, int] = {}
        for column in (column for piece in pieces for column in labels(piece)):
            for pair in pc.value_counts(column).to_pylist():
                counts[pair["values"]] = counts.get(pair["values"], 0) + pair["counts"]
            if len(counts) > MOST_CLASSES:
                break
        return counts

    pieces = example_pieces.pieces(examples, split)
    first = ValueCounts(MOST_CLASSES, hashes=0)
    for column in labels(pieces[0]) if pieces else ():
        first.add(column)
        break
    # A few rows show that a label is a quantity: others need not be read.
    if not first.result().are_exact:
        return of_first_rows()
    factory = functools.partial(ValueCounts, MOST_CLASSES, hashes=0)
    found = (engine or LocalEngine()).fold(pieces, factory, labels)
    return dict(found.ranked()) if found.are_exact else of_first_rows()


def _listed(values: Sequence[Any], most: int = 5) -> str:
    names = [repr(value) for value in values[:most]]
    more = len(values) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")
