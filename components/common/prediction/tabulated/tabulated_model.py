"""A model that answers rows by adding up what each of their values contributes."""

import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kfp_tabular.components.common.artifacts.model_document import (
    CLASSES,
    PREDICTION,
    PROBABILITIES,
    SERVING_SIGNATURE,
)
from kfp_tabular.components.common.prediction import graph_parts
from kfp_tabular.components.common.prediction.column_decoder import Texts
from kfp_tabular.components.common.prediction.graph_parts import UnclearInputsError
from kfp_tabular.components.common.prediction.packed_columns import Columns, rows_of
from kfp_tabular.components.common.prediction.saved_model import SavedModel
from kfp_tabular.components.common.prediction.tabulated import (
    fused_layers,
    graph_cut,
    member_products,
)
from kfp_tabular.components.common.prediction.tabulated.cut_tensors import NotSeparableError
from kfp_tabular.components.common.prediction.tabulated.value_tables import (
    UNKNOWN,
    Coded,
    KnownValues,
    coded,
)

Array = np.ndarray[Any, Any]

_ROWS = 4_096
"""Rows of a call. What a few layers take and return then stays in a processor's cache."""
_MOST_BYTES = 48 << 20
"""The size of a piece's tables."""
_ROWS_TO_JUDGE = 65_536
"""A piece with more different values than rows, by then, goes on without tables."""
_PACKET = 64


class Tables:
    """What values contribute. It is never changed.

    Args:
        known: The values of each column.
        numbers: What they contribute, `[values of all columns, width]`.
        first: The tables that these were grown from, where rows have the same places; None for
            none.

    Attributes:
        first: The same; of tables that were not grown from others, themselves.
    """

    def __init__(
        self, known: Sequence[KnownValues], numbers: Array, first: "Tables | None" = None
    ) -> None:
        self.known = known
        self.numbers = numbers
        self.first = self if first is None else first
        self._tensor: Any = None

    def __len__(self) -> int:
        return len(self.numbers)

    def only(self, kept: Array) -> "Tables":
        """Return tables of some rows, given as a mask."""
        return Tables([each.only(kept) for each in self.known], self.numbers[kept])

    def tensor(self, tf: Any) -> Any:
        """Return the numbers as a tensor."""
        if self._tensor is None:
            self._tensor = tf.constant(self.numbers)
        return self._tensor


