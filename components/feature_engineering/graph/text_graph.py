"""Free text as numbers, with standard TensorFlow operations only.

Characters become code points, and from there on everything is arithmetic on one flat array of
whole numbers: lower case and accents by a table, words and n-grams by rolling hashes. That is
several times faster than arrays of short strings, and a served model needs no custom operation.

Batches are worked through in slices of rows, so that memory is bounded for any batch.
"""

import functools
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.process.tensorflow import import_tensorflow
from kfp_tabular.components.feature_engineering.features.text_features import KeptNgrams, Ngrams

HASH_BITS = 17
"""N-grams are hashed into 2**17 buckets, of which a feature keeps the most useful ones."""

STATISTICS = (
    "characters",
    "words",
    "lines",
    "word_length",
    "digits",
    "upper_case",
    "symbols",
    "has_number",
    "has_question",
    "has_exclamation",
    "has_url",
    "has_email",
)
"""The statistics of a text, in the order of `statistics`."""

_SLICE_ROWS = 128
_TABLE = 0x20000  # Code points with an entry of their own; those beyond are ideographs.
_FIRST_EMOJI = 0x1F000
_SPACE = 32
_REMOVED = 0
_LETTER, _UPPER, _DIGIT, _SYMBOL, _IDEOGRAPH = 1, 2, 4, 8, 16
_IDEOGRAPH_FLAG = 1 << 22
_ROW = 1 << 23
_IDEOGRAPHS = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")
_MULTIPLIER = -7046029254386353131  # 2**64 divided by the golden ratio, as a signed number.
_CHARACTER = 0x2545F4914F6CDD1D
_LONGEST_WORD = 64

MOST_DEVIATIONS = 10.0
"""Statistics are clipped to this many deviations from the mean."""
_QUESTIONS, _EXCLAMATIONS = "?\uff1f\u061f", "!\uff01"
_URL = r"(?is).*(https?://|www\.)\w.*"
_EMAIL = r"(?is).*[a-z0-9._%+-]@[a-z0-9-]+\.[a-z].*"


class Characters:
    """The tables of code points, which all features of a graph share."""

    def __init__(self) -> None:
        tf = import_tensorflow()
        folded, kinds = _tables()
        self.folded = tf.constant(folded)
        self.kinds = tf.constant(kinds)


def taken(ngrams: Ngrams) -> list[str]:
    """Return which of `words` and `characters` are taken."""
    return ["words"] * bool(ngrams.words) + ["characters"] * bool(ngrams.characters)


def buckets(texts: Any, characters: Characters, ngrams: Ngrams) -> dict[str, tuple[Any, Any]]:
    """Return the n-grams of texts as hash buckets, with their rows.

    Args:
        texts: Strings, shape `[batch]`.
        characters: The tables.
        ngrams: Which n-grams to take.

    Returns:
        For `words` and `characters`, as far as they are taken: rows and buckets, both of shape
        `[n-grams]`; the row of an n-gram that does not count is -1.
    """
    tf = import_tensorflow()
    return _ngrams(_decoded(tf.strings.substr(texts, 0, ngrams.length), characters), ngrams)


def statistics(texts: Any, characters: Characters, length: int) -> Any:
    """Return the statistics of texts, float32 `[batch, len(STATISTICS)]`.

    Counts are logarithms of one plus the count, shares are from 0 to 1, flags 0 or 1. Only the
    first `length` bytes are read; counts of longer texts are extrapolated.
    """
    tf = import_tensorflow()
    head = tf.strings.substr(texts, 0, length)
    return _statistics(texts, head, _decoded(head, characters))


def vectors(
    texts: Any,
    characters: Characters,
    ngrams: Ngrams,
    weights: Mapping[str, KeptNgrams],
    scales: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]],
) -> dict[str, Any]:
    """Return TF-IDF vectors and scaled statistics of texts, slice by slice.

    Args:
        texts: Strings, shape `[batch]`.
        characters: The tables.
        ngrams: Which n-grams to take.
        weights: The n-grams to keep, for `words` and `characters`.
        scales: Mean and deviation of each of the `STATISTICS`.

    Returns:
        float32 `[batch, columns]` for the names of `weights` and for `statistics`. A TF-IDF vector
        has the norm `gain`, or 0 if a text has none of the n-grams.
    """
    tf = import_tensorflow()
    names = list(weights)
    positions = {name: tf.constant(weights[name].positions) for name in names}
    idf = {name: tf.constant(weights[name].idf) for name in names}
    means, deviations = tf.constant(scales[0]), tf.constant(scales[1])

    def of_slice(part: Any) -> list[Any]:
        head = tf.strings.substr(part, 0, ngrams.length)
        decoded = _decoded(head, characters)
        found = _ngrams(decoded, ngrams)
        rows = tf.size(part)
        made = [
            _weighted(*found[name], rows, positions[name], idf[name], weights[name].gain)
            for name in names
        ]
        scores = (_statistics(part, head, decoded) - means) / deviations
        return [*made, tf.clip_by_value(scores, -MOST_DEVIATIONS, MOST_DEVIATIONS)]

    widths = [*(len(weights[name].idf) for name in names), len(STATISTICS)]
    return dict(zip([*names, "statistics"], _by_slices(texts, of_slice, widths), strict=True))


