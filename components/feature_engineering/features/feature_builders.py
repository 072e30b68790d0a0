"""Builds a feature of a given kind from the facts about its column."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kfp_tabular.components.common.artifacts.raw_features import RawFeature
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.values.column_format import TimeFormat
from kfp_tabular.components.feature_engineering.features import text_features, timestamp_formats
from kfp_tabular.components.feature_engineering.features.bag_facts import BagFacts
from kfp_tabular.components.feature_engineering.features.column_facts import ColumnFacts
from kfp_tabular.components.feature_engineering.features.feature_config import (
    BAG_TOP_K,
    BUCKETS,
    HASH_BUCKETS,
    MIN_FREQUENCY,
    OOV_BUCKETS,
    PARTS_BY_DEFAULT,
    TOP_K,
    CalendarPart,
    FeatureKind,
)
from kfp_tabular.components.feature_engineering.features.planned_features import (
    Age,
    Bag,
    Categorical,
    DroppedColumn,
    Hashed,
    Numeric,
    PlannedFeature,
    Presence,
    Text,
    Timestamp,
    TransformedColumn,
)
from kfp_tabular.components.feature_engineering.features.schema_columns import SchemaColumn
from kfp_tabular.components.feature_engineering.features.text_features import TextFacts
from kfp_tabular.components.feature_engineering.features.time_facts import YEAR, Spread
from kfp_tabular.components.feature_engineering.features.timestamp_formats import READABLE

SKEWED = 2.0
"""A non-negative number of at least this skewness goes through `log(1 + x)`. An exponential
distribution has exactly 2."""

_MOST_OWN_BUCKETS = 100
_ROWS_PER_BUCKET = 10


class OutputNames:
    """Names of transformed columns, each used once.

    Args:
        taken: Names that are in use.

    Example:
        >>> names = OutputNames(["fare", "fare__bucket"])
        >>> names.derived("fare", "bucket")
        'fare__bucket_2'
    """

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def derived(self, column: str, what: str) -> str:
        """Return a new name for something derived from a column."""
        name, number = f"{column}__{what}", 2
        while name in self._taken:
            name, number = f"{column}__{what}_{number}", number + 1
        self._taken.add(name)
        return name


@dataclass(frozen=True)
class FeatureEvidence:
    """What a feature is built from.

    Attributes:
        column: What the schema says.
        facts: What the train split shows.
        options: The configured options of its kind.
        why: The reason for the kind.
        names: Names of transformed columns.
        bag: What the bags hold, for the kind `bag`.
        text: How often n-grams occur, for the kind `text`.
    """

    column: SchemaColumn
    facts: ColumnFacts
    options: Mapping[str, Any]
    why: str
    names: OutputNames
    bag: BagFacts | None = None
    text: TextFacts | None = None

    @property
    def feature(self) -> RawFeature:
        """The raw feature."""
        return self.column.feature

    def derived(self, what: str, size: int | None = None) -> TransformedColumn:
        """Return a transformed column with a new name."""
        return TransformedColumn(self.names.derived(self.feature.name, what), size)

    def vector(self, what: str, width: int) -> TransformedColumn:
        """Return a transformed column of vectors with a new name."""
        name = self.names.derived(self.feature.name, what)
        return TransformedColumn(name, width=width, compact=True)


def build(kind: FeatureKind, given: FeatureEvidence) -> PlannedFeature | DroppedColumn:
    """Return the feature of a kind, or why the column is dropped.

    Raises:
        UserError: The column cannot have this kind with these options.

    Example:
        >>> column = SchemaColumn(RawFeature("paid", "string", required=True))
        >>> facts = ColumnFacts(rows=90, missing=0, distinct=2, counts={"cash": 60, "card": 30})
        >>> given = FeatureEvidence(column, facts, {}, "configured", OutputNames(["paid"]))
        >>> build("categorical", given).vocabulary
        ('cash', 'card')
    """
    return _BUILDERS[kind](given)


def _numeric(given: FeatureEvidence) -> Numeric:
    feature, facts = given.feature, given.facts
    if feature.dtype == "string" or facts.moments is None:
        raise UserError(
            f"feature_config: {feature.name!r} is text and cannot be numeric. Convert it to "
            "numbers in the data, or choose categorical or hash."
        )
    log = given.options.get("log")
    plain, logged = facts.moments, facts.log_moments
    if log is None:
        log = (
            logged is not None
            and plain.skewness >= SKEWED
            and abs(logged.skewness) < plain.skewness
        )
    if log and logged is None:
        raise UserError(
            f"feature_config: {feature.name!r} has negative values (down to {facts.minimum:g}), so "
            "its logarithm does not exist. Remove 'log'."
        )
    moments = logged if log and logged is not None else plain
    boundaries = _boundaries(facts, given.options.get("buckets"))
    flag = given.derived("missing") if facts.missing else None
    size = len(boundaries) + 1 + (flag is not None)
    return Numeric(
        feature=feature,
        why=given.why,
        moments=moments,
        log=log,
        fill=math.expm1(moments.mean) if log else moments.mean,
        boundaries=boundaries,
        value=TransformedColumn(feature.name),
        bucket=given.derived("bucket", size) if boundaries else None,
        flag=flag,
    )


def _boundaries(facts: ColumnFacts, buckets: int | None) -> tuple[float, ...]:
    few = facts.counts is not None and facts.distinct < 3
    if not len(facts.sample) or few or (buckets is not None and buckets < 2):
        return ()
    if buckets is None and facts.are_whole and facts.distinct <= _MOST_OWN_BUCKETS:
        return _own_buckets(facts.counts or {})
    parts = buckets or BUCKETS
    last = len(facts.sample) - 1
    picked = {float(facts.sample[round(last * part / parts)]) for part in range(1, parts)}
    # No value is below the smallest one.
    return tuple(sorted(boundary for boundary in picked if boundary > (facts.minimum or 0)))


def _own_buckets(counts: Mapping[Any, int]) -> tuple[float, ...]:
    """Return boundaries that give every frequent number a bucket of its own.

    Rare numbers share the bucket of the next smaller one.
    """
    boundaries, rows = [], 0
    for value in sorted(counts, reverse=True)[:-1]:
        rows += counts[value]
        if rows >= _ROWS_PER_BUCKET:
            boundaries.append(float(value))
            rows = 0
    return tuple(reversed(boundaries))


def _categorical(given: FeatureEvidence) -> Categorical | DroppedColumn:
    feature, facts, options = given.feature, given.facts, given.options
    _require_whole(given, "categorical")
    if facts.counts is None:
        raise UserError(
            f"feature_config: {feature.name!r} has about {facts.distinct} distinct values, too "
            "many for a vocabulary. Choose hash."
        )
    least = options.get("min_frequency", MIN_FREQUENCY)
    frequent = [_vocabulary_text(value) for value, rows in facts.counts.items() if rows >= least]
    vocabulary = tuple(frequent[: options.get("top_k", TOP_K)])
    if not vocabulary:
        return DroppedColumn(
            feature.name,
            f"no value occurs in {least} or more rows, so its vocabulary would be empty",
        )
    oov_buckets = options.get("oov_buckets", OOV_BUCKETS)
    missing = facts.missing > 0
    return Categorical(
        feature=feature,
        why=given.why,
        vocabulary=vocabulary,
        left_out=facts.distinct - len(vocabulary),
        oov_buckets=oov_buckets,
        missing_id=missing,
        value=TransformedColumn(feature.name, len(vocabulary) + oov_buckets + missing),
    )


def _hashed(given: FeatureEvidence) -> Hashed:
    _require_whole(given, "hash")
    buckets = given.options.get("buckets", HASH_BUCKETS)
    return Hashed(
        given.feature, given.why, buckets, TransformedColumn(given.feature.name, buckets + 1)
    )


def _bag(given: FeatureEvidence) -> Bag:
    feature, facts, options = given.feature, given.bag, given.options
    if facts is None:
        raise ValueError(f"{feature.name!r}: no facts about its bags were collected")
    least = options.get("min_frequency", MIN_FREQUENCY)
    frequent = [token for token, times in facts.tokens.items() if times >= least]
    vocabulary = tuple(frequent[: options.get("top_k", BAG_TOP_K)])

    def vector(what: str, width: int) -> TransformedColumn:
        return TransformedColumn(given.names.derived(feature.name, what), width=width)

    return Bag(
        feature=feature,
        why=given.why,
        separator=facts.column.separator,
        vocabulary=vocabulary,
        scales=facts.scales,
        counts=vector("counts", len(vocabulary) + 1) if vocabulary else None,
        statistics=vector("statistics", len(facts.scales)),
        flag=given.derived("missing") if given.facts.missing else None,
    )


def _text(given: FeatureEvidence) -> Text:
    feature, facts = given.feature, given.text
    if facts is None:
        raise ValueError(f"{feature.name!r}: n-grams were not counted")
    kept, vectors = {}, {}
    for name in facts.frequencies:
        found = text_features.keep(
            facts, name, rows=given.facts.present, most=given.options.get(name)
        )
        if found is not None:
            kept[name] = found
            vectors[name] = given.vector(name, found.width)
    vectors["statistics"] = given.vector("statistics", len(facts.means))
    return Text(
        feature=feature,
        why=given.why,
        ngrams=facts.column.ngrams,
        kept=kept,
        means=facts.means,
        deviations=facts.deviations,
        vectors=vectors,
        flag=given.derived("missing") if given.facts.missing else None,
    )


def _presence(given: FeatureEvidence) -> Presence:
    return Presence(given.feature, given.why, given.derived("missing"))


def _require_whole(given: FeatureEvidence, kind: FeatureKind) -> None:
    """Check that a float is whole: a fraction can be written as text in several ways."""
    facts = given.facts
    if given.feature.dtype != "float32":
        return
    if not facts.are_whole:
        raise UserError(
            f"feature_config: {given.feature.name!r} is a fractional number and cannot be "
            f"{kind}. Choose numeric with 'buckets'."
        )


def _timestamp(given: FeatureEvidence) -> Timestamp:
    feature, options, facts = given.feature, given.options, given.facts.times
    time = time_format_of(given.column, options, given.facts.texts)
    wanted: tuple[CalendarPart, ...] = options.get("parts", PARTS_BY_DEFAULT)
    if "parts" not in options:
        has_clock = facts.has_clock if facts else time.unit not in ("", "days")
        has_clock |= facts is None and "%H" in time.canonical
        wanted = tuple(
            part
            for part in wanted
            if (has_clock or part not in timestamp_formats.OF_CLOCK)
            and (part != "utc_hour" or (facts is not None and facts.has_offsets))
        )
    parts: list[tuple[str, TransformedColumn]] = []
    for part in wanted:
        if part in timestamp_formats.CYCLES:
            cycle = timestamp_formats.CYCLES[part]
            parts += [(half, given.derived(half)) for half in (f"{cycle}_sin", f"{cycle}_cos")]
        elif part != "age":
            size = timestamp_formats.SIZES.get(part)
            output = given.derived(part, None if size is None else size + 1)
            parts.append((part, replace(output, is_ordered=size is not None)))
    age = _age(given) if "age" in wanted or "reference" in options else None
    holidays = options.get("holidays", ())
    numbers = age is not None or any(output.size is None for _, output in parts)
    return Timestamp(
        feature,
        given.why,
        time,
        tuple(parts),
        age=age,
        holidays=holidays,
        holiday=given.derived("holiday") if holidays else None,
        flag=given.derived("missing") if numbers and given.facts.missing else None,
    )


def time_format_of(
    column: SchemaColumn, options: Mapping[str, Any], texts: Sequence[str]
) -> TimeFormat:
    """Return how the times of a column are written.

    Args:
        column: What the schema says.
        options: The configured options of a timestamp.
        texts: The first texts, which must fit.

    Raises:
        UserError: The column holds no times, or they are written otherwise.
    """
    name, dtype = column.feature.name, column.feature.dtype
    where = f"feature_config: {name!r}"
    written = options.get("format", column.time)
    if not written and column.spellings is None:
        raise UserError(
            f"{where}: the schema does not name the format of the time. Set 'format': a strptime "
            f"format for text, or one of {', '.join(timestamp_formats.UNITS)} for numbers."
        )
    if dtype == "float32":
        raise UserError(f"{where}: a fractional number cannot be a timestamp.")
    if dtype == "int64":
        if written not in timestamp_formats.UNITS:
            raise UserError(
                f"{where}: unknown unit {written!r}; choose one of "
                f"{', '.join(timestamp_formats.UNITS)}."
            )
        return TimeFormat(unit=written)
    time = column.spellings
    if time is None or "format" in options:
        time = timestamp_formats.time_format(written)
    if time is None or time.unit:
        raise UserError(
            f"{where}: format {written!r} is not supported. It needs a year, a month and a "
            "day, in the directives %Y %y %m %b %d %H %I %M %S %f %p %z."
        )
    if timestamp_formats.share_of(texts, time) < READABLE:
        raise UserError(
            f"{where}: format {written!r} does not fit most values, such as {texts[0]!r}."
        )
    return time


def _age(given: FeatureEvidence) -> Age | None:
    facts, reference = given.facts.times, given.options.get("reference")
    spread = (facts.ages if reference else facts.times) if facts else None
    if spread is None:
        return None
    last = spread.high
    if not reference:  # The age at the latest time of the train split.
        spread = Spread(0.0, last - spread.low, last - spread.mean, spread.deviation)
    if not spread.deviation:
        return None
    return Age(
        reference or int(last),
        spread.low / YEAR,
        spread.high / YEAR,
        spread.mean / YEAR,
        spread.deviation / YEAR,
        given.derived("age"),
    )


_BUILDERS: Mapping[FeatureKind, Callable[[FeatureEvidence], PlannedFeature | DroppedColumn]] = {
    "numeric": _numeric,
    "categorical": _categorical,
    "hash": _hashed,
    "timestamp": _timestamp,
    "bag": _bag,
    "text": _text,
    "presence": _presence,
}


def _vocabulary_text(value: Any) -> str:
    return value if isinstance(value, str) else str(int(value))
