"""Formats of points in time: `strptime` formats of text, and units of numbers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kfp_tabular.components.feature_engineering.features.feature_config import CalendarPart

SIZES: dict[CalendarPart, int] = {"month": 12, "day": 31, "weekday": 7, "hour": 24, "minute": 60}
"""The number of ids of each calendar part; `elapsed` is a number and has none."""

UNITS = {
    "days": 86_400.0,
    "seconds": 1.0,
    "milliseconds": 1e-3,
    "microseconds": 1e-6,
    "nanoseconds": 1e-9,
}
"""Seconds per unit of a whole number that counts from 1970-01-01 00:00 UTC."""

READABLE = 0.5
"""The share of texts that a format must fit for a column to be a timestamp."""

_SHORTHANDS = {"%T": "%H:%M:%S", "%F": "%Y-%m-%d", "%R": "%H:%M", "%D": "%m/%d/%y"}
_FIELDS = {
    "Y": r"([0-9]{4})",
    "y": r"([0-9]{2})",
    "m": r"([0-9]{1,2})",
    "d": r"([0-9]{1,2})",
    "H": r"([0-9]{1,2})",
    "M": r"([0-9]{1,2})",
    "S": r"([0-9]{1,2})",
    "z": r"(Z|[+-][0-9]{2}:?[0-9]{2})",
}
_SECONDS_WITH_FRACTION = r"([0-9]{1,2})(?:\.[0-9]{1,9})?"


@dataclass(frozen=True)
class TextFormat:
    """The format of a point in time in text, as a pattern for RE2.

    Attributes:
        pattern: A pattern that matches the whole text, with a group per field.
        groups: The number of the group of each field (`Y y m d H M S z`).
    """

    pattern: str
    groups: dict[str, int]

    @property
    def has_clock(self) -> bool:
        """Whether the format includes the time of day."""
        return "H" in self.groups

    def fits(self, text: str) -> bool:
        """Return whether a text has this format."""
        return re.search(self.pattern, text) is not None

    def share_of(self, texts: Sequence[str]) -> float:
        """Return the share of texts that have this format, from 0 to 1."""
        return sum(map(self.fits, texts)) / max(1, len(texts))


def read_format(written: str) -> TextFormat | None:
    """Parse a `strptime` format.

    Args:
        written: A format of the directives `%Y %y %m %d %H %M %S %f %z %%` and the shorthands
            `%F %T %R %D`. Fractions of a second (`.%f`) are optional in the text and ignored.

    Returns:
        The format, or None if it has another directive or lacks the year, month or day.

    Example:
        >>> read_format("%d/%m/%Y").fits("31/01/2024")
        True
    """
    for shorthand, meaning in _SHORTHANDS.items():
        written = written.replace(shorthand, meaning)
    groups: dict[str, int] = {}
    pattern, position = "^", 0
    while position < len(written):
        rest = written[position:]
        if rest.startswith("%S.%f"):
            pattern += _SECONDS_WITH_FRACTION
            groups["S"] = len(groups) + 1
            position += 5
        elif rest.startswith("%%"):
            pattern += "%"
            position += 2
        elif rest[0] == "%":
            directive = rest[1:2]
            if directive not in _FIELDS or directive in groups:
                return None
            pattern += _FIELDS[directive]
            groups[directive] = len(groups) + 1
            position += 2
        else:
            pattern += re.escape(rest[0])
            position += 1
    if not {"m", "d"} <= set(groups) or ("Y" in groups) == ("y" in groups):
        return None
    return TextFormat(pattern + "$", groups)
