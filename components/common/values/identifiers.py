"""Recognizes columns of identifiers, which tell rows apart but say nothing about new ones.

An identifier of rows separates duplicates and helps no prediction; an identifier of entities, such
as customers with several rows each, lets a model look up the answer where the entity is in several
splits. Points in time are not the subject here: recognize them first.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kfp_tabular.components.common.values import arrays
from kfp_tabular.components.common.values.column_names import (
    counts_rows,
    suggests_identifier,
    suggests_quantity,
)

IdentifierKind = Literal["row", "entity"]
"""`row`: almost every row has a value of its own. `entity`: few rows share each value."""

FEWEST_ROWS = 50
"""With fewer rows, distinct values in all of them do not suggest an identifier."""

FEWEST_ENTITIES = 50
"""Fewer distinct values are categories."""

ROWS_PER_ENTITY = 10.0
"""With more rows per value, a model can learn something about each value."""

_UNIQUE = 0.98  # Some rows may be in the data twice.
_UNIQUE_BY_NAME = 0.9
_UNIQUE_ESTIMATE = 0.95  # Leaves room for the sketch's error.
_ROWS_PER_PAIR = 20.0
_REPEATED = 0.7
_FEWEST_DIGITS = 7
_UNIFORM = 1.63  # The 1% quantile of the Kolmogorov-Smirnov statistic.
_EPOCH_SECONDS = (631_152_000, 4_102_444_800)  # 1990-01-01 and 2100-01-01
_TOKEN = re.compile(r"\S+")
_DATE = re.compile(r"[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}(\D.*)?")
_SHARE = 0.95

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ValueEvidence:
    """What the values of a column show.

    Attributes:
        name: The column's name.
        rows: Rows with a value.
        distinct: Distinct values.
        exact: Whether `distinct` is counted rather than estimated.
        numbers: For whole numbers, some of them, as float64; empty for text.
        low: The smallest number.
        high: The largest number.
        texts: For text, some values; empty for numbers.
    """

    name: str
    rows: int
    distinct: int
    exact: bool = True
    numbers: Numbers = field(default_factory=lambda: np.empty(0), repr=False, compare=False)
    low: float = 0.0
    high: float = 0.0
    texts: Sequence[str] = ()

    @property
    def rows_per_value(self) -> float:
        """The mean number of rows with the same value."""
        return self.rows / max(1, self.distinct)


def recognize(evidence: ValueEvidence) -> IdentifierKind | None:
    """Return what a column identifies; None for other columns.

    Args:
        evidence: A column of whole numbers (of whatever type) or of text.

    Example:
        >>> numbers = np.arange(3000.0) + 10_000_000
        >>> facts = {"numbers": numbers, "low": 10_000_000, "high": 10_002_999}
        >>> recognize(ValueEvidence("nummer", rows=3000, distinct=3000, **facts))
        'row'
        >>> recognize(ValueEvidence("customer_id", rows=9000, distinct=3000, **facts))
        'entity'
    """
    if evidence.rows < FEWEST_ROWS or evidence.distinct < FEWEST_ENTITIES:
        return None
    named = suggests_identifier(evidence.name)
    if evidence.texts:
        return _of_text(evidence, named=named)
    return _of_numbers(evidence, named=named)


def of_column(name: str, column: pa.Array) -> IdentifierKind | None:
    """Return what a column of examples identifies; None for other columns.

    Args:
        name: The column's name.
        column: Some of its values: `int64`, `float64` or `string`.

    Example:
        >>> of_column("row", pa.array(range(500))), of_column("share", pa.array([0.5] * 500))
        ('row', None)
    """
    if pa.types.is_string(column.type):
        texts = [text for text in column.to_pylist() if text]
        return recognize(ValueEvidence(name, len(texts), len(set(texts)), texts=texts))
    numbers = arrays.to_doubles(column)
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers) or np.any(np.rint(numbers) != numbers):
        return None
    distinct, _ = arrays.distinct(numbers)
    return recognize(
        ValueEvidence(
            name,
            len(numbers),
            len(distinct),
            numbers=distinct,
            low=float(distinct[0]),
            high=float(distinct[-1]),
        )
    )


def _of_numbers(evidence: ValueEvidence, *, named: bool) -> IdentifierKind | None:
    if named:
        return _by_repetition(evidence)
    if suggests_quantity(evidence.name):
        return None
    if _is_dense(evidence):
        return "row"
    if not _look_assigned(evidence):
        return None
    if _is_unique(evidence):
        return "row"
    # Random numbers of so wide a span are equal by chance only.
    span = evidence.high - evidence.low + 1
    by_chance = span * -math.expm1(-evidence.rows / span)
    repeated = evidence.distinct <= _REPEATED * by_chance
    return "entity" if repeated and evidence.rows_per_value < ROWS_PER_ENTITY else None


def _is_dense(evidence: ValueEvidence) -> bool:
    """Return whether numbers are distinct although random ones of their span would not be."""
    rows, span = evidence.rows, evidence.high - evidence.low + 1
    if evidence.exact:
        # Drawn at random from this span, at least ten pairs of values would be equal.
        return evidence.distinct == rows and span <= rows**2 / _ROWS_PER_PAIR
    # Drawn at random from a span four times as wide, 88% of the values would be distinct.
    return evidence.distinct >= _UNIQUE_ESTIMATE * rows and span <= 4 * rows


def _of_text(evidence: ValueEvidence, *, named: bool) -> IdentifierKind | None:
    texts = evidence.texts
    tokens = sum(_TOKEN.fullmatch(text) is not None for text in texts)
    dates = sum(_DATE.fullmatch(text) is not None for text in texts)
    if tokens < _SHARE * len(texts) or dates >= _SHARE * len(texts):
        return None
    if named:
        return _by_repetition(evidence)
    with_digits = sum(any("0" <= char <= "9" for char in text) for text in texts)
    (shape, alike), *_ = Counter(map(_shape, texts)).most_common(1)
    same_shape = alike >= _SHARE * len(texts) and len(shape) >= 4 and "9" in shape
    if _is_unique(evidence) and (with_digits >= _SHARE * len(texts)):
        return "row"
    # Digits with points or colons between them are versions, clock times and dates.
    coded = same_shape and ("A" in shape or "999999" in shape)
    return "entity" if coded and evidence.rows_per_value < ROWS_PER_ENTITY / 2 else None


def _by_repetition(evidence: ValueEvidence) -> IdentifierKind | None:
    if evidence.distinct >= _UNIQUE_BY_NAME * evidence.rows:
        return "row"
    if counts_rows(evidence.name):
        return None  # Such as the number of the specimen within its species.
    return "entity" if evidence.rows_per_value < ROWS_PER_ENTITY else None


def _is_unique(evidence: ValueEvidence) -> bool:
    least = _UNIQUE if evidence.exact else _UNIQUE_ESTIMATE
    return evidence.distinct >= least * evidence.rows


def _look_assigned(evidence: ValueEvidence) -> bool:
    """Return whether numbers look assigned rather than measured.

    Assigned numbers have many digits, all as many, and are spread evenly; measured ones cluster or
    are rounded.
    """
    low, high = evidence.low, evidence.high
    if low < 10 ** (_FEWEST_DIGITS - 1) or len(str(int(low))) != len(str(int(high))):
        return False
    if _EPOCH_SECONDS[0] <= low and high <= _EPOCH_SECONDS[1]:
        return False
    values, _ = arrays.distinct(evidence.numbers)
    if len(values) < FEWEST_ENTITIES or _look_like_days(values):
        return False
    if np.gcd.reduce(np.abs(values - low).astype(np.int64)) > 1:
        return False
    even = (values - low) / max(high - low, 1.0)
    steps = np.arange(1, len(values) + 1) / len(values)
    distance = float(np.max(np.abs(even - steps)))
    return distance <= _UNIFORM / math.sqrt(len(values))


def _look_like_days(values: Numbers) -> bool:
    """Return whether all numbers are dates as `yyyymmdd`."""
    month, day = values // 100 % 100, values % 100
    years = (values >= 19_000_000) & (values < 21_010_000)
    return bool(np.all(years & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)))


def _shape(text: str) -> str:
    """Return a text with `A` for every letter and `9` for every digit."""
    return "".join("9" if c.isdigit() else "A" if c.isalpha() else c for c in text)
