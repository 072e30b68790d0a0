"""Turns a feature plan into a tf.Transform `preprocessing_fn`.

Features of one kind and type are computed in groups, as a matrix with a row per feature. A few
large operations are faster than many small ones, and with a thousand columns most of the time goes
into building, saving and loading the graph. Groups have a maximum size because tf.Transform, when
it loads a graph, walks from each output to all inputs that it depends on.
"""

import datetime
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from kfp_tabular.components.common.artifacts.raw_features import (
    MISSING_INT,
    MISSING_STRING,
    RawFeature,
)
from kfp_tabular.components.common.process.tensorflow import import_tensorflow
from kfp_tabular.components.common.values.time_patterns import patterns_of
from kfp_tabular.components.feature_engineering import preprocessing
from kfp_tabular.components.feature_engineering.features.planned_features import (
    Age,
    Bag,
    Categorical,
    Equality,
    FeaturePlan,
    Hashed,
    Numeric,
    Presence,
    Text,
    Timestamp,
)
from kfp_tabular.components.feature_engineering.features.time_facts import YEAR
from kfp_tabular.components.feature_engineering.graph import bag_graph, text_graph, timestamp_graph

VOCABULARY = "vocabulary"
"""The name of the vocabulary file, which has a line per value: `<feature>\\t<value>`."""

_LINE_BREAKS = {ord("\n"): "\ue00a", ord("\r"): "\ue00d"}
"""Characters for private use, which stand for line breaks in the vocabulary's file."""

MOST_DEVIATIONS = 10.0
"""Beyond this, z-scores grow with their logarithm only: an extreme value cannot dominate a
prediction, but a larger number still moves it on along the trend."""

_GROUP = 64
_HASH_RANGE = 2**62

Tensors = Mapping[str, Any]
_Member = TypeVar("_Member", Numeric, Categorical, Hashed, Timestamp, Bag, Presence, Text)


def preprocessing_fn(plan: FeaturePlan, vocabulary: Path) -> Callable[[Tensors], dict[str, Any]]:
    """Return the function that computes a plan's outputs.

    Args:
        plan: The features to compute.
        vocabulary: The file that `write_vocabulary` wrote for this plan.

    Returns:
        A function from raw features to transformed ones, both by name: dense tensors of shape
        `[batch]`, and `[batch, width]` for vectors. It has no analyzers.

    Example:
        >>> from kfp_tabular.components.feature_engineering.features import planned_features
        >>> flag = planned_features.TransformedColumn("note__missing")
        >>> note = Presence(RawFeature("note", "string", False), "configured", flag)
        >>> function = preprocessing_fn(FeaturePlan((note,), dropped=()), Path("vocabulary"))
        >>> outputs = function({"note": import_tensorflow().constant(["late", ""])})
        >>> outputs["note__missing"].numpy().tolist()
        [0.0, 1.0]
    """

    def preprocess(inputs: Tensors) -> dict[str, Any]:
        outputs: dict[str, Any] = {}
        for numeric in _groups(_of(plan, Numeric)):
            outputs.update(_numeric(inputs, numeric))
        listed = _listed(plan)
        if listed:
            table = _table(vocabulary)
            sizes = [len(feature.vocabulary) for feature in listed]
            names = [feature.feature.name for feature in listed]
            starts = itertools.accumulate(sizes, initial=0)
            first_lines = dict(zip(names, starts, strict=False))
            for group in _groups(_of(plan, Categorical)):
                outputs.update(_categorical(inputs, group, table, first_lines))
            for bag in _of(plan, Bag):
                outputs.update(_bag(inputs, bag, table, first_lines))
        for hashed in _groups(_of(plan, Hashed)):
            outputs.update(_hashed(inputs, hashed))
        timestamps = _of(plan, Timestamp)
        times = {member.feature.name: _times(inputs, member) for member in timestamps}
        for timestamp in timestamps:
            outputs.update(_timestamp(timestamp, times))
        texts = _of(plan, Text)
        if texts:
            characters = text_graph.Characters()
            for text in texts:
                outputs.update(_text(inputs, text, characters))
        for presence in _groups(_of(plan, Presence)):
            outputs.update(_presence(inputs, presence))
        for equality in plan.equalities:
            outputs[equality.value.name] = _equality(inputs, equality)
        return outputs

    return preprocess


