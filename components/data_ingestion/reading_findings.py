"""What a person should know about how the columns were read."""

import dataclasses
from collections.abc import Sequence

from kfp_tabular.components.common.artifacts.findings import Findings
from kfp_tabular.components.data_ingestion.writing.passes import WrittenExamples

_WITH_PLACES = ("odd-values", "huge-values", "missing-markers", "missing-labels")


def add(found: Findings, written: WrittenExamples) -> None:
    """Add what was decided about columns, and where values do not fit.

    Args:
        found: Where to add it.
        written: The examples that were written.
    """
    for name, decision in written.decisions.items():
        places = written.read.places.get(name, ())
        for finding in decision.findings:
            if places and finding.severity == "warning" and finding.code in _WITH_PLACES:
                message = f"{finding.message} First: {_shown(places)}."
                found.add(dataclasses.replace(finding, message=message))
            else:
                found.add(finding)


def _shown(places: Sequence[tuple[str, int]]) -> str:
    return ", ".join(f"{file.rpartition('/')[2]} line {line}" for file, line in places[:3])
