"""Finds the delimiter and the quote of CSV.

As DuckDB and CleverCSV do, every candidate is tried on the first lines. The best one gives most
lines the same number of fields, and fields that look like numbers, times or words.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from kfp_tabular.components.data_ingestion.readers.csv_sniffing.field_kinds import kind

COMMON = (",", ";", "\t", "|")
RARE = ("\x01", "\x1f", "~", "^", "!", ":", " ")
"""Tried where none of `COMMON` separates anything: they are usual inside values."""

_MOST_ROWS = 100
_LEAST_SHARE = 0.6
_RARE_SHARE = 0.98
_SUSPICIOUS = frozenset(";\t|")


@dataclass(frozen=True)
class Delimiter:
    """A delimiter and a quote.

    Attributes:
        delimiter: One character.
        quote: One character, or none.
        fields: The number of fields of most lines.
    """

    delimiter: str
    quote: str
    fields: int


def find_delimiter(
    lines: Sequence[str], delimiter: str = "", quote: str | None = None
) -> Delimiter:
    """Return the delimiter and the quote of some lines.

    Args:
        lines: The first lines, without comments. Without rows of several fields, `,` and `"`.
        delimiter: The delimiter, if it is known.
        quote: The quote, if it is known; empty for none.

    Example:
        >>> find_delimiter(["age;income", "52;12,5", "31;7,25"]).delimiter
        ';'
    """
    lines = [line for line in lines if line][:_MOST_ROWS]
    quotes = [quote] if quote is not None else ['"']
    if quote is None and _is_quoted_by_apostrophe(lines):
        quotes = ["'"]
    best, best_score = Delimiter(delimiter or ",", quotes[0], 1), 0.0
    for candidates in ([delimiter],) if delimiter else (COMMON, RARE):
        for found in candidates:
            for mark in quotes:
                fields, score = _score(lines, found, mark, strict=candidates is RARE)
                if score > best_score:
                    best, best_score = Delimiter(found, mark, fields), score
        if best_score:
            break
    return best


def split(lines: Sequence[str], delimiter: str, quote: str) -> list[list[str]]:
    """Return the rows of lines as fields; a quoted field may go over several lines."""
    csv.field_size_limit(1 << 27)
    reader = csv.reader(
        (line + "\n" for line in lines),
        delimiter=delimiter,
        quotechar=quote or None,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
    )
    return list(reader)


def fields_of(row: str, delimiter: str, quote: str) -> list[str]:
    """Return the fields of one row; a quoted field may go over several lines."""
    csv.field_size_limit(1 << 27)
    reader = csv.reader(
        io.StringIO(row, newline=""),
        delimiter=delimiter,
        quotechar=quote or None,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
    )
    return next(reader, [])


def _score(lines: Sequence[str], delimiter: str, quote: str, *, strict: bool) -> tuple[int, float]:
    rows = [row for row in split(lines, delimiter, quote) if row]
    counts = Counter(map(len, rows))
    fields, usual = max(counts.items(), key=lambda entry: (entry[1] * (entry[0] > 1), entry[0]))
    share = usual / len(rows)
    if fields < 2 or share < (_RARE_SHARE if strict else _LEAST_SHARE):
        return 1, 0.0
    values = [_weight(field, quote) for row in rows if len(row) == fields for field in row]
    # A quote inside a name: the line was cut elsewhere.
    whole = 0.2 if quote and any(quote in name for name in rows[0]) else 1.0
    return fields, whole * share * sum(values) / len(values)


def _weight(field: str, quote: str) -> float:
    if quote and quote in field:
        return 0.1  # Fields were cut elsewhere; a quote that is doubled in a field is rare.
    if kind(field) != "text":
        return 1.0
    if _SUSPICIOUS.intersection(field):
        return 0.2
    return 0.8 if "," in field else 0.95


def _is_quoted_by_apostrophe(lines: Sequence[str]) -> bool:
    """Return whether fields are in apostrophes: they begin and end most fields that have one."""
    text = "\n".join(lines)
    if "'" not in text or re.search(r'(?:^|[,;\t|])"', text, re.MULTILINE):
        return False
    opening = len(re.findall(r"(?:^|[,;\t|])'", text, re.MULTILINE))
    whole = len(re.findall(r"(?:^|[,;\t|])'(?:[^'\n]|'')*'(?=[,;\t|\r]|$)", text, re.MULTILINE))
    return whole > 0 and whole >= 0.9 * opening and 2 * whole >= 0.9 * text.count("'")
