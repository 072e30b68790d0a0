"""The values of an input for which dependence is shown: quantiles, or the most frequent ones."""

import datetime
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.artifacts.model_document import ModelInput
from kfp_tabular.components.common.values.time_text import PER_SECOND

Kind = Literal["number", "time", "category"]

MOST_CATEGORIES = 12
HISTOGRAM_BINS = 30

_TAIL = 0.01
_FREQUENT = 0.05


@dataclass(frozen=True)
class FeatureGrid:
    """Values of an input.

    Attributes:
        kind: How they are drawn: along an axis of numbers or of times, or by category.
        values: What the model gets, shape `[points]`, in the input's type. Numbers and times
            ascend, categories are sorted by how frequent they are.
        shown: What the page shows: numbers, seconds since 1970 for times, texts of categories.
        shares: The share of the sampled rows with each category; empty for other kinds.
        edges: Edges of the histogram of the values within the grid; empty for categories.
        counts: Rows in each bin of it.
        missing: The share of rows without a value.
        other: The share of rows with a value beyond the grid, or another category.
    """

    kind: Kind
    values: npt.NDArray[Any]
    shown: list[float] | list[str]
    shares: list[float]
    edges: list[float]
    counts: list[int]
    missing: float
    other: float


def is_missing(values: npt.NDArray[Any], given: ModelInput) -> npt.NDArray[np.bool_]:
    """Return which values are missing.

    Example:
        >>> fare = ModelInput("fare", "float32", False, "fare")
        >>> is_missing(np.array([1.5, np.nan], np.float32), fare).tolist()
        [False, True]
    """
    if given.dtype == "float32":
        return np.asarray(np.isnan(values))
    return np.asarray(values == (b"" if given.dtype == "string" else given.missing), bool)


def choose(values: npt.NDArray[Any], given: ModelInput, points: int) -> FeatureGrid | None:
    """Return the grid of an input.

    Numbers and times: quantiles from 1% to 99%, each a value that occurs. Texts: the most
    frequent ones.

    Args:
        values: The values of the sampled rows.
        given: The input.
        points: The most points of a grid of numbers or times.

    Returns:
        The grid; None if nothing can be shown: fewer than two values, or texts that hardly repeat.

    Example:
        >>> kind = ModelInput("kind", "string", False, "kind")
        >>> grid = choose(np.array([b"flat", b"house", b"flat", b""], object), kind, 20)
        >>> grid.shown, grid.shares, grid.missing
        (['flat', 'house'], [0.5, 0.25], 0.25)
    """
    missing = is_missing(values, given)
    present = values[~missing]
    share = float(missing.mean())
    if given.dtype != "string":
        unit = given.format.time.unit if given.format and given.format.time else ""
        numbers = present.astype(np.float64) / PER_SECOND.get(unit, 1)
        return _along(present, numbers, "time" if unit else "number", share, points)
    if given.format is not None and given.format.kind == "time":
        seconds = _seconds(present)
        if seconds is not None:
            return _along(present, seconds, "time", share, points)
    return _frequent(present, share)


def _along(
    present: npt.NDArray[Any],
    numbers: npt.NDArray[np.float64],
    kind: Kind,
    missing: float,
    points: int,
) -> FeatureGrid | None:
    order = np.argsort(numbers, kind="stable")
    if not len(order):
        return None
    ordered = numbers[order]
    last = len(order) - 1
    distinct, first = np.unique(ordered, return_index=True)
    low, high = ordered[int(last * _TAIL)], ordered[int(np.ceil(last * (1 - _TAIL)))]
    within = (distinct >= low) & (distinct <= high)
    if within.sum() <= points:
        chosen = first[within]
    else:
        ranks = np.linspace(int(last * _TAIL), np.ceil(last * (1 - _TAIL)), points)
        _, chosen = np.unique(ordered[ranks.astype(np.int64)], return_index=True)
        chosen = ranks.astype(np.int64)[chosen]
    if len(chosen) < 2:
        return None
    shown = ordered[chosen]
    inside = (numbers >= shown[0]) & (numbers <= shown[-1])
    counts, edges = np.histogram(numbers[inside], HISTOGRAM_BINS, (shown[0], shown[-1]))
    return FeatureGrid(
        kind=kind,
        values=present[order[chosen]],
        shown=shown.tolist(),
        shares=[],
        edges=edges.tolist(),
        counts=counts.tolist(),
        missing=missing,
        other=float((~inside).sum()) / len(numbers) * (1 - missing),
    )


def _frequent(present: npt.NDArray[Any], missing: float) -> FeatureGrid | None:
    counted = Counter(present.tolist())
    # Ties by value: the same rows in another order give the same grid.
    kept = sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:MOST_CATEGORIES]
    if len(kept) < 2:
        return None
    rows = len(present) / (1 - missing)
    shares = [count / rows for _, count in kept]
    if sum(count for _, count in kept) < max(_FREQUENT * len(present), len(kept) + 1):
        return None
    return FeatureGrid(
        kind="category",
        values=np.array([value for value, _ in kept], dtype=object),
        shown=[value.decode("utf-8", "replace") for value, _ in kept],
        shares=shares,
        edges=[],
        counts=[],
        missing=missing,
        other=max(1 - missing - sum(shares), 0.0),
    )


def _seconds(texts: npt.NDArray[Any]) -> npt.NDArray[np.float64] | None:
    """Return seconds since 1970; None if a text is not a date in ISO 8601."""
    read = {}
    for text in set(texts.tolist()):
        try:
            moment = datetime.datetime.fromisoformat(text.decode("utf-8"))
        except (ValueError, UnicodeDecodeError):
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.UTC)
        read[text] = moment.timestamp()
    return np.array([read[text] for text in texts.tolist()], np.float64)
