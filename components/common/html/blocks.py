"""Text, tables and key figures."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from kfp_tabular.components.common.html import svg
from kfp_tabular.components.common.html.markup import Markup, escape, format_value, is_number, join

Tone = Literal["neutral", "good", "warning", "error"]

_SCHEMES = ("http", "https", "mailto", "file")


def paragraph(text: object) -> Markup:
    """A paragraph of text."""
    return Markup(f"<p>{escape(text)}</p>")


def note(text: object) -> Markup:
    """A remark in small print, such as below a chart."""
    return Markup(f"<p class='note'>{escape(text)}</p>")


def code(text: object) -> Markup:
    """Text as it is, in a fixed-width font: a request, a file's content."""
    return Markup(f"<pre>{escape(text)}</pre>")


def badge(text: object, tone: Tone = "neutral") -> Markup:
    """A short state, coloured by its tone. Fits into a table's cell or a paragraph."""
    return Markup(f"<span class='badge {escape(tone)}'>{escape(text)}</span>")


def link(text: object, target: str) -> Markup:
    """A link. The page itself never loads the target.

    Args:
        text: What is shown.
        target: A relative path, or a URL.

    Raises:
        ValueError: Where the target has a scheme other than http, https, mailto or file.
    """
    scheme, colon, _ = target.partition(":")
    if colon and "/" not in scheme and scheme.strip().casefold() not in _SCHEMES:
        raise ValueError(f"not a link target: {target!r}")
    return Markup(f"<a href='{escape(target)}'>{escape(text)}</a>")


def details(summary: object, *blocks: object) -> Markup:
    """Blocks that the reader unfolds.

    Args:
        summary: The line that is always shown.
        *blocks: What is folded away.
    """
    return Markup(
        f"<details class='fold'><summary>{escape(summary)}</summary>{join(blocks)}</details>"
    )


def row(*blocks: object) -> Markup:
    """Blocks side by side, as many as fit; the rest wraps."""
    cells = join(Markup(f"<div>{escape(block)}</div>") for block in blocks)
    return Markup(f"<div class='row'>{cells}</div>")


def entry(title: object, *blocks: object) -> Markup:
    """One of many like things under a heading: drawn by the browser once it comes into view.

    Args:
        title: What it is; may hold badges.
        *blocks: What stands below.
    """
    return Markup(f"<article class='entry'><h3>{escape(title)}</h3>{join(blocks)}</article>")


def legend(names: Sequence[str]) -> Markup:
    """The names of series in their charts' colours, for charts that are drawn without."""
    return svg.legend(names)


def facts(values: Mapping[str, object]) -> Markup:
    """Tiles of key figures.

    Args:
        values: A figure by its name. Numbers are formatted.
    """
    tiles = join(
        Markup(f"<div><dt>{escape(name)}</dt><dd{_smaller(value)}>{format_value(value)}</dd></div>")
        for name, value in values.items()
    )
    return Markup(f"<dl class='facts'>{tiles}</dl>")


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], *, caption: str = "") -> Markup:
    """A table.

    Args:
        headers: The columns' names.
        rows: A cell per column. Numbers are formatted and right-aligned, None is a dash, `Markup`
            stays as it is.
        caption: One line above the table.
    """
    cells = [list(values) for values in rows]
    numeric = [
        any(is_number(r[i]) for r in cells if i < len(r))
        and all(is_number(r[i]) or r[i] is None for r in cells if i < len(r))
        for i in range(len(headers))
    ]
    head = join(_header(name, right) for name, right in zip(headers, numeric, strict=True))
    body = join(
        Markup(f"<tr>{join(map(_cell, values, numeric))}</tr>\n")  # a row may be short
        for values in cells
    )
    above = f"<caption>{escape(caption)}</caption>" if caption else ""
    return Markup(
        f"<div class='scroll'><table>{above}<thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _header(name: str, right: bool) -> Markup:
    return Markup(f"<th{' class=n' if right else ''}>{escape(name)}</th>")


def _cell(value: object, numeric: bool) -> Markup:
    right = " class=n" if numeric or is_number(value) else ""
    return Markup(f"<td{right}>{format_value(value)}</td>")


def _smaller(value: object) -> str:
    long = isinstance(value, str) and not isinstance(value, Markup) and len(value) > 14
    return " class='long'" if long else ""