def write_vocabulary(plan: FeaturePlan, path: Path) -> None:
    r"""Write the vocabularies of all categorical features into one file.

    A value's id is its line's number, counted from 0 at the feature's first line. Names are
    escaped as in JSON, so they contain neither tabs nor line breaks; line breaks in values are
    replaced.

    Example:
        >>> import tempfile
        >>> from kfp_tabular.components.feature_engineering.features import planned_features
        >>> ids = planned_features.TransformedColumn("paid", size=3)
        >>> raw = RawFeature("paid", "string", required=True)
        >>> paid = Categorical(raw, "configured", ("cash", "card"), 0, 1, False, ids)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_vocabulary(FeaturePlan((paid,), dropped=()), Path(folder, VOCABULARY))
        ...     Path(folder, VOCABULARY).read_text()
        'paid\tcash\npaid\tcard\n'
    """
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for feature in _listed(plan):
            prefix = _prefix(feature.feature)
            stream.writelines(
                f"{prefix}{value.translate(_LINE_BREAKS)}\n" for value in feature.vocabulary
            )


def _in_one_line(texts: Any, group: "Sequence[Categorical | Bag]") -> Any:
    """Return texts as they are in the vocabulary's file."""
    values = itertools.chain.from_iterable(member.vocabulary for member in group)
    if not any("\n" in value or "\r" in value for value in values):
        return texts
    tf = import_tensorflow()
    for code, replacement in _LINE_BREAKS.items():
        texts = tf.strings.regex_replace(texts, chr(code), replacement)
    return texts


def _of(plan: FeaturePlan, kind: type[_Member]) -> list[_Member]:
    return [feature for feature in plan.features if isinstance(feature, kind)]


def _listed(plan: FeaturePlan) -> "list[Categorical | Bag]":
    """Return the features that have a vocabulary, in the order of its file."""
    return [*_of(plan, Categorical), *_of(plan, Bag)]


def _groups(members: Sequence[_Member]) -> Iterator[Sequence[_Member]]:
    for dtype in ("float32", "int64", "string"):
        same = [member for member in members if member.feature.dtype == dtype]
        for first in range(0, len(same), _GROUP):
            yield same[first : first + _GROUP]


def _stacked(inputs: Tensors, group: Sequence[_Member]) -> Any:
    """Return a group's raw features as a matrix of shape `[features, batch]`."""
    return import_tensorflow().stack([inputs[member.feature.name] for member in group])


def _named(names: Sequence[str], rows: Any) -> dict[str, Any]:
    """Return the rows of a matrix by name."""
    unstacked = import_tensorflow().unstack(rows, num=len(names))
    return dict(zip(names, unstacked, strict=True))


def _prefix(feature: RawFeature) -> str:
    return json.dumps(feature.name, ensure_ascii=False)[1:-1] + "\t"


def _column(values: Sequence[Any], dtype: Any = np.float64) -> Any:
    """Return a constant per feature, in a shape that broadcasts over the batch."""
    return np.asarray(values, dtype=dtype)[:, np.newaxis]


def _numeric(inputs: Tensors, group: Sequence[Numeric]) -> dict[str, Any]:
    tf = import_tensorflow()
    raw = _stacked(inputs, group)
    flags = preprocessing.is_missing(raw)
    # In float64, because float32 cannot represent every whole number beyond 2**24.
    fills = _column([member.fill for member in group])
    numbers = tf.where(flags, fills, tf.cast(raw, tf.float64))
    scaled = numbers
    logs = [member.log for member in group]
    if any(logs):
        # For values below the train split's smallest one, log(1 + x) may not exist.
        logged = tf.math.log1p(tf.maximum(numbers, 0.0))
        scaled = tf.where(_column(logs, bool), logged, numbers)
    means = _column([member.moments.mean for member in group])
    deviations = _column([member.moments.deviation or 1.0 for member in group])
    scores = _dampened((scaled - means) / deviations)
    scores = tf.cast(tf.where(flags, tf.zeros_like(scores), scores), tf.float32)
    outputs = _named([member.value.name for member in group], scores)
    flagged = [index for index, member in enumerate(group) if member.flag is not None]
    if flagged:
        names = [member.flag.name for member in group if member.flag is not None]
        outputs.update(_named(names, tf.cast(tf.gather(flags, flagged), tf.float32)))
    bucketized = [index for index, member in enumerate(group) if member.bucket is not None]
    if bucketized:
        members = [group[index] for index in bucketized]
        names = [member.bucket.name for member in group if member.bucket is not None]
        ids = _buckets(members, tf.gather(numbers, bucketized), tf.gather(flags, bucketized))
        outputs.update(_named(names, ids))
    return outputs


