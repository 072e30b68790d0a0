"""Blocks of a page: text, tables and key figures."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from kfp_tabular.components.common.html.charts import svg
from kfp_tabular.components.common.html.markup import (
    Figure,
    Markup,
    escape,
    format_value,
    is_number,
    join,
)

Tone = Literal["neutral", "good", "warning", "error"]

_SCHEMES = ("http", "https", "mailto", "file")


def paragraph(text: object) -> Markup:
    """Return a paragraph of text.

    Example:
        >>> paragraph("a < b")
        '<p>a &lt; b</p>'
    """
    return Markup(f"<p>{escape(text)}</p>")


def lead(badge: Markup, text: object) -> Markup:
    """Return the paragraph that a page begins with: a state, and the reason for it.

    Example:
        >>> print(lead(badge("blessed", "good"), "It beats the baseline."))
        <p class='lead'><span class='badge good'>blessed</span> It beats the baseline.</p>
    """
    return Markup(f"<p class='lead'>{escape(badge)} {escape(text)}</p>")


def note(text: object) -> Markup:
    """Return a remark in small print, such as below a chart.

    Example:
        >>> print(note("A sample of 10,000 rows."))
        <p class='note'>A sample of 10,000 rows.</p>
    """
    return Markup(f"<p class='note'>{escape(text)}</p>")


def code(text: object) -> Markup:
    """Return preformatted text in a fixed-width font, such as the content of a file.

    Example:
        >>> code("feature { name: 'fare' }")
        '<pre>feature { name: &#x27;fare&#x27; }</pre>'
    """
    return Markup(f"<pre>{escape(text)}</pre>")


def badge(text: object, tone: Tone = "neutral") -> Markup:
    """Return a short state, colored by its tone, for a table cell or a paragraph.

    Example:
        >>> print(badge("passed", "good"))
        <span class='badge good'>passed</span>
    """
    return Markup(f"<span class='badge {escape(tone)}'>{escape(text)}</span>")


def link(text: object, target: str) -> Markup:
    """Return a link. The page itself never loads the target.

    Args:
        text: The text of the link.
        target: A relative path, or a URL.

    Raises:
        ValueError: The scheme of the target is not http, https, mailto or file.

    Example:
        >>> print(link("Schema", "schema.pbtxt"))
        <a href='schema.pbtxt'>Schema</a>
        >>> link("Schema", "javascript:alert(1)")
        Traceback (most recent call last):
        ...
        ValueError: not a link target: 'javascript:alert(1)'
    """
    scheme, colon, _ = target.partition(":")
    if colon and "/" not in scheme and scheme.strip().casefold() not in _SCHEMES:
        raise ValueError(f"not a link target: {target!r}")
    return Markup(f"<a href='{escape(target)}'>{escape(text)}</a>")


def details(summary: object, *blocks: object) -> Markup:
    """Return blocks that the reader can unfold.

    Args:
        summary: The line that is always shown.
        *blocks: The folded content.

    Example:
        >>> print(details("1 warning", paragraph("fare: drift")))
        <details class='fold'><summary>1 warning</summary><p>fare: drift</p></details>
    """
    return Markup(
        f"<details class='fold'><summary>{escape(summary)}</summary>{join(blocks)}</details>"
    )


def row(*blocks: object, pairs: bool = False) -> Markup:
    """Return blocks side by side, as many as fit; the rest wraps.

    Args:
        *blocks: The blocks.
        pairs: Whether at most two fit: charts whose text would else be too small.

    Example:
        >>> print(row(paragraph("left"), paragraph("right")))
        <div class='row'><div><p>left</p></div><div><p>right</p></div></div>
    """
    cells = join(Markup(f"<div>{escape(block)}</div>") for block in blocks)
    return Markup(f"<div class='row{' pairs' if pairs else ''}'>{cells}</div>")


def entry(title: object, *blocks: object) -> Markup:
    """Return one of many similar parts under a heading, drawn when it comes into view.

    Args:
        title: The heading; may contain badges.
        *blocks: The content below it.

    Example:
        >>> print(entry("fare", paragraph("No missing values.")))
        <article class='entry'><h3>fare</h3><p>No missing values.</p></article>
    """
    return Markup(f"<article class='entry'><h3>{escape(title)}</h3>{join(blocks)}</article>")


def legend(names: Sequence[str]) -> Markup:
    """Return a legend: the names of series in their colors, for charts without one.

    Example:
        >>> print(legend(["train", "eval"]))
        <div class='legend'><span class='s0'>train</span><span class='s1'>eval</span></div>
    """
    return svg.legend(names)


def facts(values: Mapping[str, object]) -> Markup:
    """Return tiles of key figures.

    Args:
        values: The figures by name. Numbers are formatted.

    Example:
        >>> print(facts({"rows": 12000}))
        <dl class='facts'><div><dt>rows</dt><dd>12,000</dd></div></dl>
    """
    tiles = join(
        Markup(f"<div><dt>{escape(name)}</dt><dd{_smaller(value)}>{format_value(value)}</dd></div>")
        for name, value in values.items()
    )
    return Markup(f"<dl class='facts'>{tiles}</dl>")


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], *, caption: str = "") -> Markup:
    """Return a table.

    Args:
        headers: The names of the columns.
        rows: The cells of each row, one per column. Numbers are formatted, None is a dash,
            `Markup` is not escaped. A column of mostly numbers or `Figure` is aligned to the
            right as a whole.
        caption: One line above the table.

    Example:
        >>> "<td class=n>0.25</td>" in table(["feature", "drift"], [["age", 0.25]])
        True
    """
    cells = [list(values) for values in rows]
    numeric = [_is_numeric([r[i] for r in cells if i < len(r)]) for i in range(len(headers))]
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
    return Markup(f"<th scope=col{' class=n' if right else ''}>{escape(name)}</th>")


def _cell(value: object, numeric: bool) -> Markup:
    right = " class=n" if numeric else ""
    return Markup(f"<td{right}>{format_value(value)}</td>")


def _is_numeric(column: Sequence[object]) -> bool:
    filled = [value for value in column if value is not None and value != ""]
    return 2 * sum(map(_is_figure, filled)) > len(filled)


def _is_figure(value: object) -> bool:
    return is_number(value) or isinstance(value, Figure)


def _smaller(value: object) -> str:
    long = isinstance(value, str) and not isinstance(value, Markup) and len(value) > 14
    return " class='long'" if long else ""
