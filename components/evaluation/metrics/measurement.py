"""The counts of one model: over all rows, over each slice, and for the charts of the page."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.prediction.saved_model import Predictions
from kfp_tabular.components.evaluation.metrics.binary import BinaryCharts, BinaryStatistics
from kfp_tabular.components.evaluation.metrics.bootstrap import Ints
from kfp_tabular.components.evaluation.metrics.estimates import Statistics
from kfp_tabular.components.evaluation.metrics.multiclass import MulticlassStatistics
from kfp_tabular.components.evaluation.metrics.ranking import ScoreBins
from kfp_tabular.components.evaluation.metrics.regression import (
    RegressionCharts,
    RegressionStatistics,
)
from kfp_tabular.components.evaluation.metrics.skill import RowSample

Labels = npt.NDArray[Any]
Charts = BinaryCharts | RegressionCharts


class Measurement:
    """The counts of one model: all rows, and each slice.

    It is created with the first rows, which decide the bins of scores.

    Args:
        spec: The model's description.
        labels: Labels of the first rows.
        predictions: Predictions for these rows.
        complete: Whether these are all rows.
        slices: The number of slices of each slicing.

    Attributes:
        overall: Statistics with one cell for all rows.
        sliced: Statistics of each slicing, with a cell for each slice.
        charts: Counts for the charts of the page; None for a multiclass model.
        sample: Some of the rows, spread evenly over all.
    """

    def __init__(
        self,
        spec: ModelSpec,
        labels: Labels,
        predictions: Predictions,
        *,
        complete: bool,
        slices: Sequence[int] = (),
    ) -> None:
        self.overall: Statistics
        self.sliced: list[Statistics]
        self.charts: Charts | None = None
        self.sample = RowSample(len(spec.classes))
        cells = (1, *slices)
        made: list[Statistics]
        if spec.task == "binary":
            bins = ScoreBins.fit(predictions[:, 1], labels == 1, complete=complete)
            threshold = 0.5 if spec.decision_threshold is None else spec.decision_threshold
            made = [BinaryStatistics(bins, threshold, count) for count in cells]
            self.charts = BinaryCharts(predictions[:, 1])
        elif spec.task == "multiclass":
            by_class = MulticlassStatistics.bins(labels, predictions, complete=complete)
            made = [MulticlassStatistics(by_class, count) for count in cells]
        else:
            made = [RegressionStatistics(float(labels.mean()), count) for count in cells]
            self.charts = RegressionCharts(labels, predictions)
        self.overall, *self.sliced = made

    def add(
        self, groups: Ints, labels: Labels, predictions: Predictions, cells: Sequence[Ints]
    ) -> None:
        """Add rows.

        Args:
            groups: The resampling group of each row.
            labels: Class indices or numbers.
            predictions: The model's predictions.
            cells: For each slicing, the slice of each row; -1 for none.
        """
        self.overall.add(np.zeros(len(labels), np.int64), groups, labels, predictions)
        self.sample.add(groups, labels, predictions)
        if self.charts is not None:
            self.charts.add(labels, predictions)
        for statistics, cell in zip(self.sliced, cells, strict=True):
            kept = cell >= 0
            statistics.add(cell[kept], groups[kept], labels[kept], predictions[kept])
