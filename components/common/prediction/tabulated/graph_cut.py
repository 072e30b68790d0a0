"""Where a model's graph is cut: behind the numbers that come from one raw column each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.prediction.graph_parts import FlatGraph
from kfp_tabular.components.common.prediction.tabulated import column_sources, leaf_sums
from kfp_tabular.components.common.prediction.tabulated.column_sources import (
    Fixed,
    Known,
    Rows,
)
from kfp_tabular.components.common.prediction.tabulated.cut_tensors import (
    CutTensor,
    NotSeparableError,
)

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_HARMLESS = _CALLS | {"LookupTableFindV2"}
"""Operations that have a state, or may have one, and change none."""


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
        cut = _cut_at(tensor, known) or leaf_sums.found(tensor, known)
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
