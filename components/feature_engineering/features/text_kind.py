"""Tells free text, codes with parts, identifiers and categories apart, by what their values show.

The evidence is a sample of the values. It does not depend on a language: words are what stands
between blanks and punctuation, and in scripts without blanks a character is a word.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from kfp_tabular.components.feature_engineering.features.column_facts import ColumnFacts
from kfp_tabular.components.feature_engineering.features.feature_config import TOP_K

TextKind = Literal["prose", "parts", "unique"]

FREE_TEXT_ROWS = 50
"""With fewer rows with a text, n-grams do not repeat often enough to learn from."""

_DISTINCT_SHARE = 0.25
MANY_TEXTS = 1_000
"""With this many distinct values, long texts are free text although they repeat."""

_LONGEST = 2_000
_WORDS_OF_A_TEXT = 8.0
_WORDS_OF_PROSE = 3.0
_WORDS_OF_A_NAME = 1.5
_SHARED = 0.5
_IN_ALL = 0.9
_ROWS_PER_PART = 10
_MOST_PARTS = 200
_TOKEN = re.compile(r"[^\W\d_]+|\d+")
_HEXADECIMAL = re.compile(r"[0-9a-f-]{8,}", re.IGNORECASE)
_NO_BLANKS = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
)


@dataclass(frozen=True)
class TextEvidence:
    """What a sample of a column's values shows.

    Attributes:
        kind: `prose`: sentences, titles or names, in which words repeat; `parts`: codes, urls or
            addresses, of which parts repeat; `unique`: neither.
        words: Words per value, on average.
        characters: Characters per value, on average.
        shared: The share of values with a word that other values have, too, but not nearly all.
        parts: How many leading parts there are.
    """

    kind: TextKind
    words: float
    characters: float
    shared: float
    parts: int

    @property
    def summary(self) -> str:
        """The evidence in a few words."""
        if self.kind == "parts" and self.parts <= _MOST_PARTS:
            return f"{self.parts} different beginnings"
        return (
            f"{self.words:.1f} words and {self.characters:.0f} characters per value, "
            f"{self.shared:.0%} of values share words with others"
        )


def may_be_free(facts: ColumnFacts) -> bool:
    """Return whether a column of text has so many values that they may be free text."""
    many = facts.distinct >= MANY_TEXTS or _is_varied(facts)
    return bool(facts.spread) and (facts.counts is None or many)


def is_free(evidence: TextEvidence, facts: ColumnFacts, *, unique: bool) -> bool:
    """Return whether prose is better read word by word than as a category.

    Names and titles that repeat are categories, long texts are not, however often they repeat.

    Args:
        evidence: What the values show.
        facts: How many there are; `may_be_free` holds.
        unique: Whether almost all values differ.
    """
    if evidence.kind != "prose" or unique:
        return evidence.kind == "prose"
    varied = facts.counts is None or facts.distinct > TOP_K or _is_varied(facts)
    return evidence.words >= (_WORDS_OF_PROSE if varied else _WORDS_OF_A_TEXT)


def _is_varied(facts: ColumnFacts) -> bool:
    return facts.distinct >= max(FREE_TEXT_ROWS, _DISTINCT_SHARE * facts.present)


def examine(values: Sequence[str]) -> TextEvidence:
    """Return what a sample of values shows.

    Args:
        values: Values that are not missing, at least one.

    Example:
        >>> titles = [f"Printer {floor} is out of {what}" for floor in range(9)
        ...           for what in ("paper", "toner", "order")]
        >>> examine(titles).kind
        'prose'
        >>> examine([f"{kind}-{number:04}-X" for kind in ("AB", "QZ") for number in range(50)]).kind
        'parts'
        >>> examine([f"user {number}" for number in range(100)]).kind
        'unique'
    """
    cut = [unicodedata.normalize("NFKC", value[:_LONGEST]).casefold() for value in values]
    tokens = [_tokens(value) for value in cut]
    rows = Counter(word for words in tokens for word in set(words))
    most = _IN_ALL * len(values)
    common = {word for word, count in rows.items() if 2 <= count <= most and _says_much(word)}
    shared = sum(1 for words in tokens if not common.isdisjoint(words)) / len(values)
    average = sum(map(len, tokens)) / len(values)
    characters = sum(map(len, values)) / len(values)
    firsts = Counter(_first_part(value) for value in cut)
    kind = _kind(cut, average, shared, firsts)
    return TextEvidence(kind, average, characters, shared, len(firsts))


def _kind(values: Sequence[str], words: float, shared: float, firsts: Counter[str]) -> TextKind:
    count = len(values)
    blanks = sum(1 for value in values if len(value.split()) > 1) / count
    unspaced = sum(1 for value in values if _NO_BLANKS.search(value)) / count
    has_words = blanks >= _SHARED or unspaced >= _SHARED
    if has_words and shared >= _SHARED and words >= _WORDS_OF_A_NAME:
        return "prose"
    if sum(1 for value in values if _HEXADECIMAL.fullmatch(value)) >= _SHARED * count:
        return "unique"
    largest = firsts.most_common(1)[0][1]
    are_few = 2 <= len(firsts) <= min(_MOST_PARTS, count / _ROWS_PER_PART)
    if are_few and largest <= 0.98 * count and "" not in firsts:
        return "parts"
    if shared >= _SHARED and words >= _WORDS_OF_PROSE:
        return "parts"
    return "unique"


def _says_much(word: str) -> bool:
    """Whether a word that repeats is a sign of language: pairs of letters repeat by chance."""
    return not word.isdigit() and (len(word) > 2 or _NO_BLANKS.match(word) is not None)


def _tokens(value: str) -> list[str]:
    found: list[str] = []
    for token in _TOKEN.findall(value):
        found.extend(token if _NO_BLANKS.match(token) else (token,))
    return found


def _first_part(value: str) -> str:
    """Return the letters at the start of a value; empty if there are fewer than two.

    A single letter at the start of a random code repeats, too.
    """
    match = _TOKEN.match(value)
    found = match.group() if match else ""
    return "" if found.isdigit() or len(found) < 2 else found
