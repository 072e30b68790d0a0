"""Decides what becomes of each column, from the schema, the configuration and the facts.

Pure: the same facts and settings give the same plan. `graph` turns a plan into TensorFlow.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kfp_tabular.components.common.artifacts.raw_features import RawFeature, raw_features
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.feature_engineering.features import feature_config, timestamp_formats
from kfp_tabular.components.feature_engineering.features.column_facts import ColumnFacts, Moments
from kfp_tabular.components.feature_engineering.features.feature_config import (
    FeatureOptions,
    Kind,
    Part,
)

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

BUCKETS = 32
"""Quantile buckets of a numeric feature, unless configured."""

MOST_VOCABULARY = 10_000
"""Text with more distinct values is hashed, and a vocabulary keeps at most so many."""

MIN_FREQUENCY = 2
"""Rarer values are out of vocabulary. That leaves rows to learn the unknown value from."""

OOV_BUCKETS = 1
HASH_BUCKETS = 4_096

SMALL_DOMAIN = 100
"""Whole numbers with at most so many distinct values are taken for categories..."""

ROWS_PER_VALUE = 10
"""...where there are at least so many rows for each value."""

SKEWED = 2.0
"""From this skewness on, a non-negative number goes through `log(1 + x)`. An exponential
distribution has exactly 2."""

IDENTIFIER_ROWS = 100
"""With fewer rows, that all values differ means nothing."""

_UNIQUE_TEXT = 0.9
_UNIQUE_ESTIMATE = 0.95  # Leaves room for the sketch's error.
_PRESENCE = 0.001
_READABLE = 0.5  # A time of which most texts cannot be read is none.
_DEFAULT_PARTS: tuple[Part, ...] = ("month", "day", "weekday", "hour")
_IDENTIFIER_WORDS = {"id", "ids", "identifier", "uuid", "guid", "key", "pk", "rowid", "index"}
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


@dataclass(frozen=True)
class Column:
    """What the schema says of a column.

    Attributes:
        feature: The raw feature.
        categorical: Its whole numbers are codes.
        time: Its strptime format, or one of `timestamps.UNITS`; empty where it is no time.
        live: False where the schema calls the feature deprecated, planned or disabled.
    """

    feature: RawFeature
    categorical: bool = False
    time: str = ""
    live: bool = True


@dataclass(frozen=True)
class Output:
    """A transformed column.

    Attributes:
        name: Its name.
        size: The number of ids, which count from 0; None for a number.
    """

    name: str
    size: int | None = None


@dataclass(frozen=True)
class Numeric:
    """A number: z-score, quantile bucket and missing flag.

    Attributes:
        feature: The raw feature.
        why: Why it is treated like this.
        moments: Mean and deviation, after the logarithm where `log` is set.
        log: Whether it goes through `log(1 + x)` first.
        fill: What stands in for a missing value; its z-score is 0.
        boundaries: A value's bucket is the number of these that are at most the value.
        value: The z-score.
        bucket: The bucket; its last id is the missing value's where `flag` is set. None for no
            buckets.
        flag: 1 where the value is missing. None where the train split misses none, as nothing
            could be learnt for it.
    """

    feature: RawFeature
    why: str
    moments: Moments
    log: bool
    fill: float
    boundaries: tuple[float, ...]
    value: Output
    bucket: Output | None
    flag: Output | None

    kind = "numeric"

    @property
    def outputs(self) -> list[Output]:
        """The transformed columns."""
        return [output for output in (self.value, self.bucket, self.flag) if output is not None]

    @property
    def settings(self) -> dict[str, Any]:
        """What to show of it."""
        return {
            "mean": self.moments.mean,
            "standard_deviation": self.moments.deviation,
            "log": self.log,
            "buckets": len(self.boundaries) + 1 if self.bucket else 0,
        }


@dataclass(frozen=True)
class Categorical:
    """A category: its position in a vocabulary.

    Ids: the vocabulary, then `oov_buckets` for unknown values, then the missing value where
    `missing_id` is set. Otherwise a missing value counts as unknown.

    Attributes:
        feature: The raw feature.
        why: Why it is treated like this.
        vocabulary: The values as text, most frequent first.
        left_out: How many values of the train split are not in it.
        oov_buckets: Ids that unknown values are spread over.
        missing_id: Whether the missing value has an id of its own, which it has where the train
            split misses some.
        value: The id.
    """

    feature: RawFeature
    why: str
    vocabulary: tuple[str, ...]
    left_out: int
    oov_buckets: int
    missing_id: bool
    value: Output

    kind = "categorical"

    @property
    def outputs(self) -> list[Output]:
        """The transformed columns."""
        return [self.value]

    @property
    def settings(self) -> dict[str, Any]:
        """What to show of it."""
        return {
            "vocabulary": len(self.vocabulary),
            "left_out": self.left_out,
            "oov_buckets": self.oov_buckets,
            "missing_id": self.missing_id,
        }


@dataclass(frozen=True)
class Hashed:
    """A category of too many values: a hash of it. The last id is the missing value's.

    Attributes:
        feature: The raw feature.
        why: Why it is treated like this.
        buckets: Ids that values are spread over.
        value: The id.
    """

    feature: RawFeature
    why: str
    buckets: int
    value: Output

    kind = "hash"

    @property
    def outputs(self) -> list[Output]:
        """The transformed columns."""
        return [self.value]

    @property
    def settings(self) -> dict[str, Any]:
        """What to show of it."""
        return {"buckets": self.buckets}


@dataclass(frozen=True)
class Timestamp:
    """A point in time: parts of the calendar. The last id of each part is the missing value's.

    Attributes:
        feature: The raw feature.
        why: Why it is treated like this.
        format: A strptime format that `timestamps.read_format` reads, or one of
            `timestamps.UNITS`.
        parts: The columns by part.
        flag: 1 where it is missing; only beside `elapsed`, which has no id for that.
    """

    feature: RawFeature
    why: str
    format: str
    parts: tuple[tuple[Part, Output], ...]
    flag: Output | None

    kind = "timestamp"

    @property
    def outputs(self) -> list[Output]:
        """The transformed columns."""
        return [output for _, output in self.parts] + ([self.flag] if self.flag else [])

    @property
    def settings(self) -> dict[str, Any]:
        """What to show of it."""
        return {"format": self.format, "parts": [part for part, _ in self.parts]}


@dataclass(frozen=True)
class Presence:
    """Only whether there is a value.

    Attributes:
        feature: The raw feature.
        why: Why it is treated like this.
        flag: 1 where the value is missing.
    """

    feature: RawFeature
    why: str
    flag: Output

    kind = "presence"

    @property
    def outputs(self) -> list[Output]:
        """The transformed columns."""
        return [self.flag]

    @property
    def settings(self) -> dict[str, Any]:
        """What to show of it."""
        return {}


Feature = Numeric | Categorical | Hashed | Timestamp | Presence


@dataclass(frozen=True)
class Dropped:
    """A column that the model does not see.

    Attributes:
        name: The column.
        why: Why not.
    """

    name: str
    why: str


@dataclass(frozen=True)
class Plan:
    """What becomes of every column.

    Attributes:
        features: What is kept, in the schema's order.
        dropped: What is not.
    """

    features: tuple[Feature, ...]
    dropped: tuple[Dropped, ...]

    @property
    def outputs(self) -> list[Output]:
        """The transformed columns of all features."""
        return [output for feature in self.features for output in feature.outputs]


def columns(schema: "schema_pb2.Schema") -> dict[str, Column]:
    """Gives what a schema says of its columns, by name, in the schema's order.

    Raises:
        UserError: Where a feature has no type.
    """
    from tensorflow_metadata.proto.v0 import schema_pb2

    stages = {
        schema_pb2.UNKNOWN_STAGE,
        schema_pb2.ALPHA,
        schema_pb2.BETA,
        schema_pb2.PRODUCTION,
        schema_pb2.DEBUG_ONLY,
    }
    raw = raw_features(schema)
    return {
        feature.name: Column(
            feature=raw[feature.name],
            categorical=feature.int_domain.is_categorical or feature.float_domain.is_categorical,
            time=_time(feature),
            live=feature.lifecycle_stage in stages,
        )
        for feature in schema.feature
    }


def derive(
    columns: Iterable[Column],
    facts: Mapping[str, ColumnFacts],
    options: Mapping[str, FeatureOptions],
    *,
    label: str,
    dropped: Iterable[Dropped] = (),
) -> Plan:
    """Derives a plan.

    Args:
        columns: The candidates: neither the label nor excluded columns are among them.
        facts: By column, what the train split says.
        options: By column, what the configuration says.
        label: The label; no transformed column takes its name.
        dropped: Columns that were left out before.

    Raises:
        UserError: Where the configuration asks for what a column cannot be.
    """
    kept: list[Feature] = []
    out = list(dropped)
    columns = list(columns)
    # The columns' own names go first: a derived name gives way to them.
    names = _Names([label, *(column.feature.name for column in columns)])
    for column in columns:
        name = column.feature.name
        option = options.get(name, FeatureOptions())
        if option.kind == "drop":  # no facts were collected
            out.append(Dropped(name, "configured"))
            continue
        feature = _derive(column, facts[name], option, names)
        if isinstance(feature, Dropped):
            out.append(feature)
        else:
            kept.append(feature)
    return Plan(tuple(kept), tuple(out))


class _Names:
    """Hands out names of transformed columns, each once."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def derived(self, column: str, what: str) -> str:
        name, number = f"{column}__{what}", 2
        while name in self._taken:
            name, number = f"{column}__{what}_{number}", number + 1
        self._taken.add(name)
        return name


