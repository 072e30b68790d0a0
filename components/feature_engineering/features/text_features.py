"""Free text as features: which n-grams are taken and kept, from how often they occur."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

TEXT_COLUMNS = 1_024
"""The largest number of n-grams of a kind that are kept, unless configured."""

TEXT_NGRAMS = 2
"""The largest number of adjacent words, unless configured."""

TEXT_CHARACTER_NGRAMS = (3, 5)
"""The smallest and the largest number of adjacent characters, unless configured."""

TEXT_LENGTH = 8_192
"""The number of bytes of a text that are read, unless configured."""

_FEWEST_COLUMNS = 64
_ROWS_PER_COLUMN = 2
_LEAST_ROWS = 2
_LEAST_SHARE_OF_PARTS = 0.01
_MOST_SHARE = 0.95


Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ngrams:
    """Which n-grams of a text are taken.

    Attributes:
        words: The largest number of adjacent words; 0 for none.
        characters: The smallest and the largest number of adjacent characters; None for none.
        length: Only this many bytes at the start of a text are read.
    """

    words: int
    characters: tuple[int, int] | None
    length: int


@dataclass(frozen=True)
class TextColumn:
    """A text column, and how it is read.

    Attributes:
        name: The column.
        ngrams: Which n-grams to take.
        is_prose: Whether it holds free text, rather than codes, urls or addresses with parts.
    """

    name: str
    ngrams: Ngrams
    is_prose: bool


@dataclass(frozen=True)
class TextFacts:
    """How often n-grams occur in a text column of the train split.

    Attributes:
        column: The column, and how it is read.
        rows: The rows with a text that were counted, possibly a sample.
        frequencies: For `words` and `characters`, as far as they are taken: the number of rows with
            an n-gram, by hash bucket.
        scores: How much each n-gram says about the label, by hash bucket.
        means: The mean of each statistic.
        deviations: The standard deviation of each statistic; 1 for those that do not vary.
    """

    column: TextColumn
    rows: int
    frequencies: Mapping[str, npt.NDArray[np.int64]]
    scores: Mapping[str, Numbers]
    means: npt.NDArray[np.float32]
    deviations: npt.NDArray[np.float32]


@dataclass(frozen=True)
class KeptNgrams:
    """The n-grams that a feature keeps, with their weights.

    Attributes:
        positions: The column of each hash bucket; -1 for those left out.
        idf: The inverse document frequency of each column.
        gain: The norm of a text's vector.
    """

    positions: npt.NDArray[np.int32]
    idf: npt.NDArray[np.float32]
    gain: float

    @property
    def width(self) -> int:
        """The number of n-grams."""
        return len(self.idf)


def text_column(name: str, options: Mapping[str, Any], *, is_prose: bool) -> TextColumn:
    """Return how a text column is read.

    Args:
        name: The column.
        options: The configured options of the kind `text`.
        is_prose: Whether it holds free text. Of codes, urls and addresses only the parts are taken:
            beyond these, their characters are noise.

    Example:
        >>> text_column("sku", {}, is_prose=False).ngrams
        Ngrams(words=2, characters=None, length=8192)
    """
    has_characters = options.get("characters", int(is_prose)) != 0
    ngrams = Ngrams(
        words=options.get("ngrams", TEXT_NGRAMS) if options.get("words") != 0 else 0,
        characters=(
            options.get("character_ngrams", TEXT_CHARACTER_NGRAMS) if has_characters else None
        ),
        length=options.get("length", TEXT_LENGTH),
    )
    return TextColumn(name, ngrams, is_prose)


def keep(facts: TextFacts, name: str, *, rows: int, most: int | None = None) -> KeptNgrams | None:
    """Choose the n-grams that a feature keeps: those that say most about the label.

    Args:
        facts: How often n-grams occur.
        name: `words` or `characters`.
        rows: The rows with a text in the train split.
        most: The largest number of n-grams; None for one for every 2 rows, from 64 to
            `TEXT_COLUMNS`.

    Returns:
        None if no n-gram occurs in two rows (of codes: in one of 100) and is missing in others.

    Example:
        >>> note = text_column("note", {}, is_prose=True)
        >>> counts, scores = np.array([4, 0, 2, 1, 3]), np.array([0.0, 0.0, 1.5, 2.0, 0.5])
        >>> none = np.zeros(0)
        >>> facts = TextFacts(note, 4, {"words": counts}, {"words": scores}, none, none)
        >>> keep(facts, "words", rows=4).positions.tolist()
        [-1, -1, 0, -1, 1]
    """
    if most is None:
        most = _FEWEST_COLUMNS
        while most < min(TEXT_COLUMNS, rows / _ROWS_PER_COLUMN):
            most *= 2
    counts = facts.frequencies[name].astype(np.float64)
    least = _LEAST_ROWS
    if not facts.column.is_prose:
        least = max(least, int(_LEAST_SHARE_OF_PARTS * facts.rows))
    usable = (counts >= least) & (counts <= max(_LEAST_ROWS, _MOST_SHARE * facts.rows))
    scores = np.where(usable, facts.scores[name], -1.0)
    found = min(most, int(usable.sum()))
    if not found:
        return None
    # A stable order: of equal n-grams the smaller hash.
    kept = np.sort(np.argsort(-scores, kind="stable")[:found])
    positions = np.full(len(counts), -1, np.int32)
    positions[kept] = np.arange(found)
    idf = np.log((1 + facts.rows) / (1 + counts[kept])) + 1
    # With this norm, an n-gram of an average text has a weight of about 1.
    gain = max(1.0, float(counts[kept].sum()) / max(1, facts.rows)) ** 0.5
    return KeptNgrams(positions, idf.astype(np.float32), gain)


def class_scores(sums: Numbers, frequencies: Numbers, shares: Numbers) -> Numbers:
    """Return how much more often n-grams occur in some classes than in others.

    It is the statistic of a chi-squared test with a correction of one half for rare n-grams, which
    chance distributes unevenly.

    Args:
        sums: Rows with an n-gram by class, shape `[n-grams, classes]`.
        frequencies: Rows with an n-gram, shape `[n-grams]`.
        shares: The share of each class in all rows.

    Example:
        >>> sums = np.array([[8.0, 0.0], [4.0, 4.0]])
        >>> class_scores(sums, sums.sum(axis=1), np.array([0.5, 0.5])).round(1).tolist()
        [5.4, 0.0]
    """
    expected = frequencies[:, np.newaxis] * shares
    apart = np.maximum(0.0, np.abs(sums - expected) - 0.5)
    return np.asarray((apart**2 / (expected + 0.5)).sum(axis=1))


def number_scores(
    sums: Numbers, frequencies: Numbers, mean: float, deviation: float, rows: int
) -> Numbers:
    """Return how far the mean label of rows with an n-gram is from that of all rows, squared.

    The distance is in standard errors, with one row more for rare n-grams.

    Args:
        sums: The sum of the labels of rows with an n-gram.
        frequencies: The number of these rows.
        mean: The mean label of all rows.
        deviation: Its standard deviation.
        rows: The number of all rows.

    Example:
        >>> sums, frequencies = np.array([30.0, 20.0]), np.array([3.0, 2.0])
        >>> number_scores(sums, frequencies, mean=5.0, deviation=5.0, rows=10).round(1).tolist()
        [3.1, 1.6]
    """
    apart = sums - frequencies * mean
    spread = (frequencies + 1.0) * np.maximum(1 - frequencies / (rows + 1), 1e-9)
    return np.asarray(apart**2 / (spread * (deviation**2 or 1.0)))
