"""Which raw column each number of a graph's tensors comes from.

Operations are followed number by number: a matrix of columns that are stacked, looked up and
unstacked again does not mix them. What an operation does that is not known here counts as unknown.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Sources = np.ndarray[Any, np.dtype[np.int32]]

NO_COLUMN = -1
SEVERAL_COLUMNS = -2


@dataclass(frozen=True)
class Rows:
    """A tensor that holds a value, or several, for each row.

    Attributes:
        axis: Its dimension of rows.
        sources: The column that each value of a row comes from, or `NO_COLUMN`, or
            `SEVERAL_COLUMNS`; the shape is the tensor's without the rows.
    """

    axis: int
    sources: Sources

    @property
    def is_separable(self) -> bool:
        """Whether each value comes from one column at most."""
        return not bool((self.sources == SEVERAL_COLUMNS).any())

    @property
    def from_right(self) -> int:
        """The dimension of rows, counted from the last one, which is -1."""
        return self.axis - self.sources.ndim - 1


@dataclass(frozen=True)
class Fixed:
    """A tensor that is the same for all rows.

    Attributes:
        shape: Its shape; None where it is unknown.
        value: Its value, where it is a constant of the graph.
    """

    shape: tuple[int, ...] | None
    value: "np.ndarray[Any, Any] | None" = None


@dataclass(frozen=True)
class Sizes:
    """A shape, or a part of one. It depends on the number of rows, not on their values.

    Attributes:
        sizes: The sizes; None for the number of rows. A single size is a tuple of one.
    """

    sizes: tuple[int | None, ...]


Known = Rows | Fixed | Sizes
Result = Known | None


class UnknownOperationError(Exception):
    """An operation that is not known here, or arguments of one that are not."""


def of_columns(tf: Any, graph: Any, columns: Mapping[str, int]) -> dict[str, Known]:
    """Return what is known of a graph's tensors, by name.

    Args:
        tf: The TensorFlow module.
        graph: A graph without variables.
        columns: The number of the raw column of each tensor that takes one, by the tensor's name.
    """
    given: dict[str, Result] = {
        name: Rows(0, np.array(column, np.int32)) for name, column in columns.items()
    }
    return {name: known for name, known in _followed(tf, graph, given).items() if known is not None}


def _followed(tf: Any, graph: Any, given: Mapping[str, Result]) -> dict[str, Result]:
    found: dict[str, Result] = dict(given)
    for op in graph.get_operations():
        if all(output.name in found for output in op.outputs):
            continue
        inputs = [found.get(tensor.name) for tensor in op.inputs]
        results: Sequence[Result]
        try:
            results = _results(tf, graph, op, inputs)
        except UnknownOperationError:
            results = [None] * len(op.outputs)
        found.update(zip((output.name for output in op.outputs), results, strict=True))
    return found


def _results(tf: Any, graph: Any, op: Any, inputs: Sequence[Result]) -> Sequence[Result]:
    if op.type == "Const":
        value = tf.make_ndarray(op.get_attr("value"))
        return [Fixed(value.shape, value)]
    if op.type == "Placeholder":
        # What is no raw column is a table of a vocabulary.
        return [Fixed(_static_shape(op.outputs[0]))]
    if op.type in _CALLS:
        return _called(tf, graph, op, inputs)
    known = [each for each in inputs if each is not None]
    if len(known) < len(inputs):
        raise UnknownOperationError
    follow = _OPERATIONS.get(op.type)
    if follow is not None and any(isinstance(each, Rows) for each in known):
        return follow(op, known)
    if op.type in _OF_SIZES and any(isinstance(each, Sizes) for each in known):
        return _OF_SIZES[op.type](op, known)
    if all(isinstance(each, Fixed) for each in known) and not op.op_def.is_stateful:
        value = known[0].value if op.type in _SAME and isinstance(known[0], Fixed) else None
        return [Fixed(_static_shape(output), value) for output in op.outputs]
    raise UnknownOperationError


def _called(tf: Any, graph: Any, op: Any, inputs: Sequence[Result]) -> Sequence[Result]:
    """Follow a function, which may not be used without some of its inputs being known."""
    from tensorflow.python.framework.function_def_to_graph import function_def_to_graph

    name = op.get_attr("f").name
    definitions = {each.signature.name: each for each in graph.as_graph_def().library.function}
    with graph.as_default():
        body = function_def_to_graph(
            definitions[name],
            input_shapes=[tensor.shape for tensor in op.inputs],
            include_library_functions=True,
        )
    given = {tensor.name: known for tensor, known in zip(body.inputs, inputs, strict=True)}
    found = _followed(tf, body, given)
    return [found.get(tensor.name) for tensor in body.outputs]


# From here on: what is known of the results of operations.


def _elementwise(op: Any, inputs: Sequence[Known]) -> Sequence[Result]:
    """Follow an operation that computes each value from those at the same place."""
    rows = [each for each in inputs if isinstance(each, Rows)]
    place = rows[0].from_right
    if any(each.from_right != place for each in rows):
        raise UnknownOperationError
    aligned = [_aligned(each, place) for each in inputs]
    joined = combined(np.stack(np.broadcast_arrays(*aligned)))
    axis = joined.ndim + place
    return [Rows(axis, joined.squeeze(axis))] * len(op.outputs)


def _aligned(known: Known, place: int) -> Sources:
    """Return the sources with a dimension of size 1 for the rows."""
    if isinstance(known, Rows):
        return np.expand_dims(known.sources, known.axis)
    if not isinstance(known, Fixed) or known.shape is None:
        raise UnknownOperationError
    if len(known.shape) >= -place and known.shape[place] != 1:
        raise UnknownOperationError
    return np.full(known.shape, NO_COLUMN, np.int32)


def combined(sources: Sources) -> Sources:
    """Return the source of what is computed from values along the first dimension.

    Example:
        >>> several = np.array([[0, 0, -1], [0, 1, -1]], np.int32)
        >>> combined(several).tolist()
        [0, -2, -1]
    """
    if not len(sources):
        return np.full(sources.shape[1:], NO_COLUMN, np.int32)
    highest = sources.max(axis=0)
    several = ((sources != highest) & (sources != NO_COLUMN)).any(axis=0)
    return np.where(several, SEVERAL_COLUMNS, highest).astype(np.int32)


def _same(op: Any, inputs: Sequence[Known]) -> Sequence[Result]:
    return [inputs[0]] * len(op.outputs)


def _like(_: Any, inputs: Sequence[Known]) -> Sequence[Result]:
    """Follow an operation that returns a value for each of another tensor's, whatever it is."""
    rows = _rows(inputs[0])
    return [Rows(rows.axis, np.full_like(rows.sources, NO_COLUMN))]


