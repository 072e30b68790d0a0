"""What the values of a column show: counts of what fits which interpretation.

Evidence is taken per block and merged. It does not depend on how the data were cut into blocks, and
its size is bounded. `decide` reads it once it is complete.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.values import arrays, missing_markers, reading
from kfp_tabular.components.common.values.arrays import Integers, Mask
from kfp_tabular.components.common.values.time_evidence import TimeEvidence
from kfp_tabular.components.common.values.time_numbers import TimeNumbers
from kfp_tabular.components.data_ingestion.columns import number_shapes
from kfp_tabular.components.data_ingestion.columns.number_shapes import LONGEST, Shape
from kfp_tabular.components.data_ingestion.columns.number_texts import NumberTexts

MOST_TEXTS = 1_000
"""Up to this many distinct texts that are no numbers are counted one by one."""

_SHOWN = 8
_EXACT_DOUBLE = 2**53
_PROBE = 64
_FEW = 8
_PLAIN_INTEGER = r"^[+-]?(?:0|[1-9][0-9]{0,18})$"
_NO_VERSION = r"^[-+][0-9]*\.|\.[0-9]{4}|\.0[0-9]"
_PLAIN_DECIMAL = r"^[+-]?(?:0|[1-9][0-9]*)?\.[0-9]*$"

BOOLEANS = {"true": True, "false": False, "yes": True, "no": False, "y": True, "n": False}
BOOLEANS |= {"t": True, "f": False, "on": True, "off": False}

_INFINITE = arrays.from_texts(
    sorted(
        sign + word
        for sign in ("", "+", "-")
        for word in missing_markers.spellings(("inf", "infinity", "Infinity", "\u221e"))
    )
)
_WORDS = missing_markers.known() | missing_markers.spellings(tuple(BOOLEANS))
_WORD_ARRAY = arrays.from_texts(sorted(_WORDS))


@dataclass
class Texts:
    """Distinct texts with their rows: all of them up to `MOST_TEXTS`, otherwise a few.

    Attributes:
        rows: Rows with such a text.
        counts: Rows by text; where there are `many`, of the first few in sorted order only.
        many: Whether there are more than `MOST_TEXTS` distinct ones.
    """

    rows: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    many: bool = False

    @classmethod
    def of(cls, texts: pa.StringArray, counts: Integers) -> "Texts":
        """Return the texts of an array of distinct ones."""
        found = cls(int(counts.sum()))
        if len(texts) > MOST_TEXTS:
            found.many = True
            first = pc.partition_nth_indices(texts, pivot=_SHOWN)[:_SHOWN]
            kept = arrays.to_integers(pc.cast(first, pa.int64()))
            texts, counts = texts.take(first), counts[kept]
        found.counts = dict(zip(texts.to_pylist(), counts.tolist(), strict=True))
        return found

    def add(self, other: "Texts") -> None:
        """Add other texts."""
        self.rows += other.rows
        for text, rows in other.counts.items():
            self.counts[text] = self.counts.get(text, 0) + rows
        self.many = self.many or other.many or len(self.counts) > MOST_TEXTS
        if self.many and len(self.counts) > _SHOWN:
            self.counts = {text: self.counts[text] for text in sorted(self.counts)[:_SHOWN]}


_COUNTS = (*("rows", "padded", "integers", "large", "decimals", "groupable", "beyond", "infinite"),)


@dataclass
class ColumnEvidence:
    """What the values of a column show. Numbers of rows, unless said otherwise.

    Attributes:
        rows: Rows, missing ones included.
        stated: Rows with a value whose type the file states, by the name of that type; a type
            without such rows is there, too.
        padded: Texts with blanks around them.
        integers: Texts that are plain integers of 64 bits.
        low: The smallest integer, stated ones included; None where there is none.
        high: The largest.
        widest: The most characters of a text that is an integer.
        large: Integers of 2^53 and more, in size.
        decimals: Texts that are plain numbers with a point.
        groupable: Those in which the point may separate thousands (`1.234`).
        beyond: Numbers that 32 bits cannot hold.
        infinite: Texts that mean an infinite number.
        shapes: Texts that are numbers in other notations, by shape.
        examples: A text of each shape, the first in sorted order.
        words: Missing markers and spellings of booleans, by text.
        strange: All other texts.
        codes: Integers with an exponent (`1E5`), which are also in `shapes`.
        narrow: Decimals with one digit after the point, which is no zero (`1.9`).
        trailing: Decimals with a zero at the end of two or three digits (`1.10`).
        version: The first of those in sorted order.
        no_versions: Whether a decimal shows that they are no version numbers. Then `narrow` and
            `trailing` count nothing.
        times: What the other texts show of being times.
        time_numbers: What the integers show of being times.
    """

    rows: int = 0
    stated: Counter[str] = field(default_factory=Counter)
    padded: int = 0
    integers: int = 0
    low: int | None = None
    high: int | None = None
    widest: int = 0
    large: int = 0
    decimals: int = 0
    groupable: int = 0
    beyond: int = 0
    infinite: int = 0
    shapes: Counter[Shape] = field(default_factory=Counter)
    examples: dict[Shape, str] = field(default_factory=dict)
    words: Counter[str] = field(default_factory=Counter)
    strange: Texts = field(default_factory=Texts)
    codes: Texts = field(default_factory=Texts)
    narrow: int = 0
    trailing: int = 0
    version: str = ""
    no_versions: bool = False
    times: TimeEvidence = field(default_factory=TimeEvidence)
    time_numbers: TimeNumbers = field(default_factory=TimeNumbers)

    def add(self, other: "ColumnEvidence") -> bool:
        """Add the evidence of other rows; return whether they show anything of a new kind."""
        before = self._kinds()
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("stated", "shapes", "words"):
            getattr(self, name).update(getattr(other, name))
        for shape, example in other.examples.items():
            self.examples[shape] = min(self.examples.get(shape, example), example)
        self._extend(other.low, other.high)
        self.widest = max(self.widest, other.widest)
        self.strange.add(other.strange)
        self.codes.add(other.codes)
        self.times.merge(other.times)
        self.time_numbers.merge(other.time_numbers)
        self.no_versions = self.no_versions or other.no_versions
        self.narrow = 0 if self.no_versions else self.narrow + other.narrow
        self.trailing = 0 if self.no_versions else self.trailing + other.trailing
        versions = [] if self.no_versions else [self.version, other.version]
        self.version = min(filter(None, versions), default="")
        return self._kinds() != before

    def _kinds(self) -> tuple[object, ...]:
        return (
            len(self.stated),
            len(self.shapes),
            len(self.words),
            len(self.strange.counts),
            self.strange.many,
            self.integers > 0,
            self.decimals > 0,
            self.large > 0,
            self.beyond + self.infinite > 0,
            self.padded > 0,
            self.trailing > 0,
            self.narrow > 0,
            self.times.kinds(),
        )

    def _extend(self, low: int | None, high: int | None) -> None:
        if low is not None and high is not None:
            self.low = low if self.low is None else min(self.low, low)
            self.high = high if self.high is None else max(self.high, high)

    def add_integers(self, values: pa.Array, counts: Integers | None = None) -> None:
        """Add plain integers, or stated ones, with the rows of each."""
        bounds = arrays.bounds(values)
        self.time_numbers.merge(TimeNumbers.of(values, counts, bounds))
        if bounds is None:
            return
        self._extend(*bounds)
        if max(-bounds[0], bounds[1]) >= _EXACT_DOUBLE:
            doubles = np.abs(arrays.to_doubles(values))
            self.large += int((doubles >= float(_EXACT_DOUBLE)).sum())


@dataclass(frozen=True)
class Observed:
    """A column of a block, and what it shows.

    Attributes:
        values: The column as it was read.
        evidence: What it shows.
        numbers: The values as plain numbers, where all of them are: `int64` or `float64`.
    """

    values: pa.Array
    evidence: ColumnEvidence
    numbers: pa.Array | None = None


def observe(values: pa.Array, *, stated: bool = False) -> Observed:
    """Return what part of a column shows.

    Args:
        values: Text as in CSV, or what `typed_columns.plain` returns.
        stated: Whether the file states that text is text.

    Example:
        >>> observed = observe(pa.array(["7", "1.5", None]))
        >>> observed.evidence.integers, observed.evidence.decimals, observed.numbers.to_pylist()
        (1, 1, [7.0, 1.5, None])
    """
    evidence = ColumnEvidence(len(values))
    if not pa.types.is_string(values.type):
        return Observed(values, evidence, _state(evidence, values))
    if values.null_count == len(values):
        return Observed(values, evidence)
    if stated:
        evidence.stated["text"] = len(values) - values.null_count
    plain, numbers = _plain_numbers(values, evidence)
    if not plain:
        _count_texts(evidence, values)
    return Observed(values, evidence, numbers)


def without(values: pa.Array, missing: Sequence[str]) -> pa.Array:
    """Return text with null for some texts; other values as they are.

    Example:
        >>> without(pa.array(["-999", "7"]), ["-999"]).to_pylist()
        [None, '7']
    """
    if not missing or not pa.types.is_string(values.type):
        return values
    listed = arrays.to_mask(pc.is_in(reading.trim(values), arrays.from_texts(missing)))
    return arrays.null_where(listed, values) if listed.any() else values


def _state(evidence: ColumnEvidence, values: pa.Array) -> pa.Array | None:
    """Add values whose type the file states."""
    present = len(values) - values.null_count
    if pa.types.is_boolean(values.type):
        evidence.stated["boolean"] = present
    elif pa.types.is_integer(values.type):
        evidence.stated["integer"] = present
        evidence.add_integers(values)
        return values
    elif pa.types.is_floating(values.type):
        evidence.stated["number"] = present
        evidence.beyond = int((np.abs(arrays.to_doubles(values)) > reading.LARGEST).sum())
        return None if evidence.beyond else values
    elif pa.types.is_timestamp(values.type):
        micros = arrays.to_integers(pc.cast(values, pa.int64()))
        fractional = bool((micros % 1_000_000).any())
        evidence.stated["time with fractions" if fractional else "time"] = present
    return None


def _plain_numbers(text: pa.StringArray, evidence: ColumnEvidence) -> tuple[bool, pa.Array | None]:
    """Add a block of plain numbers.

    Returns:
        Whether all values are plain numbers, and the values where all can be held.
    """
    if arrays.has_letters(text):
        return False, None
    digits = NumberTexts(text)
    if digits.has_leading_zero():
        return False, None
    present, points = len(text) - text.null_count, digits.points()
    integers = None if points else _cast(text, pa.int64())
    if integers is not None:
        evidence.integers = present
        evidence.add_integers(integers)
        evidence.widest = max(len(str(evidence.low)), len(str(evidence.high)))
        return True, integers
    numbers = _cast(text, pa.float64())
    if numbers is None or digits.longest() > LONGEST:
        return False, None
    low, high = arrays.bounds(numbers) or (0, 0)
    if max(-low, high) >= _EXACT_DOUBLE:
        doubles = np.abs(arrays.to_doubles(numbers))
        large = doubles >= float(_EXACT_DOUBLE)
        suspects = text.filter(arrays.from_mask(large))
        whole = pc.invert(pc.match_substring(suspects, "."))
        if _cast(suspects.filter(whole), pa.int64()) is None:
            return False, None
        evidence.large = pc.sum(whole).as_py()
        evidence.beyond = int((doubles > reading.LARGEST).sum())
    evidence.decimals = points
    evidence.integers = present - evidence.decimals
    evidence.groupable = int(digits.groupable().sum())
    if evidence.integers and evidence.groupable == evidence.decimals:
        whole = text.filter(pc.invert(pc.match_substring(text, ".")))
        evidence.widest = NumberTexts(whole).longest()
    _count_versions(evidence, digits)
    return True, None if evidence.beyond else numbers


def _count_texts(evidence: ColumnEvidence, text: pa.StringArray) -> None:
    found = pc.value_counts(text)
    distinct, counts = found.field(0), arrays.to_integers(found.field(1))
    if distinct.null_count:
        there = arrays.to_valid(distinct)
        distinct, counts = distinct.filter(arrays.from_mask(there)), counts[there]
    trimmed = reading.trim(distinct)
    if trimmed is not distinct:
        padded = arrays.to_mask(pc.not_equal(trimmed, distinct))
        evidence.padded = int(counts[padded].sum())
        distinct, counts = _again(trimmed, counts)
    filled = NumberTexts(distinct).lengths() > 0
    if not filled.all():
        distinct, counts = distinct.filter(arrays.from_mask(filled)), counts[filled]

    words = arrays.to_mask(pc.is_in(distinct, _WORD_ARRAY))
    if words.any():
        texts = distinct.filter(arrays.from_mask(words)).to_pylist()
        evidence.words.update(dict(zip(texts, counts[words].tolist(), strict=True)))
        distinct, counts = distinct.filter(arrays.from_mask(~words)), counts[~words]

    infinite = arrays.to_mask(pc.is_in(distinct, _INFINITE))
    if infinite.any():
        evidence.infinite = int(counts[infinite].sum())
        distinct, counts = distinct.filter(arrays.from_mask(~infinite)), counts[~infinite]

    strange = np.ones(len(distinct), np.bool_)
    likely = number_shapes.candidates(distinct)
    if likely.any():
        strange[likely] = ~_count_numbers(
            evidence, distinct.filter(arrays.from_mask(likely)), counts[likely]
        )
    if strange.any():
        texts = distinct.filter(arrays.from_mask(strange))
        evidence.strange = Texts.of(texts, counts[strange])
        evidence.times = TimeEvidence.of(texts, counts[strange])


def _count_numbers(evidence: ColumnEvidence, texts: pa.StringArray, counts: Integers) -> Mask:
    """Add the texts that are numbers in some notation; return a mask of them."""
    encoded = number_shapes.masks(texts).dictionary_encode()
    indices = arrays.to_integers(pc.cast(encoded.indices, pa.int64()))
    shapes = [number_shapes.classify(mask) for mask in encoded.dictionary.to_pylist()]
    plain = np.array([shape is not None and shape.plain for shape in shapes], np.bool_)
    known = np.array([shape is not None for shape in shapes], np.bool_)
    if plain.any():
        rows = plain[indices]
        rows[rows] = _count_plain(evidence, texts.filter(arrays.from_mask(rows)), counts[rows])
        others = known[indices] & ~rows
    else:
        others = known[indices]
    if not others.any():
        return known[indices]
    totals = np.bincount(indices[others], counts[others], minlength=len(shapes))
    for shape in {shape for shape, total in zip(shapes, totals, strict=True) if shape and total}:
        alike = np.array([other == shape for other in shapes], np.bool_)
        example = pc.min(texts.filter(arrays.from_mask(alike[indices] & others))).as_py()
        evidence.shapes[shape] = int(totals[alike].sum())
        evidence.examples[shape] = example
    codes = np.array([shape is not None and shape.code for shape in shapes], np.bool_)[indices]
    if codes.any():
        evidence.codes = Texts.of(texts.filter(arrays.from_mask(codes)), counts[codes])
    return known[indices]


def _count_plain(evidence: ColumnEvidence, texts: pa.StringArray, counts: Integers) -> Mask:
    """Add plain integers and decimals, as `_plain_numbers` does; return a mask of them."""
    whole = arrays.to_mask(pc.match_substring_regex(texts, _PLAIN_INTEGER))
    decimal = arrays.to_mask(pc.match_substring_regex(texts, _PLAIN_DECIMAL))
    if whole.any():
        evidence.widest = NumberTexts(texts.filter(arrays.from_mask(whole))).longest()
        values = _within_int64(texts.filter(arrays.from_mask(whole)))
        whole[whole] = arrays.to_valid(values)
        values = values.drop_null()
    if whole.any():
        low_high = ColumnEvidence()
        low_high.add_integers(values, counts[whole])
        evidence._extend(low_high.low, low_high.high)
        evidence.time_numbers.merge(low_high.time_numbers)
        large = np.abs(arrays.to_doubles(values)) >= float(_EXACT_DOUBLE)
        evidence.large += int(counts[whole][large].sum())
        evidence.integers += int(counts[whole].sum())
    if decimal.any():
        of_decimals = counts[decimal]
        decimals = texts.filter(arrays.from_mask(decimal))
        digits = NumberTexts(decimals)
        evidence.decimals += int(of_decimals.sum())
        evidence.groupable += int(of_decimals[digits.groupable()].sum())
        plain = pc.replace_substring_regex(decimals, r"^\+", "")
        doubles = np.abs(arrays.to_doubles(pc.cast(plain, pa.float64())))
        evidence.beyond += int(of_decimals[doubles > reading.LARGEST].sum())
        _count_versions(evidence, digits, of_decimals)
    return whole | decimal


def _count_versions(
    evidence: ColumnEvidence, digits: NumberTexts, counts: Integers | None = None
) -> None:
    """Add what plain numbers show of being version numbers (`1.9`, `1.10`)."""
    text = digits.text
    some = pc.any(pc.match_substring_regex(text[:_PROBE], _NO_VERSION)).as_py()
    parts = None if some else digits.version_parts()
    if parts is None:
        evidence.no_versions = True
        return
    rows, narrow, trailing = parts
    weights = np.ones(len(text), np.int64) if counts is None else counts
    evidence.narrow += int(weights[rows[narrow]].sum())
    evidence.trailing += int(weights[rows[trailing]].sum())
    if trailing.any():
        evidence.version = pc.min(text.take(arrays.from_integers(rows[trailing]))).as_py()


def _within_int64(texts: pa.StringArray) -> pa.Array:
    """Return integers, and null for those beyond 64 bits, which are rare."""
    digits = pc.replace_substring_regex(texts, r"^\+", "")
    values = _cast(digits, pa.int64())
    if values is not None:
        return values
    within = np.array([-(2**63) <= int(text) < 2**63 for text in digits.to_pylist()], np.bool_)
    return pc.cast(arrays.null_where(~within, digits), pa.int64())


def _again(texts: pa.StringArray, counts: Integers) -> tuple[pa.StringArray, Integers]:
    """Return distinct texts and their counts of texts that are no longer distinct."""
    encoded = texts.dictionary_encode()
    indices = arrays.to_integers(pc.cast(encoded.indices, pa.int64()))
    totals = np.bincount(indices, counts, minlength=len(encoded.dictionary))
    return encoded.dictionary, totals.astype(np.int64)


def _cast(text: pa.StringArray, to: pa.DataType) -> pa.Array | None:
    # Arrow makes a message for each value that does not fit: 2 us, so look at a few values first.
    try:
        if len(text) > _PROBE:
            pc.cast(text[:_FEW], to)
            pc.cast(text[-_FEW:], to)
        return pc.cast(text, to)
    except pa.ArrowInvalid:
        return None
