"""A random sample of evaluated rows: their labels and the model's answers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kfp_tabular.components.common.prediction.saved_model import Predictions
from kfp_tabular.components.common.processing.folds.row_sample import RowSample
from kfp_tabular.components.common.processing.row_keys import Keys
from kfp_tabular.components.common.statistics import bootstrap
from kfp_tabular.components.common.statistics.bootstrap import Ints

_LEAST_ROWS, _MOST_ROWS = 1024, 65_536
_MOST_CELLS = 4_000_000


@dataclass(frozen=True)
class SampledAnswers:
    """Rows in random order.

    Attributes:
        labels: Class indices or numbers.
        predictions: The model's predictions.
        groups: The resampling group of each row.
    """

    labels: npt.NDArray[Any]
    predictions: Predictions
    groups: Ints


class AnswerSample:
    """Keeps rows with the smallest random keys.

    Args:
        classes: The number of classes; 0 for numbers.

    Example:
        >>> sample = AnswerSample(classes=0)
        >>> sample.add(np.array([7], np.uint64), np.array([1.5]), np.array([2.0], np.float32))
        >>> sample.result().labels.tolist()
        [1.5]
    """

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._most = max(_LEAST_ROWS, min(_MOST_ROWS, _MOST_CELLS // max(classes, 1)))
        self._rows = RowSample(self._most)

    def add(
        self,
        keys: Keys,
        labels: npt.NDArray[Any],
        predictions: Predictions,
        groups: Ints | None = None,
    ) -> None:
        """Add rows by their random keys.

        Args:
            keys: The random key of each row.
            labels: Class indices or numbers.
            predictions: The model's predictions.
            groups: The resampling group of each row; None for that of its key.
        """
        chosen = self._rows.wanted(keys)
        groups = bootstrap.groups_of(keys[chosen]) if groups is None else groups[chosen]
        keys, labels, predictions = keys[chosen], labels[chosen], predictions[chosen]
        answers = pa.array(predictions.reshape(-1))
        if self._classes:
            answers = pa.FixedSizeListArray.from_arrays(answers, self._classes)
        columns = {
            "group": pa.array(groups.astype(np.uint8)),
            "label": pa.array(labels),
            "answer": answers,
        }
        self._rows.add_keyed(keys, pa.RecordBatch.from_pydict(columns))

    def merge(self, other: "AnswerSample") -> None:
        """Add what another accumulator has seen."""
        self._rows.merge(other._rows)

    def state(self) -> bytes:
        """Return the state as bytes."""
        return self._rows.state()

    def from_state(self, state: bytes) -> "AnswerSample":
        """Return an accumulator with a state."""
        found = AnswerSample(self._classes)
        found._rows = self._rows.from_state(state)
        return found

    def result(self) -> SampledAnswers:
        """Return the sample."""
        table = self._rows.result()
        if not table.num_columns:
            shape = (0, self._classes) if self._classes else (0,)
            return SampledAnswers(
                np.empty(0, np.int64), np.empty(shape, np.float32), np.empty(0, np.int64)
            )
        answers = table["answer"].combine_chunks()
        if self._classes:
            answers = answers.flatten().to_numpy().reshape(-1, self._classes)
        else:
            answers = answers.to_numpy()
        groups = table["group"].to_numpy().astype(np.int64)
        return SampledAnswers(table["label"].to_numpy(), answers, groups)
