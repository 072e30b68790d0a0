"""Chooses the kind of a feature from its schema and the facts about its values."""

import re

from kfp_tabular.components.feature_engineering.features import timestamp_formats
from kfp_tabular.components.feature_engineering.features.column_facts import ColumnFacts
from kfp_tabular.components.feature_engineering.features.feature_config import (
    MIN_FREQUENCY,
    TOP_K,
    FeatureKind,
)
from kfp_tabular.components.feature_engineering.features.schema_columns import SchemaColumn
from kfp_tabular.components.feature_engineering.features.timestamp_formats import READABLE

SMALL_DOMAIN = 100
"""Whole numbers with at most this many distinct values are categories..."""

ROWS_PER_VALUE = 10
"""...if there are at least this many rows for each value."""

IDENTIFIER_ROWS = 100
"""With fewer rows, distinct values in all of them do not suggest an identifier."""

_UNIQUE_TEXT = 0.9
_UNIQUE_ESTIMATE = 0.95  # Leaves room for the sketch's error.
_IDENTIFIER_WORDS = {"id", "ids", "identifier", "uuid", "guid", "key", "pk", "rowid", "index"}
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


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
    if _is_time(column, facts):
        return "timestamp", f"the schema says time, {column.time}"
    if dtype == "string":
        return _kind_of_text(facts)
    if column.categorical and (dtype == "int64" or facts.are_whole):
        return "categorical", "the schema says codes"
    if dtype == "float32":
        return "numeric", "fractional number"
    return _kind_of_whole(column.feature.name, facts)


def _is_time(column: SchemaColumn, facts: ColumnFacts) -> bool:
    if column.feature.dtype == "int64":
        return column.time in timestamp_formats.UNITS
    written = timestamp_formats.read_format(column.time)
    return bool(column.time) and written is not None and written.share_of(facts.texts) >= READABLE


def _kind_of_text(facts: ColumnFacts) -> tuple[FeatureKind, str]:
    unique = facts.distinct >= _UNIQUE_TEXT * facts.present
    if unique and facts.present >= IDENTIFIER_ROWS:
        # An estimate may exceed the rows.
        distinct = min(facts.distinct, facts.present)
        return "drop", (
            f"identifier or free text: {distinct} distinct values in {facts.present} rows"
        )
    if facts.counts is None or facts.distinct > TOP_K:
        return "hash", f"text, {facts.distinct} distinct values"
    if max(facts.counts.values()) < MIN_FREQUENCY:
        return "drop", "text without a repeated value"
    return "categorical", f"text, {facts.distinct} distinct values"


def _kind_of_whole(name: str, facts: ColumnFacts) -> tuple[FeatureKind, str]:
    named = bool(_IDENTIFIER_WORDS & {word.lower() for word in _WORDS.findall(name)})
    if facts.present >= IDENTIFIER_ROWS and _is_identifier(facts, named=named):
        return "drop", f"identifier: {facts.present} rows, almost all values distinct"
    usual = facts.present >= ROWS_PER_VALUE * facts.distinct
    if facts.counts is not None and facts.distinct <= SMALL_DOMAIN and usual:
        return "categorical", f"whole number, {facts.distinct} distinct values"
    if named and usual:
        if facts.counts is not None and facts.distinct <= TOP_K:
            return "categorical", f"identifier by its name, {facts.distinct} distinct values"
        return "hash", f"identifier by its name, {facts.distinct} distinct values"
    return "numeric", "whole number"


def _is_identifier(facts: ColumnFacts, *, named: bool) -> bool:
    rows, span = facts.present, (facts.maximum or 0) - (facts.minimum or 0) + 1
    if facts.counts is None:
        # Drawn at random from a span four times as wide, 88 % of the values would be distinct.
        unique = facts.distinct >= _UNIQUE_ESTIMATE * rows
        return unique and (named or span <= 4 * rows)
    # Drawn at random from a wider span, at least ten pairs of values would be equal.
    return facts.distinct == rows and (named or span <= rows**2 / 20)
