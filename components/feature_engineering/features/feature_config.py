"""The option `feature_config`: the kind and the options of single features."""

import datetime
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from kfp_tabular.components.common.errors import UserError, closest

FeatureKind = Literal[
    "numeric", "categorical", "hash", "timestamp", "bag", "text", "presence", "drop"
]
KINDS: tuple[FeatureKind, ...] = get_args(FeatureKind)

CalendarPart = Literal[
    "month",
    "day",
    "weekday",
    "hour",
    "minute",
    "utc_hour",
    "hour_cycle",
    "weekday_cycle",
    "month_cycle",
    "year_cycle",
    "age",
    "elapsed",
]
PARTS: tuple[CalendarPart, ...] = get_args(CalendarPart)

BUCKETS = 32
"""Quantile buckets of a numeric feature, unless configured. Whole numbers with at most a hundred
distinct values get a bucket for each value instead."""

TOP_K = 10_000
"""Size of the largest vocabulary, unless configured. Text with more distinct values is hashed."""

MIN_FREQUENCY = 2
"""Values in fewer rows are out of vocabulary, which leaves rows to learn unknown values from."""

OOV_BUCKETS = 1
"""Ids for unknown values, unless configured."""

HASH_BUCKETS = 4_096
"""Ids of a hashed feature, unless configured."""

BAG_TOP_K = 256
"""Items of bags with a count of their own, unless configured."""

PARTS_BY_DEFAULT: tuple[CalendarPart, ...] = (
    "month",
    "day",
    "weekday",
    "hour",
    "utc_hour",
    "hour_cycle",
    "weekday_cycle",
    "year_cycle",
    "age",
)
"""Parts of a timestamp, unless configured. Those of the clock are left out where the train split
has no clock, and `utc_hour` where all of its times have the same offset."""

_MOST_IDS = 10_000_000


@dataclass(frozen=True)
class FeatureOptions:
    """What `feature_config` says about one feature.

    Attributes:
        kind: The feature's kind; None to derive it from the schema and the values.
        options: The other keys as given; `checked` converts them.
    """

    kind: FeatureKind | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def parse(config: Mapping[str, Any], features: Iterable[str]) -> dict[str, FeatureOptions]:
    """Check and convert a feature configuration.

    Args:
        config: By feature, an object with `kind` and options, as in JSON or YAML. Whole numbers
            may be floats, as in a KFP struct.
        features: The names of all features.

    Raises:
        UserError: A feature, a kind or a key is unknown, or a value does not fit.

    Example:
        >>> parse({"zip": {"kind": "hash", "buckets": 64.0}}, ["zip"])
        {'zip': FeatureOptions(kind='hash', options={'buckets': 64.0})}
    """
    known = list(features)
    parsed = {}
    for name, entry in config.items():
        if name not in known:
            raise UserError(f"feature_config: unknown feature {name!r}.{closest(name, known)}")
        parsed[name] = _parse_feature(name, entry)
    return parsed


def checked(name: str, kind: FeatureKind, options: Mapping[str, Any]) -> dict[str, Any]:
    """Check and convert the options of a feature of a known kind.

    Args:
        name: The feature.
        kind: Its kind, configured or derived.
        options: The configured options.

    Returns:
        The converted values of the configured options.

    Raises:
        UserError: The kind does not take an option, or a value does not fit.

    Example:
        >>> checked("zip", "hash", {"buckets": 64.0})
        {'buckets': 64}
    """
    where = f"feature_config: {name!r}"
    taken = OPTIONS[kind]
    for key in options:
        if key not in taken:
            allowed = f"takes {', '.join(taken)}" if taken else "takes no other key"
            raise UserError(
                f"{where}: unknown key {key!r}; kind {kind!r} {allowed}.{closest(key, taken)}"
            )
    return {key: taken[key](f"{where}: {key}", value) for key, value in options.items()}


