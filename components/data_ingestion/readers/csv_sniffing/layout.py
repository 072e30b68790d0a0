"""Finds the header of CSV and what surrounds the rows: titles, units, a line of totals."""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

from kfp_tabular.components.data_ingestion.readers.csv_sniffing.field_kinds import MARKERS, kind

Row = Sequence[str]

_MOST_TITLES = 20
_TYPED_SHARE = 0.9
_TYPES = ("number", "time", "boolean")
_LONGEST_UNIT = 20
_TOTAL = r"(?:grand |sub)?totals?:?|sums?:?|summe:?|gesamt:?|insgesamt:?|total g.n.ral:?"
TOTAL_LINE = re.compile(rb"(?i)^[^a-z]*(?:%s)(?:[^\w]|$)" % _TOTAL.encode())
"""A line that may hold totals."""


@dataclass(frozen=True)
class Surroundings:
    """Which of the first rows are what.

    Attributes:
        titles: Rows above the header that are not part of the table.
        header: The names of the columns; None where no row holds them.
        units: Rows between the header and the first row of data.
        fields: The number of fields of a row of data.
        trailing: Whether rows end in a delimiter, so that their last field is empty.
        commented: Whether the header is a comment.
    """

    titles: int
    header: tuple[str, ...] | None
    units: int
    fields: int
    trailing: bool
    commented: bool = False


def find_surroundings(
    rows: Sequence[Row],
    *,
    has_header: bool | None,
    may_skip: bool = True,
    expected: Collection[str] = (),
    comment: Row | None = None,
) -> Surroundings:
    """Tell the first rows of a file apart.

    Args:
        rows: The first rows, at least one.
        has_header: Whether the names of the columns stand above the rows; None to find it out.
        may_skip: Whether a line of units below the header is not a row.
        expected: Columns that other options name, such as the label.
        comment: The fields of the last comment above the rows, which may hold the names.

    Example:
        >>> rows = [["Export of May", ""], ["age", "city"], ["52", "Oslo"]]
        >>> find_surroundings(rows, has_header=None).header
        ('age', 'city')
        >>> find_surroundings([["52", "Oslo"], ["31", "Paris"]], has_header=None).header is None
        True
    """
    titles = _titles(rows, expected) if has_header is None else 0
    rows = rows[titles:]
    first, rest = rows[0], rows[1:]
    counts = Counter(len(row) for row in rest or rows)
    fields = max(counts.items(), key=lambda entry: (entry[1], entry[0]))[0]
    whole = [row for row in rest if len(row) == fields]
    if has_header is None:
        evidence = _header_evidence(first, whole, expected)
        if comment is not None and evidence <= 0 and _names_columns(comment, fields):
            return Surroundings(titles, tuple(comment), 0, fields, trailing=False, commented=True)
        has_header = evidence >= 0
    if not has_header:
        whole = [row for row in rows if len(row) == fields]
        return Surroundings(titles, None, 0, fields, _ends_empty(whole, fields))
    header = tuple(first)
    trailing = _ends_empty(whole, fields) and (
        len(header) == fields - 1 or (len(header) == fields and not header[-1].strip())
    )
    if trailing:
        header = header[: fields - 1]
    elif len(header) == fields - 1 and whole:
        # R writes the names of rows and no name for them.
        header = ("", *header)
    has_units = (
        may_skip and len(whole) > 1 and len(rest[0]) == fields and _are_units(rest[0], whole[1:])
    )
    return Surroundings(titles, header, int(has_units), fields if whole else len(header), trailing)


def is_total(row: Row, column: Collection[str]) -> bool:
    """Return whether the last row of a file holds totals.

    Args:
        row: The last row.
        column: Values of the first column in other rows.

    Example:
        >>> is_total(["Total", "1042.5"], ["Paris", "Oslo"])
        True
    """
    filled = [field.strip() for field in row if field.strip()]
    if not filled or re.fullmatch(_TOTAL, filled[0], re.IGNORECASE) is None:
        return False
    return filled[0] not in {value.strip() for value in column}


def _titles(rows: Sequence[Row], expected: Collection[str]) -> int:
    """Return the number of rows above the header: they have few fields, or few that are filled."""
    fields = Counter(len(row) for row in rows).most_common(1)[0][0]
    if fields < 2:
        return 0
    for number, row in enumerate(rows[: _MOST_TITLES + 1]):
        names = [field.strip() for field in row]
        if set(expected).intersection(names):
            return number
        if _is_title(names, fields):
            continue
        if number == 0 or len(row) < fields - 1 or not _names_columns(names, len(names)):
            return 0
        rest = [other for other in rows[number + 1 :] if len(other) == fields]
        return number if fields > 2 or _header_evidence(row, rest, ()) > 0 else 0
    return 0


def _is_title(fields: Row, usual: int) -> bool:
    filled = sum(map(bool, fields))
    if len(fields) > usual or not fields[0]:
        # The index that pandas writes has no name.
        return len(fields) <= usual and not filled
    return filled <= max(1, (usual - 1) / 2)


def _header_evidence(first: Row, rest: Sequence[Row], expected: Collection[str]) -> int:
    """Return 1 if the first row holds names, -1 if it holds values, 0 if nothing tells."""
    if set(expected).intersection(field.strip() for field in first):
        return 1
    if expected and all(re.fullmatch(r"column_\d+", name) for name in expected):
        return -1
    if not rest:
        return 0
    offset = int(len(first) == len(rest[0]) - 1)
    differs = repeated = recurring = 0
    alike = []
    for column, field in enumerate(first):
        values = [row[column + offset].strip() for row in rest if column + offset < len(row)]
        kinds = Counter(found for value in values if (found := kind(value)) != "empty")
        common, count = kinds.most_common(1)[0] if kinds else ("empty", 0)
        name = field.strip()
        if common in _TYPES and count >= _TYPED_SHARE * sum(kinds.values()):
            differs += kind(name) == "text" and name not in values
            if kind(name) == common:
                alike.append(name)
        elif common == "text" and name and len(values) >= 3 * len(set(values)):
            repeated += 1
            recurring += name in values
    if differs or alike:
        return 1 if differs >= len(alike) or _is_sequence(alike) else -1
    # Of text alone: values recur below, names do not.
    return -1 if recurring == repeated and repeated > (len(first) > 1) else 0


def _names_columns(comment: Row, fields: int) -> bool:
    names = [name.strip() for name in comment]
    return len(names) == fields == len(set(names)) and all(kind(name) == "text" for name in names)


def _is_sequence(names: Sequence[str]) -> bool:
    """Return whether names are numbers at a constant distance, such as years."""
    if len(names) < 3 or not all(re.fullmatch(r"\d+", name) for name in names):
        return False
    steps = {int(after) - int(before) for before, after in pairwise(names)}
    return len(steps) == 1 and steps != {0}


def _are_units(row: Row, rest: Sequence[Row]) -> bool:
    """Return whether a row below the header names units or types: text where numbers follow."""
    units = numeric = 0
    for column, field in enumerate(row):
        kinds = Counter(found for other in rest if (found := kind(other[column])) != "empty")
        if kinds["number"] < _TYPED_SHARE * sum(kinds.values()) or not kinds["number"]:
            continue
        text = field.strip()
        found = kind(text)
        if found not in ("empty", "text") or text.lower() in MARKERS or len(text) > _LONGEST_UNIT:
            return False
        numeric += 1
        units += found == "text"
    return units >= max(1, min(2, numeric))


def _ends_empty(rows: Sequence[Row], fields: int) -> bool:
    return fields > 1 and bool(rows) and all(not row[-1].strip() for row in rows)
