"""Reads a piece, and writes its predictions as a shard."""

import functools
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kfp_tabular.components.batch_prediction.csv_text import CsvPart
from kfp_tabular.components.batch_prediction.drift import DriftBatch, DriftFold, TrainedColumn
from kfp_tabular.components.batch_prediction.piece_records import ANY_SIZE, PieceResult
from kfp_tabular.components.batch_prediction.predicted_columns import OutputColumns
from kfp_tabular.components.batch_prediction.scored_rows import (
    ScoredBatch,
    ScoredRows,
    counted,
    places,
)
from kfp_tabular.components.common.artifacts.examples import PieceWriter, ShardDestination
from kfp_tabular.components.common.artifacts.model_document import (
    CLASSES,
    PREDICTION,
    PROBABILITIES,
)
from kfp_tabular.components.common.artifacts.sent_directory import SentDirectory
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.explanation.explainer import (
    Explainer,
    Explanations,
    ExplanationSettings,
)
from kfp_tabular.components.common.prediction import saved_model
from kfp_tabular.components.common.prediction.column_decoder import (
    ColumnDecoder,
    DecodedColumns,
    Texts,
)
from kfp_tabular.components.common.prediction.domain_rules import DomainRule
from kfp_tabular.components.common.prediction.packed_columns import Columns, rows_of
from kfp_tabular.components.common.prediction.predicted_batches import batch_rows
from kfp_tabular.components.common.prediction.prediction_columns import PREDICTED
from kfp_tabular.components.common.prediction.saved_model import SavedModel
from kfp_tabular.components.common.prediction.tabulated import tabulated_model
from kfp_tabular.components.common.prediction.tabulated.tabulated_model import TabulatedPiece
from kfp_tabular.components.common.process.tensorflow import use_one_thread_per_operation
from kfp_tabular.components.common.processing.pieces import Piece
from kfp_tabular.components.common.values import arrays
from kfp_tabular.components.data_ingestion.readers.source import (
    ParsedBlock,
    Reader,
    RejectedRow,
)
from kfp_tabular.components.data_ingestion.writing.rejected_rows import (
    RejectedWriter,
    rejected_path,
)

SPLIT = "predictions"

_NOT_FINITE = "the model's prediction is not a finite number"
_GRAPH = "the model cannot process a value of this row"
_MOST_ROWS = 131_072
_loading = threading.Lock()

Outputs = Mapping[str, "np.ndarray[Any, Any]"]


@dataclass(frozen=True)
class Checks:
    """How values are checked, as the endpoint does.

    Attributes:
        rules: What the schema allows.
        reject_unseen: Whether values that it does not list reject their row.
        reject_out_of_range: Whether numbers beyond its ranges do.
        tolerant: Whether text that cannot be read counts as missing.
    """

    rules: tuple[DomainRule, ...] = ()
    reject_unseen: bool = False
    reject_out_of_range: bool = True
    tolerant: bool = False

    def rejects(self, rule: DomainRule) -> bool:
        """Whether a value outside of a rule rejects its row."""
        return self.reject_unseen if rule.violation == "domain" else self.reject_out_of_range


