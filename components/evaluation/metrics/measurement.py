"""The counts of one model: over all rows, over each slice, and a sample of rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.prediction.saved_model import Predictions
from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.processing.row_keys import Keys
from kfp_tabular.components.common.statistics import bootstrap
from kfp_tabular.components.common.statistics.bootstrap import Ints
from kfp_tabular.components.evaluation.metrics.answer_sample import AnswerSample, SampledAnswers
from kfp_tabular.components.evaluation.metrics.binary import BinaryStatistics
from kfp_tabular.components.evaluation.metrics.estimates import Statistics
from kfp_tabular.components.evaluation.metrics.multiclass import MulticlassStatistics
from kfp_tabular.components.evaluation.metrics.regression import RegressionStatistics

Labels = npt.NDArray[Any]


@dataclass(frozen=True)
class Measurement:
    """The counts of one model.

    Attributes:
        overall: Statistics with one cell for all rows.
        sliced: Statistics of each slicing, with a cell for each slice.
        sample: Some of the rows, at random.
    """

    overall: Statistics
    sliced: Sequence[Statistics]
    sample: SampledAnswers


class MeasurementFold:
    """Counts what the metrics of a model need: all rows, and each slice.

    Args:
        spec: The model's description.
        slices: The number of slices of each slicing.
    """

    def __init__(self, spec: ModelSpec, slices: Sequence[int] = ()) -> None:
        self._spec, self._slices = spec, tuple(slices)
        self._statistics = [_statistics(spec, cells) for cells in (1, *slices)]
        self._sample = AnswerSample(len(spec.classes))

    def add(
        self,
        keys: Keys,
        labels: Labels,
        predictions: Predictions,
        cells: Sequence[Ints] = (),
        groups: Ints | None = None,
    ) -> None:
        """Add rows.

        Args:
            keys: The random key of each row.
            labels: Class indices or numbers.
            predictions: The model's predictions.
            cells: For each slicing, the slice of each row; -1 for none.
            groups: The resampling group of each row; None for that of its key.
        """
        groups = bootstrap.groups_of(keys) if groups is None else groups
        overall, *sliced = self._statistics
        overall.add(np.zeros(len(labels), np.int64), groups, labels, predictions)
        self._sample.add(keys, labels, predictions, groups)
        for statistics, cell in zip(sliced, cells, strict=True):
            kept = cell >= 0
            if kept.all():
                statistics.add(cell, groups, labels, predictions)
            else:
                statistics.add(cell[kept], groups[kept], labels[kept], predictions[kept])

    def merge(self, other: "MeasurementFold") -> None:
        """Add what another accumulator has seen."""
        for ours, theirs in zip(self._statistics, other._statistics, strict=True):
            ours.merge(theirs)
        self._sample.merge(other._sample)

    def state(self) -> bytes:
        """Return the state as bytes."""
        parts = {str(place): each.state() for place, each in enumerate(self._statistics)}
        return states.pack({**parts, "sample": self._sample.state()})

    def from_state(self, state: bytes) -> "MeasurementFold":
        """Return an accumulator with a state."""
        parts = states.unpack(state)
        found = MeasurementFold(self._spec, self._slices)
        found._sample = self._sample.from_state(parts.pop("sample"))
        found._statistics = [
            each.from_state(part)
            for each, part in zip(self._statistics, parts.values(), strict=True)
        ]
        return found

    def result(self) -> Measurement:
        """Return the counts."""
        overall, *sliced = self._statistics
        return Measurement(overall, sliced, self._sample.result())


def _statistics(spec: ModelSpec, cells: int) -> Statistics:
    if spec.task == "binary":
        threshold = 0.5 if spec.decision_threshold is None else spec.decision_threshold
        return BinaryStatistics(threshold, cells)
    if spec.task == "multiclass":
        return MulticlassStatistics(len(spec.classes), cells)
    return RegressionStatistics(cells)
