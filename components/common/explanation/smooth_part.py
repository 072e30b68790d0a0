"""The smooth part of a model's graph: from the numbers that look-ups return to the prediction.

A gradient by a raw category means nothing, and one by an id, a bucket or a one-hot code no more. So
the graph is cut where values last leave whole numbers, texts and conditions: at embeddings, at
imputed and scaled numbers, at indicators. What comes after the cut has gradients.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kfp_tabular.components.common.artifacts.model_document import (
    PREDICTION,
    PROBABILITIES,
    ModelInput,
    ModelSpec,
)
from kfp_tabular.components.common.prediction import graph_parts
from kfp_tabular.components.common.prediction.column_decoder import Texts
from kfp_tabular.components.common.prediction.graph_parts import UnclearInputsError, between
from kfp_tabular.components.common.prediction.packed_columns import Columns

Array = np.ndarray[Any, Any]

# They depend on how many rows there are, not on what is in them.
_SHAPES = frozenset({"Shape", "ShapeN", "Size", "Rank"})
_STEPS = frozenset(
    {"Ceil", "Floor", "FloorDiv", "FloorMod", "Rint", "Round", "Sign", "OneHot", "Bucketize"}
)
_CALLS = frozenset(
    {"PartitionedCall", "StatefulPartitionedCall", "If", "StatelessIf", "While", "StatelessWhile"}
)
_SELECTS = frozenset({"Select", "SelectV2"})
_ZEROS: dict[str, float | int | str] = {"float32": 0.0, "int64": 0, "string": ""}
_LOGIC = frozenset({"LogicalAnd", "LogicalOr", "LogicalNot", "Identity"})


class NotSmoothError(Exception):
    """The graph has no smooth part that can be cut off."""


@dataclass(frozen=True)
class SmoothPart:
    """A model's graph in two parts.

    Attributes:
        width: How many numbers there are at the cut.
        inner: Returns what is at the cut for raw columns: arrays `[rows, ...]`.
        gradients: For arrays at the cut and weights `[rows, classes]` of the answers: returns the
            gradients of the weighted answers by the arrays.
    """

    width: int
    inner: Callable[[Columns], list[Array]]
    gradients: Callable[[Sequence[Array], Array], list[Array]]


def cut(tf: Any, signature: Any, spec: ModelSpec) -> SmoothPart:
    """Cut a model's signature where its smooth part begins.

    Call it before others use the signature: functions of its graph are replaced by equal ones.

    Args:
        tf: The TensorFlow module.
        signature: The `serving_default` signature of a loaded model.
        spec: The model's description.

    Raises:
        NotSmoothError: If a prediction does not depend on any number by which it has gradients.
    """
    try:
        flat = graph_parts.flattened(signature, spec)
    except UnclearInputsError as error:
        raise NotSmoothError(str(error)) from error
    raw, tables, handles = flat.raw, flat.tables, flat.handles
    wanted = PREDICTION if spec.task == "regression" else PROBABILITIES
    target = flat.outputs[wanted]
    depends = _dependent(target.graph, raw)
    edge = _edge(target, depends)
    at_edge = {tensor.name for tensor in edge}
    # Beyond the cut, their number of rows is all that is left of them.
    others = [
        tensor for tensor in [*raw, *_called(target.graph, depends)] if tensor.name not in at_edge
    ]
    front = between(tf, flat.graph, [*raw, *tables], edge)
    head = between(tf, flat.graph, [*others, *edge], [target])
    raw_inputs = [flat.names[tensor.name] for tensor in raw]
    samples = between(tf, flat.graph, [*raw, *tables], [*others, *edge])
    kinds = {entry.input: entry for entry in spec.inputs}
    found = _sampled(tf, samples, [kinds[name] for name in raw_inputs], handles)
    if any(tensor.shape.rank == 0 or tensor.shape[0] != 1 for tensor in found):
        raise NotSmoothError("some numbers do not hold their rows along the first dimension")
    blank = [(tensor.dtype, tensor.shape[1:]) for tensor in found[: len(others)]]
    given = [
        tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype) for tensor in found[len(others) :]
    ]
    answered = tf.TensorSpec([None, max(len(spec.classes), 1)], tf.float32)

    def inner(columns: Columns) -> list[Array]:
        values = [columns[name] for name in raw_inputs]
        whole = [each.whole() if isinstance(each, Texts) else each for each in values]
        return [tensor.numpy() for tensor in front(*map(tf.constant, whole), *handles)]

    @tf.function(input_signature=[given, answered], autograph=False)
    def slopes(arrays: Any, weights: Any) -> Any:
        rows = tf.shape(weights)[:1]
        blanks = [tf.zeros(tf.concat([rows, shape], axis=0), dtype) for dtype, shape in blank]
        with tf.GradientTape() as tape:
            tape.watch(arrays)
            (answers,) = head(*blanks, *arrays)
            if answers.shape.rank == 1:
                answers = answers[:, None]
            total = tf.reduce_sum(answers * weights, axis=1)
        zero = tf.UnconnectedGradients.ZERO
        return tape.gradient(total, arrays, unconnected_gradients=zero)

    def gradients(arrays: Sequence[Array], weights: Array) -> list[Array]:
        values = [tf.constant(array) for array in arrays]
        return [tensor.numpy() for tensor in slopes(values, tf.constant(weights, tf.float32))]

    width = sum(entry.shape[1:].num_elements() for entry in given)
    return SmoothPart(width, inner, gradients)


def _called(graph: Any, depends: set[str]) -> list[Any]:
    """Return what calls of functions return, such as the transform's."""
    return [
        tensor
        for op in graph.get_operations()
        if op.type in _CALLS
        for tensor in op.outputs
        if tensor.name in depends and tensor.consumers()
    ]


