"""Selection of golden examples: a few rows with the answers of the model."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kfp_tabular.components.common.artifacts import model_document
from kfp_tabular.components.common.artifacts.dense_columns import dense_numpy
from kfp_tabular.components.common.artifacts.golden_examples import GoldenExamples
from kfp_tabular.components.common.artifacts.model_document import ModelInput, ModelSpec
from kfp_tabular.components.common.prediction.predicted_batches import PredictedBatch
from kfp_tabular.components.common.prediction.saved_model import SavedModel
from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.processing.row_keys import Keys

ROWS = 32

_HALVES = 2  # of the predictions of a regression model
_CANDIDATES = 64
_PENDING = 256
_ANY = np.uint64(2**64 - 1)

Ints = npt.NDArray[np.int64]
Inputs = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class GoldenRows:
    """Rows of which golden examples are made, in random order.

    Attributes:
        spec: The model's description.
        inputs: What the model takes, by `ModelInput.input`, shape `[rows]`.
        strata: For each row, twice its class, plus 1 if a value is missing.
    """

    spec: ModelSpec
    inputs: Inputs
    strata: Ints

    def answered(self, model: SavedModel) -> GoldenExamples:
        """Return at most `ROWS` of the rows with the model's answers."""
        if not len(self.strata):
            return GoldenExamples([], [])
        strata, halves = self.strata, len(self.spec.classes)
        outputs = {name: values.numpy() for name, values in model.predict(self.inputs).items()}
        if self.spec.task == "regression":
            answers = outputs[model_document.PREDICTION]
            strata, halves = strata + 2 * (answers > np.median(answers)), _HALVES
        is_first = _ranks(np.arange(len(strata), dtype=np.uint64), strata) < _quota(halves)
        places = [*np.flatnonzero(is_first), *np.flatnonzero(~is_first)][:ROWS]
        return GoldenExamples(
            [self._instance(place) for place in places],
            [self._answer(outputs, place) for place in places],
        )

    def _instance(self, row: int) -> dict[str, Any]:
        return {
            given.name: _json(self.inputs[given.input][row])
            for given in self.spec.inputs
            if not _missing(self.inputs[given.input][row : row + 1], given)[0]
            or (given.required and given.dtype == "string")
        }

    def _answer(self, outputs: Inputs, row: int) -> dict[str, Any]:
        if self.spec.task == "regression":
            return {"prediction": float(outputs[model_document.PREDICTION][row])}
        return {
            "probabilities": outputs[model_document.PROBABILITIES][row].tolist(),
            "class": outputs[model_document.CLASSES][row].decode("utf-8"),
        }


