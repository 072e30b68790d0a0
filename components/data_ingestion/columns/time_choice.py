"""Whether a column holds points in time, and how they are written."""

import json
from dataclasses import dataclass

from kfp_tabular.components.common.values.column_format import TimeFormat
from kfp_tabular.components.common.values.time_evidence import TimeDecision, TimeEvidence
from kfp_tabular.components.data_ingestion.columns.column_evidence import ColumnEvidence

MOST_ODD_SHARE = 0.05
"""Up to this share of values that are no times are odd values of a column of times."""

STATED = {"time": "", "time with fractions": ".%f"}
"""The types that files state for times, with the fraction that their text has."""

_USUAL = ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S")


@dataclass(frozen=True)
class TimeChoice:
    """How the times of a column are written.

    Attributes:
        format: The format; None where day and month cannot be told apart.
        missing: Numbers that stand for missing.
        odd_rows: Rows whose text is no time.
        odd: Such texts with their rows, most frequent first.
        note: What was decided, in a sentence; empty where there was no choice.
        doubts: What was assumed with doubt.
        question: What to ask the user where `format` is None.
    """

    format: TimeFormat | None
    missing: tuple[str, ...] = ()
    odd_rows: int = 0
    odd: tuple[tuple[str, int], ...] = ()
    note: str = ""
    doubts: tuple[str, ...] = ()
    question: str = ""


def choose(
    name: str,
    evidence: ColumnEvidence,
    texts: int,
    *,
    day_first: bool | None = None,
    is_forced: bool = False,
) -> TimeChoice | None:
    """Return how the times of a column are written; None where it holds none.

    Args:
        name: The column's name.
        evidence: What its values show.
        texts: Rows with a text that is no missing marker.
        day_first: Whether the day comes before the month; None to tell from the rows.
        is_forced: Whether the options say that the column holds times.
    """
    stated = {kind for kind, rows in evidence.stated.items() if rows}
    if stated - {*STATED, "text", "integer"}:
        return None
    of_files = sum(evidence.stated[kind] for kind in STATED)
    if not of_files and not evidence.decimals and not evidence.shapes:
        numbers = evidence.time_numbers.decide(name)
        if numbers is not None and numbers.rows >= (1 - MOST_ODD_SHARE) * max(texts, numbers.rows):
            return _of_numbers(numbers, texts, stated)
    all_texts = TimeEvidence()
    all_texts.merge(evidence.times)
    all_texts.merge(evidence.time_numbers.digits)
    rows = texts + evidence.stated["integer"]
    least = 1 if is_forced else max(1, (1 - MOST_ODD_SHARE) * rows)
    if all_texts.dates < least:
        return None
    found = all_texts.decide(day_first)
    if found.format is None:
        return TimeChoice(None, question=question(name, found.ambiguous))
    return _of_texts(found, rows, evidence) if found.fits >= least else None


def question(name: str, example: str) -> str:
    """Return the question which of two dates a text is."""
    option = json.dumps({name: {"type": "time", "day_first": True}}, ensure_ascii=False)
    return (
        f"column {name!r}: no row tells day from month, {example!r} could be either. Set "
        f"column_formats to {option} or false, or exclude the column."
    )


def _of_numbers(found: TimeDecision, texts: int, stated: set[str]) -> TimeChoice:
    missing = tuple(text for text, _ in found.odd if text in ("0", "-1"))
    sentinels = f", {' and '.join(missing)} taken as missing" if missing else ""
    odd = tuple((text, rows) for text, rows in found.odd if text not in missing)
    sentinel_rows = sum(rows for text, rows in found.odd if text in missing)
    rows = found.rows if "integer" in stated else max(texts, found.rows)
    return TimeChoice(
        found.format,
        missing,
        rows - found.fits - sentinel_rows,
        odd,
        f"{found.notes[0]}{sentinels}",
    )


def _of_texts(found: TimeDecision, rows: int, evidence: ColumnEvidence) -> TimeChoice | None:
    if found.format is None:
        return None
    written, canonical = found.format.formats, found.format.canonical
    of_files = [fraction for kind, fraction in STATED.items() if evidence.stated[kind]]
    if of_files and "%H" not in canonical:
        canonical = "%Y-%m-%d %H:%M:%S"
    if any(of_files) and ".%f" not in canonical:
        canonical = canonical.replace("%S", "%S.%f")
    usual = canonical in _USUAL and written == (canonical,)
    note = ""
    if not usual:
        note = "; ".join((f"read as {', '.join(written)}", *found.notes))
    return TimeChoice(
        TimeFormat(written, canonical=canonical),
        odd_rows=rows - found.fits,
        odd=found.odd,
        note=note,
        doubts=found.doubts,
    )