def _derive(
    column: Column, facts: ColumnFacts, options: FeatureOptions, names: _Names
) -> Feature | Dropped:
    name = column.feature.name
    if not facts.present:
        return Dropped(name, "no value in the train split")
    if facts.counts is not None and facts.distinct == 1 and options.kind != "presence":
        return _constant(column, facts, names)
    kind, why = _kind(column, facts) if options.kind is None else (options.kind, "configured")
    if kind == "drop":
        return Dropped(name, why)
    given = _Given(column, facts, feature_config.checked(name, kind, options.options), why, names)
    return _MAKERS[kind](given)


@dataclass(frozen=True)
class _Given:
    """What a feature is made from; `options` are those of its kind."""

    column: Column
    facts: ColumnFacts
    options: Mapping[str, Any]
    why: str
    names: _Names

    @property
    def feature(self) -> RawFeature:
        return self.column.feature

    def derived(self, what: str, size: int | None = None) -> Output:
        return Output(self.names.derived(self.feature.name, what), size)


def _constant(column: Column, facts: ColumnFacts, names: _Names) -> Feature | Dropped:
    name = column.feature.name
    (value,) = facts.counts or {None: 0}
    share = facts.missing / facts.rows
    if min(share, 1 - share) < _PRESENCE:
        missing = f" or missing ({facts.missing} of {facts.rows} rows)" if facts.missing else ""
        return Dropped(name, f"constant: always {_short(value)}{missing}")
    why = f"one value only, {_short(value)}, in {1 - share:.1%} of the rows"
    return Presence(column.feature, why, Output(names.derived(name, "missing")))


