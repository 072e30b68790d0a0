"""The Markdown page of an ingestion, shown in the KFP UI."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kfp_tabular.components.common.artifacts.findings import Finding
from kfp_tabular.components.data_ingestion.columns.column_decision import arrow_type
from kfp_tabular.components.data_ingestion.readers.source import RejectedRow
from kfp_tabular.components.data_ingestion.writing.passes import WrittenExamples

_MOST_FILES = 20
_MOST_REASONS = 10
_MOST_COLUMNS = 200
_MOST_TEXT = 120
_MOST_FINDINGS = 100
_HOLDS = {"missing": "all missing", "bag": "bag of values"}


def markdown(
    data_uri: str,
    lineage: Mapping[str, Any],
    written: WrittenExamples,
    findings: Iterable[Finding] = (),
) -> str:
    """Return the page, in GitHub's Markdown.

    Args:
        data_uri: The data that were read.
        lineage: The examples' lineage.
        written: The examples that were written.
        findings: What a person should know.
    """
    rejected = sum(written.read.rejected.values())
    parts = [
        "# Ingested data",
        f"{_number(written.read.rows)} rows with {len(written.decisions)} columns from "
        f"{_code(data_uri)}; {_number(rejected)} of them rejected. Digest of the examples: "
        f"{_code(lineage['digest'])}.",
        *_findings(findings),
        "## Splits",
        _splits(written.rows),
        "## Columns",
        _columns(written),
        "## Source files",
        _files(lineage["sources"], lineage["source_files"]),
        "## Rejected rows",
        _rejected(written.read.rejected, written.read.first_rejected),
    ]
    return "\n\n".join(parts) + "\n"


def _findings(findings: Iterable[Finding]) -> list[str]:
    lines = [(finding.severity, _plain(str(finding))) for finding in findings]
    if not lines:
        return []
    table = _table(("severity", "finding"), lines[:_MOST_FINDINGS])
    more = len(lines) - _MOST_FINDINGS
    return ["## Findings", table if more <= 0 else f"{table}\n\nAnd {more} more findings."]


def _splits(rows: Mapping[str, int]) -> str:
    total = sum(rows.values())
    return _table(
        ("split", "rows", "share"),
        [(_code(split), _number(count), f"{count / total:.1%}") for split, count in rows.items()],
    )


def _columns(written: WrittenExamples) -> str:
    total = sum(written.rows.values())
    lines = []
    formats = {name: decision.format for name, decision in written.decisions.items()}
    for decision in written.decisions.values():
        formats |= decision.derived
    for name, given in list(formats.items())[:_MOST_COLUMNS]:
        missing = written.read.missing.get(name)
        share = (
            "names the split; not in the examples" if missing is None else f"{missing / total:.1%}"
        )
        lines.append(
            (_code(name), _HOLDS.get(given.kind, given.kind), str(arrow_type(given)), share)
        )
    table = _table(("column", "holds", "type", "missing"), lines)
    more = len(written.decisions) - _MOST_COLUMNS
    return table if more <= 0 else f"{table}\n\nAnd {more} more columns."


def _files(sources: Sequence[Mapping[str, Any]], count: int) -> str:
    table = _table(
        ("file", "bytes", "digest"),
        [
            (_code(source["uri"]), _number(source["bytes"]), _code(source["digest"]))
            for source in sources[:_MOST_FILES]
        ],
    )
    more = count - _MOST_FILES
    return table if more <= 0 else f"{table}\n\nAnd {more} more files."


def _rejected(reasons: Mapping[str, int], first: Sequence[RejectedRow]) -> str:
    if not reasons:
        return "None."
    by_count = sorted(reasons.items(), key=lambda item: -item[1])[:_MOST_REASONS]
    counts = _table(("reason", "rows"), [(_plain(why), _number(count)) for why, count in by_count])
    examples = _table(
        ("file", "line", "reason", "text"),
        [(_code(row.file), row.line, _plain(row.reason), _code(row.text)) for row in first],
    )
    return f"{counts}\n\nThe first rejected rows:\n\n{examples}"


def _table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def _number(value: int) -> str:
    return f"{value:,}"


def _code(text: str) -> str:
    """Return text as code on one line, for a cell."""
    shown = text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}..."
    shown = " ".join(shown.split()).replace("|", "\\|").replace("`", "'")
    return f"`{shown}`" if shown else ""


def _plain(text: str) -> str:
    for character in "\\|<>*_[]`":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())
