"""Reads points in time from text into the canonical text of the examples, or into counts of a unit.

`read` takes a column, `read_one` a single text; both follow the same rules:

- every spelling of the column's formats is read, and every ISO 8601 one (`time_patterns`);
- where the canonical format has no offset, or is in UTC (`...Z`), a time with a zone becomes UTC,
  and a time without one is taken as it is;
- where it has one (`%z`), the clock stays as written, so the local hour is kept, and a time
  without a zone gets `+00:00`;
- numbers (`unit`) are whole numbers of the unit since 1970; text with a date is converted to it.

Example:
    >>> ordered = TimeFormat(("%d/%m/%Y",), canonical="%Y-%m-%d %H:%M:%S")
    >>> read(pa.array(["31/12/2023 6:05 PM", "soon"]), ordered)[0].to_pylist()
    ['2023-12-31 18:05:00', None]
    >>> read_one("2023-12-31T19:05+01:00", ordered)
    '2023-12-31 18:05:00'
"""

import datetime
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.values import arrays, time_fields
from kfp_tabular.components.common.values.arrays import Integers, Mask
from kfp_tabular.components.common.values.column_format import TimeFormat
from kfp_tabular.components.common.values.time_fields import Moment, Moments
from kfp_tabular.components.common.values.time_patterns import patterns_of

PER_SECOND = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
"""The units of numbers, by their number in a second; `days` is one more."""

_WHOLE = re.compile(r"[ \t]*([+-]?[0-9]{1,18})(?:\.0*)?[ \t]*")
_BEYOND = 10**18
"""Numbers from here on have more digits than are read."""
_EPOCH = datetime.datetime(1970, 1, 1)


def read(texts: pa.StringArray, given: TimeFormat) -> tuple[pa.Array, Mask | None]:
    """Read texts.

    Args:
        texts: Text; null is missing.
        given: The format of the column.

    Returns:
        Canonical text, or `int64` where the format has a unit, null where missing or odd; and a
        mask of the odd texts, which are present and no time, None where there are none.

    Example:
        >>> read(pa.array(["2", "1970-01-02"]), TimeFormat(unit="seconds"))[0].to_pylist()
        [2, 86400]
    """
    if given.unit:
        return _read_numbers(texts, given)
    if time_fields.canonical_format(texts) == given.canonical:
        return texts, None
    # Dates repeat; times mostly do not, and then this costs little.
    encoded = texts.dictionary_encode()
    found = time_fields.parse(encoded.dictionary, patterns_of(given))
    values = _rendered(found, given.canonical).take(encoded.indices)
    odd = arrays.to_valid(texts) & ~arrays.to_valid(values)
    return values, odd if odd.any() else None


def read_one(text: str, given: TimeFormat) -> str | int | None:
    """Read a text; None where it is not a point in time.

    Example:
        >>> read_one("2023-05-10T18:00:00.5Z", TimeFormat(canonical="%Y-%m-%d %H:%M:%S"))
        '2023-05-10 18:00:00'
        >>> read_one("soon", TimeFormat(canonical="%Y-%m-%d")) is None
        True
    """
    if given.unit:
        whole = _WHOLE.fullmatch(text)
        if whole:
            return int(whole[1])
    found = time_fields.parse_one(text, patterns_of(given))
    if found is None:
        return None
    if given.unit:
        return _count(found, given.unit)
    return _rendered_one(found, given.canonical)


def _shifted(found: Moments, canonical: str) -> Integers:
    """Return the seconds on the canonical clock."""
    return found.seconds if canonical.endswith("%z") else found.seconds - 60 * found.offsets


