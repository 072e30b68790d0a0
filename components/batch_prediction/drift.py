"""How far the scored data are from the data that the model was trained on.

The statistics of the training say which values to count: the bins of numbers, and the known values
of categories. So the fold costs little beside the prediction, and its state is small.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kfp_tabular.components.batch_prediction import chance
from kfp_tabular.components.batch_prediction.chance import SampledCounts
from kfp_tabular.components.common.artifacts.model_document import ModelInput, ModelSpec
from kfp_tabular.components.common.artifacts.raw_features import MISSING_INT
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.prediction.column_decoder import Texts
from kfp_tabular.components.common.prediction.packed_columns import Columns
from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.processing.folds.value_counts import ValueCounts
from kfp_tabular.components.common.statistics import column_summary, statistics_files
from kfp_tabular.components.common.statistics.column_summary import ColumnSummary
from kfp_tabular.components.common.statistics.distance_thresholds import DistanceThresholds
from kfp_tabular.components.common.statistics.distances import Bins, Distance, is_categorical

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

_MOST_NEW_VALUES = 1_000
_TRAIN = "train"


@dataclass(frozen=True)
class TrainedColumn:
    """A column as the model was trained on.

    Attributes:
        input: The signature's input.
        name: The feature.
        missing: The share of rows without a value.
        bins: The bins of numbers; None for categories.
        values: The known categories, most frequent first.
        shares: The share of each among the values.
        rows: The rows with a value; 0 where that is not known.
    """

    input: str
    name: str
    missing: float
    bins: Bins | None = None
    values: tuple[Any, ...] = ()
    shares: tuple[float, ...] = ()
    rows: int = 0

    @classmethod
    def of(
        cls, entry: ModelInput, summary: ColumnSummary, categorical: bool
    ) -> "TrainedColumn | None":
        """Return a column; None where its values cannot be compared."""
        missing = summary.missing / summary.rows if summary.rows else 0.0
        is_number = entry.dtype != "string"
        if not summary.present or is_number != summary.numeric:
            return None
        if categorical or not is_number:
            if not summary.ranked or summary.distinct > len(summary.ranked):
                return None
            kind = int if is_number else str.encode
            return cls(
                entry.input,
                entry.name,
                missing,
                values=tuple(kind(value) for value, _ in summary.ranked),
                shares=tuple(rows / summary.present for _, rows in summary.ranked),
                rows=summary.present,
            )
        if summary.ranked and summary.distinct <= len(summary.ranked):
            numbers = [float(value) for value, _ in summary.ranked]
            bins = Bins.of_values(numbers, [rows for _, rows in summary.ranked])
        elif len(summary.quantiles) > 1:
            bins = Bins.of(summary.quantiles)
        else:
            return None
        return cls(entry.input, entry.name, missing, bins, rows=summary.present)


@dataclass(frozen=True)
class DriftBatch:
    """Rows that were predicted.

    Attributes:
        columns: The decoded values by input.
        rows: Their number.
    """

    columns: Columns
    rows: int


@dataclass(frozen=True)
class ColumnDrift:
    """How a column of the scored data differs from that of the training.

    Attributes:
        distance: The distance of the values; None where the scored data have none.
        trained_missing: The share of missing values in training.
        missing: The same in the scored data.
        new_values: The most frequent values that training did not know, with their rows.
        new_rows: The rows with such values.
        counts: What the distance was measured from.
        is_chance: Whether the distance is above the threshold, but with too few rows to tell it
            from chance.
    """

    distance: Distance | None
    trained_missing: float
    missing: float
    new_values: Sequence[tuple[str, int]] = ()
    new_rows: int = 0
    counts: SampledCounts | None = None
    is_chance: bool = False

    @property
    def is_drifted(self) -> bool:
        """Whether the distance is above the threshold, and more than chance explains."""
        return self.distance is not None and self.distance.is_too_far and not self.is_chance


@dataclass
class _Counts:
    known: npt.NDArray[np.int64]
    new: ValueCounts
    missing: int = 0
    new_rows: int = 0


class DriftFold:
    """An accumulator of what the distances follow from.

    Args:
        trained: The columns of the training.

    Example:
        >>> fare = TrainedColumn("fare", "fare", 0.0, Bins.of([1, 2, 3]))
        >>> fold = DriftFold([fare])
        >>> fold.add(DriftBatch({"fare": np.array([7.5, np.nan], np.float32)}, 2))
        >>> [found] = fold.result().values()
        >>> found.missing, found.distance.value
        (0.5, 1.0)
    """

    def __init__(self, trained: Sequence[TrainedColumn]) -> None:
        self._trained = trained
        self._rows = 0
        self._counts = [
            _Counts(
                np.zeros(
                    len(column.values if column.bins is None else column.bins.shares), np.int64
                ),
                ValueCounts(_MOST_NEW_VALUES, hashes=0),
            )
            for column in trained
        ]
        self._places = [
            {value: place for place, value in enumerate(column.values)} for column in trained
        ]

    def add(self, batch: DriftBatch) -> None:
        """Add rows."""
        self._rows += batch.rows
        for column, counts, places in zip(self._trained, self._counts, self._places, strict=True):
            values = batch.columns[column.input]
            if column.bins is not None and not isinstance(values, Texts):
                self._add_numbers(values, counts, column.bins)
                continue
            if isinstance(values, Texts):
                distinct: list[Any] = list(values.distinct)
                rows = np.bincount(values.codes, minlength=len(distinct))
            else:
                found, rows = np.unique(values, return_counts=True)
                distinct = found.tolist()
            self._add_categories(distinct, rows.tolist(), counts, places)

    def merge(self, other: "DriftFold") -> None:
        """Add what another accumulator has seen."""
        self._rows += other._rows
        for mine, theirs in zip(self._counts, other._counts, strict=True):
            mine.known += theirs.known
            mine.missing += theirs.missing
            mine.new_rows += theirs.new_rows
            mine.new.merge(theirs.new)

    def state(self) -> bytes:
        """Return what was added so far."""
        parts: dict[str, Any] = {"rows": self._rows}
        for number, counts in enumerate(self._counts):
            parts[f"{number}:known"] = counts.known
            parts[f"{number}:plain"] = [counts.missing, counts.new_rows]
            parts[f"{number}:new"] = counts.new.state()
        return states.pack(parts)

    def from_state(self, state: bytes) -> "DriftFold":
        """Return an accumulator with a state."""
        parts = states.unpack(state)
        found = DriftFold(self._trained)
        found._rows = parts["rows"]
        for number, counts in enumerate(found._counts):
            counts.known = parts[f"{number}:known"]
            counts.missing, counts.new_rows = parts[f"{number}:plain"]
            counts.new = counts.new.from_state(parts[f"{number}:new"])
        return found

    def result(self) -> dict[str, ColumnDrift]:
        """Return the drift of each column, by name."""
        return {
            column.name: _drift(column, counts, self._rows)
            for column, counts in zip(self._trained, self._counts, strict=True)
        }

    @staticmethod
    def _add_numbers(values: "np.ndarray[Any, Any]", counts: _Counts, bins: Bins) -> None:
        if values.dtype.kind == "f":
            missing = int(np.count_nonzero(np.isnan(values)))
        else:
            is_missing = values == MISSING_INT
            missing = int(np.count_nonzero(is_missing))
            values = values[~is_missing] if missing else values
        counts.missing += missing
        counts.known += bins.count(values)

    @staticmethod
    def _add_categories(
        distinct: Sequence[Any], rows: Sequence[int], counts: _Counts, places: Mapping[Any, int]
    ) -> None:
        new: dict[str, int] = {}
        for value, count in zip(distinct, rows, strict=True):
            place = places.get(value)
            if not count:
                continue
            if place is not None:
                counts.known[place] += count
            elif value in (b"", MISSING_INT) or value != value:  # noqa: PLR0124  NaN
                counts.missing += count
            else:
                text = value.decode() if isinstance(value, bytes) else f"{value:g}"
                new[text] = new.get(text, 0) + count
                counts.new_rows += count
        if new:
            rows_of = pa.array(list(new.values()), pa.int64())
            counts.new.add_counts(pa.array(list(new), pa.string()), rows_of)


@dataclass(frozen=True)
class Training:
    """What drift is measured from.

    Attributes:
        columns: The columns of the training.
        thresholds: The largest distance allowed, by feature; None for no check.
    """

    columns: tuple[TrainedColumn, ...] = ()
    thresholds: Mapping[str, float | None] = field(default_factory=dict)


def training(
    statistics: Path,
    spec: ModelSpec,
    schema: "schema_pb2.Schema | None",
    thresholds: Mapping[str, float],
) -> Training:
    """Return what to measure drift from.

    Args:
        statistics: A statistics artifact with the split `train`.
        spec: The model.
        schema: The model's schema; None where it has none.
        thresholds: The largest distance allowed, by feature; `*` for every one.

    Raises:
        UserError: It is no such artifact, or a threshold is for no feature.
    """
    found = statistics_files.read(statistics)
    if _TRAIN not in found:
        raise UserError(
            f"{statistics}: no statistics of the split {_TRAIN!r}; the splits are "
            f"{', '.join(found)}."
        )
    summaries = column_summary.summarize(found[_TRAIN])
    features = {} if schema is None else {feature.name: feature for feature in schema.feature}
    limits = DistanceThresholds.parse(
        thresholds, "drift_thresholds", [entry.name for entry in spec.inputs]
    )
    columns, allowed = [], {}
    for entry in spec.inputs:
        feature = features.get(entry.name)
        summary = summaries.get(entry.name)
        if summary is None:
            continue
        column = TrainedColumn.of(entry, summary, feature is not None and is_categorical(feature))
        if column is None:
            continue
        columns.append(column)
        allowed[entry.name] = (
            limits.by_column.get(entry.name, limits.every)
            if feature is None
            else limits.of(feature, "drift")
        )
    return Training(tuple(columns), allowed)


def measured(drift: Mapping[str, ColumnDrift], limits: Training) -> dict[str, ColumnDrift]:
    """Return the drift with thresholds, the largest distance first."""
    found = {name: _compared(column, limits.thresholds.get(name)) for name, column in drift.items()}
    return dict(
        sorted(
            found.items(),
            key=lambda each: -math.inf if each[1].distance is None else -each[1].distance.value,
        )
    )


def _compared(column: ColumnDrift, threshold: float | None) -> ColumnDrift:
    if column.distance is None:
        return column
    distance = replace(column.distance, threshold=threshold)
    is_chance = (
        distance.is_too_far
        and column.counts is not None
        and chance.explains(distance.value, column.counts)
    )
    return replace(column, distance=distance, is_chance=is_chance)


def _drift(column: TrainedColumn, counts: _Counts, rows: int) -> ColumnDrift:
    present = rows - counts.missing
    missing = counts.missing / rows if rows else 0.0
    if not present:
        return ColumnDrift(None, column.missing, missing)
    if column.bins is not None:
        value = column.bins.divergence(counts.known / present)
        distance = Distance(
            column.name, "scored", "drift", "JENSEN_SHANNON_DIVERGENCE", value, None
        )
        sampled = _sampled(column, counts.known.tolist(), column.bins.shares.tolist())
        return ColumnDrift(distance, column.missing, missing, counts=sampled)
    new = counts.new.result().ranked()
    shares = [
        abs(count / present - share)
        for count, share in zip(counts.known, column.shares, strict=True)
    ]
    shares += [count / present for _, count in new]
    distance = Distance(column.name, "scored", "drift", "L_INFTY", float(max(shares)), None)
    known = counts.known.tolist()
    # Rows of values that are too many to be counted one by one are one value.
    others = counts.new_rows - sum(count for _, count in new)
    more = [*(count for _, count in new), *([others] if others else [])]
    sampled = _sampled(column, [*known, *more], [*column.shares, *([0.0] * len(more))])
    return ColumnDrift(distance, column.missing, missing, new[:5], counts.new_rows, sampled)


def _sampled(
    column: TrainedColumn, scored: Sequence[int], trained: Sequence[float]
) -> SampledCounts:
    is_number = column.bins is not None
    return SampledCounts(tuple(scored), tuple(trained), column.rows, is_number)