@dataclass(frozen=True)
class ScorePiece:
    """Makes a shard of predictions of a piece. It can be sent to other processes.

    Attributes:
        reader: Reads the piece.
        model: The model; each process loads it once.
        output: What is written.
        checks: How values are checked.
        destination: Where to write.
        write_csv: Whether to write CSV, too.
        trained: The columns to measure drift from.
        baseline: What attributions are measured from, if they are written.
        by_tables: Whether there are so many rows that tables of values pay.
    """

    reader: Reader
    model: SentDirectory
    output: OutputColumns
    checks: Checks
    destination: ShardDestination
    write_csv: bool = False
    trained: tuple[TrainedColumn, ...] = ()
    baseline: Mapping[str, Any] = field(default_factory=dict)
    by_tables: bool = False

    def __call__(self, piece: Piece) -> PieceResult:
        """Predict for the rows of a piece, and write what comes of them."""
        model = _model(self.model, self.output.attributions, self.by_tables)
        tables = tabulated_model.of(model) if self.by_tables else None
        scorer = _Scorer(model, None if tables is None else TabulatedPiece(tables))
        decoder = ColumnDecoder(model.spec.inputs, tolerant=self.checks.tolerant)
        facts, drift = ScoredRows(), DriftFold(self.trained)
        number, schema = piece.number, self.output.schema
        with ExitStack() as files:
            writer = files.enter_context(PieceWriter(self.destination, number, schema))
            rejected = files.enter_context(RejectedWriter(self.destination, number))
            csv = files.enter_context(CsvPart(self.destination, number))
            for block in self.reader(piece):
                parsed = block.parse()
                scored = self._scored(parsed, scorer, decoder)
                facts.add(scored.facts)
                drift.add(scored.drift)
                rejected.add(scored.rejected)
                writer.write(SPLIT, scored.batch)
                if self.write_csv:
                    csv.write(scored.batch)
        others = dict(csv.sizes)
        if facts.result().rejected:
            others[rejected_path(number)] = ANY_SIZE
        return PieceResult(
            number, writer.shards.get(SPLIT, ()), others, facts.state(), drift.state()
        )

    def _scored(
        self, parsed: ParsedBlock, scorer: "_Scorer", decoder: ColumnDecoder
    ) -> "_ScoredBlock":
        model = scorer.model
        decoded = decoder.decode(parsed.columns, parsed.rows)
        problems = {refusal.row: refusal.problem for refusal in decoded.refused}
        for mask, reason in parsed.faults:
            problems.update(dict.fromkeys(np.flatnonzero(mask).tolist(), reason))
        outside = self._outside(decoded, problems)
        kept = np.ones(parsed.rows, np.bool_)
        kept[list(problems)] = False
        rows = np.flatnonzero(kept)
        columns = rows_of(decoded.values, rows) if problems else decoded.values
        drift = DriftBatch(columns, len(rows))
        outputs, failures = _predicted(columns, len(rows), scorer)
        if failures:
            problems.update({int(rows[row]): problem for row, problem in failures.items()})
            kept[list(problems)] = False
            rows = np.flatnonzero(kept)
        keys = {name: parsed.columns[name] for name in self.output.keys.names}
        if problems:
            taken = arrays.from_integers(rows)
            keys = {name: column.take(taken) for name, column in keys.items()}
        batch = self.output.batch(keys, outputs, self._explained(decoded, rows, model))
        rejected = [*parsed.unreadable, *_rejected(parsed, problems)]
        classes = batch.column(PREDICTED) if model.spec.classes else None
        return _ScoredBlock(
            batch,
            sorted(rejected, key=lambda row: row.line),
            ScoredBatch(
                rows=parsed.rows + len(parsed.unreadable),
                predicted=len(rows),
                reasons=counted(row.reason for row in rejected),
                places=places(rejected),
                unreadable=decoded.unreadable,
                outside=outside,
                classes={} if classes is None else _tallied(classes),
            ),
            drift,
        )

    def _explained(
        self, decoded: DecodedColumns, rows: npt.NDArray[np.int64], model: SavedModel
    ) -> Explanations | None:
        """Explain the predictions of rows; None for no rows, or if nothing is explained."""
        if not (self.output.attributions and len(rows)):
            return None
        columns = rows_of(decoded.values, rows)
        try:
            found = _explainer(model).explain(columns, ExplanationSettings(self.baseline))
        except ValueError as error:
            raise UserError(
                "attribution_baseline: the model cannot process a row with some of the baseline's "
                f"values: {error}"
            ) from error
        if not np.isfinite(found.baseline).all():
            raise UserError(
                "attribution_baseline: the model's prediction for it is not a finite number. Name "
                "a value for each feature that must not be missing."
            )
        return found

    def _outside(self, decoded: DecodedColumns, problems: dict[int, str]) -> dict[str, int]:
        """Count values outside of what the schema allows, and reject rows of them if asked to."""
        found: dict[str, int] = {}
        for rule in self.checks.rules:
            rows = rule.outside(decoded.values[rule.input]).tolist()
            if problems:
                rows = [row for row in rows if row not in problems]
            if not rows:
                continue
            found[rule.feature] = len(rows)
            if self.checks.rejects(rule):
                reason = f"feature {rule.feature!r}: expected {rule.expectation()}."
                problems.update(dict.fromkeys(rows, reason))
        return found


