"""Validates examples: computes statistics, infers or checks the schema, and finds anomalies."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_tabular.components.common import files, options
from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.findings import Finding, Findings
from kfp_tabular.components.common.artifacts.raw_features import SCHEMA_FILE
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.statistics import (
    distances,
    leaks,
    statistics_files,
    tfdv_statistics,
)
from kfp_tabular.components.common.statistics.column_summary import SplitSummaries, summarize
from kfp_tabular.components.common.statistics.distance_thresholds import DistanceThresholds
from kfp_tabular.components.common.statistics.distances import Distance
from kfp_tabular.components.common.statistics.text_times import TextTimeFormat
from kfp_tabular.components.common.statistics.tfdv_statistics import ExampleStatistics
from kfp_tabular.components.common.storage import local_copy
from kfp_tabular.components.common.values import column_format, identifiers
from kfp_tabular.components.common.values.column_format import ColumnFormat
from kfp_tabular.components.data_validation import (
    anomalies,
    column_kinds,
    data_checks,
    given_schema,
    schema_changes,
    schema_inference,
    schema_types,
    schema_violations,
    validation_report,
)
from kfp_tabular.components.data_validation import schema_features as schemas
from kfp_tabular.components.data_validation.anomalies import Anomaly
from kfp_tabular.components.data_validation.options import ValidationOptions
from kfp_tabular.components.data_validation.report_content import ReportContent
from kfp_tabular.components.data_validation.schema_changes import SchemaChange
from kfp_tabular.components.data_validation.schema_types import TypeFit

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

LIBRARIES = ("tensorflow-data-validation", "tensorflow-metadata", "pyarrow")


@dataclass(frozen=True)
class ValidationRequest:
    """What to validate, and where to write the outputs.

    Attributes:
        examples: An examples artifact.
        schema: Path of the schema output.
        statistics: Path of the statistics output.
        anomalies: Path of the anomalies output.
        report: Path of the HTML page.
        options: How to validate.
    """

    examples: Path
    schema: Path
    statistics: Path
    anomalies: Path
    report: Path
    options: ValidationOptions = field(default_factory=ValidationOptions)


@dataclass(frozen=True)
class ValidationResult:
    """The outcome of a validation.

    Attributes:
        is_valid: Whether the data are valid.
        anomalies: The anomalies found, most severe first.
        failure: The error message that the task fails with; empty where it does not fail.
        lineage: The lineage record of each output, by the output's name.
    """

    is_valid: bool
    anomalies: Sequence[Anomaly]
    failure: str
    lineage: Mapping[str, Mapping[str, Any]]

    def require(self) -> None:
        """Raise `UserError` where the anomalies are such that the task must fail."""
        if self.failure:
            raise UserError(self.failure)


@dataclass(frozen=True)
class Examination:
    """What the validation found; the outputs are written from it.

    Attributes:
        examples: The data.
        label: The label's column.
        schema: The given schema, or the inferred one.
        schema_uri: The URI of the given schema; empty for an inferred one.
        statistics: The statistics of the data.
        summaries: The same by split and column.
        written_times: Text columns that hold times in other formats than ISO 8601.
        changes: Differences between the given schema and the data.
        distances: Skew and drift.
        anomalies: The anomalies found, most severe first.
    """

    examples: Examples
    label: str
    schema: "schema_pb2.Schema"
    schema_uri: str
    statistics: ExampleStatistics
    summaries: SplitSummaries
    written_times: frozenset[str]
    changes: Sequence[SchemaChange]
    distances: Sequence[Distance]
    anomalies: Sequence[Anomaly]


def run(request: ValidationRequest, engine: Engine | None = None) -> ValidationResult:
    """Validate examples, and write all outputs whether or not the data are valid.

    Args:
        request: What to validate, and where to write.
        engine: What runs the folds; None for threads of this process.

    Returns:
        The outcome. Call its `require` to fail where the options say so.

    Raises:
        UserError: An option is wrong or an input cannot be read. Nothing is written then.
    """
    settings = request.options
    options.check(settings)
    examples = Examples(request.examples)
    thresholds = _thresholds(request, examples.schema.names)
    with ExitStack() as stack:
        given, earlier = None, {}
        if settings.schema_uri:
            path = stack.enter_context(local_copy(settings.schema_uri))
            given = given_schema.load(path, examples.schema.names, settings.label)
        if settings.previous_statistics_uri:
            path = stack.enter_context(local_copy(settings.previous_statistics_uri))
            earlier = {s: summarize(proto) for s, proto in statistics_files.read(path).items()}
        examined = _examine(settings, examples, given, earlier, thresholds, engine)
    is_valid = anomalies.is_valid(examined.anomalies, settings.fail_on)
    found = Findings()
    for finding in [*anomalies.findings(examined.anomalies), *_leaks(settings, examples, engine)]:
        found.add(finding)
    recorded = _write(request, examined, found, is_valid)
    failure = anomalies.failure(examined.anomalies, settings.fail_on)
    return ValidationResult(is_valid, examined.anomalies, failure, recorded)


@dataclass(frozen=True)
class _Thresholds:
    skew: DistanceThresholds
    drift: DistanceThresholds


def _thresholds(request: ValidationRequest, columns: Sequence[str]) -> _Thresholds:
    """Check the options that name columns."""
    settings = request.options
    if settings.label and settings.label not in columns:
        raise UserError(
            f"label: {request.examples} has no column {settings.label!r}."
            + (closest(settings.label, columns) or f" Columns: {schemas.listed(columns)}.")
        )
    found = _Thresholds(
        skew=DistanceThresholds.parse(settings.skew_thresholds, "skew_thresholds", columns),
        drift=DistanceThresholds.parse(settings.drift_thresholds, "drift_thresholds", columns),
    )
    if settings.drift_thresholds and not settings.previous_statistics_uri:
        raise UserError(
            "drift_thresholds: drift is measured from earlier statistics. Set "
            "previous_statistics_uri, too."
        )
    return found


def _examine(
    settings: ValidationOptions,
    examples: Examples,
    given: "schema_pb2.Schema | None",
    earlier: SplitSummaries,
    thresholds: _Thresholds,
    engine: Engine | None,
) -> Examination:
    types = TypeFit({}, {})
    if given is not None:
        types = schema_types.compare_types(examples, given, engine)
    formats = column_format.read(examples.path)
    statistics = tfdv_statistics.compute(examples, types.casts, engine)
    protos = statistics.protos
    summaries = {split: summarize(proto) for split, proto in protos.items()}
    evidence = _evidence(examples, types, summaries, statistics.times, formats)
    inferred = schema_inference.infer(evidence, settings.label)
    schema = inferred if given is None else given
    measured = [
        *_skew(schema, summaries, thresholds.skew),
        *_drift(schema, summaries, earlier, thresholds.drift),
    ]
    # New dates and bags are expected, and `schema_violations` checks the domains of a given schema.
    varied = {name for name, written in formats.items() if written.kind in ("time", "bag")}
    restricted = {*statistics.times, *varied, *types.misfits} | {
        feature.name
        for feature in (() if given is None else given.feature)
        if schemas.texts(given, feature) is not None
    }
    found = data_checks.run(examples, summaries, settings.label, restricted, engine)
    found += schema_violations.find(
        examples, schema, protos, summaries, types, given is not None, engine
    )
    found += [anomalies.from_distance(distance) for distance in measured if distance.is_too_far]
    return Examination(
        examples=examples,
        label=settings.label,
        schema=schema,
        schema_uri=settings.schema_uri,
        statistics=statistics,
        summaries=summaries,
        written_times=frozenset(name for name, given in formats.items() if given.kind == "time"),
        changes=[] if given is None else schema_changes.compare(given, inferred),
        distances=measured,
        anomalies=anomalies.by_severity(found),
    )


def _evidence(
    examples: Examples,
    types: TypeFit,
    summaries: SplitSummaries,
    times: Mapping[str, Sequence[TextTimeFormat]],
    formats: Mapping[str, ColumnFormat],
) -> Iterator[schema_inference.ColumnEvidence]:
    for name, kind in zip(examples.schema.names, examples.schema.types, strict=True):
        splits = tuple(columns[name] for columns in summaries.values() if name in columns)
        yield schema_inference.ColumnEvidence(
            name,
            types.casts.get(name, kind),
            splits,
            times.get(name, ()),
            formats.get(name),
        )


def _leaks(settings: ValidationOptions, examples: Examples, engine: Engine | None) -> list[Finding]:
    """Search the columns that a model may use for some that give the label away."""
    label = settings.label
    if not label:
        return []
    columns = [name for name in examples.schema.names if name not in settings.exclude]
    kind = leaks.kind_of(examples, label, engine)
    scan = leaks.scan(examples, kind, label, columns, engine)
    # `transform_features` drops identifiers; those of sorted rows predict the label.
    kept = [found for found in scan.strengths if not _is_sorted_identifier(examples, found)]
    return dataclasses.replace(scan, strengths=tuple(kept)).findings()


def _is_sorted_identifier(examples: Examples, found: leaks.Strength) -> bool:
    if found.score < leaks.SUSPICIOUS or found.by_presence:
        return False
    rows = examples.rows()
    split = max(rows, key=lambda name: rows[name])
    batch = next(iter(examples.batches(split, [found.column], column_kinds.IDENTIFIER_ROWS)))
    return identifiers.of_column(found.column, batch.column(0)) == "row"


def _skew(
    schema: "schema_pb2.Schema", summaries: SplitSummaries, thresholds: DistanceThresholds
) -> Iterator[Distance]:
    train = data_checks.reference_split(summaries)
    for split, columns in summaries.items():
        if split != train:
            yield from distances.measure_columns(
                schema, "skew", split, columns, summaries[train], thresholds
            )


def _drift(
    schema: "schema_pb2.Schema",
    summaries: SplitSummaries,
    earlier: SplitSummaries,
    thresholds: DistanceThresholds,
) -> Iterator[Distance]:
    shared = [split for split in summaries if split in earlier]
    if earlier and not shared:
        raise UserError(
            f"previous_statistics_uri: the earlier statistics have the splits "
            f"{', '.join(earlier)}, the examples have {', '.join(summaries)}. They need a split in "
            "common to measure drift."
        )
    for split in shared:
        yield from distances.measure_columns(
            schema, "drift", split, summaries[split], earlier[split], thresholds
        )


def _write(
    request: ValidationRequest, examined: Examination, found: Findings, is_valid: bool
) -> dict[str, Mapping[str, Any]]:
    from google.protobuf import text_format

    rows = {
        split: proto.datasets[0].num_examples for split, proto in examined.statistics.protos.items()
    }
    source = {"examples": request.examples}
    recorded: dict[str, Mapping[str, Any]] = {}
    with files.atomic_directory(request.statistics) as directory:
        statistics_files.write(directory, examined.statistics.protos)
        recorded["statistics"] = lineage.record(
            directory, inputs=source, rows=rows, libraries=LIBRARIES
        )
    with files.atomic_directory(request.schema) as directory:
        text = text_format.MessageToString(examined.schema, as_utf8=True)
        files.write_text(directory / SCHEMA_FILE, text)
        recorded["schema"] = lineage.record(
            directory,
            inputs=source,
            rows=rows,
            libraries=LIBRARIES,
            extra={"schema_uri": examined.schema_uri},
        )
    with files.atomic_directory(request.anomalies) as directory:
        by_split = {
            split: distances.to_protos([d for d in examined.distances if d.split == split])
            for split in examined.summaries
        }
        splits = list(examined.summaries)
        anomalies.write(directory, examined.schema, examined.anomalies, splits, by_split)
        found.write(directory)
        severities = [anomaly.severity for anomaly in examined.anomalies]
        recorded["anomalies"] = lineage.record(
            directory,
            inputs={**source, "schema": request.schema, "statistics": request.statistics},
            rows=rows,
            libraries=LIBRARIES,
            extra={
                "valid": is_valid,
                "errors": severities.count("error"),
                "warnings": severities.count("warning"),
            },
        )
    samples = examined.statistics.samples
    texts = examined.statistics.time_texts(examined.written_times)
    times = column_kinds.points_in_time(examined.schema, samples, texts)
    timed = {name for columns in times.values() for name, values in columns.items() if len(values)}
    files.write_text(
        request.report,
        validation_report.page(
            ReportContent(
                label=examined.label,
                rows=rows,
                columns=examined.examples.schema.names,
                schema=examined.schema,
                schema_uri=examined.schema_uri,
                summaries=examined.summaries,
                samples=samples,
                changes=examined.changes,
                distances=examined.distances,
                anomalies=examined.anomalies,
                findings=list(found),
                is_valid=is_valid,
                times=times,
                identifiers=column_kinds.identifiers_among(
                    examined.examples, examined.summaries, {*timed, examined.label}
                ),
            )
        ),
    )
    return recorded
