"""A whole page: a title and sections, with inline style."""

from collections.abc import Sequence
from dataclasses import dataclass

from kfp_tabular.components.common.html.markup import Markup, escape, join
from kfp_tabular.components.common.html.navigation import PLACE
from kfp_tabular.components.common.html.style import STYLE


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes:
        title: The heading.
        blocks: The content below it, in order.
        collapsed: Whether the section is folded at first.
    """

    title: str
    blocks: tuple[Markup, ...]
    collapsed: bool = False


def page(title: str, sections: Sequence[Section], *, subtitle: str = "") -> str:
    """Return a whole HTML document.

    Args:
        title: The heading, which is also the title of the browser tab.
        sections: The parts of the page, in order.
        subtitle: One line below the heading, such as the source of the data.

    Returns:
        The text of the document, to be written as UTF-8.

    Example:
        >>> rows = Section("Rows", (Markup("<p>210,000</p>"),))
        >>> text = page("Taxi", [rows], subtitle="trips.csv")
        >>> print(text[text.index("<header>") : text.index("</main>")])
        <header><h1>Taxi</h1><p class='subtitle'>trips.csv</p></header>
        <section><h2>Rows</h2>
        <p>210,000</p>
        </section>
    """
    below = f"<p class='subtitle'>{escape(subtitle)}</p>" if subtitle else ""
    body = "\n".join(_section(section) for section in sections)
    return (
        "<!doctype html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        "<meta name='color-scheme' content='light dark'>\n"
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{PLACE}\n<main>\n"
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
