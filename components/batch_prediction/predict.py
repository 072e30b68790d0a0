"""Predicts for a data set: reads it, checks it as the endpoint does, and writes predictions."""

import dataclasses
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kfp_tabular.components.batch_prediction import (
    attempts,
    drift,
    piece_records,
    prediction_report,
    scored_rows,
)
from kfp_tabular.components.batch_prediction.drift import ColumnDrift, Training
from kfp_tabular.components.batch_prediction.options import (
    MISSING,
    REJECT,
    BatchPredictionOptions,
)
from kfp_tabular.components.batch_prediction.piece_records import RecordedPieces
from kfp_tabular.components.batch_prediction.predicted_columns import (
    ModelIdentity,
    OutputColumns,
)
from kfp_tabular.components.batch_prediction.score_piece import SPLIT, Checks, ScorePiece
from kfp_tabular.components.batch_prediction.scored_pieces import ScoredPieces
from kfp_tabular.components.batch_prediction.scored_rows import ScoredBatch
from kfp_tabular.components.batch_prediction.scored_source import key_schema, open_scored
from kfp_tabular.components.common import files, options, storage
from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.artifacts.examples import ShardDestination, gather, record
from kfp_tabular.components.common.artifacts.findings import Findings
from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.artifacts.raw_features import SCHEMA_FILE, read_schema
from kfp_tabular.components.common.artifacts.sent_directory import SentDirectory
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.explanation.chosen_baseline import ChosenBaseline, choose
from kfp_tabular.components.common.prediction.domain_rules import build_rules
from kfp_tabular.components.common.prediction.instances import InstanceError
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.local_engine import LocalEngine
from kfp_tabular.components.common.processing.pieces import Piece, numbered
from kfp_tabular.components.common.registry import opened, resolve
from kfp_tabular.components.common.storage import InputFile
from kfp_tabular.components.data_ingestion import input_choice
from kfp_tabular.components.data_ingestion.options import IngestionOptions
from kfp_tabular.components.data_ingestion.writing import rejected_rows

_logger = logging.getLogger(__name__)

_LIBRARIES = ("pyarrow", "numpy", "tensorflow")
_MOST_REASONS = 5
_MOST_LISTED_SOURCES = 50
_LARGE_BYTES, _MANY_PIECES = 24 << 20, 3


@dataclass(frozen=True)
class BatchPredictionRequest:
    """What to predict for, and where to write the outputs.

    Attributes:
        options: What to read, and with which model.
        predictions: Path of the predictions output, a directory.
        rejected_rows: Path of the rejected rows output, a directory.
        report: Path of the report, an HTML file.
    """

    options: BatchPredictionOptions
    predictions: Path
    rejected_rows: Path
    report: Path


@dataclass(frozen=True)
class BatchPredictionResult:
    """The outcome of a batch prediction.

    Attributes:
        facts: What became of the rows.
        drift: The drift of each feature that could be compared with training, largest first.
        model: The model.
        pieces: The number of pieces.
        earlier: How many of them an earlier attempt had done.
        predictions_lineage: The lineage of the predictions.
        rejected_lineage: The lineage of the rejected rows.
    """

    facts: ScoredBatch
    drift: Mapping[str, ColumnDrift]
    model: ModelIdentity
    pieces: int
    earlier: int
    predictions_lineage: Mapping[str, Any]
    rejected_lineage: Mapping[str, Any]