def _kind(column: Column, facts: ColumnFacts) -> tuple[Kind, str]:
    dtype = column.feature.dtype
    if _is_time(column, facts):
        return "timestamp", f"the schema says time, {column.time}"
    if dtype == "string":
        return _kind_of_text(facts)
    if column.categorical and (dtype == "int64" or _are_whole(facts)):
        return "categorical", "the schema says codes"
    if dtype == "float32":
        return "numeric", "fractional number"
    return _kind_of_whole(column.feature.name, facts)


def _is_time(column: Column, facts: ColumnFacts) -> bool:
    if column.feature.dtype == "int64":
        return column.time in timestamp_formats.UNITS
    written = timestamp_formats.read_format(column.time)
    return bool(column.time) and written is not None and _share(written, facts) >= _READABLE


def _share(written: timestamp_formats.TextFormat, facts: ColumnFacts) -> float:
    """Gives the share of the first texts that are written so."""
    return sum(map(written.fits, facts.texts)) / max(1, len(facts.texts))


def _kind_of_text(facts: ColumnFacts) -> tuple[Kind, str]:
    unique = facts.distinct >= _UNIQUE_TEXT * facts.present
    if unique and facts.present >= IDENTIFIER_ROWS:
        # An estimate may exceed the rows.
        distinct = min(facts.distinct, facts.present)
        return "drop", (
            f"identifier or free text: {distinct} distinct values in {facts.present} rows"
        )
    if facts.counts is None or facts.distinct > MOST_VOCABULARY:
        return "hash", f"text, {facts.distinct} distinct values"
    if max(facts.counts.values()) < MIN_FREQUENCY:
        return "drop", "text of which no value occurs twice"
    return "categorical", f"text, {facts.distinct} distinct values"