def _pack(op: Any, inputs: Sequence[Known]) -> Sequence[Result]:
    rows = [each for each in inputs if isinstance(each, Rows)]
    first = rows[0]
    axis = op.get_attr("axis")
    axis += (first.sources.ndim + 2) if axis < 0 else 0
    parts = []
    for each in inputs:
        if isinstance(each, Rows) and (each.axis, each.sources.ndim) == (
            first.axis,
            first.sources.ndim,
        ):
            parts.append(each.sources)
        else:
            raise UnknownOperationError
    moved = first.axis + (axis <= first.axis)
    return [Rows(moved, np.stack(parts, axis - (axis > first.axis)))]


def _unpack(op: Any, inputs: Sequence[Known]) -> Sequence[Result]:
    rows = _rows(inputs[0])
    axis = _dimension(op.get_attr("axis"), rows)
    moved = rows.axis - (axis < rows.axis)
    parts = np.moveaxis(rows.sources, axis - (axis > rows.axis), 0)
    if len(parts) != len(op.outputs):
        raise UnknownOperationError
    return [Rows(moved, part) for part in parts]


def _concat(_: Any, inputs: Sequence[Known]) -> Sequence[Result]:
    parts = [_rows(each) for each in inputs[:-1]]
    axis = _dimension(_integer(inputs[-1]), parts[0])
    if any(each.axis != parts[0].axis for each in parts):
        raise UnknownOperationError
    within = axis - (axis > parts[0].axis)
    return [Rows(parts[0].axis, np.concatenate([each.sources for each in parts], within))]