class TabulatedModel:
    """A model's graph in two parts: from values to numbers, and from numbers to answers.

    Threads may share it.

    Attributes:
        plain: The model.
        classes: The classes that are answered by their positions here; empty for their names.

    Args:
        model: The model. Nothing may predict with it meanwhile: functions of its graph are replaced
            by equal ones.

    Raises:
        NotSeparableError: If its graph cannot be cut.
    """

    def __init__(self, model: SavedModel) -> None:
        self.plain = model
        tf = self._tensorflow = model.tensorflow
        spec = model.spec
        try:
            flat = graph_parts.flattened(model.graph.signatures[SERVING_SIGNATURE], spec)
        except UnclearInputsError as error:
            raise NotSeparableError(str(error)) from error
        self._output = PREDICTION if spec.task == "regression" else PROBABILITIES
        targets = [flat.outputs[self._output]]
        self.classes: tuple[bytes, ...] = ()
        if spec.task != "regression":
            chosen, self.classes = _chosen(tf, flat.outputs[CLASSES])
            targets.append(chosen)
        self._cut = graph_cut.find(tf, flat, spec, targets)
        origins = [each.origin for each in self._cut.tensors]
        front = graph_parts.between(tf, flat.graph, [*flat.raw, *flat.tables], origins)
        names = [flat.names[tensor.name] for tensor in flat.raw]
        self._front: Callable[[Mapping[str, Array]], list[Array]] = lambda columns: [
            tensor.numpy()
            for tensor in front(*(tf.constant(columns[name]) for name in names), *flat.handles)
        ]
        self._answer: Any = self._rest(flat.graph, targets)
        texts = {entry.input for entry in spec.inputs if entry.dtype == "string"}
        known = [KnownValues.empty(is_text=name in texts) for name in self.columns]
        self._tables = Tables(known, np.empty((0, self.width), np.float32))
        self._growing = threading.Lock()

    @property
    def columns(self) -> Sequence[str]:
        """The signature's inputs, in the order of the tables' columns."""
        return self._cut.columns

    @property
    def width(self) -> int:
        """How many numbers a value contributes."""
        return self._cut.width

    @property
    def tables(self) -> Tables:
        """The tables so far."""
        return self._tables

    def grown(self, tables: Tables, used: Array, codes: Sequence[Coded]) -> tuple[Tables, Array]:
        """Return tables with more values.

        Args:
            tables: The tables so far, of a piece.
            used: Which of their rows the piece has used, as a mask.
            codes: The columns whose values to add.

        Returns:
            The tables, and which of their rows the piece has used.

        Raises:
            NotSeparableError: If float32 does not hold what a value contributes, or the graph fails
                on a value.
        """
        with self._growing:
            # Tables of before values went are the piece's own: others have grown them differently.
            is_shared = self._tables.first is tables.first
            if is_shared:
                tables = self._tables
            used = _extended(used, len(tables))
            new = _new_values(tables, codes)
            if (len(tables) + sum(map(len, new))) * self.width * 4 > 2 * _MOST_BYTES:
                # Other pieces' values go.
                tables, used = tables.only(used), np.ones(int(used.sum()), np.bool_)
                new = _new_values(tables, codes)
            if any(map(len, new)):
                tables = self._with_more(tables, new, codes)
            if is_shared:
                self._tables = tables
            return tables, _extended(used, len(tables))

    def _with_more(self, tables: Tables, new: Sequence[Array], codes: Sequence[Coded]) -> Tables:
        # Of whole packets, so that what a value gets does not depend on its place among others.
        size = -(-max(map(len, new)) // _PACKET) * _PACKET
        columns = {
            name: _padded(own if len(own) else each.distinct[:1], size)
            for name, own, each in zip(self.columns, new, codes, strict=True)
        }
        added = self._contributions(columns, [len(own) for own in new])
        known, place = [], len(tables)
        for each, own in zip(tables.known, new, strict=True):
            known.append(each.with_more(own, place) if len(own) else each)
            place += len(own)
        return Tables(known, np.concatenate([tables.numbers, added]), tables.first)

    def by_tables(self, tables: Tables, places: Array) -> dict[str, Array]:
        """Return the answers for rows.

        Args:
            tables: What values contribute.
            places: Where each row's values are in them, int32 `[rows, columns]`.
        """
        tf = self._tensorflow
        found: list[Sequence[Array]] = []
        for start in range(0, len(places), _ROWS):
            part = np.ascontiguousarray(places[start : start + _ROWS])
            answers = self._answer(tables.tensor(tf), tf.constant(part))
            found.append([each.numpy() for each in answers])
        joined = [np.concatenate(parts) for parts in zip(*found, strict=True)]
        return dict(zip(self.plain.outputs, joined, strict=True))

    def _contributions(self, columns: Mapping[str, Array], counts: Sequence[int]) -> Array:
        """Return what the first values of each column contribute, column after column."""
        try:
            origins = self._front(columns)
        except self._tensorflow.errors.InvalidArgumentError as error:
            raise NotSeparableError(str(error)) from error
        flat = [each.flat(values) for each, values in zip(self._cut.tensors, origins, strict=True)]
        return np.concatenate(
            [
                np.concatenate(
                    [
                        each.part(values[:count], column)
                        for each, values in zip(self._cut.tensors, flat, strict=True)
                    ],
                    axis=1,
                )
                for column, count in enumerate(counts)
            ]
        )

    def _rest(self, graph: Any, targets: Sequence[Any]) -> Any:
        """Return the function from a table and rows of places in it to the answers."""
        tf, cut = self._tensorflow, self._cut
        start = [each.tensor for each in cut.tensors]
        blanks = [tensor for tensor, _ in cut.blanks]

        def change(definition: Any) -> None:
            member_products.joined(tf, definition, cut.known)
            fused_layers.moved(definition, {tensor.op.name for tensor in targets})

        rest = graph_parts.between(tf, graph, [*start, *blanks], targets, change)
        count = len(cut.columns)
        specs = [
            tf.TensorSpec([None, cut.width], tf.float32),
            tf.TensorSpec([None, count], tf.int32),
        ]

        @tf.function(input_signature=specs, autograph=False)
        def answer(table: Any, places: Any) -> Any:
            rows = tf.shape(places)[0]
            sums = tf.raw_ops.SparseSegmentSum(
                data=table,
                indices=tf.reshape(places, [-1]),
                segment_ids=tf.repeat(tf.range(rows), count),
            )
            parts = tf.split(sums, [each.width for each in cut.tensors], axis=1)
            values = [
                each.restored(tf, part) for each, part in zip(cut.tensors, parts, strict=True)
            ]
            for tensor, known in cut.blanks:
                shape: list[Any] = [*known.sources.shape]
                shape.insert(known.axis, rows)
                values.append(tf.zeros(shape, tensor.dtype))
            return rest(*values)

        return answer


class TabulatedPiece:
    """Answers the rows of a piece, block after block, as the model does but for the last digits.

    What it answers depends on the piece alone: pieces share tables, but each uses only the values
    that it has added itself.

    Args:
        model: The model.
    """

    def __init__(self, model: TabulatedModel) -> None:
        self._model = model
        self._tables = model.tables
        self._used = np.zeros(len(self._tables), np.bool_)
        self._is_growing = True
        self._rows = 0

    def answers(self, columns: Columns) -> dict[str, Array]:
        """Predict for columns, as `SavedModel.answers` does, but for classes: see `classes`.

        Raises:
            ValueError: If the graph fails on a value, as a user's preprocessing function may.
        """
        first = next(iter(columns.values()))
        rows = len(first.codes) if isinstance(first, Texts) else len(first)
        if not rows or not (self._is_growing or self._used.any()):
            return self._plain(columns, rows)
        codes = [coded(columns[name]) for name in self._model.columns]
        if not self._rows and sum(len(each.distinct) for each in codes) > rows:
            # Not even added: that takes as long as answers.
            self._is_growing = False
            return self._plain(columns, rows)
        if self._is_growing:
            self._add(codes)
            self._judge(rows)
        places = self._places(codes)
        known = (places != UNKNOWN).all(axis=1)
        if known.all():
            return self._model.by_tables(self._tables, places)
        others = np.flatnonzero(~known)
        parts = [(others, self._plain(rows_of(columns, others), len(others)))]
        if len(others) < rows:
            answered = self._model.by_tables(self._tables, places[known])
            parts.append((np.flatnonzero(known), answered))
        return {
            name: _merged([(at, answers[name]) for at, answers in parts], rows)
            for name in self._model.plain.outputs
        }

    @property
    def classes(self) -> tuple[bytes, ...]:
        """The classes that are answered by their positions here; empty for their names."""
        return self._model.classes

    def _plain(self, columns: Columns, rows: int) -> dict[str, Array]:
        model = self._model.plain
        parts = [
            model.answers(rows_of(columns, slice(start, min(start + _ROWS, rows))))
            for start in range(0, max(rows, 1), _ROWS)
        ]
        found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        if self.classes:
            position = {name: place for place, name in enumerate(self.classes)}
            found[CLASSES] = np.array([position[name] for name in found[CLASSES]], np.int32)
        return found

    def _add(self, codes: Sequence[Coded]) -> None:
        """Add the values of a block to those that are used, if there is room."""
        known = self._tables.known
        found = [each.places_of(own.distinct) for each, own in zip(known, codes, strict=True)]
        more = (
            sum(
                int(np.count_nonzero((places == UNKNOWN) | ~self._used[places])) for places in found
            )
            if len(self._used)
            else sum(len(own.distinct) for own in codes)
        )
        if (int(self._used.sum()) + more) * self._model.width * 4 > _MOST_BYTES:
            self._is_growing = False
            return
        if any((places == UNKNOWN).any() for places in found):
            try:
                self._tables, self._used = self._model.grown(self._tables, self._used, codes)
            except NotSeparableError:
                self._is_growing = False
                return
            found = [
                each.places_of(own.distinct)
                for each, own in zip(self._tables.known, codes, strict=True)
            ]
        for places in found:
            self._used[places] = True

    def _judge(self, rows: int) -> None:
        """Give the tables up if values do not come again."""
        before, self._rows = self._rows, self._rows + rows
        if before < _ROWS_TO_JUDGE <= self._rows and int(self._used.sum()) > self._rows:
            self._is_growing = False
            self._used[:] = False

    def _places(self, codes: Sequence[Coded]) -> Array:
        """Return where each row's values are in the tables: int32 `[rows, columns]`."""
        places = np.empty((len(codes[0].codes), len(codes)), np.int32)
        for column, (known, each) in enumerate(zip(self._tables.known, codes, strict=True)):
            found = known.places_of(each.distinct)
            if len(self._used):
                found = np.where((found != UNKNOWN) & self._used[found], found, UNKNOWN)
            places[:, column] = found[each.codes]
        return places


@functools.lru_cache(maxsize=2)
def of(model: SavedModel) -> TabulatedModel | None:
    """Return a model that answers by tables; None if its graph cannot be cut."""
    try:
        return TabulatedModel(model)
    except NotSeparableError:
        return None


def _new_values(tables: Tables, codes: Sequence[Coded]) -> list[Array]:
    return [
        each.distinct[known.places_of(each.distinct) == UNKNOWN]
        for known, each in zip(tables.known, codes, strict=True)
    ]


def _extended(used: Array, size: int) -> Array:
    found = np.zeros(size, np.bool_)
    found[: len(used)] = used
    return found


def _padded(values: Array, size: int) -> Array:
    return np.concatenate([values, np.repeat(values[:1], size - len(values))])


def _merged(parts: Sequence[tuple[Array, Array]], rows: int) -> Array:
    example = parts[0][1]
    found = np.empty((rows, *example.shape[1:]), example.dtype)
    for at, values in parts:
        found[at] = values
    return found


def _chosen(tf: Any, classes: Any) -> tuple[Any, tuple[bytes, ...]]:
    """Return the positions of the answered classes, and the classes; or texts, and nothing."""
    tensor = classes
    while tensor.op.type == "Identity":
        tensor = tensor.op.inputs[0]
    if tensor.op.type == "GatherV2":
        names = tensor.op.inputs[0]
        while names.op.type == "Identity":
            names = names.op.inputs[0]
        if names.op.type == "Const":
            value = tf.make_ndarray(names.op.get_attr("value"))
            places = tensor.op.inputs[1]
            if value.ndim == 1 and places.dtype.name in ("int32", "int64"):
                return places, tuple(value.tolist())
    return classes, ()
