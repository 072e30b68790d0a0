"""Renders the Markdown artifacts of a run as HTML, since browsers show Markdown as plain text.

HTML inside Markdown is shown as text, and images are not loaded: a page may quote users' data.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from kfp_tabular.components.common.html import (
    Figure,
    Markup,
    Section,
    code,
    escape,
    link,
    page,
    table,
)

_TOP_HEADING = 3  # the page has the first level, its sections the second
_SECTION = 2
_NUMBER = re.compile(r"[-+]?\d[\d,]*(\.\d+)?( ?%)?")


def to_page(text: str, name: str) -> str:
    r"""Return a Markdown document as a page.

    Its first heading is the title of the page, if it begins with one, and each heading of the
    second level begins a section.

    Args:
        text: The document: CommonMark and tables.
        name: The title of a document that does not begin with a heading.

    Example:
        >>> shown = to_page("# Features\n\nThree.\n\n## Kept", "transform-features")
        >>> "<h1>Features</h1>" in shown, "<h2>Kept</h2>" in shown
        (True, True)
    """
    nodes = list(SyntaxTreeNode(_parser().parse(text)).children)
    title = name
    if nodes and _level(nodes[0]) == 1:
        title = _text(nodes.pop(0))
    sections: list[tuple[str, list[Markup]]] = [("Summary", [])]
    for node in nodes:
        level = _level(node)
        if level and level <= _SECTION:
            sections.append((_text(node), []))
        else:
            sections[-1][1].append(_block(node))
    first, *rest = sections
    shown = [first, *rest] if first[1] else rest
    return page(title, [Section(heading, tuple(blocks)) for heading, blocks in shown])


def _level(node: SyntaxTreeNode) -> int:
    return int(node.tag[1:]) if node.type == "heading" else 0


def _text(node: SyntaxTreeNode) -> str:
    """Return the text of a heading, without its marks."""
    return "".join(child.content for child in node.walk() if child.type in ("text", "code_inline"))


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    # Links are checked where they are rendered, by the same rule as on all pages.
    parser.validateLink = lambda url: True  # type: ignore[method-assign]  # noqa: ARG005 - called by name
    return parser


def _block(node: SyntaxTreeNode) -> Markup:
    render = _BLOCKS.get(node.type)
    return _children(node) if render is None else render(node)


def _children(node: SyntaxTreeNode) -> Markup:
    render = _inline if node.type == "inline" else _block
    return _joined(map(render, node.children))


def _element(tag: str) -> Callable[[SyntaxTreeNode], Markup]:
    return lambda node: Markup(f"<{tag}>{_children(node)}</{tag}>")


def _heading(node: SyntaxTreeNode) -> Markup:
    level = max(_level(node), _TOP_HEADING)
    return Markup(f"<h{level}>{_children(node)}</h{level}>")


def _paragraph(node: SyntaxTreeNode) -> Markup:
    # The items of a list without blank lines hold hidden paragraphs.
    return _children(node) if node.hidden else Markup(f"<p>{_children(node)}</p>")


def _code(node: SyntaxTreeNode) -> Markup:
    return code(node.content.rstrip("\n"))


def _table(node: SyntaxTreeNode) -> Markup:
    rows = [
        [_cell(cell) for cell in row.children] for part in node.children for row in part.children
    ]
    return table(rows[0], rows[1:])


def _cell(node: SyntaxTreeNode) -> Markup:
    content = _children(node)
    return Figure(content) if _NUMBER.fullmatch(content) else content


_BLOCKS: Mapping[str, Callable[[SyntaxTreeNode], Markup]] = {
    "heading": _heading,
    "paragraph": _paragraph,
    "fence": _code,
    "code_block": _code,
    "table": _table,
    "bullet_list": _element("ul"),
    "ordered_list": _element("ol"),
    "list_item": _element("li"),
    "blockquote": _element("blockquote"),
    "hr": lambda _: Markup("<hr>"),
}


def _inline(node: SyntaxTreeNode) -> Markup:
    render = _INLINE.get(node.type)
    return escape(node.content) if render is None else render(node)


def _marked(tag: str) -> Callable[[SyntaxTreeNode], Markup]:
    return lambda node: Markup(f"<{tag}>{_joined(map(_inline, node.children))}</{tag}>")


def _link(node: SyntaxTreeNode) -> Markup:
    text = _joined(map(_inline, node.children))
    target = str(node.attrs["href"])
    try:
        return link(text, target)
    except ValueError:  # a scheme that pages do not link to
        return Markup(f"[{text}]({escape(target)})")


_INLINE: Mapping[str, Callable[[SyntaxTreeNode], Markup]] = {
    "code_inline": lambda node: Markup(f"<code>{escape(node.content)}</code>"),
    "strong": _marked("strong"),
    "em": _marked("em"),
    "link": _link,
    "softbreak": lambda _: Markup(" "),
    "hardbreak": lambda _: Markup("<br>"),
}


def _joined(parts: Iterable[Markup]) -> Markup:
    return Markup("".join(parts))