def _kind_of_whole(name: str, facts: ColumnFacts) -> tuple[Kind, str]:
    named = bool(_IDENTIFIER_WORDS & {word.lower() for word in _WORDS.findall(name)})
    if facts.present >= IDENTIFIER_ROWS and _is_identifier(facts, named=named):
        return "drop", f"identifier: {facts.present} rows and hardly a value twice"
    usual = facts.present >= ROWS_PER_VALUE * facts.distinct
    if facts.counts is not None and facts.distinct <= SMALL_DOMAIN and usual:
        return "categorical", f"whole number, {facts.distinct} distinct values"
    if named and usual:
        if facts.counts is not None and facts.distinct <= MOST_VOCABULARY:
            return "categorical", f"identifier by its name, {facts.distinct} distinct values"
        return "hash", f"identifier by its name, {facts.distinct} distinct values"
    return "numeric", "whole number"


def _is_identifier(facts: ColumnFacts, *, named: bool) -> bool:
    rows, span = facts.present, (facts.maximum or 0) - (facts.minimum or 0) + 1
    if facts.counts is None:
        # Drawn at random, so many of a span four times as wide would be 88 % distinct.
        unique = facts.distinct >= _UNIQUE_ESTIMATE * rows
        return unique and (named or span <= 4 * rows)
    # Drawn at random, at least ten pairs of such values would be equal.
    return facts.distinct == rows and (named or span <= rows**2 / 20)


def _numeric(given: _Given) -> Numeric:
    feature, facts = given.feature, given.facts
    if feature.dtype == "string" or facts.moments is None:
        raise UserError(
            f"feature_config: {feature.name!r} is text and cannot be numeric. Make it a number in "
            "the data, or choose categorical or hash."
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
            f"feature_config: {feature.name!r} has negative values (down to {facts.minimum:g}); "
            "its log cannot be taken. Leave 'log' out."
        )
    moments = logged if log and logged is not None else plain
    boundaries = _boundaries(facts, given.options.get("buckets", BUCKETS))
    flag = given.derived("missing") if facts.missing else None
    size = len(boundaries) + 1 + (flag is not None)
    return Numeric(
        feature=feature,
        why=given.why,
        moments=moments,
        log=log,
        fill=math.expm1(moments.mean) if log else moments.mean,
        boundaries=boundaries,
        value=Output(feature.name),
        bucket=given.derived("bucket", size) if boundaries else None,
        flag=flag,
    )


def _boundaries(facts: ColumnFacts, buckets: int) -> tuple[float, ...]:
    if buckets < 2 or not len(facts.sample) or (facts.counts is not None and facts.distinct < 3):
        return ()
    last = len(facts.sample) - 1
    picked = {float(facts.sample[round(last * part / buckets)]) for part in range(1, buckets)}
    # Nothing lies below the smallest value.
    return tuple(sorted(boundary for boundary in picked if boundary > (facts.minimum or 0)))


def _categorical(given: _Given) -> Categorical | Dropped:
    feature, facts, options = given.feature, given.facts, given.options
    _require_whole(given, "categorical")
    if facts.counts is None:
        raise UserError(
            f"feature_config: {feature.name!r} has about {facts.distinct} distinct values, too "
            "many for a vocabulary. Choose hash."
        )
    least = options.get("min_frequency", MIN_FREQUENCY)
    frequent = [_text(value) for value, rows in facts.counts.items() if rows >= least]
    # The vocabulary file has a value per line.
    listed = [text for text in frequent if "\n" not in text and "\r" not in text]
    vocabulary = tuple(listed[: options.get("top_k", MOST_VOCABULARY)])
    if not vocabulary:
        return Dropped(feature.name, f"no value in {least} rows or more, for a vocabulary")
    oov_buckets = options.get("oov_buckets", OOV_BUCKETS)
    missing = facts.missing > 0
    return Categorical(
        feature=feature,
        why=given.why,
        vocabulary=vocabulary,
        left_out=facts.distinct - len(vocabulary),
        oov_buckets=oov_buckets,
        missing_id=missing,
        value=Output(feature.name, len(vocabulary) + oov_buckets + missing),
    )


