"""Markdown pages as HTML, since browsers show Markdown as plain text.

As much of it as the components write: headings, paragraphs, lists, tables, code, and inline code,
emphasis and links. HTML inside Markdown is shown, not taken over: a page may quote users' data.
"""

import re
from collections.abc import Callable, Iterator, Sequence

from kfp_tabular.components.common.html import Markup, code, escape, link, table

_HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*\s*$")
_ITEM = re.compile(r"\s*(?:[-*+]|\d+[.)])\s+(.*)")
_ORDERED = re.compile(r"\s*\d")
_FENCE = re.compile(r"\s*(```+|~~~+)")
_RULE = re.compile(r"\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$")
_CELL_END = re.compile(r"(?<!\\)\|")
_INDENT = "    "
_INLINE = re.compile(
    r"\\(?P<escaped>[!-/:-@\[-`{-~])"
    r"|(?P<ticks>`+)(?P<code>.+?)(?<!`)(?P=ticks)(?!`)"
    r"|\*\*(?P<strong>\S(?:.*?\S)?)\*\*"
    r"|(?<!\w)(?P<mark>[*_])(?P<emphasis>[^\s*_](?:[^*_]*[^\s*_])?)(?P=mark)(?!\w)"
    r"|\[(?P<text>[^\]]+)\]\((?P<target>[^)\s]+)\)",
    re.DOTALL,
)


def to_blocks(text: str) -> tuple[Markup, ...]:
    """Gives a Markdown document as blocks of a page's section.

    Args:
        text: The document.
    """
    return tuple(_blocks(text.expandtabs(4).splitlines()))


def _blocks(lines: Sequence[str]) -> Iterator[Markup]:
    at = 0
    while at < len(lines):
        line = lines[at]
        fence, heading = _FENCE.match(line), _HEADING.match(line)
        start = at
        if not line.strip():
            at += 1
        elif fence:
            at = _until(lines, at + 1, _closing(fence[1]))
            yield code("\n".join(lines[start + 1 : at]))
            at += 1
        elif heading:
            at += 1
            # The page has the first level, its sections the second.
            level = min(len(heading[1]) + 2, 6)
            yield Markup(f"<h{level}>{_inline(heading[2])}</h{level}>")
        elif line.startswith(_INDENT):
            at = _until(lines, at, lambda other: other.strip() and not other.startswith(_INDENT))
            yield code("\n".join(other[len(_INDENT) :] for other in lines[start:at]).rstrip())
        elif "|" in line and at + 1 < len(lines) and _RULE.match(lines[at + 1]):
            at = _until(lines, at, lambda other: "|" not in other)
            yield _table(lines[start], lines[start + 2 : at])
        elif _ITEM.match(line):
            at = _until(lines, at, lambda other: not other.strip())
            yield _list(lines[start:at])
        else:
            at = _until(lines, at + 1, _ends_paragraph)
            yield Markup(f"<p>{_inline(' '.join(part.strip() for part in lines[start:at]))}</p>")


def _until(lines: Sequence[str], at: int, ends: Callable[[str], object]) -> int:
    """Gives the index of the first line from `at` on for which `ends` holds, or the end."""
    return next((index for index in range(at, len(lines)) if ends(lines[index])), len(lines))


def _closing(fence: str) -> Callable[[str], bool]:
    return lambda line: line.strip().startswith(fence)


def _ends_paragraph(line: str) -> bool:
    return not line.strip() or any(pattern.match(line) for pattern in (_HEADING, _FENCE, _ITEM))


def _table(header: str, rows: Sequence[str]) -> Markup:
    names = _cells(header)
    body = [[_inline(cell) for cell in _cells(row)] for row in rows]
    # Rows may be shorter or longer than the header; the header decides.
    width = len(names)
    return table(names, [(row + [Markup("")] * width)[:width] for row in body])


def _cells(line: str) -> list[str]:
    inner = line.strip().removeprefix("|")
    if inner.endswith("|") and not inner.endswith("\\|"):
        inner = inner[:-1]
    return [cell.strip().replace("\\|", "|") for cell in _CELL_END.split(inner)]


def _list(lines: Sequence[str]) -> Markup:
    items: list[str] = []
    for line in lines:
        item = _ITEM.match(line)
        if item:
            items.append(item[1])
        else:
            items[-1] += f" {line.strip()}"
    tag = "ol" if _ORDERED.match(lines[0]) else "ul"
    return Markup(f"<{tag}>{''.join(f'<li>{_inline(item)}</li>' for item in items)}</{tag}>")


def _inline(text: str) -> Markup:
    parts, at = [], 0
    for match in _INLINE.finditer(text):
        parts += [escape(text[at : match.start()]), _marked(match)]
        at = match.end()
    return Markup("".join([*parts, escape(text[at:])]))


def _marked(match: re.Match[str]) -> Markup:
    if match["escaped"]:
        return escape(match["escaped"])
    if match["code"]:
        return Markup(f"<code>{escape(match['code'].strip())}</code>")
    if match["strong"]:
        return Markup(f"<strong>{_inline(match['strong'])}</strong>")
    if match["emphasis"]:
        return Markup(f"<em>{_inline(match['emphasis'])}</em>")
    try:
        return link(_inline(match["text"]), match["target"])
    except ValueError:  # a scheme that the page does not link to
        return escape(match[0])
