"""The typical row of the train split, from the facts about its columns."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from kfp_tabular.components.common.artifacts.raw_features import RawFeature
from kfp_tabular.components.common.explanation import typical_values
from kfp_tabular.components.common.values import time_fields
from kfp_tabular.components.common.values.column_format import ColumnFormat, TimeFormat
from kfp_tabular.components.common.values.time_patterns import patterns_of
from kfp_tabular.components.feature_engineering.features.column_facts import ColumnFacts
from kfp_tabular.components.feature_engineering.features.planned_features import (
    Categorical,
    FeaturePlan,
    Hashed,
    Timestamp,
)


def of_plan(plan: FeaturePlan, facts: Mapping[str, ColumnFacts]) -> dict[str, Any]:
    """Return the typical row of derived features; what is typically missing is left out."""
    features = [planned.feature for planned in plan.features]
    codes = {
        planned.feature.name
        for planned in plan.features
        if isinstance(planned, Categorical | Hashed)
    }
    times = {
        planned.feature.name: planned.time
        for planned in plan.features
        if isinstance(planned, Timestamp)
    }
    return _row(features, facts, codes, times)


def of_features(
    features: Sequence[RawFeature],
    facts: Mapping[str, ColumnFacts],
    formats: Mapping[str, ColumnFormat],
) -> dict[str, Any]:
    """Return the typical row of the features that a preprocessing function takes.

    Nothing is known of what the function makes of them: all numbers are taken as ordered.
    """
    times = {name: given.time for name, given in formats.items() if given.time is not None}
    return _row(features, facts, (), times)


def _row(
    features: Sequence[RawFeature],
    facts: Mapping[str, ColumnFacts],
    codes: Collection[str],
    times: Mapping[str, TimeFormat],
) -> dict[str, Any]:
    row = {}
    for feature in features:
        time = times.get(feature.name)
        value = _value(feature, facts[feature.name], feature.name in codes, time)
        if value is not None:
            row[feature.name] = typical_values.as_json(value, feature.dtype)
    return row


def _value(
    feature: RawFeature, facts: ColumnFacts, is_code: bool, time: TimeFormat | None
) -> int | float | str | None:
    """Return a feature's typical value; None for missing.

    A code that no two rows share is 0 if the model has never seen a missing one; an unseen text
    needs no such value, as the empty one counts as unknown.
    """
    if typical_values.is_mostly_missing(facts.present, facts.rows):
        return None
    counts = _counts(feature, facts)
    found: int | float | str | None
    if feature.dtype == "string" and time is not None:
        found = _middle_time(counts, time)
    elif feature.dtype == "string" or is_code:
        found = typical_values.most_frequent(counts)
    else:
        found = typical_values.middle(counts)
    if found is None and feature.dtype != "string" and not facts.missing:
        return 0
    return found


def _counts(feature: RawFeature, facts: ColumnFacts) -> Mapping[Any, int]:
    """Return the rows by value: all of them, or a sample's where there are too many values."""
    if facts.counts is not None:
        return facts.counts
    if feature.dtype == "string":
        return Counter(facts.spread)
    values, rows = np.unique(facts.sample, return_counts=True)
    return dict(zip(values.tolist(), rows.tolist(), strict=True))


def _middle_time(counts: Mapping[str, int], time: TimeFormat) -> str | None:
    """Return the text of the median time; of texts that are no times, the most frequent one."""
    texts = sorted(counts)
    read = time_fields.parse(pa.array(texts, pa.string()), patterns_of(time))
    instants = (read.seconds - 60 * read.offsets).tolist()
    ordered = {
        (instant, text): counts[text]
        for instant, text, valid in zip(instants, texts, read.valid.tolist(), strict=True)
        if valid and len(text.encode("utf-8")) <= typical_values.LONGEST_TEXT
    }
    found = typical_values.middle(ordered)
    return str(found[1]) if found else typical_values.most_frequent(counts)
