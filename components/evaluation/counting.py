"""The fold over a split with predictions: counts what the metrics, charts and samples need."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.outcome_value.outcome_values import OutcomeValues
from kfp_tabular.components.common.outcome_value.profit import Profit, ProfitSums
from kfp_tabular.components.common.prediction.predicted_batches import (
    PredictedBatch,
    PredictedReader,
)
from kfp_tabular.components.common.prediction.saved_model import Predictions
from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.statistics import bootstrap
from kfp_tabular.components.evaluation.comparison import entities
from kfp_tabular.components.evaluation.comparison.compared import Comparison
from kfp_tabular.components.evaluation.comparison.entities import Entities, EntityCounts
from kfp_tabular.components.evaluation.comparison.paired_answers import PairedAnswers
from kfp_tabular.components.evaluation.explanations.row_sample import RowCollector, SampledRows
from kfp_tabular.components.evaluation.golden_selection import GoldenRows, GoldenSelection
from kfp_tabular.components.evaluation.metrics.measurement import Measurement, MeasurementFold
from kfp_tabular.components.evaluation.slices import Slicing


@dataclass(frozen=True)
class CountingPlan:
    """What is counted.

    Attributes:
        specs: The descriptions of the model and, if there is one, of the baseline.
        slicings: The slicings.
        seed: Seed of what is random: bootstrap groups and samples.
        explained_rows: How many rows to keep to explain the model on.
        entity_columns: The columns that name what a row is about; rows of one are resampled
            together. Empty if each row is by itself.
        values: What each outcome is worth; None if that was not said.
    """

    specs: tuple[ModelSpec, ...]
    slicings: tuple[Slicing, ...] = ()
    seed: int = 0
    explained_rows: int = 0
    entity_columns: tuple[str, ...] = ()
    values: OutcomeValues | None = None

    def thresholded(self) -> list[ModelSpec]:
        """Return the first model's description for each model, with the model's own threshold."""
        first = self.specs[0]
        return [
            replace(first, decision_threshold=spec.decision_threshold)
            # A threshold for the other class means nothing here.
            if spec.classes == first.classes
            else first
            for spec in self.specs
        ]


@dataclass(frozen=True)
class Tally:
    """What was counted of a split.

    Attributes:
        spec: The description of the model that is evaluated.
        split: The split.
        slicings: The slicings that were counted.
        measurements: The counts of the model and, if there is one, of the baseline.
        golden: Rows of which golden examples are made.
        explained: The rows to explain the model on, in random order.
        rows: Number of rows that were counted.
        without_label: Number of rows left out because they have no label.
        unknown_class: Number of rows left out because the model does not know their class.
        comparison: What both models' answers to the same rows show; None without a baseline.
        entities: The entities of the rows; None if each row is by itself.
        values: What each outcome is worth; None if that was not said.
        profits: What each model's answers are worth; empty if the value of outcomes is not known.
    """

    spec: ModelSpec
    split: str
    slicings: Sequence[Slicing]
    measurements: Sequence[Measurement]
    golden: GoldenRows
    explained: SampledRows
    rows: int
    without_label: int
    unknown_class: int
    comparison: Comparison | None = None
    entities: Entities | None = None
    values: OutcomeValues | None = None
    profits: Sequence[Profit] = ()


def count(
    examples: Examples,
    split: str,
    reader: PredictedReader,
    plan: CountingPlan,
    engine: Engine,
    what: str = "",
) -> Tally:
    """Predict for a split, and count what the metrics need.

    Args:
        examples: The examples.
        split: The split.
        reader: Reads pieces of the examples with predictions, also what the slicings need.
        plan: What to count.
        engine: What runs the fold.
        what: What is done, for messages of progress.

    Raises:
        UserError: If no row has a usable label, or predictions are not finite.
    """
    tally = engine.fold(
        reader.pieces(examples, split),
        partial(EvaluationFold, plan, split),
        reader,
        what,
    )
    if not tally.rows:
        spec = plan.specs[0]
        rows = tally.without_label + tally.unknown_class
        raise UserError(
            f"{examples.path}: none of the {rows} rows of split {split!r} has a label that the "
            f"model knows: {tally.without_label} have none in column {spec.label!r}, "
            f"{tally.unknown_class} have a class other than {', '.join(spec.classes[:10])}."
        )
    return tally


class EvaluationFold:
    """Counts rows with predictions.

    Args:
        plan: What to count.
        split: The split.
    """

    def __init__(self, plan: CountingPlan, split: str) -> None:
        self._plan, self._split = plan, split
        slices = [len(slicing.slices) for slicing in plan.slicings]
        specs = plan.thresholded()
        self._measurements = [MeasurementFold(spec, slices) for spec in specs]
        self._paired = (
            PairedAnswers.of(specs, slices, has_entities=bool(plan.entity_columns))
            if len(specs) > 1
            else None
        )
        self._entities = EntityCounts()
        self._profits = [ProfitSums(_decision(spec)) for spec in specs if plan.values is not None]
        self._golden = GoldenSelection(plan.specs[0])
        self._explained = RowCollector(plan.explained_rows, plan.specs[0].inputs)
        # Rows that were counted, without a label, and of an unknown class.
        self._rows = np.zeros(3, np.int64)

    def add(self, batch: PredictedBatch) -> None:
        """Add rows."""
        self._rows += (len(batch.labels), batch.missing, batch.unknown)
        if not len(batch.labels):
            return
        keys = batch.keys(self._plan.seed)
        self._golden.add(batch, keys)
        if self._plan.explained_rows:
            self._explained.add(batch, keys)
        cells = [slicing.cells(batch.columns) for slicing in self._plan.slicings]
        specs = self._plan.specs
        drawn = keys
        if self._plan.entity_columns:
            drawn = entities.keys_of(batch.columns, self._plan.entity_columns, self._plan.seed)
            self._entities.add(drawn)
        groups = bootstrap.groups_of(drawn)
        answers = [
            align_classes(values, spec.classes, specs[0].classes)
            for spec, values in zip(specs, batch.predictions, strict=True)
        ]
        for measurement, predictions in zip(self._measurements, answers, strict=True):
            measurement.add(keys, batch.labels, predictions, cells, groups)
        if self._paired is not None:
            self._paired.add(keys, batch.labels, answers, cells, drawn)
        if self._plan.values is not None:
            worth = self._plan.values.of(batch.columns, batch.labels == 1)
            for sums, predictions in zip(self._profits, answers, strict=True):
                sums.add(groups, predictions[:, 1], *worth)

    def merge(self, other: "EvaluationFold") -> None:
        """Add what another accumulator has seen."""
        self._rows += other._rows
        self._golden.merge(other._golden)
        self._explained.merge(other._explained)
        self._entities.merge(other._entities)
        for sums, others in zip(self._profits, other._profits, strict=True):
            sums.merge(others)
        if self._paired is not None and other._paired is not None:
            self._paired.merge(other._paired)
        for ours, theirs in zip(self._measurements, other._measurements, strict=True):
            ours.merge(theirs)

    def state(self) -> bytes:
        """Return the state as bytes."""
        parts = {str(place): each.state() for place, each in enumerate(self._measurements)}
        profits = {f"profit{place}": each.state() for place, each in enumerate(self._profits)}
        if self._paired is not None:
            parts["paired"] = self._paired.state()
        return states.pack(
            {
                "rows": self._rows,
                "golden": self._golden.state(),
                "explained": self._explained.state(),
                "entities": self._entities.state(),
                **profits,
                **parts,
            }
        )

    def from_state(self, state: bytes) -> "EvaluationFold":
        """Return an accumulator with a state."""
        parts = states.unpack(state)
        found = EvaluationFold(self._plan, self._split)
        found._rows = parts.pop("rows")
        found._golden = self._golden.from_state(parts.pop("golden"))
        found._explained = self._explained.from_state(parts.pop("explained"))
        found._entities = self._entities.from_state(parts.pop("entities"))
        found._profits = [
            each.from_state(parts.pop(f"profit{place}")) for place, each in enumerate(self._profits)
        ]
        if self._paired is not None:
            found._paired = self._paired.from_state(parts.pop("paired"))
        found._measurements = [
            each.from_state(part)
            for each, part in zip(self._measurements, parts.values(), strict=True)
        ]
        return found

    def result(self) -> Tally:
        """Return the counts."""
        rows, without_label, unknown_class = self._rows.tolist()
        found = self._entities.result() if self._plan.entity_columns else None
        paired = self._paired
        return Tally(
            spec=self._plan.specs[0],
            split=self._split,
            slicings=self._plan.slicings,
            measurements=[each.result() for each in self._measurements],
            golden=self._golden.result(),
            explained=self._explained.result(),
            comparison=None if paired is None else Comparison(paired.result(), found),
            entities=found,
            values=self._plan.values,
            profits=[each.result() for each in self._profits],
            rows=rows,
            without_label=without_label,
            unknown_class=unknown_class,
        )


def _decision(spec: ModelSpec) -> float:
    return 0.5 if spec.decision_threshold is None else spec.decision_threshold


def align_classes(
    predictions: Predictions, given: Sequence[str], wanted: Sequence[str]
) -> Predictions:
    """Reorder probabilities to another model's classes.

    Args:
        predictions: Shape `[rows, given classes]`; those of a regression model pass unchanged.
        given: The classes of `predictions`.
        wanted: The classes of the result. A class that was not given gets probability 0.

    Example:
        >>> align_classes(np.array([[0.25, 0.75]], np.float32), ["no", "yes"], ["yes", "no"])
        array([[0.75, 0.25]], dtype=float32)
    """
    if given == wanted:
        return predictions
    result = np.zeros((len(predictions), len(wanted)), np.float32)
    for column, name in enumerate(wanted):
        if name in given:
            result[:, column] = predictions[:, given.index(name)]
    return result
