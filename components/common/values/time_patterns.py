r"""The spellings of points in time, as patterns that Arrow, TensorFlow and Python read alike.

A spelling is a date, then optionally a clock, then optionally a zone. A form is the date's part of
a `strptime` format: `%d/%m/%Y` stands for `31/12/2023`, `31/12/2023 18:05`, `31/12/2023 6:05 PM`
and `31/12/2023 18:05:00.5 +01:00` alike, so that a reader does not depend on which of the clocks
were seen. A format that is no form with a clock (`week of %d|%m|%Y`) becomes a pattern of its own.

Patterns use what RE2 and Python's `re` have in common, with a named group per field:

| field | digits or text |
|---|---|
| `Y`, `y` | year of four, or two digits (69 to 68 are 1969 to 2068, as in `strptime`) |
| `m`, `b` | month as a number, or an English name |
| `d`, `H`, `M`, `S` | day, hour, minute, second |
| `f` | fraction of a second |
| `p` | `a` or `p` of AM and PM |
| `z` | zone |
"""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from kfp_tabular.components.common.values.column_format import TimeFormat

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
"""The first three letters of the months."""

ZONE_NAMES = {
    "z": 0,
    "utc": 0,
    "gmt": 0,
    "est": -300,
    "edt": -240,
    "cst": -360,
    "cdt": -300,
    "mst": -420,
    "mdt": -360,
    "pst": -480,
    "pdt": -420,
    "wet": 0,
    "west": 60,
    "cet": 60,
    "cest": 120,
    "eet": 120,
    "eest": 180,
}
"""Minutes east of UTC by name: those of RFC 2822 and of Europe. Others, such as BST and IST, mean
different offsets in different countries."""

ISO = "%Y-%m-%d"
"""The form that every time column accepts."""

COMPACT = "%Y%m%d%H%M%S"
CTIME = "%a %b %d %H:%M:%S %Y"


def _any_case(words: str) -> str:
    """Return a pattern for ASCII letters in any case; `(?i)` would add a long s and others."""
    return re.sub(r"(?<!\?)[a-z]", lambda letter: f"[{letter[0].upper()}{letter[0]}]", words)


_WEEKDAY = _any_case("(?:mon|tue|wed|thu|fri|sat|sun)") + "[A-Za-z]{0,6}"
_DAYS = _WEEKDAY + r"\.?,?[ ]+"
_NAME = (
    "(?P<b>"
    + _any_case(
        "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
        "|sep(?:t|tember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
    )
    + r")\.?"
)
_Y, _SHORT = r"(?P<Y>[0-9]{4})", r"(?P<y>[0-9]{2})"
_M, _D = r"(?P<m>[0-9]{1,2})", r"(?P<d>[0-9]{1,2})"
_M2, _D2 = r"(?P<m>[0-9]{2})", r"(?P<d>[0-9]{2})"
_ORDINAL = _D + _any_case("(?:st|nd|rd|th)") + "?"
_BETWEEN = r"(?:[ ]*[-/.,][ ]*|[ ]+)"
_OF = r"(?:[ ]*[-/.,][ ]*|[ ]+|[ ]+of[ ]+)"

_FRACTION = r"(?:[.,](?P<f>[0-9]{1,9}))?"
_ZONE_TEXT = (
    "(?P<z>"
    + _any_case("(?:utc|gmt)?")
    + "[+-][0-9]{1,2}(?::?[0-9]{2})?|"
    + _any_case("|".join(sorted(ZONE_NAMES, key=len, reverse=True)))
    + r")(?:\[[A-Za-z_/+-]+\])?"  # Java appends the zone's name in brackets.
)
_ZONE = f"(?:[ ]?{_ZONE_TEXT})?"
_CLOCK = (
    r"(?:(?:[Tt]|,?[ ]+(?:at[ ]+)?)(?P<H>[0-9]{1,2})(?::(?P<M>[0-9]{2})(?::(?P<S>[0-9]{2})"
    + _FRACTION
    + r")?)?(?:[ ]?(?P<p>[AaPp])\.?[Mm]\.?)?"
    + _ZONE
    + r")?"
)
_BLANKS = r"[ \t]*"


