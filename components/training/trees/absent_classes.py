"""Classes that no training row has: trees cannot learn them, but predictions have all classes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kfp_tabular.components.training.input.packed_rows import PackedRows
from kfp_tabular.components.training.model.logits_model import LogitsModel


def present(label: "np.ndarray[Any, Any]", classes: int) -> tuple[int, ...]:
    """Return the classes that trees are trained on: those of the rows, and at least two.

    Example:
        >>> present(np.array([2, 0, 2]), classes=3), present(np.array([1]), classes=3)
        ((0, 2), (0, 1))
    """
    found = {int(index) for index in np.unique(label)}
    for index in range(classes):
        if len(found) < 2:
            found.add(index)
    return tuple(sorted(found))


def renumbered(rows: PackedRows, classes: Sequence[int]) -> PackedRows:
    """Return the rows of some classes, with each class's position among them as the label.

    Example:
        >>> rows = PackedRows(np.zeros((3, 1)), np.zeros((3, 0)), np.array([2, 1, 0]))
        >>> renumbered(rows, (0, 2)).label
        array([1, 0])
    """
    known = rows if np.isin(rows.label, classes).all() else rows.take(np.isin(rows.label, classes))
    label = np.searchsorted(classes, known.label).astype(known.label.dtype)
    return PackedRows(known.numeric, known.categorical, label)


@dataclass(frozen=True)
class WithAbsentClasses:
    """Trees of some classes as a model of all: the others are as likely as one training row.

    Attributes:
        trees: The model of the classes that there are.
        classes: These classes.
        units: The number of all classes.
        rows: The training rows.
    """

    trees: LogitsModel
    classes: tuple[int, ...]
    units: int
    rows: int

    @property
    def tables(self) -> Any:
        """The tables of the trees."""
        return getattr(self.trees, "tables", None)

    @property
    def variables(self) -> Sequence[Any]:
        """The variables that predictions depend on."""
        return self.trees.variables

    def __call__(self, inputs: Mapping[str, Any], *, training: bool = False) -> Any:
        """Return logits `[batch, units]`, as `LogitsModel` says."""
        import tensorflow as tf

        logits = self.trees(inputs, training=training)
        rare = tf.reduce_logsumexp(logits, axis=1, keepdims=True) - math.log(self.rows + 1)
        columns = [
            self.classes.index(index) if index in self.classes else len(self.classes)
            for index in range(self.units)
        ]
        return tf.gather(tf.concat([logits, rare], axis=1), columns, axis=1)