def _by_slices(
    texts: Any, of_slice: Callable[[Any], Sequence[Any]], widths: Sequence[int]
) -> list[Any]:
    tf = import_tensorflow()
    rows = tf.size(texts)
    slices = (rows + _SLICE_ROWS - 1) // _SLICE_ROWS
    arrays = [
        tf.TensorArray(tf.float32, slices, infer_shape=False, element_shape=[None, width])
        for width in widths
    ]

    def body(index: Any, *filled: Any) -> Any:
        part = texts[index * _SLICE_ROWS : (index + 1) * _SLICE_ROWS]
        made = of_slice(part)
        return index + 1, *(
            array.write(index, values) for array, values in zip(filled, made, strict=True)
        )

    def is_left(index: Any, *_: Any) -> Any:
        return index < slices

    _, *filled = tf.while_loop(is_left, body, (tf.constant(0), *arrays), parallel_iterations=1)
    # An empty batch has no slices, and nothing to concatenate.
    return [
        tf.cond(
            slices > 0,
            functools.partial(_concatenated, array, width),
            functools.partial(tf.zeros, [0, width]),
        )
        for array, width in zip(filled, widths, strict=True)
    ]


def _concatenated(array: Any, width: int) -> Any:
    return import_tensorflow().ensure_shape(array.concat(), [None, width])


def _weighted(rows: Any, found: Any, size: Any, positions: Any, idf: Any, gain: float) -> Any:
    tf = import_tensorflow()
    width = tf.size(idf)
    columns = tf.gather(positions, found)
    # A negative segment is left out.
    cells = tf.where((rows >= 0) & (columns >= 0), rows * width + columns, -1)
    counts = tf.math.unsorted_segment_sum(tf.ones_like(cells, tf.float32), cells, size * width)
    counts = tf.reshape(counts, [size, width])
    weights = tf.where(counts > 0, 1.0 + tf.math.log(tf.maximum(counts, 1.0)), 0.0) * idf
    norms = tf.sqrt(tf.reduce_sum(tf.square(weights), axis=1, keepdims=True))
    return gain * tf.math.divide_no_nan(weights, norms)


@dataclass(frozen=True)
class _Decoded:
    """The characters of texts in one flat array, in two forms.

    Attributes:
        raw: Code points, with a blank before and after each text.
        raw_rows: Their rows.
        raw_kinds: What kind of characters they are.
        points: Folded code points; what separates words is one blank.
        rows: Their rows.
        inside: Whether they are part of a word.
        starts: Whether they start a word. An ideograph is a word of its own, and so are adjacent
            digits.
    """

    raw: Any
    raw_rows: Any
    raw_kinds: Any
    points: Any
    rows: Any
    inside: Any
    starts: Any