def _gather(op: Any, inputs: Sequence[Known]) -> Sequence[Result]:
    """Follow a gather: of columns at fixed places, or from a fixed table at places of rows."""
    values, places, axis = inputs
    if op.get_attr("batch_dims"):
        raise UnknownOperationError
    if isinstance(values, Rows):
        if not isinstance(places, Fixed) or places.value is None:
            raise UnknownOperationError
        at = _dimension(_integer(axis), values)
        taken = np.take(values.sources, places.value, at - (at > values.axis))
        moved = values.axis + (places.value.ndim - 1 if at < values.axis else 0)
        return [Rows(moved, taken.astype(np.int32))]
    rows = _rows(places)
    if not isinstance(values, Fixed) or values.shape is None or _integer(axis) != 0:
        raise UnknownOperationError
    wide = rows.sources.reshape(rows.sources.shape + (1,) * (len(values.shape) - 1))
    return [Rows(rows.axis, np.broadcast_to(wide, rows.sources.shape + values.shape[1:]))]


def _strided_slice(op: Any, inputs: Sequence[Known]) -> Sequence[Result]:
    rows = _rows(inputs[0])
    begin, end, strides = (_integers(each) for each in inputs[1:])
    masks = {
        name: op.get_attr(f"{name}_mask")
        for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }
    index: list[Any] = []
    source, axis = 0, None
    for place in range(len(begin)):
        bit = 1 << place
        if masks["ellipsis"] & bit:
            raise UnknownOperationError
        if masks["new_axis"] & bit:
            index.append(np.newaxis)
            continue
        part = slice(
            None if masks["begin"] & bit else begin[place],
            None if masks["end"] & bit else end[place],
            strides[place],
        )
        if source == rows.axis:
            if part != slice(None, None, 1) or masks["shrink_axis"] & bit:
                raise UnknownOperationError
            axis = sum(not isinstance(each, int) for each in index)
        index.append(begin[place] if masks["shrink_axis"] & bit else part)
        source += 1
    if axis is None:
        # The rows come after what is cut.
        axis = rows.axis - source + sum(not isinstance(each, int) for each in index)
    found = np.expand_dims(rows.sources, rows.axis)[tuple(index)]
    return [Rows(axis, found.squeeze(axis))]


def _transpose(_: Any, inputs: Sequence[Known]) -> Sequence[Result]:
    rows = _rows(inputs[0])
    order = _integers(inputs[1])
    moved = np.expand_dims(rows.sources, rows.axis).transpose(order)
    axis = order.index(rows.axis)
    return [Rows(axis, moved.squeeze(axis))]


def _reshape(op: Any, inputs: Sequence[Known]) -> Sequence[Result]:
    """Follow a reshape that leaves the rows apart: as many values are before and after them."""
    rows = _rows(inputs[0])
    wanted = _wanted_shape(op, inputs[1])
    if -1 in wanted:
        # What is left: the number of rows is another one.
        left = rows.sources.size // max(_product([size for size in wanted if size != -1]), 1)
        wanted[wanted.index(-1)] = left
    if wanted.count(None) != 1:
        raise UnknownOperationError
    axis = wanted.index(None)
    before, after = wanted[:axis], wanted[axis + 1 :]
    shape = rows.sources.shape
    if (_product(before), _product(after)) != (
        _product(shape[: rows.axis]),
        _product(shape[rows.axis :]),
    ):
        raise UnknownOperationError
    return [Rows(axis, rows.sources.reshape([size for size in wanted if size is not None]))]


def _wanted_shape(op: Any, shape: Known) -> list[int | None]:
    """Return a shape with None for the rows, or for what is unknown."""
    if isinstance(shape, Sizes):
        return list(shape.sizes)
    if isinstance(shape, Fixed) and shape.value is not None:
        return [None if size < 0 else size for size in shape.value.tolist()]
    found = op.outputs[0].shape
    return [None, None] if found.rank is None else found.as_list()


def _expand(_: Any, inputs: Sequence[Known]) -> Sequence[Result]:
    rows = _rows(inputs[0])
    axis = _integer(inputs[1])
    axis += (rows.sources.ndim + 2) if axis < 0 else 0
    moved = rows.axis + (axis <= rows.axis)
    return [Rows(moved, np.expand_dims(rows.sources, axis - (axis > rows.axis)))]


