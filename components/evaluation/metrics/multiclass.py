"""Metrics of a classifier of three classes or more.

The prediction is the class with the highest probability. `precision`, `recall` and `f1` are macro
averages: means over the classes that occur among the labels or the predictions; a class that is
never predicted has precision 0. The `_weighted` averages weigh each class by its rows. `auc` is the
mean, over the classes, of the area under the ROC curve of one class against the rest (Provost and
Domingos, "Well-Trained PETs", 2000, unweighted); a class without rows is left out. `log_loss` is
that of `binary`. With more than 50 classes, slices have no `auc`: the histograms of each class in
each slice would take too much memory.
"""

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.prediction.saved_model import Predictions
from kfp_tabular.components.evaluation.metrics.binary import SMALLEST_PROBABILITY
from kfp_tabular.components.evaluation.metrics.bootstrap import GROUPS, Floats, Ints
from kfp_tabular.components.evaluation.metrics.estimates import CellMetrics, add_up
from kfp_tabular.components.evaluation.metrics.ranking import RankStatistics, ScoreBins

METRICS = (
    "accuracy",
    "auc",
    "log_loss",
    "precision",
    "recall",
    "f1",
    "precision_weighted",
    "recall_weighted",
    "f1_weighted",
)


_MOST_CLASSES_OF_SLICES = 50


class MulticlassStatistics:
    """Sums from which the metrics of a classifier follow.

    Args:
        bins: The bins of scores, by class.
        cells: The number of cells; with one cell, a confusion matrix is kept, too.
    """

    def __init__(self, bins: tuple[ScoreBins, ...], cells: int) -> None:
        classes = len(bins)
        ranked = cells == 1 or classes <= _MOST_CLASSES_OF_SLICES
        self._ranks = [RankStatistics(part, cells) for part in bins] if ranked else []
        self._confusion = np.zeros((classes, classes), np.int64) if cells == 1 else None
        # By group and class: correct predictions, predictions, rows.
        self._by_class = np.zeros((cells, GROUPS, 3, classes), np.int32)
        self._loss = np.zeros((cells, GROUPS))

    @classmethod
    def bins(
        cls, labels: npt.NDArray[np.generic], predictions: Predictions, *, complete: bool
    ) -> tuple[ScoreBins, ...]:
        """Choose the bins of each class from the first rows; `complete` if these are all rows."""
        classes = predictions.shape[1]
        return tuple(
            ScoreBins.fit(
                predictions[:, index],
                labels == index,
                complete=complete,
                limit=int(np.clip(2**17 // classes, 512, 32_768)),
                coarse=int(np.clip(512 // classes, 8, 128)),
            )
            for index in range(classes)
        )

    def add(
        self, cells: Ints, groups: Ints, labels: npt.NDArray[np.generic], predictions: Predictions
    ) -> None:
        """Add rows; see `estimates.Statistics`."""
        actual = labels.astype(np.int64)
        answered = predictions.argmax(axis=1)
        classes = self._by_class.shape[-1]
        # Adding at flat indices is several times faster than at tuples of indices.
        if self._confusion is not None:
            np.add.at(self._confusion.reshape(-1), actual * classes + answered, 1)
        by_class = self._by_class.reshape(-1)
        first = (cells * GROUPS + groups) * 3 * classes
        right = actual == answered
        np.add.at(by_class, first[right] + actual[right], 1)
        np.add.at(by_class, first + classes + answered, 1)
        np.add.at(by_class, first + 2 * classes + actual, 1)
        given = np.take_along_axis(predictions, actual[:, None], axis=1)[:, 0].astype(np.float64)
        add_up(self._loss, cells, groups, -np.log(np.clip(given, SMALLEST_PROBABILITY, 1)))
        for index, rank in enumerate(self._ranks):
            rank.add(cells, groups, actual == index, predictions[:, index])

    def measured(self, cell: int, weights: Floats) -> CellMetrics:
        """Return the metrics of a cell; see `estimates.Statistics`."""
        by_class = self._by_class[cell].astype(np.float64)
        loss = self._loss[cell]
        area = _mean_defined(np.array([rank.areas(cell)[0] for rank in self._ranks]))
        areas = np.full(len(weights), np.nan)
        if self._ranks:
            drawn = [rank.resampled(cell, weights)[0] for rank in self._ranks]
            areas = _mean_defined(np.stack(drawn, axis=-1))
        resampled = np.tensordot(weights, by_class, axes=1)
        points = _metrics(area, by_class.sum(0), loss.sum())
        return CellMetrics(
            rows=int(by_class[:, 2].sum()),
            points={name: float(value) for name, value in points.items()},
            replicates=_metrics(areas, resampled, weights @ loss),
        )

    def confusion(self) -> Ints:
        """Return the confusion matrix of the only cell, shape `[actual, predicted]`.

        Raises:
            ValueError: If there are several cells.
        """
        if self._confusion is None:
            raise ValueError("a confusion matrix is kept for one cell only")
        return self._confusion

    def per_class(self) -> dict[str, Floats]:
        """Return `precision`, `recall`, `f1`, `auc` and `rows` of the first cell, by class."""
        totals = self._by_class[0].sum(0).astype(np.float64)
        precision, recall, f1 = _per_class(totals)
        return {
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "auc": np.array([rank.areas(0)[0] for rank in self._ranks]),
            "rows": totals[2],
        }


def _metrics(area: Floats, by_class: Floats, loss: Floats) -> dict[str, Floats]:
    right, answers, actual = np.moveaxis(by_class, -2, 0)
    rows = actual.sum(-1)
    averages = {}
    for name, values in zip(("precision", "recall", "f1"), _per_class(by_class), strict=True):
        occurs = np.where(actual + answers > 0, 1.0, np.nan)
        averages[name] = _mean_defined(np.nan_to_num(values) * occurs)
        with np.errstate(invalid="ignore", divide="ignore"):
            averages[f"{name}_weighted"] = (np.nan_to_num(values) * actual).sum(-1) / rows
    with np.errstate(invalid="ignore", divide="ignore"):
        return {"accuracy": right.sum(-1) / rows, "auc": area, "log_loss": loss / rows, **averages}


def _per_class(by_class: Floats) -> tuple[Floats, Floats, Floats]:
    right, answers, actual = np.moveaxis(by_class, -2, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return right / answers, right / actual, 2 * right / (answers + actual)


def _mean_defined(values: Floats) -> Floats:
    defined = np.isfinite(values)
    count = defined.sum(-1)
    total = np.where(defined, values, 0.0).sum(-1)
    mean = np.full(np.shape(total), np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean
