"""Renders the Markdown artifacts of a run as HTML, since browsers show Markdown as plain text.

HTML inside Markdown is shown as text, and images are not loaded: a page may quote users' data.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from kfp_tabular.components.common.html import Markup, code, escape, link, table

_TOP_HEADING = 3  # the page has the first level, its sections the second


def to_blocks(text: str) -> tuple[Markup, ...]:
    """Return a Markdown document as blocks of a section of a page.

    Args:
        text: The document: CommonMark and tables.

    Example:
        >>> to_blocks("Split `train`: <b>")
        ('<p>Split <code>train</code>: &lt;b&gt;</p>',)
    """
    tree = SyntaxTreeNode(_parser().parse(text))
    return tuple(_block(node) for node in tree.children)


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
    level = min(int(node.tag[1:]) + _TOP_HEADING - 1, 6)
    return Markup(f"<h{level}>{_children(node)}</h{level}>")


def _paragraph(node: SyntaxTreeNode) -> Markup:
    # The items of a list without blank lines hold hidden paragraphs.
    return _children(node) if node.hidden else Markup(f"<p>{_children(node)}</p>")


def _code(node: SyntaxTreeNode) -> Markup:
    return code(node.content.rstrip("\n"))


def _table(node: SyntaxTreeNode) -> Markup:
    rows = [
        [_children(cell) for cell in row.children]
        for part in node.children
        for row in part.children
    ]
    return table(rows[0], rows[1:])


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
