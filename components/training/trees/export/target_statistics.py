"""Target statistics of categories: the values that CatBoost's counts give, by hash."""

from typing import Any

import numpy as np

from kfp_tabular.components.training.trees.export.catboost_document import (
    Statistic,
    StatisticTable,
)

Values = np.ndarray[Any, np.dtype[np.float32]]

_MEANS = ("BinarizedTargetMeanValue", "FloatTargetMeanValue")
_FREQUENCIES = ("Counter", "FeatureFreq")


def values(
    statistic: Statistic,
    table: StatisticTable,
    hashes: "np.ndarray[Any, np.dtype[np.uint64]]",
    known: "np.ndarray[Any, np.dtype[np.bool_]]",
) -> Values:
    """Return a statistic for each hash; as CatBoost, in float32.

    Args:
        statistic: How the counts become a number.
        table: The counts by hash.
        hashes: The hashes of categories or combinations.
        known: False for those that are not to be looked up.

    Returns:
        float32, shape of `hashes`. Where a hash is not in the table, the value of no rows.
    """
    hits, totals = _counts(statistic, table)
    position = np.searchsorted(table.hashes, hashes)
    inside = np.minimum(position, max(len(table.hashes) - 1, 0))
    found = known & (position < len(table.hashes))
    if len(table.hashes):
        found &= table.hashes[inside] == hashes
        hits, totals = np.where(found, hits[inside], 0), np.where(found, totals[inside], 0)
    else:
        hits, totals = np.zeros(hashes.shape), np.zeros(hashes.shape)
    if statistic.kind in _FREQUENCIES:
        totals = np.full(hashes.shape, table.denominator)
    number = np.float32
    ratio = (hits.astype(number) + number(statistic.prior)) / (
        totals.astype(number) + number(statistic.prior_denominator)
    )
    result: Values = (ratio + number(statistic.shift)) * number(statistic.scale)
    return result


def _counts(
    statistic: Statistic, table: StatisticTable
) -> tuple["np.ndarray[Any, Any]", "np.ndarray[Any, Any]"]:
    """Return what is counted and the rows, for each entry of the table."""
    counts = table.counts
    if statistic.kind in _FREQUENCIES:
        return counts[:, 0], counts[:, 0]
    if statistic.kind in _MEANS:
        return counts[:, 0], counts[:, 1]
    if statistic.kind == "Buckets":
        return counts[:, statistic.target_border], counts.sum(axis=1)
    if statistic.kind == "Borders":
        return counts[:, statistic.target_border + 1 :].sum(axis=1), counts.sum(axis=1)
    raise ValueError(f"cannot export a target statistic of type {statistic.kind!r}")