def run(
    request: BatchPredictionRequest, engine: Engine | None = None, shards_uri: str = ""
) -> BatchPredictionResult:
    """Predict for a data set.

    A piece that is done is recorded. If this ends before all are, the next attempt with the same
    model, data and options goes on from there.

    Args:
        request: What to predict for, and where to write.
        engine: Runs the fold; None for threads of this process.
        shards_uri: Where to write the shards of the predictions; empty for the predictions output.

    Raises:
        UserError: An option, the model or the data are wrong. No output is written then.
    """
    settings = request.options
    options.check(settings)
    started = time.monotonic()
    findings = Findings()
    engine = engine or LocalEngine()
    named = resolve(settings.model, registry_uri=settings.tracking_uri)
    with (
        opened(named) as directory,
        input_choice.opened(IngestionOptions(settings.data_uri), engine) as found,
    ):
        # Other processes may have another working directory.
        model = directory.absolute()
        spec = ModelSpec.load(model)
        digest = named.digest or lineage.digest(model)
        identity = ModelIdentity(named.name, named.version, digest)
        scored = open_scored(settings, found, spec, findings, engine)
        pieces = numbered(scored.source.pieces(engine))
        reader = scored.source.reader(scored.columns)
        output = OutputColumns(
            key_schema(scored, reader, pieces),
            spec,
            identity if settings.model_columns else None,
            settings.attributions,
        )
        baseline = _baseline(settings, spec)
        output.check()
        trained = _training(settings, model, spec)
        sources = attempts.source_facts(found)
        name = attempts.identity(
            dataclasses.asdict(identity), sources, _what_counts(settings, trained), pieces
        )
        with attempts.opened(request.predictions, name, shards_uri) as destination:
            done = engine.fold(
                pieces,
                partial(ScoredPieces, trained.columns),
                RecordedPieces(
                    ScorePiece(
                        reader,
                        SentDirectory(str(model)),
                        output,
                        _checks(settings, model, spec),
                        destination,
                        settings.write_csv,
                        trained.columns,
                        settings.attribution_baseline,
                        _is_large(found, pieces) and not settings.attributions,
                    ),
                    destination,
                    piece_records.recorded(destination),
                ),
                what="predictions",
            )
            if done.earlier:
                _logger.info(
                    "%d of %d pieces were done by an earlier attempt", done.earlier, len(pieces)
                )
            facts = done.facts.result()
            _check(settings, facts)
            pieces_shards = [{SPLIT: shards} for shards in done.shards.values()]
            gathered = gather(destination, output.schema, [SPLIT], pieces_shards)
            drifted = drift.measured(done.drift.result(), trained)
            _report(findings, facts, drifted)
            if baseline is not None:
                _report_baseline(findings, baseline)
            with files.atomic_directory(request.rejected_rows) as rejected:
                rejected_rows.join(destination, done.with_rejected, rejected)
                rejected_lineage = lineage.record(
                    rejected, inputs={}, rows={"rejected": facts.rejected}, libraries=_LIBRARIES
                )
            artifact = _directory(destination, request.predictions)
            findings.write(artifact)
            predictions_lineage = record(
                artifact,
                gathered.schema,
                gathered.shards,
                inputs={"model": model},
                libraries=_LIBRARIES,
                extra={
                    "sources": sources[:_MOST_LISTED_SOURCES],
                    "source_files": len(sources),
                    "rejected": facts.rejected,
                    "model": dataclasses.asdict(identity),
                    **({} if baseline is None else {"attribution_baseline": baseline.document()}),
                },
                shards_uri=destination.shards_uri,
            )
            piece_records.remove(destination, pieces)
            attempts.complete(destination, request.predictions)
    page = prediction_report.html_page(settings.data_uri, spec, identity, facts, drifted, findings)
    files.write_text(request.report, page)
    seconds = time.monotonic() - started
    _logger.info(
        "%d of %d rows predicted in %.1f s, %d rejected",
        facts.predicted,
        facts.rows,
        seconds,
        facts.rejected,
    )
    return BatchPredictionResult(
        facts, drifted, identity, len(pieces), done.earlier, predictions_lineage, rejected_lineage
    )


def _checks(settings: BatchPredictionOptions, model: Path, spec: ModelSpec) -> Checks:
    has_schema = (model / SCHEMA_FILE).is_file()
    return Checks(
        build_rules(read_schema(model), spec.inputs) if has_schema else (),
        reject_unseen=settings.unseen_values == REJECT,
        reject_out_of_range=settings.out_of_range == REJECT,
        tolerant=settings.unreadable_values == MISSING,
    )


def _is_large(found: Sequence[InputFile], pieces: Sequence[Piece]) -> bool:
    """Return whether there are so many rows that tables of values pay for their preparation."""
    size = sum(file.size for file in found)
    # Columnar files hold more rows than their size shows.
    is_columnar = any(piece.kind == "row-groups" for piece in pieces)
    return size >= _LARGE_BYTES or len(pieces) >= (2 if is_columnar else _MANY_PIECES)


def _baseline(settings: BatchPredictionOptions, spec: ModelSpec) -> ChosenBaseline | None:
    """Return what attributions are measured from; None if there are none."""
    if not settings.attributions:
        if settings.attribution_baseline:
            raise UserError(
                "attribution_baseline: it is what attributions are measured from, and there are "
                "none. Give attributions=true, too, or leave it out."
            )
        return None
    try:
        return choose(spec, settings.attribution_baseline)
    except InstanceError as error:
        raise UserError(f"attribution_baseline: {error.problem}") from error


