"""What a graph is cut into: tensors, and what each value adds to them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from kfp_tabular.components.common.prediction.tabulated.column_sources import NO_COLUMN, Rows

Array = np.ndarray[Any, Any]


class NotSeparableError(Exception):
    """The graph computes nothing that comes from one column alone."""


@dataclass(frozen=True)
class CutTensor:
    """A tensor that the rest of the graph takes.

    Attributes:
        tensor: The tensor.
        origin: What it is made of: itself, or what it multiplies by weights.
        rows: Where the numbers of the origin come from.
        weights: The weights, `[width of the origin, width]`; None for the tensor itself.
    """

    tensor: Any
    origin: Any
    rows: Rows
    weights: Array | None = None

    @property
    def width(self) -> int:
        """How many numbers it has for each row."""
        return self.rows.sources.size if self.weights is None else self.weights.shape[1]

    def flat(self, values: Array) -> Array:
        """Return the origin's numbers: `[rows, width of the origin]`.

        Raises:
            NotSeparableError: If float32 does not hold them.
        """
        rows = values.shape[self.rows.axis]
        found = np.moveaxis(values, self.rows.axis, 0).reshape(rows, -1)
        if found.dtype != np.float32:
            exact = found.astype(np.float32)
            if not (exact.astype(found.dtype) == found).all():
                raise NotSeparableError("numbers that float32 does not hold")
            found = exact
        return found

    def part(self, flat: Array, column: int) -> Array:
        """Return what a column adds to the tensor: float32 `[rows, width]`.

        Args:
            flat: What `flat` returned.
            column: The number of the column. What comes from none is added to the first.
        """
        sources = self.rows.sources.ravel()
        own = np.flatnonzero(np.where(sources == NO_COLUMN, 0, sources) == column)
        found = np.zeros((len(flat), self.width), np.float32)
        if self.weights is None:
            found[:, own] = flat[:, own]
        elif len(own):
            found[:] = flat[:, own].astype(np.float64) @ self.weights[own]
        return found

    def restored(self, tf: Any, values: Any) -> Any:
        """Return the tensor for rows of its numbers, `[rows, width]`."""
        shape = (self.width,) if self.weights is not None else self.rows.sources.shape
        axis = 0 if self.weights is not None else self.rows.axis
        found = tf.reshape(values, [-1, *shape])
        if axis:
            order = [*range(1, axis + 1), 0, *range(axis + 1, len(shape) + 1)]
            found = tf.transpose(found, order)
        return tf.cast(found, self.tensor.dtype)