def _hashed(given: _Given) -> Hashed:
    _require_whole(given, "hash")
    buckets = given.options.get("buckets", HASH_BUCKETS)
    return Hashed(given.feature, given.why, buckets, Output(given.feature.name, buckets + 1))


def _presence(given: _Given) -> Presence:
    return Presence(given.feature, given.why, given.derived("missing"))


def _are_whole(facts: ColumnFacts) -> bool:
    return facts.counts is not None and all(value == int(value) for value in facts.counts)


def _require_whole(given: _Given, kind: Kind) -> None:
    """A float is written as text in more than one way; a whole one is not."""
    facts = given.facts
    if given.feature.dtype != "float32":
        return
    if not _are_whole(facts):
        raise UserError(
            f"feature_config: {given.feature.name!r} is a fractional number and cannot be "
            f"{kind}. Choose numeric with 'buckets'."
        )


def _timestamp(given: _Given) -> Timestamp:
    feature, options = given.feature, given.options
    where = f"feature_config: {feature.name!r}"
    written = options.get("format", given.column.time)
    if not written:
        raise UserError(
            f"{where}: the schema does not say how the time is written. Give 'format': a strptime "
            f"format for text, one of {', '.join(timestamp_formats.UNITS)} for numbers."
        )
    if feature.dtype == "float32":
        raise UserError(f"{where}: a fractional number cannot be a timestamp.")
    has_clock = written != "days"
    if feature.dtype == "string":
        read = timestamp_formats.read_format(written)
        if read is None:
            raise UserError(
                f"{where}: format {written!r} cannot be read. It needs a year, a month and a day, "
                "of %Y %y %m %d %H %M %S %f %z."
            )
        if _share(read, given.facts) < _READABLE:
            raise UserError(
                f"{where}: format {written!r} does not fit most values, such as "
                f"{given.facts.texts[0]!r}."
            )
        has_clock = read.has_clock
    elif written not in timestamp_formats.UNITS:
        raise UserError(
            f"{where}: unknown unit {written!r}; there are {', '.join(timestamp_formats.UNITS)}."
        )
    wanted: tuple[Part, ...] = options.get("parts", _DEFAULT_PARTS)
    if "parts" not in options and not has_clock:
        wanted = tuple(part for part in wanted if part not in ("hour", "minute"))
    sizes = {part: size + 1 for part, size in timestamp_formats.SIZES.items()}
    parts = tuple((part, given.derived(part, sizes.get(part))) for part in wanted)
    flagged = "elapsed" in wanted and given.facts.missing
    flag = given.derived("missing") if flagged else None
    return Timestamp(feature, given.why, written, parts, flag)


_MAKERS: Mapping[Kind, Callable[[_Given], Feature | Dropped]] = {
    "numeric": _numeric,
    "categorical": _categorical,
    "hash": _hashed,
    "timestamp": _timestamp,
    "presence": _presence,
}


def _time(feature: "schema_pb2.Feature") -> str:
    from tensorflow_metadata.proto.v0 import schema_pb2

    if not feature.HasField("time_domain"):
        return ""
    domain = feature.time_domain
    if feature.type == schema_pb2.BYTES:
        return str(domain.string_format)
    units = {
        schema_pb2.TimeDomain.UNIX_DAYS: "days",
        schema_pb2.TimeDomain.UNIX_SECONDS: "seconds",
        schema_pb2.TimeDomain.UNIX_MILLISECONDS: "milliseconds",
        schema_pb2.TimeDomain.UNIX_MICROSECONDS: "microseconds",
        schema_pb2.TimeDomain.UNIX_NANOSECONDS: "nanoseconds",
    }
    return units.get(domain.integer_format, "") if feature.type == schema_pb2.INT else ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(int(value))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