def _forms() -> dict[str, str]:
    found: dict[str, str] = {}
    for separator in "-/.":
        between = re.escape(separator)
        # A two-digit year after dots or dashes needs two digits throughout: 1.2.13 is a version.
        month, day = (_M, _D) if separator == "/" else (_M2, _D2)
        found |= {
            f"%Y{separator}%m{separator}%d": between.join((_Y, _M, _D)),
            f"%d{separator}%m{separator}%Y": between.join((_D, _M, _Y)),
            f"%m{separator}%d{separator}%Y": between.join((_M, _D, _Y)),
            f"%d{separator}%m{separator}%y": between.join((day, month, _SHORT)),
            f"%m{separator}%d{separator}%y": between.join((month, day, _SHORT)),
            f"%y{separator}%m{separator}%d": between.join((_SHORT, month, day)),
        }
    weekday = f"(?:{_DAYS})?"
    found |= {
        "%d %b %Y": weekday + _ORDINAL + _OF + _NAME + _BETWEEN + _Y,
        "%d %b %y": weekday + _ORDINAL + _OF + _NAME + _BETWEEN + _SHORT,
        "%d%b%Y": _D + _NAME + _Y,
        "%d%b%y": _D + _NAME + _SHORT,
        "%b %d %Y": weekday + _NAME + _BETWEEN + _ORDINAL + r"(?:[ ]*,[ ]*|[-/. ][ ]*)" + _Y,
        "%b %d %y": weekday + _NAME + _BETWEEN + _ORDINAL + r"(?:[ ]*,[ ]*|[-/. ][ ]*)" + _SHORT,
        "%Y %b %d": _Y + _BETWEEN + _NAME + _BETWEEN + _D,
        "%Y%m%d": _Y + _M2 + _D2,
    }
    return {form: date + _CLOCK for form, date in found.items()} | {
        COMPACT: _Y + _M2 + _D2 + r"[Tt_ -]?(?P<H>[0-9]{2})(?P<M>[0-9]{2})"
        r"(?:(?P<S>[0-9]{2})" + _FRACTION + ")?" + _ZONE,
        CTIME: weekday + _NAME + r"[ ]+" + _D + r"[ ]+(?P<H>[0-9]{1,2}):(?P<M>[0-9]{2})"
        r":(?P<S>[0-9]{2})" + _FRACTION + f"(?:[ ]+{_ZONE_TEXT})?[ ]+" + _Y,
    }


@dataclass(frozen=True)
class TimePattern:
    """A pattern that matches the whole of a spelling.

    Attributes:
        regex: For RE2 and `re`, with a named group per field; `re` needs `fullmatch`.
        fields: The field of each group, in order.
    """

    regex: str
    fields: tuple[str, ...]

    @property
    def has_clock(self) -> bool:
        """Whether a text may include the time of day."""
        return "H" in self.fields


def _pattern(regex: str) -> TimePattern:
    whole = f"^{_BLANKS}(?:{regex}){_BLANKS}$"
    return TimePattern(whole, tuple(re.compile(whole).groupindex))


FORMS = {form: _pattern(regex) for form, regex in _forms().items()}
"""The patterns of the forms."""

LOOKS_LIKE_A_TIME = (
    r"^[ \t]*(?:[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]|[0-9]{8}(?:$|[0-9T_ -])"
    r"|[0-9]{1,4}(?:[A-Za-z]{2})?[-/., ]{0,3}(?:of[ ]+)?(?:" + _any_case("|".join(MONTHS)) + ")"
    r"|(?:"
    + _any_case("|".join((*MONTHS, "mon", "tue", "wed", "thu", "fri", "sat", "sun")))
    + r")[A-Za-z]*[-/., ])"
)
"""A pattern that the beginning of every spelling matches, and hardly any other text does."""

_SHORTHANDS = {"%T": "%H:%M:%S", "%F": "%Y-%m-%d", "%R": "%H:%M", "%D": "%m/%d/%y"}
_SAME = {"%B": "%b", "%A": "%a", "%e": "%d", "%-d": "%d", "%-m": "%m", "%-H": "%H", "%-I": "%I"}
_TAIL = re.compile(
    r"(?:(?:T|,?[ ]+)%[HI](?::%M(?::%S(?:[.,]%f)?)?)?[ ]?(?:%p)?[ ]?(?:%z|%Z|Z|UTC|GMT)?)?"
)
_FIELDS = {
    "Y": _Y,
    "y": _SHORT,
    "m": _M,
    "b": _NAME,
    "d": _D,
    "H": r"(?P<H>[0-9]{1,2})",
    "I": r"(?P<H>[0-9]{1,2})",
    "M": r"(?P<M>[0-9]{1,2})",
    "S": r"(?P<S>[0-9]{1,2})",
    "f": r"(?P<f>[0-9]{1,9})",
    "p": r"(?P<p>[AaPp])\.?[Mm]\.?",
    "z": _ZONE_TEXT,
    "a": _WEEKDAY,
}
_FIELDS["Z"] = _FIELDS["z"]