def _reduce(op: Any, inputs: Sequence[Known]) -> Sequence[Result]:
    rows = _rows(inputs[0])
    axes = {_dimension(axis, rows) for axis in _integers(inputs[1])}
    found, axis = np.expand_dims(rows.sources, rows.axis), rows.axis
    for each in sorted(axes, reverse=True):
        found = combined(np.moveaxis(found, each, 0))
        if op.get_attr("keep_dims"):
            found = np.expand_dims(found, each)
        else:
            axis -= each < axis
    return [Rows(axis, found.squeeze(axis))]


def _matmul(op: Any, inputs: Sequence[Known]) -> Sequence[Result]:
    rows, weights = _rows(inputs[0]), inputs[1]
    if (
        not isinstance(weights, Fixed)
        or weights.shape is None
        or rows.axis
        or op.get_attr("transpose_a")
    ):
        raise UnknownOperationError
    width = weights.shape[0 if op.get_attr("transpose_b") else 1]
    return [Rows(0, np.broadcast_to(combined(rows.sources), (width,)))]


def _einsum(op: Any, inputs: Sequence[Known]) -> Sequence[Result]:
    """Follow a sum of products of rows and fixed numbers."""
    rows, weights = _rows(inputs[0]), inputs[1]
    if not isinstance(weights, Fixed) or weights.shape is None:
        raise UnknownOperationError
    takes, _, gives = op.get_attr("equation").decode().partition("->")
    left, right = takes.split(",")
    if "." in takes or left[rows.axis] in right or len(set(left)) < len(left):
        raise UnknownOperationError
    batch = left[rows.axis]
    inner = left.replace(batch, "")
    summed = [name for name in inner if name not in gives]
    kept = [name for name in inner if name in gives]
    found = combined(
        rows.sources.transpose([inner.index(name) for name in [*summed, *kept]]).reshape(
            (-1, *(rows.sources.shape[inner.index(name)] for name in kept))
        )
    )
    sizes = dict(zip(right, weights.shape, strict=True))
    order = [name for name in gives if name != batch]
    place = [name for name in order if name in kept]
    found = found.transpose([kept.index(name) for name in place])
    for at, name in enumerate(order):
        if name not in kept:
            found = np.repeat(np.expand_dims(found, at), sizes[name], at)
    return [Rows(gives.index(batch), found)]


def _searched(_: Any, inputs: Sequence[Known]) -> Sequence[Result]:
    """Follow a search for values in sorted lists, of which each row of the matrix has its own."""
    bounds, values = inputs[0], _rows(inputs[1])
    if not isinstance(bounds, Fixed) or (values.axis, values.sources.ndim) != (1, 1):
        raise UnknownOperationError
    return [values]


def _looked_up(_: Any, inputs: Sequence[Known]) -> Sequence[Result]:
    table, keys, default = inputs
    if not isinstance(table, Fixed) or not isinstance(default, Fixed):
        raise UnknownOperationError
    return [keys]


def _shape(_: Any, inputs: Sequence[Known]) -> Sequence[Result]:
    rows = _rows(inputs[0])
    sizes: list[int | None] = [*rows.sources.shape]
    sizes.insert(rows.axis, None)
    return [Sizes(tuple(sizes))]


def _fill(_: Any, inputs: Sequence[Known]) -> Sequence[Result]:
    sizes, value = inputs
    if not isinstance(sizes, Sizes) or not isinstance(value, Fixed):
        raise UnknownOperationError
    if sizes.sizes.count(None) != 1:
        raise UnknownOperationError
    axis = sizes.sizes.index(None)
    rest = [size for size in sizes.sizes if size is not None]
    return [Rows(axis, np.full(rest, NO_COLUMN, np.int32))]


def _sliced_sizes(op: Any, inputs: Sequence[Known]) -> Sequence[Result]:
    sizes = inputs[0]
    begin, end, strides = (_integers(each) for each in inputs[1:])
    if not isinstance(sizes, Sizes) or len(begin) != 1:
        raise UnknownOperationError
    if op.get_attr("shrink_axis_mask"):
        return [Sizes((sizes.sizes[begin[0]],))]
    part = slice(
        None if op.get_attr("begin_mask") else begin[0],
        None if op.get_attr("end_mask") else end[0],
        strides[0],
    )
    return [Sizes(sizes.sizes[part])]


