"""Text that is HTML, text that is not yet, and numbers as people read them."""

import html
import math
import re
from collections.abc import Iterable
from numbers import Integral, Real
from typing import cast

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


class Markup(str):
    """Text that is already HTML. Everything else is escaped before it gets onto a page."""

    __slots__ = ()


def escape(value: object) -> Markup:
    """Gives a value as HTML; `Markup` is returned as it is.

    Characters that HTML forbids (controls, lone surrogates) become U+FFFD.
    """
    if isinstance(value, Markup):
        return value
    return Markup(html.escape(_FORBIDDEN.sub("\ufffd", str(value))))


def join(parts: Iterable[object], separator: str = "") -> Markup:
    """Joins values into HTML, escaping each that is not `Markup`."""
    return Markup(separator.join(escape(part) for part in parts))


def format_number(value: float) -> str:
    """Writes a number for people: four significant digits, thousands grouped from 10,000.

    Args:
        value: Any real number, numpy's included.
    """
    if isinstance(value, Integral):
        return str(int(value)) if abs(int(value)) < 10_000 else f"{int(value):,}"
    number = float(value)
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "∞" if number > 0 else "-∞"
    magnitude = abs(number)
    if magnitude >= 1e12 or 0 < magnitude < 1e-4:
        return f"{number:.3g}"
    if number == int(number) or magnitude >= 10_000:
        return format_number(round(number))
    return f"{number:.1f}" if magnitude >= 1000 else f"{number:.4g}"


def format_value(value: object) -> Markup:
    """Writes a table's or a tile's value: numbers for people, None as a dash, the rest escaped."""
    if value is None:
        return Markup("&ndash;")
    if isinstance(value, bool):
        return Markup("yes" if value else "no")
    if is_number(value):
        return escape(format_number(cast(float, value)))
    return escape(value)


def is_number(value: object) -> bool:
    """Tells whether a value is shown as a number (a bool is not)."""
    return isinstance(value, Real) and not isinstance(value, bool)
