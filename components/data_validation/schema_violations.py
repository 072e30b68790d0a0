"""Violations of a schema: TFDV finds them, a scan of the column counts the rows."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.errors import closest
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.statistics import lean_tfdv
from kfp_tabular.components.common.statistics.column_summary import (
    ColumnSummary,
    SplitSummaries,
    feature_name,
)
from kfp_tabular.components.data_validation import schema_features as schemas
from kfp_tabular.components.data_validation.anomalies import Anomaly, Severity
from kfp_tabular.components.data_validation.schema_types import TypeFit
from kfp_tabular.components.data_validation.value_rules import count, outside_domain

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

_MISSING = {
    "FEATURE_TYPE_NOT_PRESENT",
    "FEATURE_TYPE_NO_VALUES",
    "FEATURE_TYPE_LOW_FRACTION_PRESENT",
    "FEATURE_TYPE_LOW_NUMBER_PRESENT",
    "FEATURE_TYPE_LOW_NUMBER_VALUES",
    "INVALID_FEATURE_SHAPE",  # the schema has a shape, which only a complete column fits
}
_OUTSIDE = {
    "BOOL_TYPE_BIG_INT",
    "BOOL_TYPE_SMALL_INT",
    "BOOL_TYPE_UNEXPECTED_FLOAT",
    "BOOL_TYPE_UNEXPECTED_STRING",
    "ENUM_TYPE_UNEXPECTED_STRING_VALUES",
    "FLOAT_TYPE_BIG_FLOAT",
    "FLOAT_TYPE_SMALL_FLOAT",
    "INT_TYPE_BIG_INT",
    "INT_TYPE_SMALL_INT",
}
_CHECKED_ELSEWHERE = {"FLOAT_TYPE_HAS_NAN", "FLOAT_TYPE_HAS_INF"}
_COLUMNS_AT_ONCE = 100
_RANKED = 1000  # TFDV's statistics may lack rare texts beyond this number


def find(
    examples: Examples,
    schema: "schema_pb2.Schema",
    statistics: Mapping[str, "statistics_pb2.DatasetFeatureStatisticsList"],
    summaries: SplitSummaries,
    types: TypeFit,
    given: bool,
    engine: Engine | None = None,
) -> list[Anomaly]:
    """Validate the statistics of every split against a schema.

    Args:
        examples: The data, to count rows.
        schema: The schema to validate against.
        statistics: TFDV statistics by split, of columns read as the schema's types where they fit.
        summaries: The same statistics by split and column.
        types: How the columns' types compare with the schema's.
        given: Whether the user gave the schema. Violations of a given schema are errors; those of
            a schema inferred from the same data are warnings.
        engine: What counts the rows; None for threads of this process.
    """
    severity: Severity = "error" if given else "warning"
    found: list[Anomaly] = [*_columns(examples, schema, severity)]
    found += _misfits(examples, schema, types)
    for split, proto in statistics.items():
        if not summaries[split]:
            continue
        reasons = _tfdv_reasons(proto, schema)
        for feature in schema.feature:
            if feature.name not in summaries[split] or feature.name in types.misfits:
                continue
            here = reasons.get(feature.name, {})
            found += _violations(
                examples,
                schema,
                feature,
                split,
                summaries[split][feature.name],
                here,
                severity,
                engine,
            )
    return found


def _columns(
    examples: Examples, schema: "schema_pb2.Schema", severity: Severity
) -> Iterator[Anomaly]:
    """Compare the names of the columns with those of the schema."""
    rows = sum(examples.rows().values())
    names = examples.schema.names
    wanted = {feature.name: feature for feature in schema.feature}
    new = [name for name in names if name not in wanted]
    for name, feature in wanted.items():
        if name in names or not schemas.is_expected(schema, feature):
            continue
        needed = feature.presence.min_count > 0 or feature.presence.min_fraction > 0
        yield Anomaly(
            severity=severity if needed else "warning",
            column=name,
            split="",
            kind="missing column",
            expected=f"a column of {schemas.type_name(feature)}",
            found=f"no such column.{closest(name, new)}",
            rows=rows,
            total=rows,
            reason="SCHEMA_MISSING_COLUMN",
        )
    for name in new:
        yield Anomaly(
            severity="warning",
            column=name,
            split="",
            kind="new column",
            expected="the columns of the schema",
            found=f"a column that the schema lacks, of type {examples.schema.field(name).type}",
            reason="SCHEMA_NEW_COLUMN",
        )


def _misfits(examples: Examples, schema: "schema_pb2.Schema", types: TypeFit) -> Iterator[Anomaly]:
    rows = examples.rows()
    features = {feature.name: feature for feature in schema.feature}
    for name, splits in types.misfits.items():
        for split, counted in splits.items():
            yield Anomaly(
                severity="error",
                column=name,
                split=split,
                kind="wrong type",
                expected=schemas.type_name(features[name]),
                found=f"{examples.schema.field(name).type} such as "
                + schemas.listed(counted.values, 3),
                rows=counted.rows,
                total=rows[split],
                reason="UNEXPECTED_DATA_TYPE",
            )


def _violations(
    examples: Examples,
    schema: "schema_pb2.Schema",
    feature: "schema_pb2.Feature",
    split: str,
    summary: ColumnSummary,
    reasons: Mapping[str, "anomalies_pb2.AnomalyInfo.Reason"],
    severity: Severity,
    engine: Engine | None,
) -> Iterator[Anomaly]:
    for reason in sorted(reasons.keys() & _MISSING)[:1]:
        share = feature.presence.min_fraction
        yield Anomaly(
            severity=severity,
            column=feature.name,
            split=split,
            kind="missing values",
            expected=f"values in at least {share:.4g} of the rows"
            if 0 < share < 1
            else "a value in every row",
            found="empty",
            rows=summary.missing,
            total=summary.rows,
            reason=reason,
        )
    rule = outside_domain(schema, feature)
    outside = sorted(reasons.keys() & _OUTSIDE)
    many = len(schemas.texts(schema, feature) or ()) >= _RANKED
    if rule is not None and (outside or (many and not _tolerant(feature))):
        counted = count(examples, split, feature.name, rule, engine=engine)
        if counted.rows:
            yield Anomaly(
                severity=severity,
                column=feature.name,
                split=split,
                kind="values outside the domain",
                expected=schemas.describe_domain(schema, feature),
                found=schemas.listed(counted.values),
                rows=counted.rows,
                total=summary.rows,
                reason=outside[0] if outside else "ENUM_TYPE_UNEXPECTED_STRING_VALUES",
            )
    known = _MISSING | _CHECKED_ELSEWHERE | (_OUTSIDE if rule is not None else set())
    for reason, described in reasons.items():
        if reason not in known:
            yield Anomaly(
                severity=severity,
                column=feature.name,
                split=split,
                kind=described.short_description.lower() or "unexpected data",
                expected="values that fit the schema",
                found=" ".join(described.description.split()).rstrip("."),
                reason=reason,
            )


def _tolerant(feature: "schema_pb2.Feature") -> bool:
    """Return whether the schema allows some values outside the domain."""
    constraints = feature.distribution_constraints
    stated = feature.HasField("distribution_constraints")
    return bool(stated and constraints.min_domain_mass < 1.0)


def _tfdv_reasons(
    statistics: "statistics_pb2.DatasetFeatureStatisticsList", schema: "schema_pb2.Schema"
) -> dict[str, dict[str, "anomalies_pb2.AnomalyInfo.Reason"]]:
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    name = anomalies_pb2.AnomalyInfo.Type.Name
    found = {}
    for part, rules in _parts(statistics, schema):
        anomalies = lean_tfdv.validate_statistics(part, rules, schemas.environment(schema))
        for info in anomalies.anomaly_info.values():
            reasons = {name(reason.type): reason for reason in info.reason}
            found[".".join(info.path.step)] = reasons
    return found


def _parts(
    statistics: "statistics_pb2.DatasetFeatureStatisticsList", schema: "schema_pb2.Schema"
) -> Iterator[tuple["statistics_pb2.DatasetFeatureStatistics", "schema_pb2.Schema"]]:
    """Yield a few columns at a time: TFDV's time grows with the square of their number."""
    from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

    dataset = statistics.datasets[0]
    by_name = {feature_name(feature): feature for feature in dataset.features}
    present = [feature for feature in schema.feature if feature.name in by_name]
    for start in range(0, len(present), _COLUMNS_AT_ONCE):
        part = present[start : start + _COLUMNS_AT_ONCE]
        rules = schema_pb2.Schema(
            default_environment=schema.default_environment,
            string_domain=schema.string_domain,
            float_domain=schema.float_domain,
            int_domain=schema.int_domain,
            feature=part,
        )
        for feature in rules.feature:
            # Distances are checked elsewhere.
            feature.ClearField("skew_comparator")
            feature.ClearField("drift_comparator")
        some = statistics_pb2.DatasetFeatureStatistics(
            num_examples=dataset.num_examples, features=[by_name[feature.name] for feature in part]
        )
        yield some, rules
