"""ISO 8601 dates and times as text columns hold them."""

from dataclasses import dataclass

_DATE = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_MINUTE = r"([01][0-9]|2[0-3]):[0-5][0-9]"
_FRACTION = r"(\.[0-9]{1,9})?"


@dataclass(frozen=True)
class TextTimeFormat:
    """A format of points in time in text.

    Attributes:
        string_format: The format in `strptime` directives.
        pattern: A regular expression that matches the whole text.
    """

    string_format: str
    pattern: str


def _text_time_formats() -> tuple[TextTimeFormat, ...]:
    found = [TextTimeFormat("%Y-%m-%d", f"^{_DATE}$")]
    for separator in " T":
        for zone, zoned in (("", ""), ("Z", "Z"), ("%z", "[+-][0-9]{2}:?[0-9]{2}")):
            day, minute = f"%Y-%m-%d{separator}%H:%M", f"^{_DATE}{separator}{_MINUTE}"
            found += [
                TextTimeFormat(f"{day}{zone}", f"{minute}{zoned}$"),
                TextTimeFormat(f"{day}:%S{zone}", f"{minute}:[0-5][0-9]{zoned}$"),
                # Last: it also takes whole seconds, which some writers mix in.
                TextTimeFormat(f"{day}:%S.%f{zone}", f"{minute}:[0-5][0-9]{_FRACTION}{zoned}$"),
            ]
    return tuple(found)


TEXT_TIME_FORMATS = _text_time_formats()
"""ISO 8601: a date, then optionally minutes, seconds or fractions, with or without a zone."""