def _decoded(texts: Any, characters: Characters) -> _Decoded:
    tf = import_tensorflow()
    padded = tf.strings.join([" ", texts, " "])
    decoded = tf.strings.unicode_decode(padded, "UTF-8", errors="replace")
    raw, raw_rows = decoded.values, tf.cast(decoded.value_rowids(), tf.int32)
    known = tf.minimum(raw, _TABLE - 1)
    kinds = tf.gather(characters.kinds, known)
    points = tf.where(raw < _TABLE, tf.gather(characters.folded, known), raw)
    # One number for row, kind and point: cutting out characters three times takes three times as
    # long.
    packed = (
        tf.cast(raw_rows, tf.int64) * _ROW
        + tf.where(_has(kinds, _IDEOGRAPH), tf.constant(_IDEOGRAPH_FLAG, tf.int64), 0)
        + tf.cast(points, tf.int64)
    )
    packed = tf.boolean_mask(packed, points > _REMOVED)
    # Two equal blanks in a row separate the same words. Blanks of two rows differ in the row.
    repeated = tf.equal(packed, _before(packed, -1)) & tf.equal(packed % _IDEOGRAPH_FLAG, _SPACE)
    packed = tf.boolean_mask(packed, tf.logical_not(repeated))
    rows = tf.cast(packed // _ROW, tf.int32)
    points = tf.cast(packed % _IDEOGRAPH_FLAG, tf.int32)
    alone = packed % _ROW >= _IDEOGRAPH_FLAG
    inside = tf.not_equal(points, _SPACE)
    digit = _has(tf.gather(characters.kinds, tf.minimum(points, _TABLE - 1)), _DIGIT)
    follows = _before(inside, False) & ~alone & ~_before(alone, False)
    # The letters of a code such as AB1234 are a word, and so are its digits.
    follows &= tf.equal(digit, _before(digit, False))
    return _Decoded(raw, raw_rows, kinds, points, rows, inside, inside & ~follows)


def _statistics(texts: Any, head: Any, decoded: _Decoded) -> Any:
    tf = import_tensorflow()
    size = tf.size(texts)
    raw, kinds = decoded.raw, decoded.raw_kinds
    masks = [
        tf.fill(tf.shape(raw), True),
        _has(kinds, _LETTER),
        _has(kinds, _DIGIT),
        _has(kinds, _UPPER),
        _has(kinds, _SYMBOL),
        tf.equal(raw, ord("\n")),
        _is_one_of(raw, _QUESTIONS),
        _is_one_of(raw, _EXCLAMATIONS),
    ]
    counts = tf.math.unsorted_segment_sum(
        tf.cast(tf.stack(masks, axis=1), tf.float32), decoded.raw_rows, size
    )
    read, letters, digits, upper, symbols, breaks, questions, exclamations = tf.unstack(
        counts, axis=1
    )
    read -= 2.0  # The blanks before and after.
    words = tf.math.unsorted_segment_sum(tf.cast(decoded.starts, tf.float32), decoded.rows, size)
    longer = tf.cast(tf.strings.length(texts) / tf.maximum(1, tf.strings.length(head)), tf.float32)

    def share(part: Any, whole: Any) -> Any:
        return tf.math.divide_no_nan(part, whole)

    def flag(mask: Any) -> Any:
        return tf.cast(mask, tf.float32)

    columns = {
        "characters": tf.math.log1p(read * longer),
        "words": tf.math.log1p(words * longer),
        "lines": tf.math.log1p(breaks * longer),
        "word_length": tf.math.log1p(share(letters + digits, words)),
        "digits": share(digits, read),
        "upper_case": share(upper, letters),
        "symbols": share(symbols, read),
        "has_number": flag(digits > 0),
        "has_question": flag(questions > 0),
        "has_exclamation": flag(exclamations > 0),
        "has_url": flag(tf.strings.regex_full_match(head, _URL)),
        "has_email": flag(tf.strings.regex_full_match(head, _EMAIL)),
    }
    return tf.stack([columns[name] for name in STATISTICS], axis=1)


def _is_one_of(points: Any, wanted: str) -> Any:
    tf = import_tensorflow()
    return functools.reduce(tf.logical_or, [tf.equal(points, ord(one)) for one in wanted])


def _has(kinds: Any, bit: int) -> Any:
    tf = import_tensorflow()
    return tf.not_equal(tf.bitwise.bitwise_and(kinds, tf.constant(bit, tf.uint8)), 0)


def _ngrams(decoded: _Decoded, ngrams: Ngrams) -> dict[str, tuple[Any, Any]]:
    found = {}
    if ngrams.words:
        found["words"] = _word_ngrams(decoded, ngrams.words)
    if ngrams.characters:
        found["characters"] = _character_ngrams(decoded, *ngrams.characters)
    return found


def _before(values: Any, first: Any) -> Any:
    """Return the values moved back by one."""
    tf = import_tensorflow()
    size = tf.size(values)
    return tf.concat([tf.fill([1], tf.cast(first, values.dtype)), values], axis=0)[:size]


def _word_ngrams(decoded: _Decoded, most: int) -> tuple[Any, Any]:
    tf = import_tensorflow()
    points, rows, starts = decoded.points, decoded.rows, decoded.starts
    number = tf.cumsum(tf.cast(starts, tf.int32)) - 1
    first = tf.cast(tf.reshape(tf.where(starts), [-1]), tf.int32)
    words = tf.size(first)
    # The place of a character in its word. A blank has none, nor need there be any word.
    begins = tf.gather(tf.concat([first, [0]], axis=0), tf.maximum(number, 0))
    places = tf.clip_by_value(tf.range(tf.size(points)) - begins, 0, _LONGEST_WORD - 1)
    factors = tf.gather(tf.constant(_powers()), places)
    terms = (tf.cast(points, tf.int64) + 1) * _CHARACTER * factors
    segments = tf.where(decoded.inside, number, -1)
    hashes = _mixed(tf.math.unsorted_segment_sum(terms, segments, words))
    word_rows = tf.gather(rows, first)
    all_rows, all_hashes = [word_rows], [hashes]
    joined = hashes
    for size in range(2, most + 1):
        joined = _mixed(joined[:-1] * 31 + hashes[size - 1 :])
        same = tf.equal(word_rows[: -(size - 1)], word_rows[size - 1 :])
        all_rows.append(tf.where(same, word_rows[: -(size - 1)], -1))
        all_hashes.append(joined)
    return tf.concat(all_rows, axis=0), _bucket(tf.concat(all_hashes, axis=0))


def _character_ngrams(decoded: _Decoded, least: int, most: int) -> tuple[Any, Any]:
    """Return the n-grams that lie within a word, with the blanks around it."""
    tf = import_tensorflow()
    rows, blank = decoded.rows, ~decoded.inside
    terms = (tf.cast(decoded.points, tf.int64) + 1) * _CHARACTER
    hashes, whole = terms, tf.ones_like(blank)
    all_rows, all_hashes = [], []
    for size in range(1, most + 1):
        if size > 1:
            # From the third on, the last character of the shorter n-gram is now inside.
            whole = whole[:-1] & ~blank[size - 2 : -1] if size > 2 else whole[:-1]
            hashes = hashes[:-1] * _MULTIPLIER + terms[size - 1 :]
        if size >= least:
            ends = rows[size - 1 :]
            starts = rows[: tf.size(ends)]
            all_rows.append(tf.where(whole & tf.equal(starts, ends), starts, -1))
            all_hashes.append(_mixed(hashes + size))
    return tf.concat(all_rows, axis=0), _bucket(tf.concat(all_hashes, axis=0))


def _mixed(hashes: Any) -> Any:
    """Spread the differences of hashes over all bits."""
    tf = import_tensorflow()
    hashes = tf.bitwise.bitwise_xor(
        hashes, tf.bitwise.right_shift(hashes, tf.constant(29, tf.int64))
    )
    hashes *= _MULTIPLIER
    return tf.bitwise.bitwise_xor(hashes, tf.bitwise.right_shift(hashes, tf.constant(32, tf.int64)))


def _bucket(hashes: Any) -> Any:
    tf = import_tensorflow()
    mask = tf.constant(2**HASH_BITS - 1, tf.int64)
    return tf.cast(tf.bitwise.bitwise_and(hashes, mask), tf.int32)


def _powers() -> npt.NDArray[np.int64]:
    powers = np.ones(_LONGEST_WORD, np.uint64)
    with np.errstate(over="ignore"):
        for index in range(1, _LONGEST_WORD):
            powers[index] = powers[index - 1] * np.uint64(_MULTIPLIER % 2**64)
    return powers.view(np.int64)


@functools.cache
def _tables() -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Return by code point: the folded code point, and what kind of character it is.

    Folding makes lower case, removes accents and replaces compatibility forms, such as full-width
    letters. What is neither letter nor digit becomes a blank, but an emoji is a word.
    """
    folded = np.full(_TABLE, _SPACE, np.int32)
    kinds = np.zeros(_TABLE, np.uint8)
    for point in range(_TABLE):
        character = chr(point)
        category = unicodedata.category(character)
        if category[0] == "M":
            # In most scripts of India a mark is a vowel.
            folded[point] = _REMOVED if category == "Mn" and point < 0x600 else point
            continue
        if category[0] not in "LN":
            if category[0] in "PS":
                kinds[point] = _SYMBOL
            if category == "So" and point >= _FIRST_EMOJI:
                folded[point], kinds[point] = point, _SYMBOL | _IDEOGRAPH
            continue
        simple = unicodedata.normalize("NFKD", character.lower())
        folded[point] = ord(simple[0]) if _folds(simple) else ord(character.lower()[0])
        kinds[point] = (
            _LETTER * (category[0] == "L")
            + _UPPER * (category in ("Lu", "Lt"))
            + _DIGIT * (category == "Nd")
            + _IDEOGRAPH * unicodedata.name(character, "").startswith(_IDEOGRAPHS)
        )
    return folded, kinds


def _folds(simple: str) -> bool:
    return all(unicodedata.category(mark) == "Mn" for mark in simple[1:]) and (
        unicodedata.category(simple[0])[0] in "LN"
    )