def _sampled(
    tf: Any, samples: Any, inputs: Sequence[ModelInput], handles: Sequence[Any]
) -> Sequence[Any]:
    """Return what a function returns for a row of missing values, or else of zeros.

    Raises:
        NotSmoothError: If it fails on both.
    """
    kinds: dict[str, Any] = {"float32": np.float32, "int64": np.int64, "string": object}
    missing = [entry.missing for entry in inputs]
    zeros = [_ZEROS[entry.dtype] for entry in inputs]
    for values in (missing, zeros):
        row = [
            tf.constant(np.array([value], kinds[entry.dtype]))
            for value, entry in zip(values, inputs, strict=True)
        ]
        try:
            found: Sequence[Any] = samples(*row, *handles)
        except tf.errors.InvalidArgumentError:
            continue
        return found
    raise NotSmoothError("the graph fails on missing values")


def _edge(target: Any, depends: set[str]) -> list[Any]:
    """Return the tensors where the smooth part begins, in an order that does not depend on chance.

    Raises:
        NotSmoothError: If there are none, or one does not hold its rows along the first dimension.
    """
    found: dict[str, Any] = {}
    seen = set()
    stack = [target]
    while stack:
        tensor = stack.pop()
        if tensor.name in seen or tensor.name not in depends:
            continue
        seen.add(tensor.name)
        inputs = [each for each in tensor.op.inputs if each.name in depends]
        if not inputs or not _is_smooth(tensor.op, depends):
            found[tensor.name] = tensor
            continue
        stack += _numbers(inputs)
    for tensor in found.values():
        shape = tensor.shape
        if shape.rank == 0 or (shape.rank is not None and shape[0] is not None):
            raise NotSmoothError(f"{tensor.name} has the shape {shape}")
    if not found or target.name in found:
        raise NotSmoothError("the prediction comes from no numbers")
    return [found[name] for name in sorted(found)]


def _dependent(graph: Any, raw: Sequence[Any]) -> set[str]:
    """Return the names of the tensors that depend on the values of raw features."""
    found = {tensor.name for tensor in raw}
    # Operations are listed after those that they take, but for loops, which are within calls.
    for op in graph.get_operations():
        if op.type not in _SHAPES and any(tensor.name in found for tensor in op.inputs):
            found.update(tensor.name for tensor in op.outputs)
    return found


def _is_smooth(op: Any, depends: set[str]) -> bool:
    """Return whether an operation has gradients by all that it takes of the raw values."""
    if op.type in _STEPS or op.type in _CALLS:
        return False
    inputs = [tensor for tensor in op.inputs if tensor.name in depends]
    if op.type in _SELECTS and inputs[0] is op.inputs[0]:
        # Which side is taken may change along the path, but not whether a value is missing.
        return _is_comparison(op.inputs[0], depends) and all(
            tensor.dtype.is_floating for tensor in inputs[1:]
        )
    return all(tensor.dtype.is_floating for tensor in inputs)


def _is_comparison(condition: Any, depends: set[str]) -> bool:
    """Return whether a condition compares numbers, and does not look for missing ones."""
    op = condition.op
    inputs = [tensor for tensor in op.inputs if tensor.name in depends]
    if op.type in _LOGIC:
        return all(_is_comparison(tensor, depends) for tensor in inputs)
    return op.type != "IsNan" and all(tensor.dtype.is_floating for tensor in inputs)


def _numbers(tensors: Sequence[Any]) -> Iterator[Any]:
    """Yield numbers, and those that conditions among them compare."""
    for tensor in tensors:
        if tensor.dtype.is_floating:
            yield tensor
        elif tensor.dtype.is_bool:
            yield from _numbers(tensor.op.inputs)