def _parse_feature(name: str, entry: Any) -> FeatureOptions:
    where = f"feature_config: {name!r}"
    if not isinstance(entry, Mapping):
        raise UserError(f'{where}: expected an object such as {{"kind": "drop"}}, found {entry!r}.')
    options = dict(entry)
    kind = options.pop("kind", None)
    if kind is not None and kind not in KINDS:
        raise UserError(
            f"{where}: unknown kind {kind!r}; choose one of {', '.join(KINDS)}."
            + closest(str(kind), KINDS)
        )
    if kind is not None:
        checked(name, kind, options)
        return FeatureOptions(kind, options)
    known = ["kind", *dict.fromkeys(key for taken in OPTIONS.values() for key in taken)]
    for key in options:
        if key not in known:
            raise UserError(
                f"{where}: unknown key {key!r}; expected one of {', '.join(known)}."
                + closest(key, known)
            )
    return FeatureOptions(None, options)


class _Whole:
    """Checks and converts a whole number in a range."""

    def __init__(self, low: int, high: int) -> None:
        self._low = low
        self._high = high

    def __call__(self, where: str, value: Any) -> int:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value != int(value):
            raise UserError(f"{where}: expected a whole number, found {value!r}.")
        if not self._low <= value <= self._high:
            raise UserError(
                f"{where}: expected a number from {self._low} to {self._high}, found {value:g}."
            )
        return int(value)


def _log(where: str, value: Any) -> bool | None:
    if value == "auto":
        return None
    if not isinstance(value, bool):
        raise UserError(f'{where}: expected true, false or "auto", found {value!r}.')
    return value


def _parts(where: str, value: Any) -> tuple[CalendarPart, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise UserError(f"{where}: expected a list of {', '.join(PARTS)}, found {value!r}.")
    for part in value:
        if part not in PARTS:
            raise UserError(
                f"{where}: unknown part {part!r}; choose from {', '.join(PARTS)}."
                + closest(str(part), PARTS)
            )
    return tuple(part for part in PARTS if part in value)


def _format(where: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise UserError(
            f"{where}: expected a strptime format such as '%Y-%m-%d %H:%M:%S', or a unit such as "
            f"'seconds', found {value!r}."
        )
    return value


def _holidays(where: str, value: Any) -> tuple[str, ...]:
    example = 'expected a list of dates such as "2024-12-25", or "12-25" for every year'
    if not isinstance(value, list | tuple) or not value:
        raise UserError(f"{where}: {example}; found {value!r}.")
    for day in value:
        # The 29th of February is a day, so a leap year stands for every year.
        written = f"2000-{day}" if re.fullmatch("[0-9]{2}-[0-9]{2}", str(day)) else str(day)
        try:
            datetime.date.fromisoformat(written)
        except ValueError:
            raise UserError(f"{where}: {example}; found {day!r}.") from None
    return tuple(str(day) for day in value)


def _reference(where: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise UserError(f"{where}: expected the name of another column of times, found {value!r}.")
    return value


def _equal_to(where: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise UserError(
            f"{where}: expected a list of columns to compare with, [] for none, found {value!r}."
        )
    return tuple(value)


def _separator(where: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise UserError(f"{where}: expected what separates items, such as ';', found {value!r}.")
    return value


def _character_ngrams(where: str, value: Any) -> tuple[int, int]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise UserError(f"{where}: expected two numbers such as [3, 5], found {value!r}.")
    least, most = (_Whole(1, 8)(where, number) for number in value)
    if least > most:
        raise UserError(f"{where}: expected the smaller number first, found {value!r}.")
    return least, most


OPTIONS: Mapping[FeatureKind, Mapping[str, Any]] = {
    "numeric": {"log": _log, "buckets": _Whole(0, 10_000)},
    "categorical": {
        "top_k": _Whole(1, _MOST_IDS),
        "min_frequency": _Whole(1, 2**53),
        "oov_buckets": _Whole(1, _MOST_IDS),
        "equal_to": _equal_to,
    },
    "hash": {"buckets": _Whole(2, _MOST_IDS), "equal_to": _equal_to},
    "timestamp": {
        "parts": _parts,
        "format": _format,
        "holidays": _holidays,
        "reference": _reference,
    },
    "bag": {
        "separator": _separator,
        "top_k": _Whole(0, 16_384),
        "min_frequency": _Whole(1, 2**53),
    },
    "text": {
        "words": _Whole(0, 16_384),
        "characters": _Whole(0, 16_384),
        "ngrams": _Whole(1, 3),
        "character_ngrams": _character_ngrams,
        "length": _Whole(1, 1_000_000),
    },
    "presence": {},
    "drop": {},
}
"""The keys that each kind takes besides `kind`, with functions that check and convert values."""
