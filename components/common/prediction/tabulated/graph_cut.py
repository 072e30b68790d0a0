"""Where a model's graph is cut: behind the numbers that come from one raw column each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.prediction.graph_parts import FlatGraph
from kfp_tabular.components.common.prediction.tabulated import column_sources
from kfp_tabular.components.common.prediction.tabulated.column_sources import (
    NO_COLUMN,
    Fixed,
    Known,
    Rows,
)

Array = np.ndarray[Any, Any]

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_HARMLESS = _CALLS | {"LookupTableFindV2"}
"""Operations that have a state, or may have one, and change none."""


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


@dataclass(frozen=True)
class GraphCut:
    """A graph in two parts.

    Attributes:
        columns: The signature's inputs, in the order of their numbers.
        tensors: What the second part takes.
        blanks: Tensors of which only the shape counts, with that shape.
        known: What is known of the graph's tensors, by name.
    """

    columns: Sequence[str]
    tensors: Sequence[CutTensor]
    blanks: Sequence[tuple[Any, Rows]]
    known: Mapping[str, Known]

    @property
    def width(self) -> int:
        """How many numbers the second part takes for each row."""
        return sum(each.width for each in self.tensors)


def find(tf: Any, flat: FlatGraph, spec: ModelSpec, outputs: Sequence[Any]) -> GraphCut:
    """Return where to cut a graph.

    Args:
        tf: The TensorFlow module.
        flat: The graph.
        spec: The model's description.
        outputs: The tensors to compute.

    Raises:
        NotSeparableError: If an output does not come from numbers of single columns, or the graph
            may do more than compute.
    """
    _check_state(flat.graph)
    columns = [entry.input for entry in spec.inputs]
    number = {name: place for place, name in enumerate(columns)}
    known = column_sources.of_columns(
        tf, flat.graph, {tensor.name: number[flat.names[tensor.name]] for tensor in flat.raw}
    )
    found: dict[str, CutTensor] = {}
    blanks: dict[str, tuple[Any, Rows]] = {}
    seen: set[str] = set()
    stack = list(outputs)
    while stack:
        tensor = stack.pop()
        if tensor.name in seen or isinstance(known.get(tensor.name), Fixed):
            continue
        seen.add(tensor.name)
        cut = _cut_at(tensor, known)
        if cut is not None:
            found[tensor.name] = cut
            continue
        if tensor.op.type in _CALLS or not tensor.op.inputs:
            raise NotSeparableError(f"{tensor.name} mixes columns, or rows")
        for each in tensor.op.inputs:
            origin = known.get(each.name)
            if tensor.op.type == "Shape" and isinstance(origin, Rows) and origin.is_separable:
                blanks[each.name] = (each, origin)
            else:
                stack.append(each)
    if not found:
        raise NotSeparableError("the outputs come from no numbers")
    return GraphCut(
        columns,
        [found[name] for name in sorted(found)],
        [blanks[name] for name in sorted(blanks) if name not in found],
        known,
    )


def _cut_at(tensor: Any, known: Mapping[str, Known]) -> CutTensor | None:
    rows = known.get(tensor.name)
    if isinstance(rows, Rows) and rows.is_separable and _is_number(tensor):
        return CutTensor(tensor, tensor, rows)
    if tensor.op.type != "MatMul" or tensor.dtype.name != "float32":
        return None
    left, right = tensor.op.inputs
    rows, weights = known.get(left.name), known.get(right.name)
    if (
        isinstance(rows, Rows)
        and rows.is_separable
        and isinstance(weights, Fixed)
        and weights.value is not None
        and not tensor.op.get_attr("transpose_a")
        and not tensor.op.get_attr("transpose_b")
    ):
        return CutTensor(tensor, left, rows, weights.value.astype(np.float64))
    return None


def _is_number(tensor: Any) -> bool:
    return tensor.dtype.name in ("bool", "float32", "int32", "int64", "uint8")


def _check_state(graph: Any) -> None:
    """Check that operations compute, and do no more, as one that refuses values does."""
    from tensorflow.python.framework import op_def_registry

    definition = graph.as_graph_def()
    nodes = [*definition.node]
    for function in definition.library.function:
        nodes += function.node_def
    for node in nodes:
        described = op_def_registry.get(node.op)
        if node.op not in _HARMLESS and (described is None or described.is_stateful):
            raise NotSeparableError(f"{node.op} may do more than compute")