def _rendered(found: Moments, canonical: str) -> pa.StringArray:
    seconds = _shifted(found, canonical)
    if "%H" not in canonical:
        days = arrays.from_integers(np.where(found.valid, seconds // time_fields.DAY, 0))
        texts = pc.cast(pc.cast(days, pa.int32()).view(pa.date32()), pa.string())
    elif ".%f" in canonical:
        micros = np.where(found.valid, seconds * 10**6 + found.micros, 0)
        texts = pc.cast(arrays.from_integers(micros).view(pa.timestamp("us")), pa.string())
    else:
        whole = np.where(found.valid, seconds, 0)
        texts = pc.cast(arrays.from_integers(whole).view(pa.timestamp("s")), pa.string())
    if canonical.endswith("Z"):
        texts = pc.binary_join_element_wise(texts, "Z", "")
    elif canonical.endswith("%z"):
        offsets, places = np.unique(found.offsets, return_inverse=True)
        names = arrays.from_texts([offset_text(int(offset)) for offset in offsets])
        texts = pc.binary_join_element_wise(texts, names.take(arrays.from_integers(places)), "")
    return arrays.null_where(~found.valid, texts)


def _rendered_one(found: Moment, canonical: str) -> str:
    local = canonical.endswith("%z")
    seconds = found.seconds if local else found.seconds - 60 * found.offset
    moment = _EPOCH + datetime.timedelta(seconds=seconds, microseconds=found.micros)
    text = moment.date().isoformat()
    if "%H" in canonical:
        text = moment.isoformat(" ", "microseconds" if ".%f" in canonical else "seconds")
    if local:
        return text + offset_text(found.offset)
    return text + "Z" if canonical.endswith("Z") else text


def offset_text(minutes: int) -> str:
    """Return minutes east of UTC as in ISO 8601.

    Example:
        >>> offset_text(-210)
        '-03:30'
    """
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def _read_numbers(texts: pa.StringArray, given: TimeFormat) -> tuple[pa.Array, Mask | None]:
    plain = _read_plain(texts)
    if plain is not None:
        return plain, None
    whole = pc.extract_regex(texts, r"^[ \t]*(?P<sign>[+-]?)(?P<whole>[0-9]{1,18})(?:\.0*)?[ \t]*$")
    counted = arrays.to_valid(whole)
    sign, digits = whole.flatten()
    numbers = arrays.to_integers(pc.cast(digits, pa.int64()))
    numbers = np.where(arrays.to_mask(pc.equal(sign, "-")), -numbers, numbers)
    left = np.flatnonzero(arrays.to_valid(texts) & ~counted)
    fits = counted.copy()
    if left.size:
        found = time_fields.parse(texts.take(arrays.from_integers(left)), patterns_of(given))
        numbers[left], fits[left] = _counts(found, given.unit)
    odd = arrays.to_valid(texts) & ~fits
    values = arrays.null_where(~fits, arrays.from_integers(numbers))
    return values, odd if odd.any() else None


def _read_plain(texts: pa.StringArray) -> pa.Array | None:
    """Read whole numbers, as most columns hold them; None where some value is anything else."""
    if arrays.has_letters(texts):  # Arrow reads 0x10 as 16
        return None
    try:
        numbers = pc.cast(texts, pa.int64())
    except pa.ArrowInvalid:
        return None
    bounds = arrays.bounds(numbers)
    fits = bounds is None or -_BEYOND < bounds[0] <= bounds[1] < _BEYOND
    return numbers if fits else None


def _counts(found: Moments, unit: str) -> tuple[Integers, Mask]:
    """Return times in a unit, and which of them 64 bits hold."""
    seconds = found.seconds - 60 * found.offsets
    if unit == "days":
        return seconds // time_fields.DAY, found.valid
    per_second = PER_SECOND[unit]
    within = found.valid & (np.abs(seconds) < 2**63 // per_second - 1)
    seconds = np.where(within, seconds, 0)
    if per_second > 10**6:
        return seconds * per_second + found.micros * (per_second // 10**6), within
    return seconds * per_second + found.micros // (10**6 // per_second), within


def _count(found: Moment, unit: str) -> int | None:
    one = Moments(
        np.array([found.seconds]),
        np.array([found.micros]),
        np.array([found.offset]),
        np.array([found.zoned]),
        np.array([True]),
    )
    counts, within = _counts(one, unit)
    return int(counts[0]) if within[0] else None