class GoldenSelection:
    """Chooses rows at random: spread over the classes, with and without missing values.

    Args:
        spec: The model's description.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._strata = max(len(spec.classes), 1)
        # Which half of the predictions a row of a regression model belongs to is known in the end.
        self._most = _quota(self._strata) if spec.classes else _CANDIDATES
        self._tables: list[pa.Table] = []
        self._pending = 0
        # The largest key that is kept of each stratum, and of all rows.
        self._limits = np.full(2 * self._strata, _ANY)
        self._limit = _ANY

    def add(self, batch: PredictedBatch, keys: Keys) -> None:
        """Add rows.

        Args:
            batch: The rows.
            keys: The random key of each row; the rows with the smallest ones are chosen.
        """
        if not len(keys):
            return
        classes = batch.labels if self._spec.classes else np.zeros(len(keys), np.int64)
        limits = np.maximum(self._limits, self._limit)
        # Most rows are out of question whether or not they lack a value.
        asked = np.flatnonzero(keys <= limits.reshape(-1, 2).max(1)[classes])
        has_missing, sendable = self._missing(batch, asked)
        strata = 2 * classes[asked] + has_missing
        kept = np.flatnonzero(sendable & (keys[asked] <= limits[strata]))
        kept = kept[_smallest(keys[asked[kept]], strata[kept], self._most)]
        chosen, strata = asked[kept], strata[kept]
        if len(chosen):
            names = [given.name for given in self._spec.inputs]
            taken = batch.columns.select(names).take(pa.array(chosen))
            columns = [pa.array(keys[chosen]), pa.array(strata), *taken.columns]
            named = [str(place) for place in range(len(columns))]
            self._tables.append(pa.Table.from_arrays(columns, names=named))
            # At once, since it lowers the limits.
            self._compact()

    def merge(self, other: "GoldenSelection") -> None:
        """Add what another accumulator has seen."""
        self._tables += other._tables
        self._pending += sum(table.num_rows for table in other._tables)
        if self._pending > _PENDING:
            self._compact()

    def state(self) -> bytes:
        """Return the state as bytes."""
        self._compact()
        return states.pack({"rows": self._tables[0]} if self._tables else {})

    def from_state(self, state: bytes) -> "GoldenSelection":
        """Return an accumulator with a state."""
        found = GoldenSelection(self._spec)
        found._tables = list(states.unpack(state).values())
        return found

    def result(self) -> GoldenRows:
        """Return the chosen rows."""
        self._compact()
        if not self._tables:
            return GoldenRows(self._spec, {}, np.empty(0, np.int64))
        table = self._tables[0].sort_by("0")
        inputs = {
            given.input: dense_numpy(table.column(place), given)
            for place, given in enumerate(self._spec.inputs, start=2)
        }
        return GoldenRows(self._spec, inputs, table.column(1).to_numpy())

    def _compact(self) -> None:
        if not self._tables:
            return
        table = pa.concat_tables(self._tables)
        keys, strata = table.column(0).to_numpy(), table.column(1).to_numpy()
        kept = _smallest(keys, strata, self._most)
        if len(kept) < len(keys):
            table, keys, strata = table.take(pa.array(kept)), keys[kept], strata[kept]
        self._tables, self._pending = [table], 0
        last = _ranks(keys, strata) == self._most - 1
        self._limits[strata[last]] = keys[last]
        if len(keys) >= ROWS:
            self._limit = np.partition(keys, ROWS - 1)[ROWS - 1]

    def _missing(
        self, batch: PredictedBatch, rows: Ints
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Return which of some rows lack a value, and which of them a client can send."""
        has_missing, sendable = np.zeros(len(rows), bool), np.ones(len(rows), bool)
        places = batch.usable[rows]
        for given in self._spec.inputs:
            missing = _missing(batch.inputs[given.input][places], given)
            has_missing |= missing
            # A client cannot send a missing required number; an empty text it can.
            if given.required and given.dtype != "string":
                sendable &= ~missing
        return has_missing, sendable


def _quota(classes: int) -> int:
    """Return the rows of each class, with and without missing values each."""
    return max(1, -(-ROWS // (2 * classes)))


def _smallest(keys: Keys, strata: Ints, most: int) -> Ints:
    """Return the rows with the smallest keys: some of each stratum, and `ROWS` of all."""
    kept = _ranks(keys, strata) < most
    kept[np.argsort(keys)[:ROWS]] = True
    return np.flatnonzero(kept)


def _ranks(keys: Keys, strata: Ints) -> Ints:
    """Return the rank of each row's key among those of its stratum."""
    order = np.lexsort((keys, strata))
    ordered = strata[order]
    starts = np.searchsorted(ordered, ordered)
    ranks = np.empty(len(keys), np.int64)
    ranks[order] = np.arange(len(keys)) - starts
    return ranks


def _missing(values: "np.ndarray[Any, Any]", entry: ModelInput) -> npt.NDArray[np.bool_]:
    if entry.dtype == "float32":
        return np.asarray(np.isnan(values))
    wanted: Any = b"" if entry.dtype == "string" else entry.missing
    return np.asarray(values == wanted, bool)


def _json(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, np.floating):
        # 41.9 instead of 41.90000152587890625, if that is the same float32 when read back.
        short = float(str(value))
        return short if np.float32(short) == value else float(value)
    return int(value)