def _dampened(scores: Any) -> Any:
    tf = import_tensorflow()
    clipped = tf.clip_by_value(scores, -MOST_DEVIATIONS, MOST_DEVIATIONS)
    return clipped + tf.sign(scores) * tf.math.log1p(tf.abs(scores - clipped))


def _buckets(group: Sequence[Numeric], numbers: Any, flags: Any) -> Any:
    tf = import_tensorflow()
    width = max(len(member.boundaries) for member in group)
    boundaries = np.full((len(group), width), np.inf)
    for row, member in zip(boundaries, group, strict=True):
        row[: len(member.boundaries)] = member.boundaries
    ids = tf.searchsorted(tf.constant(boundaries), numbers, side="right", out_type=tf.int64)
    # Without a flag, a missing value stays in the bucket of its replacement.
    own = _column([member.flag is not None for member in group], bool)
    last = _column([len(member.boundaries) + 1 for member in group], np.int64)
    return tf.where(flags & own, last, ids)


def _table(vocabulary: Path) -> Any:
    tf = import_tensorflow()
    # Inside the graph, every call would read the file and fill the table.
    with tf.init_scope():
        initializer = tf.lookup.TextFileInitializer(
            str(vocabulary),
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        )
        # A named table would write the temporary path of the file into the graph.
        return tf.lookup.StaticHashTable(
            initializer, default_value=-1, experimental_is_anonymous=True
        )


def _categorical(
    inputs: Tensors, group: Sequence[Categorical], table: Any, first_lines: Mapping[str, int]
) -> dict[str, Any]:
    tf = import_tensorflow()
    texts = _as_text(_stacked(inputs, group))
    prefixes = _column([_prefix(member.feature) for member in group], object)
    lines = table.lookup(tf.add(prefixes, _in_one_line(texts, group)))
    firsts = _column([first_lines[member.feature.name] for member in group], np.int64)
    sizes = _column([len(member.vocabulary) for member in group], np.int64)
    oov_buckets = _column([member.oov_buckets for member in group], np.int64)
    unknown = sizes + tf.strings.to_hash_bucket_fast(texts, _HASH_RANGE) % oov_buckets
    ids = tf.where(lines >= 0, lines - firsts, unknown)
    # A missing value without an id of its own is an unknown value.
    own = _column([member.missing_id for member in group], bool)
    ids = tf.where((texts == MISSING_STRING) & own, sizes + oov_buckets, ids)
    return _named([member.value.name for member in group], ids)


def _hashed(inputs: Tensors, group: Sequence[Hashed]) -> dict[str, Any]:
    tf = import_tensorflow()
    texts = _as_text(_stacked(inputs, group))
    buckets = _column([member.buckets for member in group], np.int64)
    ids = tf.strings.to_hash_bucket_fast(texts, _HASH_RANGE) % buckets
    ids = tf.where(texts == MISSING_STRING, buckets, ids)
    return _named([member.value.name for member in group], ids)


def _bag(
    inputs: Tensors, feature: Bag, table: Any, first_lines: Mapping[str, int]
) -> dict[str, Any]:
    tf = import_tensorflow()
    raw = inputs[feature.feature.name]
    missing = preprocessing.is_missing(raw)
    tokens, rows = bag_graph.items(raw, feature.separator)
    batch = tf.shape(raw)[0]
    outputs = {}
    if feature.counts is not None:
        listed = _in_one_line(tokens, [feature])
        lines = table.lookup(tf.add(_prefix(feature.feature), listed))
        others = tf.constant(len(feature.vocabulary), tf.int64)
        ids = tf.where(lines >= 0, lines - first_lines[feature.feature.name], others)
        width = len(feature.vocabulary) + 1
        outputs[feature.counts.name] = bag_graph.counts(ids, rows, batch, width)
    outputs[feature.statistics.name] = bag_graph.statistics(
        tokens, rows, missing, batch, feature.scales
    )
    if feature.flag is not None:
        outputs[feature.flag.name] = tf.cast(missing, tf.float32)
    return outputs


def _text(inputs: Tensors, text: Text, characters: text_graph.Characters) -> dict[str, Any]:
    tf = import_tensorflow()
    raw = inputs[text.feature.name]
    scales = (text.means, text.deviations)
    found = text_graph.vectors(raw, characters, text.ngrams, text.kept, scales)
    missing = preprocessing.is_missing(raw)
    # A missing text is one of average statistics.
    found["statistics"] = tf.where(missing[:, tf.newaxis], 0.0, found["statistics"])
    outputs = {output.name: found[name] for name, output in text.vectors.items()}
    if text.flag is not None:
        outputs[text.flag.name] = tf.cast(missing, tf.float32)
    return outputs


