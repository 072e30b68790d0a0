"""A random sample of the rows that are evaluated, with the model's inputs and labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.prediction.predicted_batches import PredictedBatch
from kfp_tabular.components.common.processing import row_keys

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
    """Keeps the rows with the smallest hashes of their positions, however they are batched.

    Args:
        rows: The most rows to keep.
        seed: Seed of the hashes.
    """

    def __init__(self, rows: int, seed: int) -> None:
        self._most = rows
        self._seed = seed
        self._position = 0
        self._threshold = np.uint64(2**64 - 1)
        self._hashes: list[npt.NDArray[np.uint64]] = []
        self._labels: list[npt.NDArray[Any]] = []
        self._inputs: list[Inputs] = []

    def offer(self, batch: PredictedBatch) -> None:
        """Take the rows of a batch that belong to the sample so far."""
        hashed = row_keys.keys(self._position, len(batch.labels), self._seed)
        self._position += len(hashed)
        chosen = np.flatnonzero(hashed <= self._threshold)
        if not len(chosen):
            return
        places = batch.usable[chosen]
        self._hashes.append(hashed[chosen])
        self._labels.append(batch.labels[chosen])
        self._inputs.append({name: values[places] for name, values in batch.inputs.items()})
        if sum(map(len, self._hashes)) > 2 * self._most:
            self._compact()

    def rows(self) -> SampledRows:
        """Return the sample, in the order of the hashes."""
        self._compact()
        return SampledRows(self._inputs[0], self._labels[0])

    def _compact(self) -> None:
        hashed = np.concatenate(self._hashes)
        kept = np.argsort(hashed, kind="stable")[: self._most]
        names = self._inputs[0]
        self._inputs = [
            {name: np.concatenate([part[name] for part in self._inputs])[kept] for name in names}
        ]
        self._labels = [np.concatenate(self._labels)[kept]]
        self._hashes = [hashed[kept]]
        if len(kept) == self._most:
            self._threshold = hashed[kept[-1]]
