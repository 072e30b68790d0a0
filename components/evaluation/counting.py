"""One pass over a split: predicts with each model, and counts what the metrics need.

Memory is bounded: rows are gathered into chunks, and a chunk is counted at once.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.prediction import predicted_batches
from kfp_tabular.components.common.prediction.saved_model import Predictions, SavedModel
from kfp_tabular.components.evaluation.explanations.row_sample import RowCollector
from kfp_tabular.components.evaluation.golden_selection import GoldenSelection
from kfp_tabular.components.evaluation.metrics import bootstrap
from kfp_tabular.components.evaluation.metrics.bootstrap import Ints
from kfp_tabular.components.evaluation.metrics.measurement import Measurement
from kfp_tabular.components.evaluation.slices import Slicing

_CHUNK_ROWS = 131_072
_CHUNK_CELLS = 16_000_000
_LOG_EVERY_SECONDS = 10.0

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tally:
    """What one pass over a split counted.

    Attributes:
        spec: The description of the model that is evaluated.
        split: The split.
        slicings: The slicings that were counted.
        measurements: The counts of the model and, if there is one, of the baseline.
        golden: The chosen golden examples.
        without_label: Number of rows left out because they have no label.
        unknown_class: Number of rows left out because the model does not know their class.
    """

    spec: ModelSpec
    split: str
    slicings: Sequence[Slicing]
    measurements: Sequence[Measurement]
    golden: GoldenSelection
    without_label: int
    unknown_class: int


def count(
    examples: Examples,
    split: str,
    models: Sequence[SavedModel],
    slicings: Sequence[Slicing],
    seed: int,
    collector: RowCollector | None = None,
) -> Tally:
    """Predict for a split with each model and count what the metrics need.

    Args:
        examples: The examples.
        split: The split.
        models: The model, and optionally a baseline of the same task.
        slicings: The slicings to count.
        seed: Seed of the bootstrap groups.
        collector: Gets the rows to explain the model on; None for none.

    Raises:
        UserError: If no row has a usable label, or predictions are not finite.
    """
    spec = models[0].spec
    columns = [cut.column for slicing in slicings for cut in slicing.cuts]
    chunk_rows = min(_CHUNK_ROWS, max(1, _CHUNK_CELLS // max(len(spec.classes), 1)))
    counter = _ChunkCounter(
        [each.spec for each in models], [len(each.slices) for each in slicings], seed
    )
    golden = GoldenSelection(spec)
    rows = without_label = unknown_class = 0
    started = logged = time.monotonic()
    for batch in predicted_batches.predict(examples, split, models, columns):
        golden.offer(batch)
        if collector is not None:
            collector.offer(batch)
        predictions = [
            align_classes(values, each.spec.classes, spec.classes)
            for values, each in zip(batch.predictions, models, strict=True)
        ]
        cells = [slicing.cells(batch.columns) for slicing in slicings]
        counter.hold(batch.labels, predictions, cells)
        if counter.held >= chunk_rows:
            counter.count(complete=False)
        without_label += batch.missing
        unknown_class += batch.unknown
        rows += batch.columns.num_rows + batch.missing + batch.unknown
        if time.monotonic() - logged > _LOG_EVERY_SECONDS:
            logged = time.monotonic()
            _logger.info("evaluated %d rows of split %r", rows, split)
    counter.count(complete=True)
    seconds = time.monotonic() - started
    _logger.info("evaluated %d rows of split %r in %.1f s", rows, split, seconds)
    if not counter.measurements:
        raise UserError(
            f"{examples.path}: none of the {rows} rows of split {split!r} has a label that the "
            f"model knows: {without_label} have none in column {spec.label!r}, {unknown_class} "
            f"have a class other than {', '.join(spec.classes[:10])}."
        )
    return Tally(spec, split, slicings, counter.measurements, golden, without_label, unknown_class)


def align_classes(
    predictions: Predictions, given: Sequence[str], wanted: Sequence[str]
) -> Predictions:
    """Reorder probabilities to another model's classes.

    Args:
        predictions: Shape `[rows, given classes]`; those of a regression model pass unchanged.
        given: The classes of `predictions`.
        wanted: The classes of the result. A class that was not given gets probability 0.

    Example:
        >>> align_classes(np.array([[0.25, 0.75]], np.float32), ["no", "yes"], ["yes", "no"])
        array([[0.75, 0.25]], dtype=float32)
    """
    if given == wanted:
        return predictions
    result = np.zeros((len(predictions), len(wanted)), np.float32)
    for column, name in enumerate(wanted):
        if name in given:
            result[:, column] = predictions[:, given.index(name)]
    return result


class _ChunkCounter:
    """Gathers batches into chunks, and counts a chunk at once."""

    def __init__(self, specs: Sequence[ModelSpec], slices: Sequence[int], seed: int) -> None:
        self.measurements: list[Measurement] = []
        self.held = 0
        self._specs = specs
        self._slices = slices
        self._seed = seed
        self._start = 0
        self._clear()

    def hold(
        self, labels: npt.NDArray[Any], predictions: Sequence[Predictions], cells: Sequence[Ints]
    ) -> None:
        self.held += len(labels)
        self._labels.append(labels)
        for kept, values in zip(self._predictions, predictions, strict=True):
            kept.append(values)
        for kept_cells, cell in zip(self._cells, cells, strict=True):
            kept_cells.append(cell)

    def count(self, *, complete: bool) -> None:
        if not self.held:
            return
        labels = np.concatenate(self._labels)
        predictions = [np.concatenate(values) for values in self._predictions]
        cells = [np.concatenate(values) for values in self._cells]
        if not self.measurements:
            # The bins of all models follow from the same rows: those of the first chunk.
            spec = self._specs[0]
            self.measurements = [
                Measurement(spec, labels, values, complete=complete, slices=self._slices)
                for values in predictions
            ]
        groups = bootstrap.groups(self._start, len(labels), self._seed)
        for measurement, values in zip(self.measurements, predictions, strict=True):
            measurement.add(groups, labels, values, cells)
        self._start += len(labels)
        self._clear()

    def _clear(self) -> None:
        self.held = 0
        self._labels: list[npt.NDArray[Any]] = []
        self._predictions: list[list[Predictions]] = [[] for _ in self._specs]
        self._cells: list[list[Ints]] = [[] for _ in self._slices]
