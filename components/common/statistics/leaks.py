"""Finds leaks: columns that alone predict the label as nothing that is known in advance could.

Each column is cut into cells (values, bins of numbers, missing). The train split says what each
cell predicts, and rows that it did not see say how well: an identifier whose values never come
again scores like a guess, however many values it has. Rows are sampled, so the cost is bounded.

The score of a column is

- binary labels: the area under the ROC curve (0.5 for a column that says nothing);
- several classes: the share of right answers beyond those of always answering the most frequent
  class, from 0 to 1;
- numbers: R2 of the label's ranks, which a few very large values cannot decide.

From `SUSPICIOUS` on a column is worth a look: H2O Driverless AI reports features from an AUC or R2
of 0.95 (`detect_features_leakage_threshold_auc`). Public tables have such columns that are no leak
(the size of a tumor's nuclei). From `CERTAIN` on it is taken for a leak: DataRobot removes features
with a normalized Gini coefficient of 0.975, an AUC of 0.9875, from what it trains on. For the other
two scores, 0.99 stands for about the same share of errors.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.artifacts import example_pieces
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.findings import Finding
from kfp_tabular.components.common.artifacts.supervised_task import TaskKind
from kfp_tabular.components.common.processing import row_keys
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.folds.rows_at import RowsAt
from kfp_tabular.components.common.processing.local_engine import LocalEngine
from kfp_tabular.components.common.processing.pieces import Piece, total_rows
from kfp_tabular.components.common.values import arrays

SUSPICIOUS = 0.95
CERTAIN: Mapping[TaskKind, float] = {"binary": 0.9875, "multiclass": 0.99, "regression": 0.99}

TRAIN = "train"

# With ten rows of each class, a column that says nothing reaches an AUC of 0.95 by a chance of
# five standard deviations (Mann and Whitney, 1947).
_LEAST_ROWS = 10
_MOST_ROWS = 20_000
_MOST_CELLS = 10_000_000
_WINDOWS = 16
_WINDOW_ROWS = 131_072
_BATCH_ROWS = 65_536
_BATCH_CELLS = 16_000_000
_SEED = 0

_ROWS_PER_TEXT = 5  # of rarer texts, only that there is one says something about other rows
_MOST_TEXTS = 4096
_EXACT_NUMBERS = 256  # with at most so many distinct numbers, each has a cell
_BINS = 64
_BINS_OF_CLASS = 16
_MOST_CLASSES = 16
_COMMON_SHARE = 0.01
_MOST_CLASSES_OF_NUMBERS = 20  # as `transform_features` decides

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Strength:
    """How well a column alone predicts the label.

    Attributes:
        column: The column.
        score: The score on held-out rows; see the module.
        by_presence: Whether it is enough to know if a row has a value.
        right: The share of right answers, for several classes.
        usual: The share of the most frequent class, for several classes.
    """

    column: str
    score: float
    by_presence: bool = False
    right: float = 0.0
    usual: float = 0.0


@dataclass(frozen=True)
class LeakScan:
    """The strengths of all columns.

    Attributes:
        kind: The task.
        label: The label's column.
        rows: The held-out rows that were used; 0 if there were too few to tell.
        strengths: The columns, strongest first.
    """

    kind: TaskKind
    label: str
    rows: int
    strengths: tuple[Strength, ...]

    @property
    def certain(self) -> list[Strength]:
        """The columns that are taken for leaks."""
        return [found for found in self.strengths if found.score >= CERTAIN[self.kind]]

    @property
    def suspicious(self) -> list[Strength]:
        """The columns below them that are worth a look."""
        limit = CERTAIN[self.kind]
        return [found for found in self.strengths if SUSPICIOUS <= found.score < limit]

    def findings(self) -> list[Finding]:
        """Return an error for each leak, and one warning for all suspicious columns together."""
        found = [
            Finding(
                "error",
                "leak",
                f"{self._predicts(leak)} Unless it is known when a prediction is made, exclude it.",
                leak.column,
                "exclude",
            )
            for leak in self.certain
        ]
        if self.suspicious:
            first, *others = self.suspicious
            listed = ", ".join(f"{other.column!r} {self.strength(other)}" for other in others)
            more = f" So do {listed}." if others else ""
            found.append(
                Finding(
                    "warning",
                    "leak",
                    f"{self._predicts(first)}{more} Exclude what is not known when a prediction is "
                    "made.",
                    first.column,
                    "exclude",
                )
            )
        return found

    def strength(self, found: Strength) -> str:
        """Return a strength in words, such as `(AUC 0.981)`."""
        if self.kind == "binary":
            return f"(AUC {found.score:.3f})"
        if self.kind == "multiclass":
            return f"({found.right:.1%} right)"
        return f"(R2 {found.score:.3f})"

    def _predicts(self, found: Strength) -> str:
        subject = f"Column {found.column!r} alone"
        if found.by_presence:
            subject = f"Whether column {found.column!r} has a value alone"
        if self.kind == "binary":
            how = f"AUC {found.score:.3f} on {self.rows:,} held-out rows; 0.5 is chance."
        elif self.kind == "multiclass":
            how = (
                f"right in {found.right:.1%} of {self.rows:,} held-out rows; the most frequent "
                f"class is in {found.usual:.1%}."
            )
        else:
            how = f"R2 {found.score:.3f} of the ranks of {self.rows:,} held-out rows; 0 is chance."
        return f"{subject} predicts the label {self.label!r}: {how}"


def kind_of(examples: Examples, label: str, engine: Engine | None = None) -> TaskKind:
    """Return how a label is scored: as classes if it has few values or is text.

    Args:
        examples: The examples.
        label: The label's column.
        engine: What reads a sample; None for threads of this process.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from kfp_tabular.components.common.artifacts.examples import ExamplesWriter
        >>> table = pa.table({"churn": [0, 1], "price": [1.5, 2.5]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with ExamplesWriter(folder, table.schema, ["train"]) as writer:
        ...         writer.write("train", table)
        ...     kind_of(Examples(Path(folder)), "churn")
        'binary'
    """
    values = _with_label(_sample(examples, examples.splits, [label], _MOST_ROWS, engine), label)
    distinct = pc.count_distinct(values.column(label)).as_py()
    if distinct == 2:
        return "binary"
    text = pa.types.is_string(values.column(label).type)
    return "multiclass" if text or distinct <= _MOST_CLASSES_OF_NUMBERS else "regression"


def scan(
    examples: Examples,
    kind: TaskKind,
    label: str,
    columns: Iterable[str],
    engine: Engine | None = None,
) -> LeakScan:
    """Measure how well each column alone predicts the label.

    Args:
        examples: The examples.
        kind: The task.
        label: The label's column.
        columns: The columns that the model will use; others, such as identifiers, are left out.
        engine: What reads samples of rows; None for threads of this process.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from kfp_tabular.components.common.artifacts.examples import ExamplesWriter
        >>> table = pa.table({"churn": [0, 1] * 50, "refund": [None, "x"] * 50, "age": [7] * 100})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with ExamplesWriter(folder, table.schema, ["train", "eval"]) as writer:
        ...         writer.write("train", table)
        ...         writer.write("eval", table)
        ...     found = scan(Examples(Path(folder)), "binary", "churn", ["age", "refund"])
        >>> print(found.findings()[0].message)
        Whether column 'refund' has a value alone predicts the label 'churn': AUC 1.000 on ...
    """
    names = [
        name for name in columns if name != label and _is_plain(examples.schema.field(name).type)
    ]
    most = max(1000, min(_MOST_ROWS, _MOST_CELLS // max(len(names), 1)))
    known = _with_label(_sample(examples, [TRAIN], [label, *names], most, engine), label)
    others = [split for split in examples.splits if split != TRAIN]
    held_out = _with_label(_sample(examples, others, [label, *names], most, engine), label)
    target = _Target.of(kind, known.column(label), held_out.column(label))
    if not target.is_enough:
        # Few rows: one half of all teaches, the other is held out.
        known, held_out = _halves(pa.concat_tables([known, held_out]))
        target = _Target.of(kind, known.column(label), held_out.column(label))
        if not target.is_enough:
            return LeakScan(kind, label, 0, ())
    strengths = []
    for name in names:
        cells = _Cells.of(known.column(name), held_out.column(name), target)
        found = _strength(name, cells, target)
        strengths.append(found)
    ranked = sorted(strengths, key=lambda found: -found.score)
    return LeakScan(kind, label, held_out.num_rows, tuple(ranked))


def _sample(
    examples: Examples,
    splits: Sequence[str],
    columns: Sequence[str],
    most: int,
    engine: Engine | None,
) -> pa.Table:
    """Return rows spread evenly over some splits."""
    pieces: list[Piece] = []
    total = 0
    for split in splits:
        if split in examples.shards:
            found = example_pieces.pieces(examples, split)
            # One position for each row of all splits.
            pieces += [replace(piece, first_row=piece.first_row + total) for piece in found]
            total += total_rows(found)
    places = _places(total, most)
    wanted = [
        piece
        for piece in pieces
        if np.diff(np.searchsorted(places, [piece.first_row, piece.first_row + piece.rows]))[0]
    ]
    rows = max(256, min(_BATCH_ROWS, _BATCH_CELLS // max(len(columns), 1)))
    sample = (engine or LocalEngine()).fold(
        wanted, functools.partial(RowsAt, places), example_pieces.reader(examples, columns, rows)
    )
    empty = examples.schema.empty_table().select(list(columns))
    return pa.concat_tables([empty, sample.select(list(columns))] if len(sample) else [empty])


def _places(total: int, most: int) -> Ints:
    """Return positions of a sample: one of each few rows, of large data in windows only.

    Args:
        total: The number of rows.
        most: The most positions.
    """
    windows = 1 if total <= _WINDOWS * _WINDOW_ROWS else _WINDOWS
    size = total if windows == 1 else _WINDOW_ROWS
    every = max(1, -(-size // (most // windows)))
    starts = np.linspace(0, total - size, windows).round().astype(np.int64)
    places = (starts[:, np.newaxis] + np.arange(0, size, every)).ravel()
    # Not every n-th row: the table may repeat itself.
    jitter = row_keys.keys(0, len(places), _SEED) % np.uint64(every)
    return np.unique(np.minimum(places + jitter.astype(np.int64), max(total - 1, 0)))


def _with_label(table: pa.Table, label: str) -> pa.Table:
    column = table.column(label)
    kept = pc.is_valid(column)
    if pa.types.is_floating(column.type):
        kept = pc.and_(kept, pc.fill_null(pc.is_finite(column), False))
    return table.filter(kept)


def _is_plain(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _halves(table: pa.Table) -> tuple[pa.Table, pa.Table]:
    rows = np.arange(table.num_rows)
    first, second = (table.take(arrays.from_integers(rows[start::2])) for start in (0, 1))
    return first, second


@dataclass(frozen=True)
class _Target:
    """The label of the rows that teach, and of those held out.

    Attributes:
        kind: The task.
        known: Class indices, or ranks from 0 to 1.
        held_out: The same of the rows held out; -1 for a class that is not known.
        classes: The number of classes; 0 for a number.
    """

    kind: TaskKind
    known: Floats
    held_out: Floats
    classes: int

    @classmethod
    def of(cls, kind: TaskKind, known: pa.ChunkedArray, held_out: pa.ChunkedArray) -> "_Target":
        first, second = _whole(known), _whole(held_out)
        if kind == "regression":
            values = np.sort(arrays.to_doubles(first))
            return cls(
                kind,
                _ranks(values, arrays.to_doubles(first)),
                _ranks(values, arrays.to_doubles(second)),
                0,
            )
        classes = pc.unique(first)
        return cls(kind, _codes(first, classes), _codes(second, classes), len(classes))

    @property
    def is_enough(self) -> bool:
        if self.kind == "regression":
            return min(len(self.known), len(self.held_out)) >= 3 * _LEAST_ROWS and bool(
                np.ptp(self.held_out) > 0
            )
        known = np.bincount(self.known.astype(np.int64), minlength=self.classes)
        seen = self.held_out[self.held_out >= 0].astype(np.int64)
        counts = np.bincount(seen, minlength=self.classes)
        if self.kind == "binary":
            return self.classes == 2 and bool(min(counts.min(), known.min()) >= _LEAST_ROWS)
        rest = counts.sum() - counts.max() if len(counts) else 0
        return bool(rest >= _LEAST_ROWS)


@dataclass(frozen=True)
class _Cells:
    """The cell of each row.

    Attributes:
        known: Cells of the rows that teach.
        held_out: Cells of the rows held out.
        count: The number of cells; the last one is that of missing values.
        numbers: The values themselves, of rows that teach and of rows held out, for a number.
    """

    known: Ints
    held_out: Ints
    count: int
    numbers: tuple[Floats, Floats] | None = None

    @classmethod
    def of(cls, known: pa.ChunkedArray, held_out: pa.ChunkedArray, target: _Target) -> "_Cells":
        first, second = _whole(known), _whole(held_out)
        if pa.types.is_integer(first.type) or pa.types.is_floating(first.type):
            return cls._of_numbers(arrays.to_doubles(first), arrays.to_doubles(second), target)
        return cls._of_texts(first, second)

    @classmethod
    def _of_texts(cls, known: pa.Array, held_out: pa.Array) -> "_Cells":
        counted = pc.value_counts(known.drop_null()) if len(known) > known.null_count else None
        kept = pa.nulls(0, known.type)
        if counted is not None:
            values, counts = counted.field(0), counted.field(1)
            often = values.filter(pc.greater_equal(counts, _ROWS_PER_TEXT))
            kept = often[:_MOST_TEXTS]
        rare, missing = len(kept), len(kept) + 1

        def place(column: pa.Array) -> Ints:
            cells = _codes(column, kept).astype(np.int64)
            cells[cells < 0] = rare
            cells[~arrays.to_valid(column)] = missing
            return cells

        return cls(place(known), place(held_out), missing + 1)

    @classmethod
    def _of_numbers(cls, known: Floats, held_out: Floats, target: _Target) -> "_Cells":
        present = known[np.isfinite(known)]
        distinct, counts = np.unique(present, return_counts=True)
        if len(distinct) <= _EXACT_NUMBERS:
            edges = distinct[1:]
        else:
            common = distinct[counts >= _COMMON_SHARE * len(present)]
            parts = [
                np.quantile(present, np.arange(1, _BINS) / _BINS),
                common,
                np.nextafter(common, np.inf),
            ]
            # A rare class needs bins where its rows are.
            for index in range(min(target.classes, _MOST_CLASSES)):
                own = known[(target.known == index) & np.isfinite(known)]
                if len(own):
                    shares = np.arange(_BINS_OF_CLASS + 1) / _BINS_OF_CLASS
                    ends = np.quantile(own, shares)
                    parts += [ends, np.nextafter(ends[-1:], np.inf)]
            edges = np.unique(np.concatenate(parts))
        missing = len(edges) + 1

        def place(values: Floats) -> Ints:
            cells = np.searchsorted(edges, values, side="right").astype(np.int64)
            cells[np.isnan(values)] = missing
            return cells

        return cls(place(known), place(held_out), missing + 1, (known, held_out))

    def presence(self) -> "_Cells | None":
        """Return the two cells with and without a value; None where one of them is empty."""
        missing = self.count - 1
        known, held_out = self.known == missing, self.held_out == missing
        if not 0 < known.sum() < len(known):
            return None
        return _Cells(known.astype(np.int64), held_out.astype(np.int64), 2)


def _strength(name: str, cells: _Cells, target: _Target) -> Strength:
    found = _scored(name, cells, target)
    presence = cells.presence() if found.score >= SUSPICIOUS else None
    if presence is None:
        return found
    alone = _scored(name, presence, target)
    if alone.score >= SUSPICIOUS and alone.score >= found.score - 0.005:
        return Strength(name, alone.score, True, alone.right, alone.usual)
    return found


def _scored(name: str, cells: _Cells, target: _Target) -> Strength:
    if target.kind == "regression":
        return Strength(name, _rank_fit(cells, target))
    counts = _table(cells.known, target.known, cells.count, target.classes)
    kept = target.held_out >= 0
    seen = _table(cells.held_out[kept], target.held_out[kept], cells.count, target.classes)
    if target.kind == "binary":
        return Strength(name, _area(counts, seen))
    prior = counts.sum(0) / counts.sum()
    answer = (counts + prior).argmax(1)
    rows = len(target.held_out)
    right = seen[np.arange(len(seen)), answer].sum() / rows
    usual = seen[:, prior.argmax()].sum() / rows
    score = (right - usual) / (1 - usual) if usual < 1 else 0.0
    return Strength(name, float(score), right=float(right), usual=float(usual))


def _area(known: Floats, seen: Floats) -> float:
    """Return the area under the ROC curve of cells; the first class of two is the negative one."""
    share = known[:, 1].sum() / known.sum()
    # A cell without rows answers the share of positives of all rows.
    scores = (known[:, 1] + share) / (known.sum(1) + 1)
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=-1.0) > 0)
    negatives, positives = np.add.reduceat(seen[order], starts).T
    below = np.cumsum(negatives) - negatives
    area = (positives * (below + negatives / 2)).sum() / (positives.sum() * negatives.sum())
    return float(area)


def _rank_fit(cells: _Cells, target: _Target) -> float:
    """Return R2 on held-out rows of the mean of each cell or, for numbers, of a line in it."""
    count, known = cells.count, cells.known
    rows = np.bincount(known, minlength=count).astype(np.float64)
    overall = target.known.mean()
    mean = (np.bincount(known, target.known, count) + overall) / (rows + 1)
    predicted = mean[cells.held_out]
    if cells.numbers is not None:
        given, asked = (np.nan_to_num(values, posinf=0.0, neginf=0.0) for values in cells.numbers)
        full = np.maximum(rows, 1)
        center = np.bincount(known, given, count) / full
        away = given - center[known]
        spread = np.bincount(known, away**2, count)
        joint = np.bincount(known, away * target.known, count)
        # Equal numbers differ from their mean by rounding.
        varies = spread > 1e-24 * np.bincount(known, given**2, count)
        slope = np.divide(joint, spread, out=np.zeros(count), where=varies & (rows >= 5))
        predicted = predicted + slope[cells.held_out] * (asked - center[cells.held_out])
    error = np.clip(predicted, 0, 1) - target.held_out
    around = target.held_out - target.held_out.mean()
    return float(1 - (error**2).sum() / (around**2).sum())


def _table(cells: Ints, labels: Floats, count: int, classes: int) -> Floats:
    """Return the rows of each cell and class."""
    flat = np.bincount(cells * classes + labels.astype(np.int64), minlength=count * classes)
    return flat.reshape(count, classes).astype(np.float64)


def _ranks(ordered: Floats, values: Floats) -> Floats:
    """Return where values lie among ordered ones, from 0 to 1."""
    below = np.searchsorted(ordered, values, side="left")
    up_to = np.searchsorted(ordered, values, side="right")
    ranks: Floats = (below + up_to) / (2 * max(len(ordered), 1))
    return ranks


def _codes(values: pa.Array, known: pa.Array) -> Floats:
    """Return the index of each value among known ones, -1 for others."""
    found = pc.fill_null(pc.index_in(values, value_set=known), -1)
    codes: Floats = arrays.to_integers(found.cast(pa.int64())).astype(np.float64)
    return codes


def _whole(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    if isinstance(combined, pa.ChunkedArray):
        return combined.chunk(0) if combined.num_chunks else pa.nulls(0, column.type)
    return combined