def _joined_sizes(op: Any, inputs: Sequence[Known]) -> Sequence[Result]:
    parts = inputs[:-1] if op.type == "ConcatV2" else inputs
    found: list[int | None] = []
    for each in parts:
        if isinstance(each, Sizes):
            found += each.sizes
        elif isinstance(each, Fixed) and each.value is not None:
            found += each.value.ravel().tolist()
        else:
            raise UnknownOperationError
    return [Sizes(tuple(found))]


def _rows(known: Known) -> Rows:
    if not isinstance(known, Rows):
        raise UnknownOperationError
    return known


def _integers(known: Known) -> list[int]:
    if not isinstance(known, Fixed) or known.value is None:
        raise UnknownOperationError
    return [int(value) for value in known.value.ravel()]


def _integer(known: Known) -> int:
    return _integers(known)[0]


def _dimension(axis: int, rows: Rows) -> int:
    """Return a dimension that is not the one of rows, counted from 0."""
    axis += (rows.sources.ndim + 1) if axis < 0 else 0
    if axis == rows.axis:
        raise UnknownOperationError
    return axis


def _product(sizes: Sequence[int | None]) -> int:
    return int(np.prod([size for size in sizes if size is not None], dtype=np.int64))


def _static_shape(tensor: Any) -> tuple[int, ...] | None:
    shape = tensor.shape
    return tuple(shape.as_list()) if shape.is_fully_defined() else None


_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_SAME = ("Identity", "StopGradient", "Snapshot", "PreventGradient")
_ELEMENTWISE = (
    *("Abs", "Add", "AddN", "AddV2", "AsString", "Atan2", "BiasAdd", "Cast", "Ceil", "ClipByValue"),
    *("Cos", "Div", "DivNoNan", "Elu", "Equal", "Erf", "Exp", "Expm1", "Floor", "FloorDiv"),
    *("FloorMod", "Greater", "GreaterEqual", "IsFinite", "IsInf", "IsNan", "Less", "LessEqual"),
    *("Log", "Log1p", "LogicalAnd", "LogicalNot", "LogicalOr", "Maximum", "Minimum", "Mod", "Mul"),
    *("MulNoNan", "Neg", "NotEqual", "Pow", "RealDiv", "Reciprocal", "Relu", "Relu6", "Rint"),
    *("Round", "Rsqrt", "SelectV2", "Selu", "Sigmoid", "Sign", "Sin", "Softplus"),
    *("Sqrt", "Square", "SquaredDifference", "StringJoin", "StringLength", "StringLower"),
    *("StringStrip", "StringToHashBucketFast", "StringUpper", "Sub", "Tanh", "TruncateDiv"),
    *("TruncateMod", "Xdivy", "Xlogy"),
)
_OPERATIONS: Mapping[str, Callable[[Any, Sequence[Known]], Sequence[Result]]] = {
    **dict.fromkeys(_ELEMENTWISE, _elementwise),
    **dict.fromkeys(_SAME, _same),
    **dict.fromkeys(("OnesLike", "ZerosLike"), _like),
    **dict.fromkeys(("All", "Any", "Max", "Mean", "Min", "Prod", "Sum"), _reduce),
    **dict.fromkeys(("LowerBound", "UpperBound"), _searched),
    "ConcatV2": _concat,
    "Einsum": _einsum,
    "ExpandDims": _expand,
    "GatherV2": _gather,
    "LookupTableFindV2": _looked_up,
    "MatMul": _matmul,
    "Pack": _pack,
    "Reshape": _reshape,
    "Shape": _shape,
    "StridedSlice": _strided_slice,
    "Transpose": _transpose,
    "Unpack": _unpack,
}
_OF_SIZES: Mapping[str, Callable[[Any, Sequence[Known]], Sequence[Result]]] = {
    "ConcatV2": _joined_sizes,
    "Fill": _fill,
    "Identity": _same,
    "Pack": _joined_sizes,
    "StridedSlice": _sliced_sizes,
}