@dataclass(frozen=True)
class _ScoredBlock:
    batch: pa.RecordBatch
    rejected: Sequence[RejectedRow]
    facts: ScoredBatch
    drift: DriftBatch


@dataclass(frozen=True)
class _Scorer:
    """Answers the rows of a piece.

    Attributes:
        model: The model.
        tables: Tables of what values contribute; None to call the model's signature.
    """

    model: SavedModel
    tables: TabulatedPiece | None

    @property
    def rows(self) -> int:
        """How many rows to answer at once."""
        return _MOST_ROWS if self.tables is not None else batch_rows([self.model.spec])

    def answers(self, columns: Columns) -> Outputs:
        """Return the outputs for rows; see `SavedModel.answers`."""
        if self.tables is not None:
            return self.tables.answers(columns)
        return self.model.answers(columns)


def _predicted(
    columns: Columns, rows: int, scorer: _Scorer
) -> "tuple[Mapping[str, np.ndarray[Any, Any] | Texts], dict[int, str]]":
    """Return the outputs for rows, without those that fail, and why those do."""
    failures: dict[int, str] = {}
    found: dict[str, list[np.ndarray[Any, Any]]] = {}
    size = scorer.rows
    for start in range(0, rows, size):
        part = slice(start, min(start + size, rows))
        whole = rows_of(columns, part) if rows > size else columns
        for outputs in _answers(whole, start, part.stop - start, scorer, failures):
            for name, values in outputs.items():
                found.setdefault(name, []).append(values)
    if not found:
        return _nothing(scorer.model), failures
    joined: dict[str, np.ndarray[Any, Any] | Texts] = {
        name: np.concatenate(parts) for name, parts in found.items()
    }
    if scorer.tables is not None and scorer.tables.classes:
        codes = np.concatenate(found[CLASSES]).astype(np.int32, copy=False)
        joined[CLASSES] = Texts(codes, scorer.tables.classes)
    return joined, failures


def _nothing(model: SavedModel) -> Outputs:
    """Return the outputs for no rows."""
    if model.spec.task == "regression":
        return {PREDICTION: np.empty(0, np.float32)}
    return {
        PROBABILITIES: np.empty((0, len(model.spec.classes)), np.float32),
        CLASSES: np.empty(0, object),
    }


def _answers(
    columns: Columns, first: int, rows: int, scorer: _Scorer, failures: dict[int, str]
) -> Iterator[Outputs]:
    """Yield the outputs for rows; where the graph fails, for halves, down to the row at fault."""
    try:
        outputs = scorer.answers(columns)
    except ValueError:
        if rows == 1:
            failures[first] = _GRAPH
            return
        half = rows // 2
        yield from _answers(rows_of(columns, slice(0, half)), first, half, scorer, failures)
        yield from _answers(
            rows_of(columns, slice(half, rows)), first + half, rows - half, scorer, failures
        )
        return
    finite = np.ones(rows, np.bool_)
    for values in outputs.values():
        if values.dtype != object:
            finite &= np.isfinite(values).reshape(rows, -1).all(axis=1)
    if not finite.all():
        failures.update(dict.fromkeys((first + np.flatnonzero(~finite)).tolist(), _NOT_FINITE))
        outputs = {name: values[finite] for name, values in outputs.items()}
    yield outputs


def _rejected(parsed: ParsedBlock, problems: Mapping[int, str]) -> list[RejectedRow]:
    rows = np.array(sorted(problems), np.int64)
    return [
        RejectedRow(parsed.file, line.line, problems[row], line.text)
        for row, line in zip(rows.tolist(), parsed.source_lines(rows), strict=True)
    ]


def _tallied(values: pa.Array) -> dict[str, int]:
    tallied = values.value_counts()
    return dict(
        zip(tallied.field("values").to_pylist(), tallied.field("counts").to_pylist(), strict=True)
    )


def _model(directory: SentDirectory, explains: bool, by_tables: bool) -> SavedModel:
    with _loading:
        if by_tables:
            use_one_thread_per_operation()
        model = saved_model.loaded_from(directory)
        # Before a thread predicts: both replace functions of the graph.
        if explains:
            _explainer(model)
        if by_tables:
            tabulated_model.of(model)
        return model


@functools.lru_cache(maxsize=2)
def _explainer(model: SavedModel) -> Explainer:
    return Explainer(model.tensorflow, model.graph, model.spec)
