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


class Figure(Markup):
    """Markup that is a number: tables align it to the right."""

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


def decimals(low: float, high: float) -> int:
    """Return the number of decimals in which an interval and what lies in it are written.

    The width of the interval has two significant digits, so that its ends differ.

    Example:
        >>> decimals(0.8893, 0.8954), decimals(1200, 1300), decimals(0.5, 0.5)
        (4, 0, 4)
    """
    width = high - low
    if not math.isfinite(width) or width <= 0:
        return 4
    return min(max(0, 1 - math.floor(math.log10(width))), 9)


def format_fixed(value: float, places: int) -> str:
    """Return a number with a fixed number of decimals, thousands grouped from 10,000.

    Example:
        >>> format_fixed(0.753, 4), format_fixed(12345.6, 0), format_fixed(-0.0001, 2)
        ('0.7530', '12,346', '0.00')
    """
    if not math.isfinite(value) or abs(value) >= 1e12:
        return format_number(value)
    text = f"{value:.{places}f}" if abs(value) < 10_000 else f"{value:,.{places}f}"
    return text.lstrip("-") if not float(text.replace(",", "")) else text


def interval(low: float, high: float, places: int | None = None) -> Figure:
    """Return an interval for a table cell, both ends with the same decimals.

    Args:
        low: The lower end.
        high: The upper end.
        places: The number of decimals; None for as many as the width needs.

    Example:
        >>> print(interval(0.7364, 0.753), interval(2.0, 4.0, 2))
        0.736 to 0.753 2.00 to 4.00
    """
    wanted = decimals(low, high) if places is None else places
    return Figure(f"{format_fixed(low, wanted)} to {format_fixed(high, wanted)}")


def fixed(value: float, places: int) -> Figure:
    """Return a number with a fixed number of decimals for a table cell.

    Example:
        >>> print(fixed(0.75, 4))
        0.7500
    """
    return Figure(format_fixed(value, places))


def change(value: float, better: bool | None, places: int | None = None) -> Figure:
    """Return a difference with its sign, an arrow in its direction, and whether it is better.

    Args:
        value: The difference.
        better: Whether it is an improvement; None if it is neither.
        places: The number of decimals; None for four significant digits.

    Example:
        >>> print(change(-0.02, better=True))
        <span class='change better'>-0.02 &#9660; better</span>
    """
    written = format_number(value) if places is None else format_fixed(value, places)
    sign = "+" if value > 0 and written.strip("0.,") else ""
    if better is None or not written.strip("-0.,"):
        return Figure(f"<span class='change'>{sign}{escape(written)}</span>")
    tone, word = ("better", "better") if better else ("worse", "worse")
    arrow = "&#9650;" if value > 0 else "&#9660;"
    return Figure(f"<span class='change {tone}'>{sign}{escape(written)} {arrow} {word}</span>")


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
    """Whether a value is a number (a bool is not).

    Example:
        >>> is_number(3), is_number(True), is_number("3")
        (True, False, False)
    """
    return isinstance(value, Real) and not isinstance(value, bool)