def _presence(inputs: Tensors, group: Sequence[Presence]) -> dict[str, Any]:
    flags = preprocessing.is_missing(_stacked(inputs, group))
    flags = import_tensorflow().cast(flags, "float32")
    return _named([member.flag.name for member in group], flags)


def _equality(inputs: Tensors, feature: Equality) -> Any:
    tf = import_tensorflow()
    first, second = inputs[feature.first.name], inputs[feature.second.name]
    missing = preprocessing.is_missing(first) | preprocessing.is_missing(second)
    instead = tf.constant(2 if feature.missing_id else 0, tf.int64)
    return tf.where(missing, instead, tf.cast(tf.equal(first, second), tf.int64))


@dataclass(frozen=True)
class _Times:
    """The times of a column: seconds on the clock, in UTC, and which are valid."""

    seconds: Any
    instants: Any
    valid: Any


def _times(inputs: Tensors, feature: Timestamp) -> _Times:
    tf = import_tensorflow()
    raw, time = inputs[feature.feature.name], feature.time
    if feature.feature.dtype == "string":
        clock, offsets, valid = timestamp_graph.from_text(raw, patterns_of(time))
        instants = clock - 60 * offsets
        # Only a canonical format with an offset keeps the clock as written.
        return _Times(clock if time.canonical.endswith("%z") else instants, instants, valid)
    valid = tf.not_equal(raw, tf.constant(MISSING_INT, tf.int64))
    seconds = timestamp_graph.from_numbers(tf.where(valid, raw, tf.zeros_like(raw)), time.unit)
    return _Times(seconds, seconds, valid)


def _timestamp(feature: Timestamp, times: Mapping[str, _Times]) -> dict[str, Any]:
    tf = import_tensorflow()
    own = times[feature.feature.name]
    wanted = [part for part, _ in feature.parts]
    found = timestamp_graph.parts(own.seconds, wanted, own.instants)
    outputs = {}
    for part, output in feature.parts:
        instead = (
            tf.constant(0.0) if output.size is None else tf.constant(output.size - 1, tf.int64)
        )
        outputs[output.name] = tf.where(own.valid, found[part], instead)
    if feature.age is not None:
        outputs[feature.age.value.name] = _age(feature.age, own, times)
    if feature.holiday is not None:
        days, yearly = _holidays(feature.holidays)
        holiday = own.valid & timestamp_graph.is_holiday(own.seconds, days, yearly)
        outputs[feature.holiday.name] = tf.cast(holiday, tf.float32)
    if feature.flag is not None:
        outputs[feature.flag.name] = tf.cast(~own.valid, tf.float32)
    return outputs


def _age(age: Age, own: _Times, times: Mapping[str, _Times]) -> Any:
    tf = import_tensorflow()
    if isinstance(age.reference, str):
        until = times[age.reference]
        seconds, valid = until.instants - own.instants, own.valid & until.valid
    else:
        seconds, valid = age.reference - own.instants, own.valid
    years = tf.clip_by_value(tf.cast(seconds, tf.float64) / YEAR, age.low, age.high)
    score = tf.cast((years - age.mean) / age.deviation, tf.float32)
    return tf.where(valid, score, tf.zeros_like(score))


def _holidays(written: Sequence[str]) -> tuple[list[int], list[int]]:
    """Return days since 1970, and months with days of holidays of every year."""
    days, yearly = [], []
    for text in written:
        if text.count("-") == 1:
            yearly.append(int(text.replace("-", "")))
        else:
            days.append((datetime.date.fromisoformat(text) - datetime.date(1970, 1, 1)).days)
    return days, yearly


def _as_text(raw: Any) -> Any:
    """Return values as the vocabulary writes them, and the empty text for missing ones."""
    tf = import_tensorflow()
    if raw.dtype == tf.string:
        return raw
    if raw.dtype == tf.float32:
        # A fraction becomes a text that is not in any vocabulary of whole numbers.
        whole = raw == tf.floor(raw)
        text = tf.where(whole, tf.strings.as_string(tf.cast(raw, tf.int64)), "fraction")
    else:
        text = tf.strings.as_string(raw)
    return tf.where(preprocessing.is_missing(raw), MISSING_STRING, text)
