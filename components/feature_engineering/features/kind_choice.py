"""Chooses the kind of a feature from its schema and the facts about its values."""

import numpy as np

from kfp_tabular.components.common.values import codes, identifiers
from kfp_tabular.components.common.values.column_names import suggests_code, suggests_identifier
from kfp_tabular.components.feature_engineering.features import text_kind, timestamp_formats
from kfp_tabular.components.feature_engineering.features.column_facts import ColumnFacts
from kfp_tabular.components.feature_engineering.features.feature_config import (
    MIN_FREQUENCY,
    TOP_K,
    FeatureKind,
)
from kfp_tabular.components.feature_engineering.features.schema_columns import SchemaColumn
from kfp_tabular.components.feature_engineering.features.timestamp_formats import READABLE

IDENTIFIER = "identifier"
CODES = "codes without an order"
FREE_TEXT = "free text"
PARTS = "text with parts"
"""How the reasons for these decisions begin."""

_UNIQUE_TEXT = 0.9


def choose_kind(column: SchemaColumn, facts: ColumnFacts) -> tuple[FeatureKind, str]:
    """Return the kind of a feature that the user did not configure, and the reason.

    Args:
        column: What the schema says.
        facts: What the train split shows; it has at least two distinct values.

    Example:
        >>> from kfp_tabular.components.common.artifacts.raw_features import RawFeature
        >>> zone = SchemaColumn(RawFeature("zone", "string", required=True))
        >>> facts = ColumnFacts(rows=90, missing=0, distinct=2, counts={"north": 60, "south": 30})
        >>> choose_kind(zone, facts)
        ('categorical', 'text, 2 distinct values')
    """
    dtype = column.feature.dtype
    if column.is_bag:
        return "bag", "ingestion reads it as bags"
    if _is_time(column, facts):
        return "timestamp", f"the schema says time, {column.time}"
    if dtype == "string":
        return _kind_of_text(column.feature.name, facts)
    if column.categorical and (dtype == "int64" or facts.are_whole):
        return "categorical", f"the schema says {CODES}"
    if not facts.whole:
        return "numeric", "fractional number"
    return _kind_of_whole(column.feature.name, facts)


def _is_time(column: SchemaColumn, facts: ColumnFacts) -> bool:
    if column.feature.dtype == "int64":
        return column.time in timestamp_formats.UNITS
    given = column.spellings or timestamp_formats.time_format(column.time)
    return (
        column.feature.dtype == "string"
        and given is not None
        and timestamp_formats.share_of(facts.texts, given) >= READABLE
    )


def _kind_of_text(name: str, facts: ColumnFacts) -> tuple[FeatureKind, str]:
    unique = facts.distinct >= _UNIQUE_TEXT * facts.present
    distinct = min(facts.distinct, facts.present)  # An estimate may exceed the rows.
    if text_kind.may_be_free(facts):
        features = _free_text(name, facts, unique=unique)
        if features:
            return "text", features
    identified = _identified(name, facts)
    if identified:
        return "drop", identified
    if unique and facts.present >= identifiers.FEWEST_ROWS:
        return "drop", (
            f"identifier: {distinct} distinct values in {facts.present} rows, without words or "
            "beginnings that repeat"
        )
    if facts.counts is None or facts.distinct > TOP_K:
        return "hash", f"text, {facts.distinct} distinct values"
    if max(facts.counts.values()) < MIN_FREQUENCY:
        return "drop", "text without a repeated value"
    return "categorical", f"text, {facts.distinct} distinct values"


def _free_text(name: str, facts: ColumnFacts, *, unique: bool) -> str:
    """Return why a column becomes features of its words; empty if it does not."""
    evidence = text_kind.examine(facts.spread)
    if text_kind.is_free(evidence, facts, unique=unique):
        return f"{FREE_TEXT}: {evidence.summary}"
    if evidence.kind == "parts" and unique and not suggests_identifier(name):
        return f"{PARTS}: {evidence.summary}"
    return ""


def _kind_of_whole(name: str, facts: ColumnFacts) -> tuple[FeatureKind, str]:
    identified = _identified(name, facts)
    if identified:
        return "drop", identified
    values = f"{facts.distinct} distinct values"
    if facts.counts is not None and codes.are_codes(name, sorted(facts.counts), facts.present):
        return "categorical" if facts.distinct <= TOP_K else "hash", f"{CODES}, {values}"
    usual = facts.present >= codes.ROWS_PER_CODE * facts.distinct
    if facts.counts is None and usual and suggests_code(name):
        return "hash", f"{CODES}, {values}"
    return "numeric", f"whole number, {values}"


def _identified(name: str, facts: ColumnFacts) -> str:
    """Return why a column is an identifier; empty if it is not."""
    # The sample of floats is rounded to float32, the counted values are not.
    counted = facts.counts is not None and facts.whole
    evidence = identifiers.ValueEvidence(
        name,
        facts.present,
        facts.distinct,
        exact=facts.counts is not None,
        numbers=np.fromiter(facts.counts or (), np.float64) if counted else facts.sample,
        low=facts.minimum or 0.0,
        high=facts.maximum or 0.0,
        texts=facts.texts,
    )
    distinct = min(facts.distinct, facts.present)  # An estimate may exceed the rows.
    values = f"{distinct:,} distinct values in {facts.present:,} rows"
    match identifiers.recognize(evidence):
        case "row":
            return f"{IDENTIFIER}: {values}"
        case "entity":
            return f"{IDENTIFIER} with a few rows each: {values}"
    return ""
