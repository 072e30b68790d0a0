"""Sums of the leaves of trees, as `training.trees.export` writes them.

A tree's leaf has a number with a bit per condition, and a condition compares one number of one
column. So the numbers of several trees' leaves, side by side in one float32, are a sum of what
values of single columns contribute, and it is exact. What several trees answer together is then
looked up at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from kfp_tabular.components.common.prediction.tabulated.column_sources import (
    NO_COLUMN,
    Fixed,
    Known,
    Rows,
)
from kfp_tabular.components.common.prediction.tabulated.cut_tensors import CutTensor

Array = np.ndarray[Any, Any]

_BITS_OF_FLOAT = 24
"""Whole numbers of so many bits are exact in float32."""
_BITS_OF_LOOKUP = 12
_MOST_BYTES = 4 << 20
"""The size of the tables of trees that are looked up together."""


@dataclass(frozen=True)
class Trees:
    """Trees of one depth.

    Attributes:
        features: The number that each condition compares, by its place in the origin.
        borders: What it has to be above.
        conditions: The conditions of each tree, `[depth, trees]`.
        bits: What each of them adds to the number of a leaf, `[depth]`.
        leaves: The leaves of all trees, `[leaves, units]`.
        offsets: The first leaf of each tree.
    """

    features: Array
    borders: Array
    conditions: Array
    bits: Array
    leaves: Array
    offsets: Array

    @property
    def depth(self) -> int:
        """The number of conditions of a tree."""
        return len(self.bits)

    @cached_property
    def together(self) -> int:
        """How many trees are looked up at once."""
        count = max(_BITS_OF_LOOKUP // self.depth, 1)
        while count > 1 and self._bytes(count) > _MOST_BYTES:
            count -= 1
        return count

    @property
    def lookups(self) -> int:
        """How many look-ups a float32 has room for."""
        return _BITS_OF_FLOAT // (self.depth * self.together)

    @property
    def packs(self) -> int:
        """How many float32 hold the leaves of all trees."""
        return -(-len(self.offsets) // (self.together * self.lookups))

    def contributions(self, numbers: Array, own: Array) -> Array:
        """Return what numbers of a column contribute: float32 `[rows, packs]`.

        Args:
            numbers: Values of the origin, float32 `[rows, width]`.
            own: Which of them are the column's, as a mask.
        """
        found = np.zeros((len(numbers), self.packs * self.together * self.lookups), np.int64)
        for bit, conditions in zip(self.bits.tolist(), self.conditions, strict=True):
            trees = np.flatnonzero(own[self.features[conditions]])
            mine = conditions[trees]
            found[:, trees] += bit * (numbers[:, self.features[mine]] > self.borders[mine])
        parts = found.reshape(len(numbers), self.packs, -1)
        places = 1 << (self.depth * np.arange(parts.shape[2]))
        return np.asarray((parts @ places).astype(np.float32))

    def tables(self) -> tuple[Array, Array]:
        """Return the sums of leaves, `[sums, units]`, and the first one of each look-up.

        The look-ups are `[look-ups of a pack, packs]`.
        """
        together, lookups = self.together, self.lookups
        units = self.leaves.shape[1]
        trees = len(self.offsets)
        offsets = np.full(self.packs * lookups * together, len(self.leaves))
        offsets[:trees] = self.offsets
        # Where there is no tree, nothing is added.
        leaves = np.concatenate([self.leaves, np.zeros((1, units), self.leaves.dtype)])
        own = np.minimum(offsets[:, None] + np.arange(1 << self.depth), len(self.leaves))
        values = leaves[own].reshape(self.packs * lookups, together, 1 << self.depth, units)
        sums = values[:, 0]
        for place in range(1, together):
            # The first tree has the lowest bits.
            sums = (values[:, place, :, None] + sums[:, None]).reshape(len(values), -1, units)
        first = np.arange(self.packs * lookups, dtype=np.int32) * sums.shape[1]
        return sums.reshape(-1, units), first.reshape(self.packs, lookups).T

    def _bytes(self, together: int) -> int:
        groups = -(-len(self.offsets) // together)
        return int(groups * (1 << (self.depth * together)) * self.leaves[0].nbytes)


@dataclass(frozen=True, kw_only=True)
class LeafSum(CutTensor):
    """The sum of the leaves of trees.

    Attributes:
        trees: The trees.
    """

    trees: Trees

    @property
    def width(self) -> int:
        """How many numbers it has for each row."""
        return self.trees.packs

    def part(self, flat: Array, column: int) -> Array:
        """Return what a column adds to the numbers; see `CutTensor`."""
        sources = self.rows.sources.ravel()
        return self.trees.contributions(flat, np.where(sources == NO_COLUMN, 0, sources) == column)

    def restored(self, tf: Any, values: Any) -> Any:
        """Return the sum for rows of the numbers, `[rows, width]`."""
        trees = self.trees
        sums, first = trees.tables()
        bits = trees.depth * trees.together
        packs = tf.cast(tf.transpose(values), tf.int32)
        parts = [
            tf.raw_ops.BitwiseAnd(
                x=tf.raw_ops.RightShift(x=packs, y=bits * place), y=(1 << bits) - 1
            )
            for place in range(trees.lookups)
        ]
        # As the graph does: gather_nd copies faster than gather, and a product adds rows faster
        # than a sum.
        places = tf.reshape(tf.stack(parts) + first[:, :, None], [-1, 1])
        found = tf.reshape(tf.gather_nd(tf.constant(sums), places), [first.size, -1])
        total = tf.matmul(tf.constant(np.ones([1, first.size], sums.dtype)), found)
        return tf.reshape(total, [-1, sums.shape[1]])


class _OtherError(Exception):
    """A graph that computes something else."""


def found(tensor: Any, known: Mapping[str, Known]) -> LeafSum | None:
    """Return a tensor as a sum of leaves; None where it is none, or not of numbers of one column.

    Args:
        tensor: The tensor.
        known: What is known of the graph's tensors, by name.
    """
    try:
        return _found(tensor, known)
    except _OtherError:
        return None


def _found(tensor: Any, known: Mapping[str, Known]) -> LeafSum:
    ones, values = _inputs(_source(tensor, "Reshape"), "MatMul")
    leaves, places = _inputs(_source(values, "Reshape"), "GatherNd")
    numbers, offsets = _inputs(_source(places, "Reshape"), "AddV2")
    lanes = _source(
        _source(_source(_source(numbers, "Cast"), "StridedSlice"), "Reshape"), "Bitcast"
    )
    bits: dict[int, int] = {}
    split = _add_bits(lanes, bits, 1, None)
    words, conditions, axis = _inputs(split.inputs[0], "GatherV2")
    is_true = _source(_source(_source(words, "Bitcast"), "Reshape"), "Cast")
    compared, borders = _inputs(is_true, "Greater")
    padded, features, feature_axis = _inputs(compared, "GatherV2")
    origin = _source(padded, "Pad")
    rows = known.get(origin.name)
    trees = Trees(
        *_conditions(_value(features, known), _value(borders, known)),
        _value(conditions, known),
        np.array([bits.get(level, 0) for level in range(len(split.outputs))]),
        _value(leaves, known),
        _value(offsets, known).ravel(),
    )
    if not (
        isinstance(rows, Rows)
        and rows.is_separable
        and (rows.axis, rows.sources.ndim) == (1, 1)
        and origin.dtype.name == "float32"
        and not _value(axis, known).any()
        and not _value(feature_axis, known).any()
        and (_value(ones, known) == 1).all()
        and split.get_attr("axis") == 0
        # A number of a leaf is never more than its own bits hold.
        and sorted(trees.bits.tolist()) == [1 << bit for bit in range(trees.depth)]
        and trees.depth <= _BITS_OF_FLOAT
        and trees.conditions.shape == (trees.depth, len(trees.offsets))
        and trees.leaves.ndim == 2
    ):
        raise _OtherError
    return LeafSum(tensor, origin, rows, trees=trees)


def _conditions(features: Array, borders: Array) -> tuple[Array, Array]:
    """Return the feature and the border of each condition, of blocks with a feature each."""
    if features.ndim != 2 or features.shape[1] != 1:
        raise _OtherError
    if borders.ndim != 3 or borders.shape[0::2] != (len(features), 1):
        raise _OtherError
    return np.repeat(features.ravel(), borders.shape[1]), borders.ravel()


def _add_bits(tensor: Any, bits: dict[int, int], times: int, split: Any) -> Any:
    """Add what a sum takes of the outputs of a split; return the split."""
    tensor = _without_identity(tensor)
    if tensor.op.type == "AddN":
        for each in tensor.op.inputs:
            split = _add_bits(each, bits, times, split)
        return split
    if tensor.op.type != "Unpack" or (split is not None and tensor.op.name != split.name):
        raise _OtherError
    bits[tensor.value_index] = bits.get(tensor.value_index, 0) + times
    return tensor.op


def _inputs(tensor: Any, kind: str) -> list[Any]:
    """Return what an operation of a kind takes."""
    tensor = _without_identity(tensor)
    if tensor.op.type != kind:
        raise _OtherError
    return list(tensor.op.inputs)


def _source(tensor: Any, kind: str) -> Any:
    """Return the first tensor that an operation of a kind takes."""
    return _inputs(tensor, kind)[0]


def _without_identity(tensor: Any) -> Any:
    while tensor.op.type == "Identity":
        tensor = tensor.op.inputs[0]
    return tensor


def _value(tensor: Any, known: Mapping[str, Known]) -> Array:
    """Return the value of a constant."""
    fixed = known.get(tensor.name)
    if not isinstance(fixed, Fixed) or fixed.value is None:
        raise _OtherError
    return fixed.value
