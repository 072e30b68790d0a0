"""Parts of a SavedModel's graph: a signature without variables, and what lies between tensors."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common.artifacts.model_document import ModelSpec


class UnclearInputsError(Exception):
    """The graph's inputs cannot be told apart, or its variables not made constants."""


@dataclass(frozen=True)
class FlatGraph:
    """A signature's graph, with constants for variables and most calls of functions inlined.

    Attributes:
        graph: The graph.
        raw: The tensors that take raw features.
        names: The signature's input of each of them, by the tensor's name.
        tables: The tensors that take vocabularies.
        handles: The vocabularies, in the same order.
        outputs: The signature's outputs by name.
    """

    graph: Any
    raw: Sequence[Any]
    names: Mapping[str, str]
    tables: Sequence[Any]
    handles: Sequence[Any]
    outputs: Mapping[str, Any]


def flattened(signature: Any, spec: ModelSpec) -> FlatGraph:
    """Return a signature's graph.

    Args:
        signature: A signature of a loaded model.
        spec: The model's description.

    Raises:
        UnclearInputsError: If the inputs are not those of the description, or TensorFlow cannot
            make constants of the variables.
    """
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )
    from tensorflow.python.framework.errors_impl import OpError

    try:
        # Inlines the calls of functions, too.
        flat = convert_variables_to_constants_v2(signature)
    except (KeyError, NotImplementedError, ValueError, OpError) as error:
        # As for some resources and loops in models of users.
        raise UnclearInputsError(f"the graph cannot be converted: {error}") from error
    captured = {
        inner.name: value
        for inner, value in zip(
            signature.graph.internal_captures, signature.captured_inputs, strict=True
        )
    }
    raw = [tensor for tensor in flat.inputs if tensor.name not in captured]
    tables = [tensor for tensor in flat.inputs if tensor.name in captured]
    return FlatGraph(
        flat.graph,
        raw,
        _names(raw, spec),
        tables,
        [captured[tensor.name] for tensor in tables],
        dict(zip(sorted(signature.structured_outputs), flat.outputs, strict=True)),
    )


def _names(raw: Sequence[Any], spec: ModelSpec) -> dict[str, str]:
    """Return the signature's input of each raw tensor, by the tensor's name.

    Operations are named in lower case, and inputs differ by more than that.
    """
    known = {entry.input.casefold(): entry.input for entry in spec.inputs}
    found = {tensor.name: known.get(tensor.op.name.casefold(), "") for tensor in raw}
    if sorted(found.values()) != sorted(known.values()):
        raise UnclearInputsError("the graph's inputs cannot be told apart")
    return found


def between(
    tf: Any,
    graph: Any,
    start: Sequence[Any],
    end: Sequence[Any],
    change: Callable[[Any], None] | None = None,
) -> Any:
    """Return a function of some of a graph's tensors that returns others.

    Args:
        tf: The TensorFlow module.
        graph: The graph.
        start: What the function takes.
        end: What it returns.
        change: Replaces operations in its definition by others that compute the same.
    """
    # Not by `tf.compat`, or `tf.errors` above: they import all of TensorFlow, which takes 1.5 s.
    from tensorflow.python.eager.wrap_function import wrap_function

    names = {tensor.name for tensor in start}
    used, operations = _needed(end, names)
    definition = graph.as_graph_def()
    # Others would run all the same where they have a state, as look-ups in tables do.
    nodes = [node for node in definition.node if node.name in operations]
    for node in nodes:
        # Control inputs only order inlined functions, and name operations that are left out.
        kept = [name for name in node.input if not name.startswith("^")]
        del node.input[:]
        node.input.extend(kept)
    del definition.node[:]
    definition.node.extend(nodes)
    if change is not None:
        change(definition)

    def computed(*values: Any) -> Any:
        given = {tensor.name: value for tensor, value in zip(start, values, strict=True)}
        found = tf.graph_util.import_graph_def(
            definition,
            input_map={name: value for name, value in given.items() if name in used},
            return_elements=[tensor.name for tensor in end if tensor.name not in names],
            name="",
        )
        rest = iter(found)
        return [given[tensor.name] if tensor.name in names else next(rest) for tensor in end]

    signature = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in start]
    return wrap_function(computed, signature)


def _needed(end: Sequence[Any], start: set[str]) -> tuple[set[str], set[str]]:
    """Return the tensors of the start that the end needs, and the operations between, by name."""
    used: set[str] = set()
    operations: set[str] = set()
    stack = [tensor for tensor in end if tensor.name not in start]
    while stack:
        tensor = stack.pop()
        if tensor.op.name in operations:
            continue
        operations.add(tensor.op.name)
        used.update(each.name for each in tensor.op.inputs if each.name in start)
        stack += [each for each in tensor.op.inputs if each.name not in start]
    return used, operations
