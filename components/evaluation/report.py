"""The evaluation's page, drawn from the content of `evaluation.json` alone."""

from collections.abc import Mapping
from typing import Any

from kfp_tabular.components.common import html


def page(document: Mapping[str, Any]) -> str:
    """Gives the page as HTML; see `document.build` for what it draws."""
    return html.page(
        "Evaluation",
        [
            html.Section(
                "Metrics",
                (
                    html.facts(
                        {name: entry["value"] for name, entry in document["metrics"].items()}
                    ),
                ),
            )
        ],
    )
