"""What a comparison needs of both models' answers to the same rows, as one fold.

The sums of each model know nothing of the other's answers to the same row. Here are the counts of
rows that only one of them answers rightly, and of a binary model the scores of both for the rows
with the smallest random keys, by class: all rows, up to `MOST_ROWS` of each class.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.artifacts.supervised_task import TaskKind
from kfp_tabular.components.common.prediction.saved_model import Predictions
from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.processing.folds.row_sample import RowSample
from kfp_tabular.components.common.processing.row_keys import Keys
from kfp_tabular.components.common.statistics.bootstrap import Ints
from kfp_tabular.components.evaluation.comparison.delong import PairedScores
from kfp_tabular.components.evaluation.comparison.mcnemar import Discordance

MOST_ROWS = 1 << 18
"""Of each class. As many distinct scores as two classes have then are counted one by one, so the
test is exact up to here; beyond, the error of the standard error is about 0.2%."""

FEWEST_ROWS = 1000
"""A slice with fewer sampled rows of a class is tested only if they are all of them."""

KindT = TypeVar("KindT", np.float32, np.int16, np.uint64)

_ENTITY = "entity"

_RIGHT = 2  # places of a cell: only ours is right, only theirs is right


@dataclass(frozen=True)
class PairedCounts:
    """What was seen of both models' answers.

    Attributes:
        rows: The rows of each cell; a list for all rows, and one for each slicing.
        discordant: The rows that only one model answers rightly, by cell: `[cells, 2]` each.
        scores: The sampled scores of negative and of positive rows, `[rows, 2]`.
        cells: The cells of those rows, `[rows, 1 + slicings]`.
        is_complete: Whether the sample holds all rows.
        entities: The entities of those rows; None if every row is by itself.
    """

    rows: Sequence[Ints]
    discordant: Sequence[Ints]
    scores: Sequence[npt.NDArray[np.float32]]
    cells: Sequence[npt.NDArray[np.int16]]
    is_complete: bool
    entities: Sequence[Keys] | None = None

    def discordance(self, slicing: int, cell: int) -> Discordance:
        """Return how both models answer the rows of a cell.

        Args:
            slicing: 0 for all rows, or the place of a slicing from 1 on.
            cell: The cell.
        """
        ours, theirs = self.discordant[slicing][cell].tolist()
        return Discordance(ours, theirs, int(self.rows[slicing][cell]))

    def pairs(self, slicing: int, cell: int) -> PairedScores | None:
        """Return the scores of both models for the rows of a cell; None if they are too few."""
        chosen = [cells[:, slicing] == cell for cells in self.cells]
        negatives, positives = (
            scores[rows] for scores, rows in zip(self.scores, chosen, strict=True)
        )
        if not self.is_complete and min(len(negatives), len(positives)) < FEWEST_ROWS:
            return None
        if self.entities is None:
            return PairedScores(negatives, positives)
        owners = (keys[rows] for keys, rows in zip(self.entities, chosen, strict=True))
        return PairedScores(negatives, positives, *owners)


class PairedAnswers:
    """Counts how two models answer the same rows.

    Args:
        task: The task.
        thresholds: The decision threshold of each model; binary only.
        slices: The number of slices of each slicing.
        most: The most rows of each class whose scores are kept.
        has_entities: Whether the entities of these rows are kept, too.
    """

    def __init__(
        self,
        task: TaskKind,
        thresholds: tuple[float, float] = (0.5, 0.5),
        slices: Sequence[int] = (),
        most: int = MOST_ROWS,
        *,
        has_entities: bool = False,
    ) -> None:
        self._task, self._thresholds, self._slices, self._most = task, thresholds, slices, most
        self._has_entities = has_entities
        self._rows = [np.zeros(cells, np.int64) for cells in (1, *slices)]
        self._discordant = [np.zeros((cells, _RIGHT), np.int64) for cells in (1, *slices)]
        self._samples = [RowSample(most), RowSample(most)]
        self._seen = np.zeros(2, np.int64)

    @classmethod
    def of(
        cls, specs: Sequence[ModelSpec], slices: Sequence[int], *, has_entities: bool = False
    ) -> "PairedAnswers":
        """Return what counts for two models.

        Args:
            specs: The descriptions of both; they answer in the first one's classes.
            slices: The number of slices of each slicing.
            has_entities: Whether rows have entities.
        """
        ours, theirs = (
            0.5 if spec.decision_threshold is None else spec.decision_threshold for spec in specs
        )
        return cls(specs[0].task, (ours, theirs), slices, has_entities=has_entities)

    def add(
        self,
        keys: Keys,
        labels: npt.NDArray[np.generic],
        predictions: Sequence[Predictions],
        cells: Sequence[Ints] = (),
        entities: Keys | None = None,
    ) -> None:
        """Add rows.

        Args:
            keys: The random key of each row.
            labels: Class indices or numbers.
            predictions: The predictions of both models.
            cells: For each slicing, the slice of each row; -1 for none.
            entities: The entity of each row, if they have one.
        """
        placed = [np.zeros(len(labels), np.int64), *cells]
        for at, cell in enumerate(placed):
            self._rows[at] += np.bincount(cell[cell >= 0], minlength=len(self._rows[at]))
        if self._task == "regression":
            return
        ours, theirs = (
            self._answers(given, threshold) == labels
            for given, threshold in zip(predictions, self._thresholds, strict=True)
        )
        differs = np.flatnonzero(ours != theirs)
        side = theirs[differs].astype(np.int64)
        for at, cell in enumerate(placed):
            place = cell[differs]
            kept = place >= 0
            counts = self._discordant[at]
            found = np.bincount(place[kept] * _RIGHT + side[kept], minlength=counts.size)
            self._discordant[at] += found.reshape(counts.shape)
        if self._task == "binary":
            self._sample(keys, labels, predictions, placed, entities)

    def merge(self, other: "PairedAnswers") -> None:
        """Add what another accumulator has seen."""
        self._seen += other._seen
        for at, (rows, discordant) in enumerate(zip(other._rows, other._discordant, strict=True)):
            self._rows[at] += rows
            self._discordant[at] += discordant
        for sample, others in zip(self._samples, other._samples, strict=True):
            sample.merge(others)

    def state(self) -> bytes:
        """Return the state as bytes."""
        counts: dict[str, Ints] = {f"rows{place}": rows for place, rows in enumerate(self._rows)}
        counts |= {f"discordant{place}": each for place, each in enumerate(self._discordant)}
        samples = {f"sample{place}": each.state() for place, each in enumerate(self._samples)}
        return states.pack({"seen": self._seen, **counts, **samples})

    def from_state(self, state: bytes) -> "PairedAnswers":
        """Return an accumulator with a state."""
        parts = states.unpack(state)
        found = PairedAnswers(
            self._task,
            self._thresholds,
            self._slices,
            self._most,
            has_entities=self._has_entities,
        )
        places = range(1 + len(self._slices))
        found._seen = parts["seen"]
        found._rows = [parts[f"rows{place}"] for place in places]
        found._discordant = [parts[f"discordant{place}"] for place in places]
        found._samples = [
            sample.from_state(parts[f"sample{place}"]) for place, sample in enumerate(self._samples)
        ]
        return found

    def result(self) -> PairedCounts:
        """Return what was seen."""
        tables = [sample.result() for sample in self._samples]
        return PairedCounts(
            rows=self._rows,
            discordant=self._discordant,
            scores=[_matrix(table, "score", 2, np.float32) for table in tables],
            cells=[_matrix(table, "cell", 1 + len(self._slices), np.int16) for table in tables],
            is_complete=bool((self._seen <= self._most).all()),
            entities=[_matrix(table, _ENTITY, 1, np.uint64)[:, 0] for table in tables]
            if self._has_entities
            else None,
        )

    def _answers(self, predictions: Predictions, threshold: float) -> Ints:
        if self._task == "multiclass":
            return np.asarray(predictions.argmax(axis=1), np.int64)
        # The model compares in float32, too.
        return (predictions[:, 1] >= np.float32(threshold)).astype(np.int64)

    def _sample(
        self,
        keys: Keys,
        labels: npt.NDArray[np.generic],
        predictions: Sequence[Predictions],
        cells: Sequence[Ints],
        entities: Keys | None,
    ) -> None:
        for side, sample in enumerate(self._samples):
            places = np.flatnonzero(labels == side)
            self._seen[side] += len(places)
            places = places[sample.wanted(keys[places])]
            scores = [given[places, 1] for given in predictions]
            placed = [cell[places].astype(np.int16) for cell in cells]
            columns = {f"score{at}": pa.array(each) for at, each in enumerate(scores)}
            columns |= {f"cell{at}": pa.array(each) for at, each in enumerate(placed)}
            if self._has_entities and entities is not None:
                columns[f"{_ENTITY}0"] = pa.array(entities[places])
            sample.add_keyed(keys[places], pa.RecordBatch.from_pydict(columns))


def _matrix(table: pa.Table, name: str, width: int, kind: type[KindT]) -> npt.NDArray[KindT]:
    if not table.num_columns:
        return np.empty((0, width), kind)
    columns = [table[f"{name}{at}"].to_numpy() for at in range(width)]
    return np.stack(columns, axis=1).astype(kind, copy=False)
