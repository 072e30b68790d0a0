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
from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.statistics.bootstrap import GROUPS, Floats, Ints
from kfp_tabular.components.evaluation.metrics.binary import SMALLEST_PROBABILITY
from kfp_tabular.components.evaluation.metrics.code_counts import PlaceCounts
from kfp_tabular.components.evaluation.metrics.estimates import CellMetrics, add_up
from kfp_tabular.components.evaluation.metrics.ranking import RankStatistics

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
        classes: The number of classes.
        cells: The number of cells; with one cell, a confusion matrix is kept, too.
    """

    def __init__(self, classes: int, cells: int) -> None:
        self._classes, self._cells = classes, cells
        is_ranked = cells == 1 or classes <= _MOST_CLASSES_OF_SLICES
        self._ranks = RankStatistics(cells, classes) if is_ranked else None
        self._confusion = np.zeros((classes, classes), np.int64) if cells == 1 else None
        # By cell and group, and by class: correct predictions, predictions, rows.
        self._by_class = PlaceCounts(cells * GROUPS * 3 * classes)
        self._loss = np.zeros((cells, GROUPS))

    def add(
        self, cells: Ints, groups: Ints, labels: npt.NDArray[np.generic], predictions: Predictions
    ) -> None:
        """Add rows; see `estimates.Statistics`."""
        actual = labels.astype(np.int64)
        answered = predictions.argmax(axis=1)
        classes = self._classes
        if self._confusion is not None:
            # Adding at flat indices is several times faster than at tuples of indices.
            np.add.at(self._confusion.reshape(-1), actual * classes + answered, 1)
        first = (cells * GROUPS + groups) * 3 * classes
        right = actual == answered
        self._by_class.add(first[right] + actual[right])
        self._by_class.add(first + classes + answered)
        self._by_class.add(first + 2 * classes + actual)
        given = np.take_along_axis(predictions, actual[:, None], axis=1)[:, 0].astype(np.float64)
        add_up(self._loss, cells, groups, -np.log(np.clip(given, SMALLEST_PROBABILITY, 1)))
        if self._ranks is not None:
            self._ranks.add(cells, groups, actual[:, None] == np.arange(classes), predictions)

    def merge(self, other: "MulticlassStatistics") -> None:
        """Add what another accumulator has seen."""
        if self._ranks is not None and other._ranks is not None:
            self._ranks.merge(other._ranks)
        if self._confusion is not None and other._confusion is not None:
            self._confusion += other._confusion
        self._by_class.merge(other._by_class)
        self._loss += other._loss

    def state(self) -> bytes:
        """Return the state as bytes."""
        parts = {"by_class": self._by_class.state(), "loss": self._loss}
        if self._ranks is not None:
            parts["ranks"] = self._ranks.state()
        if self._confusion is not None:
            parts["confusion"] = self._confusion
        return states.pack(parts)

    def from_state(self, state: bytes) -> "MulticlassStatistics":
        """Return an accumulator with a state."""
        parts = states.unpack(state)
        found = MulticlassStatistics(self._classes, self._cells)
        found._by_class, found._loss = self._by_class.from_state(parts["by_class"]), parts["loss"]
        if self._ranks is not None:
            found._ranks = self._ranks.from_state(parts["ranks"])
        found._confusion = parts.get("confusion")
        return found

    def measured(self, cell: int, weights: Floats) -> CellMetrics:
        """Return the metrics of a cell; see `estimates.Statistics`."""
        by_class = self._totals(cell)
        loss = self._loss[cell]
        area, areas = np.asarray(np.nan), np.full(len(weights), np.nan)
        if self._ranks is not None:
            by_score = [self._ranks.areas(cell, at) for at in range(self._classes)]
            drawn = [
                self._ranks.resampled(cell, weights, found, at)[0]
                for at, found in enumerate(by_score)
            ]
            area = _mean_defined(np.array([found[0] for found in by_score]))
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
        totals = self._totals(0).sum(0)
        ranks = self._ranks
        areas = [] if ranks is None else [ranks.areas(0, at)[0] for at in range(self._classes)]
        precision, recall, f1 = _per_class(totals)
        return {
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "auc": np.array(areas),
            "rows": totals[2],
        }

    def _totals(self, cell: int) -> Floats:
        """Return right answers, answers and rows, shape `[groups, 3, classes]`."""
        size = GROUPS * 3 * self._classes
        counts = self._by_class.between(cell * size, (cell + 1) * size)
        return counts.reshape(GROUPS, 3, self._classes).astype(np.float64)


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
