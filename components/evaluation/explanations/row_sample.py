"""A random sample of the rows that are evaluated, with the model's inputs and labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kfp_tabular.components.common.artifacts.dense_columns import dense_numpy
from kfp_tabular.components.common.artifacts.model_document import ModelInput
from kfp_tabular.components.common.prediction.predicted_batches import PredictedBatch
from kfp_tabular.components.common.processing.folds.row_sample import RowSample
from kfp_tabular.components.common.processing.row_keys import Keys

Inputs = Mapping[str, npt.NDArray[Any]]
"""Dense values of shape `[rows]` by `ModelInput.input`."""


@dataclass(frozen=True)
class SampledRows:
    """Rows in random order.

    Attributes:
        inputs: What the model takes.
        labels: Class indices or numbers.
    """

    inputs: Inputs
    labels: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, rows: int) -> "SampledRows":
        """Return the first rows, a random sample themselves.

        Example:
            >>> rows = SampledRows({"fare": np.array([1.0, 2.0])}, np.array([0, 1]))
            >>> rows.first(1).inputs
            {'fare': array([1.])}
        """
        return SampledRows(
            {name: values[:rows] for name, values in self.inputs.items()}, self.labels[:rows]
        )


class RowCollector:
    """Keeps the rows with the smallest random keys, with a model's inputs and labels.

    Args:
        rows: The most rows to keep.
        inputs: The model's inputs.
    """

    def __init__(self, rows: int, inputs: Sequence[ModelInput]) -> None:
        self._most = rows
        self._inputs = tuple(inputs)
        self._rows = RowSample(rows)

    def add(self, batch: PredictedBatch, keys: Keys) -> None:
        """Add rows by their random keys."""
        chosen = self._rows.wanted(keys)
        taken = batch.columns.select([given.name for given in self._inputs]).take(pa.array(chosen))
        columns, labels = taken.columns, pa.array(batch.labels[chosen])
        found = pa.RecordBatch.from_arrays(
            [*columns, labels], names=[str(place) for place in range(len(columns) + 1)]
        )
        self._rows.add_keyed(keys[chosen], found)

    def merge(self, other: "RowCollector") -> None:
        """Add what another accumulator has seen."""
        self._rows.merge(other._rows)

    def state(self) -> bytes:
        """Return the state as bytes."""
        return self._rows.state()

    def from_state(self, state: bytes) -> "RowCollector":
        """Return an accumulator with a state."""
        found = RowCollector(self._most, self._inputs)
        found._rows = self._rows.from_state(state)
        return found

    def result(self) -> SampledRows:
        """Return the sample, in random order."""
        table = self._rows.result()
        if not table.num_columns:
            return SampledRows({}, np.empty(0, np.int64))
        inputs = {
            given.input: dense_numpy(table.column(place), given)
            for place, given in enumerate(self._inputs)
        }
        return SampledRows(inputs, table.column(len(self._inputs)).to_numpy())
