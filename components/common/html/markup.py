"""Escaping of text for HTML, and the format of numbers."""

import html
import math
import re
from collections.abc import Iterable
from numbers import Integral, Real
from typing import cast

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


class Markup(str):
    """Text that is HTML already. Pages escape all other text."""

    __slots__ = ()


def escape(value: object) -> Markup:
    """Return a value as HTML; `Markup` is returned unchanged.

    Characters that HTML forbids (controls, lone surrogates) become U+FFFD.

    Example:
        >>> print(escape("a < b"), escape(Markup("<b>a</b>")))
        a &lt; b <b>a</b>
    """
    if isinstance(value, Markup):
        return value
    return Markup(html.escape(_FORBIDDEN.sub("\ufffd", str(value))))


def join(parts: Iterable[object], separator: str = "") -> Markup:
    """Return values joined into HTML; those that are not `Markup` are escaped.

    Example:
        >>> join(["a < b", Markup("<b>c</b>")], separator=", ")
        'a &lt; b, <b>c</b>'
    """
    return Markup(separator.join(escape(part) for part in parts))


def format_number(value: float) -> str:
    """Return a number for people: four significant digits, thousands grouped from 10,000.

    Args:
        value: Any real number, including those of NumPy.

    Example:
        >>> [format_number(value) for value in (0.123456, 9999, 1234567, float("inf"))]
        ['0.1235', '9999', '1,234,567', '∞']
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
    """Return the value of a table cell or tile: numbers formatted, None as a dash, text escaped.

    Example:
        >>> [str(format_value(value)) for value in (12345, None, True, "a < b")]
        ['12,345', '&ndash;', 'yes', 'a &lt; b']
    """
    if value is None:
        return Markup("&ndash;")
    if isinstance(value, bool):
        return Markup("yes" if value else "no")
    if is_number(value):
        return escape(format_number(cast(float, value)))
    return escape(value)


def is_number(value: object) -> bool:
    """Whether a value is shown as a number (a bool is not).

    Example:
        >>> is_number(3), is_number(True), is_number("3")
        (True, False, False)
    """
    return isinstance(value, Real) and not isinstance(value, bool)
