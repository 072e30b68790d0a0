"""A page: a title and sections, with the style inline."""

from collections.abc import Sequence
from dataclasses import dataclass

from kfp_tabular.components.common.html.markup import Markup, escape, join
from kfp_tabular.components.common.html.style import STYLE


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes:
        title: The heading.
        blocks: What stands below it, in order.
        collapsed: Whether the reader has to unfold it.
    """

    title: str
    blocks: tuple[Markup, ...]
    collapsed: bool = False


def page(title: str, sections: Sequence[Section], *, subtitle: str = "") -> str:
    """Writes a whole HTML document.

    Args:
        title: The page's heading, and its title in a browser's tab.
        sections: The page's parts, in order.
        subtitle: One line below the heading, such as what the page was made from.

    Returns:
        The document's text; write it as UTF-8.
    """
    below = f"<p class='subtitle'>{escape(subtitle)}</p>" if subtitle else ""
    body = "\n".join(_section(section) for section in sections)
    return (
        "<!doctype html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        "<meta name='color-scheme' content='light dark'>\n"
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<header><h1>{escape(title)}</h1>{below}</header>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _section(section: Section) -> str:
    heading = escape(section.title)
    blocks = join(section.blocks, "\n")
    if section.collapsed:
        return (
            f"<section><details><summary><h2>{heading}</h2></summary>\n{blocks}\n"
            "</details></section>"
        )
    return f"<section><h2>{heading}</h2>\n{blocks}\n</section>"
