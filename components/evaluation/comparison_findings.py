"""Findings on the comparison with the baseline: slices that became worse, too few entities."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from kfp_tabular.components.common.artifacts.findings import Finding
from kfp_tabular.components.evaluation.comparison import entities
from kfp_tabular.components.evaluation.comparison.compared import WORSE
from kfp_tabular.components.evaluation.comparison.entities import Entities

WORSE_SLICES, FEW_ENTITIES, ENTITIES_ONCE = "worse-slices", "few-entities", "entities-once"
CODES = (WORSE_SLICES, FEW_ENTITIES)
"""The kinds of findings that `accept` may name."""

_NAMED = 5


def find(
    comparison: Mapping[str, Any] | None, found: Entities | None, accepted: Collection[str] = ()
) -> Iterator[Finding]:
    """Yield the findings; those that are accepted are notes.

    Args:
        comparison: `comparison` of the document.
        found: The entities of the rows.
        accepted: Codes of findings.

    Example:
        >>> [finding.code for finding in find(None, Entities(count=12, repeat=True))]
        ['few-entities']
    """
    if comparison is not None:
        yield from _worse(comparison, WORSE_SLICES in accepted)
    if found is None:
        return
    if not found.repeat:
        yield Finding(
            "note",
            ENTITIES_ONCE,
            "No value of entity_columns occurs in two rows, so each row is resampled by itself.",
            option="entity_columns",
        )
    elif found.count < entities.FEWEST:
        yield Finding(
            "note" if FEW_ENTITIES in accepted else "warning",
            FEW_ENTITIES,
            f"The rows are of only {found.count} entities: with fewer than {entities.FEWEST}, "
            "intervals and tests are too sure of themselves.",
            option="entity_columns",
        )


def _worse(comparison: Mapping[str, Any], is_accepted: bool) -> Iterator[Finding]:
    worse = [row for row in comparison["slices"] if row["verdict"] == WORSE]
    for metric in dict.fromkeys(row["metric"] for row in worse):
        of_metric = sorted(
            (row for row in worse if row["metric"] == metric), key=lambda row: row["adjusted"]
        )
        told = [
            f"{row['name']} (change {row['change']:+.3g}, {row['rows']:,} rows)"
            for row in of_metric[:_NAMED]
        ]
        more = len(of_metric) - len(told)
        tested = sum(row["metric"] == metric for row in comparison["slices"])
        yield Finding(
            "note" if is_accepted else "warning",
            WORSE_SLICES,
            f"Worse than the baseline in {metric}, in {len(of_metric)} of {tested} slices: "
            f"{', '.join(told)}{f' and {more} more' if more else ''}. Chance hardly explains it "
            f"({comparison['correction']}, {100 * comparison['level']:g}%).",
            option="" if is_accepted else f'accept=["{WORSE_SLICES}"]',
        )