def _training(settings: BatchPredictionOptions, model: Path, spec: ModelSpec) -> Training:
    """Return what to measure drift from; nothing without statistics."""
    if not settings.statistics_uri:
        return Training()
    schema = read_schema(model) if (model / SCHEMA_FILE).is_file() else None
    with storage.local_copy(settings.statistics_uri) as statistics:
        return drift.training(statistics, spec, schema, settings.drift_thresholds)


def _what_counts(settings: BatchPredictionOptions, trained: Training) -> dict[str, Any]:
    """Return the options that change what pieces write, with what their drift is measured from."""
    document = dataclasses.asdict(settings)
    # The registry may have another address from here; the model's digest counts.
    for name in (
        *("max_rejected_fraction", "processing", "model", "drift_thresholds", "tracking_uri"),
    ):
        del document[name]
    return {**document, "trained": [repr(column) for column in trained.columns]}


def _check(settings: BatchPredictionOptions, facts: ScoredBatch) -> None:
    if not facts.rows:
        raise UserError(f"{settings.data_uri}: the data have columns but no rows.")
    if facts.rejected > settings.max_rejected_fraction * facts.rows:
        reason, rows = scored_rows.first(facts.reasons, 1)[0]
        raise UserError(
            f"{facts.rejected} of {facts.rows} rows ({facts.rejected / facts.rows:.1%}) were "
            f"rejected, more than max_rejected_fraction {settings.max_rejected_fraction:g} allows. "
            f"The most frequent reason ({rows}, the first in {_place(facts, reason)}): {reason}"
        )


def _report(findings: Findings, facts: ScoredBatch, drifted: Mapping[str, ColumnDrift]) -> None:
    for reason, rows in scored_rows.first(facts.reasons, _MOST_REASONS):
        findings.warning(
            "rejected",
            f"{rows} of {facts.rows} rows were rejected, the first in {_place(facts, reason)}: "
            f"{reason}",
        )
    others = len(facts.reasons) - _MOST_REASONS
    if others > 0:
        findings.warning(
            "rejected", f"Rows were rejected for {others} more reasons; rejected_rows lists them."
        )
    for feature, values in facts.unreadable.items():
        findings.warning(
            "unreadable",
            f"{values} values of {feature!r} cannot be read, and count as missing.",
            column=feature,
            option="unreadable_values",
        )
    for feature, values in facts.outside.items():
        findings.note(
            "outside-domain",
            f"{values} values of {feature!r} are outside of what the model's schema states.",
            column=feature,
            option="unseen_values, out_of_range",
        )
    for name, column in drifted.items():
        distance = column.distance
        if distance is not None and column.is_drifted:
            findings.warning(
                "drift",
                f"{name!r} has drifted from the training data: {distance.measure_name} "
                f"{distance.value:.3f}, above {distance.threshold:g}.",
                column=name,
                option="drift_thresholds",
            )
    by_chance = [
        f"{name!r} ({sum(column.counts.scored):,} rows)"
        for name, column in drifted.items()
        if column.is_chance and column.counts is not None
    ]
    if by_chance:
        others = len(by_chance) - _MOST_REASONS
        named = ", ".join(by_chance[:_MOST_REASONS]) + (f" and {others} more" if others > 0 else "")
        findings.note(
            "drift-by-chance",
            f"Above the threshold of drift, but with too few rows to tell it from chance: {named}.",
            option="drift_thresholds",
        )


def _report_baseline(findings: Findings, baseline: ChosenBaseline) -> None:
    parts = [
        (baseline.declared, "given"),
        (baseline.typical, "from the model's typical row"),
        (baseline.missing, "missing"),
    ]
    told = "; ".join(f"{what}: {_named(names)}" for names, what in parts if names)
    findings.note(
        "attribution-baseline",
        f"Attributions are measured from this baseline: {told}.",
        option="attribution_baseline",
    )


def _named(names: Sequence[str]) -> str:
    """Return the first names, and how many there are more.

    Example:
        >>> _named(["a", "b"]), _named(list("abcdefg"))
        ("'a', 'b'", "'a', 'b', 'c', 'd', 'e' and 2 more")
    """
    others = len(names) - _MOST_REASONS
    shown = ", ".join(repr(name) for name in names[:_MOST_REASONS])
    return f"{shown} and {others} more" if others > 0 else shown


def _place(facts: ScoredBatch, reason: str) -> str:
    file, line = facts.places[reason]
    return f"{file} line {line}"


def _directory(destination: ShardDestination, output: Path) -> Path:
    """Return the local directory of the artifact."""
    if not destination.shards_uri:
        return Path(destination.root)
    files.remove(output)
    output.mkdir(parents=True)
    return output
