"""Links between the pages of a run.

A page is also an artifact of its own, which may be shown where no other page is. So a page has a
comment as the place of links, and the report of a run fills it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from kfp_tabular.components.common.html.markup import Markup, escape, join

PLACE = "<!-- the pages of this run -->"
"""The place of the links in a page. Text of a page cannot contain it: it would be escaped."""


@dataclass(frozen=True)
class PageLink:
    """A page of a run.

    Attributes:
        name: The text of its link.
        target: Its location, relative to the page that links to it.
        current: Whether it is this page.
    """

    name: str
    target: str
    current: bool = False


def within_run(document: str, links: Sequence[PageLink], *, context: str = "") -> str:
    """Return a page with links to the other pages of its run, and the run in its title.

    Args:
        document: The page. One that was not made by `page` is returned unchanged.
        links: The pages of the run, in order.
        context: What tells the run from others, such as its data and time; added to the title.

    Example:
        >>> from kfp_tabular.components.common.html.page import page
        >>> links = [PageLink("Report", "../report.html"), PageLink("Data", "a.html", True)]
        >>> shown = within_run(page("Validation", []), links, context="taxi.csv")
        >>> "<a href='../report.html'>Report</a>" in shown
        True
        >>> "<title>Validation, taxi.csv</title>" in shown
        True
    """
    if PLACE not in document:
        return document
    shown = document.replace(PLACE, _navigation(links), 1)
    if not context:
        return shown
    shown = shown.replace("</title>", f", {escape(context)}</title>", 1)
    return shown.replace("</h1>", f"<span class='context'>, {escape(context)}</span></h1>", 1)


def _navigation(links: Sequence[PageLink]) -> Markup:
    items = join(
        Markup(
            f"<li><a href='{escape(link.target)}'"
            f"{Markup(' aria-current=page') if link.current else ''}>{escape(link.name)}</a></li>"
        )
        for link in links
    )
    return Markup(f"<nav aria-label='Pages of this run'><ul>{items}</ul></nav>")
