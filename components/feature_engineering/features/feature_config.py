"""`feature_config`: what the user wants done with single features."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from kfp_tabular.components.common.errors import UserError, closest

Kind = Literal["numeric", "categorical", "hash", "timestamp", "presence", "drop"]
KINDS: tuple[Kind, ...] = get_args(Kind)

Part = Literal["month", "day", "weekday", "hour", "minute", "elapsed"]
PARTS: tuple[Part, ...] = get_args(Part)

_MOST_IDS = 10_000_000


@dataclass(frozen=True)
class FeatureOptions:
    """What `feature_config` says of one feature.

    Attributes:
        kind: How to treat the feature; None leaves that to its schema and its values.
        options: The other keys as they were given; `checked` converts them.
    """

    kind: Kind | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def parse(config: Mapping[str, Any], features: Iterable[str]) -> dict[str, FeatureOptions]:
    """Checks and converts a feature configuration.

    Args:
        config: By feature, an object with `kind` and options, as from JSON or YAML. Whole numbers
            may come as floats, as they do in a KFP struct.
        features: The names of the features there are.

    Raises:
        UserError: For an unknown feature, kind or key, or a value that does not fit.
    """
    known = list(features)
    parsed = {}
    for name, entry in config.items():
        if name not in known:
            raise UserError(f"feature_config: there is no feature {name!r}.{closest(name, known)}")
        parsed[name] = _parse_feature(name, entry)
    return parsed


def checked(name: str, kind: Kind, options: Mapping[str, Any]) -> dict[str, Any]:
    """Checks and converts the options of a feature whose kind is known.

    Args:
        name: The feature.
        kind: Its kind, given or derived.
        options: The options that were given.

    Returns:
        Converted values, of the options that were given only.

    Raises:
        UserError: For an option that the kind does not take, or a value that does not fit.
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
        raise UserError(f'{where}: expected an object such as {{"kind": "drop"}}, not {entry!r}.')
    options = dict(entry)
    kind = options.pop("kind", None)
    if kind is not None and kind not in KINDS:
        raise UserError(
            f"{where}: unknown kind {kind!r}; there are {', '.join(KINDS)}."
            + closest(str(kind), KINDS)
        )
    if kind is not None:
        checked(name, kind, options)
        return FeatureOptions(kind, options)
    known = ["kind", *dict.fromkeys(key for taken in OPTIONS.values() for key in taken)]
    for key in options:
        if key not in known:
            raise UserError(
                f"{where}: unknown key {key!r}; there are {', '.join(known)}.{closest(key, known)}"
            )
    return FeatureOptions(None, options)


class _Whole:
    """Takes a whole number in a range."""

    def __init__(self, low: int, high: int) -> None:
        self._low = low
        self._high = high

    def __call__(self, where: str, value: Any) -> int:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value != int(value):
            raise UserError(f"{where}: expected a whole number, not {value!r}.")
        if not self._low <= value <= self._high:
            raise UserError(f"{where}: {value:g} is not between {self._low} and {self._high}.")
        return int(value)


def _log(where: str, value: Any) -> bool | None:
    if value == "auto":
        return None
    if not isinstance(value, bool):
        raise UserError(f'{where}: expected true, false or "auto", not {value!r}.')
    return value


def _parts(where: str, value: Any) -> tuple[Part, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise UserError(f"{where}: expected a list of {', '.join(PARTS)}, not {value!r}.")
    for part in value:
        if part not in PARTS:
            raise UserError(
                f"{where}: unknown part {part!r}; there are {', '.join(PARTS)}."
                + closest(str(part), PARTS)
            )
    return tuple(part for part in PARTS if part in value)


def _format(where: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise UserError(
            f"{where}: expected a strptime format such as '%Y-%m-%d %H:%M:%S', or a unit such as "
            f"'seconds', not {value!r}."
        )
    return value


OPTIONS: Mapping[Kind, Mapping[str, Any]] = {
    "numeric": {"log": _log, "buckets": _Whole(0, 10_000)},
    "categorical": {
        "top_k": _Whole(1, _MOST_IDS),
        "min_frequency": _Whole(1, 2**53),
        "oov_buckets": _Whole(1, _MOST_IDS),
    },
    "hash": {"buckets": _Whole(2, _MOST_IDS)},
    "timestamp": {"parts": _parts, "format": _format},
    "presence": {},
    "drop": {},
}
"""The keys that each kind takes beside `kind`, with what checks and converts their values."""
