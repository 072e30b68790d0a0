"""Validates examples: statistics, schema, anomalies and a page to look at."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.raw_features import SCHEMA_FILE
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.process.tensorflow import import_tensorflow
from kfp_tabular.components.common.storage import local_copy
from kfp_tabular.components.data_validation import (
    anomalies,
    changes,
    checks,
    comparison,
    fit,
    report,
    statistics,
    violations,
)
from kfp_tabular.components.data_validation import schema as schemas
from kfp_tabular.components.data_validation.anomalies import Anomaly
from kfp_tabular.components.data_validation.comparison import Distance, Thresholds
from kfp_tabular.components.data_validation.scan import Scan
from kfp_tabular.components.data_validation.statistics import Summary

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

LIBRARIES = ("tensorflow-data-validation", "tensorflow-metadata", "pyarrow")

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """What to validate, how, and where to write.

    Attributes:
        examples: An examples artifact.
        schema: Where to write the schema.
        statistics: Where to write the statistics.
        anomalies: Where to write the anomalies.
        report: Where to write the page.
        label: The label's column; empty for none.
        schema_uri: A schema that somebody keeps: a text proto or a directory with `schema.pbtxt`.
            Empty to infer one.
        previous_statistics_uri: A statistics artifact of earlier data; empty for none.
        skew_thresholds: How far the other splits may be from the train split, by column or `*`.
        drift_thresholds: How far the data may be from the earlier ones, by column or `*`.
        fail_on: `error`, `warning` or `never`.
    """

    examples: Path
    schema: Path
    statistics: Path
    anomalies: Path
    report: Path
    label: str = ""
    schema_uri: str = ""
    previous_statistics_uri: str = ""
    skew_thresholds: Mapping[str, float] = field(default_factory=dict)
    drift_thresholds: Mapping[str, float] = field(default_factory=dict)
    fail_on: str = "error"


@dataclass(frozen=True)
class Result:
    """What came of it.

    Attributes:
        valid: Whether the data are fit for use.
        anomalies: What was found, the most severe first.
        failure: The line to fail with; empty where the task is to go on.
        lineage: What each output was made from, by its name.
    """

    valid: bool
    anomalies: Sequence[Anomaly]
    failure: str
    lineage: Mapping[str, Mapping[str, Any]]

    def require(self) -> None:
        """Raises `UserError` where the anomalies are such that the task is to fail."""
        if self.failure:
            raise UserError(self.failure)


@dataclass(frozen=True)
class Findings:
    """All that is known after looking at the data; the outputs are made from it.

    Attributes:
        examples: The data.
        label: The label's column.
        schema: The given schema, or the inferred one.
        schema_uri: Where the given one came from; empty for an inferred one.
        protos: TFDV statistics by split.
        summaries: The same, by split and column.
        scan: What else was seen.
        changes: How the data differ from the given schema.
        distances: Skew and drift.
        anomalies: What is wrong, the most severe first.
    """

    examples: Examples
    label: str
    schema: "schema_pb2.Schema"
    schema_uri: str
    protos: Mapping[str, Any]
    summaries: Mapping[str, Mapping[str, Summary]]
    scan: Scan
    changes: Sequence[changes.Change]
    distances: Sequence[Distance]
    anomalies: Sequence[Anomaly]


def run(request: Request) -> Result:
    """Validates examples and writes all outputs, whatever is found.

    Args:
        request: What to validate.

    Returns:
        Whether the data are valid; call `require` on it to fail where they are to.

    Raises:
        UserError: Where an argument is wrong or an input cannot be read. Nothing is written then.
    """
    anomalies.check_fail_on(request.fail_on)
    examples = Examples(request.examples)
    columns = examples.schema.names
    if request.label and request.label not in columns:
        raise UserError(
            f"label: there is no column {request.label!r} in {request.examples}."
            + (closest(request.label, columns) or f" Columns: {schemas.listed(columns)}.")
        )
    skew = Thresholds.parse(request.skew_thresholds, "skew_thresholds", columns)
    drift = Thresholds.parse(request.drift_thresholds, "drift_thresholds", columns)
    if request.drift_thresholds and not request.previous_statistics_uri:
        raise UserError(
            "drift_thresholds: there is nothing to compare with; give previous_statistics_uri, too."
        )
    import_tensorflow()
    with ExitStack() as stack:
        given, earlier = None, {}
        if request.schema_uri:
            path = stack.enter_context(local_copy(request.schema_uri))
            given = schemas.load(path, columns, request.label)
        if request.previous_statistics_uri:
            path = stack.enter_context(local_copy(request.previous_statistics_uri))
            earlier = {s: statistics.summaries(p) for s, p in statistics.read(path).items()}
        findings = _look(request, examples, given, earlier, skew, drift)
    valid = anomalies.is_valid(findings.anomalies, request.fail_on)
    for found in findings.anomalies[:20]:
        level = logging.ERROR if found.severity == "error" else logging.WARNING
        _logger.log(level, "%s", found.message)
    recorded = _write(request, findings, valid)
    failure = anomalies.failure(findings.anomalies, request.fail_on)
    return Result(valid, findings.anomalies, failure, recorded)


def _look(
    request: Request,
    examples: Examples,
    given: "schema_pb2.Schema | None",
    earlier: Mapping[str, Mapping[str, Summary]],
    skew: Thresholds,
    drift: Thresholds,
) -> Findings:
    types = fit.Types({}, {}) if given is None else fit.compare_types(examples, given)
    scan = Scan()
    protos = statistics.compute(examples, types.casts, scan)
    summaries = {split: statistics.summaries(proto) for split, proto in protos.items()}
    inferred = schemas.infer(_columns(examples, types, summaries, scan), request.label)
    schema = inferred if given is None else given
    distances = [
        *_skew(schema, summaries, skew),
        *_drift(schema, summaries, earlier, drift),
    ]
    # New dates are no surprise, and a given schema's own domains are checked below.
    restricted = {*scan.times, *types.misfits} | {
        feature.name
        for feature in (() if given is None else given.feature)
        if schemas.texts(given, feature) is not None
    }
    found = checks.run(examples, summaries, request.label, restricted)
    found += violations.find(examples, schema, protos, summaries, types, given is not None)
    found += [distance.anomaly() for distance in distances if distance.too_far]
    return Findings(
        examples=examples,
        label=request.label,
        schema=schema,
        schema_uri=request.schema_uri,
        protos=protos,
        summaries=summaries,
        scan=scan,
        changes=[] if given is None else changes.compare(given, inferred),
        distances=distances,
        anomalies=anomalies.by_severity(found),
    )


def _columns(
    examples: Examples,
    types: fit.Types,
    summaries: Mapping[str, Mapping[str, Summary]],
    scan: Scan,
) -> Iterator[schemas.Column]:
    for name, kind in zip(examples.schema.names, examples.schema.types, strict=True):
        splits = tuple(columns[name] for columns in summaries.values() if name in columns)
        yield schemas.Column(name, types.casts.get(name, kind), splits, scan.times.get(name, ()))


def _skew(
    schema: "schema_pb2.Schema",
    summaries: Mapping[str, Mapping[str, Summary]],
    thresholds: Thresholds,
) -> Iterator[Distance]:
    train = checks.reference_split(summaries)
    for split, columns in summaries.items():
        if split != train:
            yield from comparison.distances(
                schema, "skew", split, columns, summaries[train], thresholds
            )


def _drift(
    schema: "schema_pb2.Schema",
    summaries: Mapping[str, Mapping[str, Summary]],
    earlier: Mapping[str, Mapping[str, Summary]],
    thresholds: Thresholds,
) -> Iterator[Distance]:
    shared = [split for split in summaries if split in earlier]
    if earlier and not shared:
        raise UserError(
            f"previous_statistics_uri: it has statistics of {', '.join(earlier)}, and the examples "
            f"have the splits {', '.join(summaries)}; there is none to compare."
        )
    for split in shared:
        yield from comparison.distances(
            schema, "drift", split, summaries[split], earlier[split], thresholds
        )


def _write(request: Request, findings: Findings, valid: bool) -> dict[str, Mapping[str, Any]]:
    from google.protobuf import text_format

    rows = {split: proto.datasets[0].num_examples for split, proto in findings.protos.items()}
    source = {"examples": request.examples}
    recorded: dict[str, Mapping[str, Any]] = {}
    with files.atomic_directory(request.statistics) as directory:
        statistics.write(directory, findings.protos)
        recorded["statistics"] = lineage.record(
            directory, inputs=source, rows=rows, libraries=LIBRARIES
        )
    with files.atomic_directory(request.schema) as directory:
        text = text_format.MessageToString(findings.schema, as_utf8=True)
        files.write_text(directory / SCHEMA_FILE, text)
        recorded["schema"] = lineage.record(
            directory,
            inputs=source,
            rows=rows,
            libraries=LIBRARIES,
            extra={"schema_uri": findings.schema_uri},
        )
    with files.atomic_directory(request.anomalies) as directory:
        by_split = {
            split: comparison.to_protos([d for d in findings.distances if d.split == split])
            for split in findings.summaries
        }
        splits = list(findings.summaries)
        anomalies.write(directory, findings.schema, findings.anomalies, splits, by_split)
        severities = [found.severity for found in findings.anomalies]
        recorded["anomalies"] = lineage.record(
            directory,
            inputs={**source, "schema": request.schema, "statistics": request.statistics},
            rows=rows,
            libraries=LIBRARIES,
            extra={
                "valid": valid,
                "errors": severities.count("error"),
                "warnings": severities.count("warning"),
            },
        )
    files.write_text(
        request.report,
        report.page(
            report.Content(
                label=findings.label,
                rows=rows,
                columns=findings.examples.schema.names,
                schema=findings.schema,
                schema_uri=findings.schema_uri,
                summaries=findings.summaries,
                samples=findings.scan.samples,
                changes=findings.changes,
                distances=findings.distances,
                anomalies=findings.anomalies,
                valid=valid,
            )
        ),
    )
    return recorded