@functools.lru_cache(maxsize=1024)
def pattern_of(written: str) -> TimePattern | None:
    """Return the pattern of a `strptime` format.

    Args:
        written: A format of the directives `%Y %y %m %b %B %d %H %I %M %S %f %p %z %Z %a %A %%` and
            the shorthands `%F %T %R %D`. A form with a clock stands for the form with any clock.
            Fractions of a second (`.%f`) are optional in the text.

    Returns:
        The pattern, or None if the format has another directive or lacks the year, month or day.

    Example:
        >>> re.fullmatch(pattern_of("%d/%m/%Y").regex, "31/01/2024 6:05 PM").groupdict()["p"]
        'P'
        >>> pattern_of("%H:%M") is None
        True
    """
    for shorthand, meaning in (*_SHORTHANDS.items(), *_SAME.items()):
        written = written.replace(shorthand, meaning)
    if written in FORMS:
        return FORMS[written]
    plain = re.sub(r"^%a,? ", "", written)
    for form in sorted(FORMS, key=len, reverse=True):
        spellings = {form}
        if "%b" in form:
            spellings |= {form.replace(" ", between) for between in "-/."}
            spellings |= {form.replace("%d ", "%d, "), form.replace("%d ", "%d. ")}
        for spelling in spellings:
            if plain.startswith(spelling) and _TAIL.fullmatch(plain[len(spelling) :]):
                return FORMS[form]
    return _own_pattern(written)


def _own_pattern(written: str) -> TimePattern | None:
    fields: set[str] = set()
    regex, position = "", 0
    while position < len(written):
        rest = written[position:]
        if rest.startswith("%S.%f"):
            regex += _FIELDS["S"] + _FRACTION
            fields |= {"S", "f"}
            position += 5
        elif rest.startswith("%%"):
            regex += "%"
            position += 2
        elif rest[0] == "%":
            directive = rest[1:2]
            field = {"I": "H", "Z": "z"}.get(directive, directive)
            if directive not in _FIELDS or field in fields:
                return None
            regex += _FIELDS[directive]
            fields.add(field)
            position += 2
        else:
            regex += re.escape(rest[0])
            position += 1
    if "d" not in fields or len({"m", "b"} & fields) != 1 or len({"Y", "y"} & fields) != 1:
        return None
    return _pattern(regex)


@functools.lru_cache(maxsize=256)
def patterns_of(given: TimeFormat) -> tuple[TimePattern, ...]:
    """Return the patterns that a column's texts are read with, in the order they are tried.

    ISO 8601 is always among them, whatever the source holds.

    Raises:
        ValueError: A format cannot be read.

    Example:
        >>> len(patterns_of(TimeFormat(("%d/%m/%Y",), canonical="%Y-%m-%d")))
        2
    """
    found: list[TimePattern] = []
    for written in (*given.formats, ISO):
        pattern = pattern_of(written)
        if pattern is None:
            raise ValueError(f"not a format of a time: {written!r}")
        if pattern not in found:
            found.append(pattern)
    return tuple(found)


def canonical_format(formats: Sequence[str]) -> str:
    """Return the format in which the examples hold texts of some formats.

    Example:
        >>> canonical_format(["%d/%m/%Y"]), canonical_format(["%d %b %Y %H:%M%z"])
        ('%Y-%m-%d', '%Y-%m-%d %H:%M:%S%z')
    """
    written = " ".join(formats)
    for shorthand, meaning in _SHORTHANDS.items():
        written = written.replace(shorthand, meaning)
    if "%H" not in written and "%I" not in written:
        return ISO
    zone = "%z" if "%z" in written or "%Z" in written else ""
    return f"{ISO} %H:%M:%S{'.%f' if '%f' in written else ''}{zone}"


def zone_minutes(zone: str) -> int | None:
    """Return the minutes east of UTC; None for a zone that does not exist.

    Example:
        >>> zone_minutes("Z"), zone_minutes("-0330"), zone_minutes("UTC+2"), zone_minutes("+99")
        (0, -210, 120, None)
    """
    zone = zone.lower()
    if zone in ZONE_NAMES:
        return ZONE_NAMES[zone]
    digits = zone.removeprefix("utc").removeprefix("gmt")
    plain = digits[1:].replace(":", "")
    # "+2", "+02", "+230" and "+0230".
    hours, minutes = (int(plain), 0) if len(plain) <= 2 else (int(plain[:-2]), int(plain[-2:]))
    if hours > 18 or minutes > 59:
        return None
    east = hours * 60 + minutes
    return -east if digits[0] == "-" else east
