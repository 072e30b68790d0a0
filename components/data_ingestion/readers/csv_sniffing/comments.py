"""Finds out which lines of CSV are comments."""

import re
from collections.abc import Sequence

from kfp_tabular.components.data_ingestion.readers.csv_sniffing.delimiters import COMMON, split

_MARKS = ("#", "%", "//", "--", "!")
_ERRORS = r"#(?:REF!|DIV/0!|N/A|NAME\?|NUM!|VALUE!|NULL!|SPILL!|CALC!)"
"""The errors of spreadsheets, which begin with the usual mark of comments as well."""

HASH_LINES = rb"#(?!(?:REF!|DIV/0!|N/A|NAME\?|NUM!|VALUE!|NULL!|SPILL!|CALC!)(?:[^\w]|\Z))"


def mark_above(lines: Sequence[str]) -> str:
    """Return what begins the comments above the header; empty where there are none.

    Example:
        >>> mark_above(["# made by hand", "age,city"]), mark_above(["#,Name,Type"])
        ('#', '')
    """
    first = next(iter(lines), "")
    for mark in _MARKS:
        rest = first.removeprefix(mark)
        # A column may be called `#`.
        if rest != first and not rest.startswith(COMMON) and not re.match(_ERRORS, first):
            return mark if mark == "#" or not any(sign in rest for sign in COMMON) else ""
    return ""


def are_comments(lines: Sequence[str], delimiter: str, quote: str, fields: int) -> bool:
    """Return whether lines that start with `#`, below the header, are comments.

    Args:
        lines: Such lines.
        delimiter: The delimiter.
        quote: The quote.
        fields: The number of fields of a row.

    Example:
        >>> are_comments(["# end of export"], ",", '"', 2), are_comments(["#17,Oslo"], ",", '"', 2)
        (True, False)
    """
    lines = [line for line in lines if re.match(_ERRORS, line) is None]
    return bool(lines) and all(
        re.match(r"#+(?:\s|$)", line) or len(split([line], delimiter, quote)[0]) != fields
        for line in lines
    )


def fields_of(comment: str, mark: str, delimiter: str, quote: str) -> list[str]:
    """Return the fields of a comment, which may be the names of the columns.

    Example:
        >>> fields_of("# age, city", "#", ",", '"')
        ['age', 'city']
    """
    rows = split([comment.removeprefix(mark).lstrip(mark[0] + " \t")], delimiter, quote)
    return [field.strip() for field in rows[0]] if rows else []
