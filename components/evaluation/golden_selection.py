"""Selection of golden examples: a few rows with the answers that evaluation got for them."""

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.artifacts import model_document
from kfp_tabular.components.common.artifacts.golden_examples import GoldenExamples
from kfp_tabular.components.common.artifacts.model_document import ModelInput, ModelSpec
from kfp_tabular.components.common.prediction.predicted_batches import PredictedBatch

ROWS = 32

_MOST_CANDIDATES = 65_536


class GoldenSelection:
    """Chooses rows from a stream: spread over the classes, with and without missing values.

    Args:
        spec: The model's description.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._seen = 0
        self._taken: Counter[tuple[int, bool]] = Counter()
        self._quota = max(1, -(-ROWS // (2 * max(len(spec.classes), 1))))
        self._spare: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self._chosen: list[tuple[dict[str, Any], dict[str, Any]]] = []

    def offer(self, batch: PredictedBatch) -> None:
        """Choose rows of a batch, as long as more are needed."""
        if len(self._chosen) >= ROWS or self._seen >= _MOST_CANDIDATES or not len(batch.labels):
            return
        self._seen += len(batch.labels)
        strata = self._strata(batch)
        has_missing, sendable = self._missing(batch)
        for stratum in np.unique(strata):
            for missing in (True, False):
                key = (int(stratum), missing)
                rows = np.flatnonzero((strata == stratum) & (has_missing == missing) & sendable)
                wanted = self._quota - self._taken[key]
                for row in rows[: max(wanted, 0)]:
                    self._chosen.append(self._pair(batch, int(row)))
                    self._taken[key] += 1
                if len(self._spare) < ROWS:
                    spare = rows[max(wanted, 0) :][: ROWS // 4]
                    self._spare.extend(self._pair(batch, int(row)) for row in spare)

    def examples(self) -> GoldenExamples:
        """Return the chosen rows, at most `ROWS`."""
        pairs = (self._chosen + self._spare)[:ROWS]
        return GoldenExamples(
            instances=[instance for instance, _ in pairs],
            predictions=[prediction for _, prediction in pairs],
        )

    def _strata(self, batch: PredictedBatch) -> npt.NDArray[np.int64]:
        if self._spec.task != "regression":
            return batch.labels
        middle = np.median(batch.predictions[0])
        return (batch.predictions[0] > middle).astype(np.int64)

    def _missing(
        self, batch: PredictedBatch
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        has_missing = np.zeros(len(batch.labels), bool)
        sendable = np.ones(len(batch.labels), bool)
        for entry in self._spec.inputs:
            values = batch.inputs[entry.input][batch.usable]
            missing = _missing(values, entry)
            has_missing |= missing
            # A client cannot send a missing required number; an empty text it can.
            if entry.required and entry.dtype != "string":
                sendable &= ~missing
        return has_missing, sendable

    def _pair(self, batch: PredictedBatch, row: int) -> tuple[dict[str, Any], dict[str, Any]]:
        place = int(batch.usable[row])
        instance = {
            entry.name: _json(batch.inputs[entry.input][place])
            for entry in self._spec.inputs
            if not _missing(batch.inputs[entry.input][place : place + 1], entry)[0]
            or (entry.required and entry.dtype == "string")
        }
        answer = batch.predictions[0][row]
        if self._spec.task == "regression":
            return instance, {"prediction": float(answer)}
        answered: bytes = batch.outputs[model_document.CLASSES][place].numpy()
        return instance, {
            "probabilities": [float(value) for value in answer],
            "class": answered.decode("utf-8"),
        }


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
