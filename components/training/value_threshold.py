"""`decision_threshold: value`: the threshold with the highest expected value on the eval split.

The model answers the raw rows of the eval split, and each outcome is worth what `outcome_values`
says. The best threshold is the best on these rows, and so looks a little better there than it is:
an evaluation on another split tells its value.
"""

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts import file_digests, lineage
from kfp_tabular.components.common.artifacts import findings as found_by_tasks
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.findings import Findings
from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.outcome_value import profit
from kfp_tabular.components.common.outcome_value.outcome_values import OutcomeValues
from kfp_tabular.components.common.outcome_value.profit import Profit, ProfitSums
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.local_engine import LocalEngine
from kfp_tabular.components.common.statistics import bootstrap
from kfp_tabular.components.training.model import decision_threshold
from kfp_tabular.components.training.options import VALUE, TrainingOptions
from kfp_tabular.components.training.training_request import TrainingRequest

if TYPE_CHECKING:
    from kfp_tabular.components.common.prediction.predicted_batches import PredictedBatch

SPLIT = "eval"
CHOICE = "threshold_choice"
"""The name in `model.json`, beside the hyperparameters, and in the facts of `training.json`."""

_SAMPLES = 1000
_THOUSAND = 1000
_USUAL = 0.5

_logger = logging.getLogger(__name__)


def parse(given: TrainingOptions, task: str) -> OutcomeValues | None:
    """Read what decides the threshold; None if it is a number.

    Args:
        given: The arguments.
        task: The kind of task.

    Raises:
        UserError: If there are no values of outcomes, one is wrong, or the task is not binary.

    Example:
        >>> parse(TrainingOptions(decision_threshold="value"), "binary")
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: decision_threshold: 'value' needs
        outcome_values, such as {"true_positive": "0.1 * amount", "false_positive": -5}.
    """
    if given.decision_threshold != VALUE:
        return None
    if task != "binary":
        raise UserError(
            f"decision_threshold: this is a {task} task; only a binary model has a threshold. "
            "Leave it out."
        )
    values = OutcomeValues.parse(given.outcome_values, task)
    if values is None:
        raise UserError(
            f"decision_threshold: {VALUE!r} needs outcome_values, such as "
            '{"true_positive": "0.1 * amount", "false_positive": -5}.'
        )
    return values


@dataclass(frozen=True)
class ValueThreshold:
    """Chooses the threshold of a model.

    Attributes:
        values: What each outcome is worth.
        examples: The raw examples.
        seed: Seed of the intervals.
    """

    values: OutcomeValues
    examples: Examples
    seed: int

    @classmethod
    def of(cls, request: TrainingRequest) -> "ValueThreshold | None":
        """Return what chooses the threshold of a training; None if the threshold is a number.

        Called before training, so that what cannot be chosen is known at once.

        Raises:
            UserError: If there are no rows or values to choose by.
        """
        values = parse(request.options, Task.load(request.transform_graph).kind)
        if values is None:
            return None
        if request.examples is None:
            raise UserError(
                f"decision_threshold: {VALUE!r} needs the raw examples; give train_model the "
                "artifact examples."
            )
        examples = Examples(request.examples)
        values.check(examples.schema)
        if not examples.rows().get(SPLIT):
            raise UserError(
                f"decision_threshold: {VALUE!r} is chosen on the {SPLIT} split, which has no rows. "
                "Give one with split_fractions, or a number as decision_threshold."
            )
        return cls(values, examples, request.options.seed)

    def profit(self, model: Path, engine: Engine | None = None) -> Profit:
        """Return what the model's answers are worth at each threshold.

        Args:
            model: The model's directory.
            engine: Runs the fold; None for threads of this process.
        """
        from kfp_tabular.components.common.prediction import predicted_batches

        predicted_batches.check_columns(model, self.examples, ModelSpec.load(model))
        reader = predicted_batches.reader(self.examples, [model], self.values.columns())
        engine = LocalEngine() if engine is None else engine
        return engine.fold(
            reader.pieces(self.examples, SPLIT),
            partial(ValueFold, self.values, self.seed),
            reader,
            f"chose the decision threshold on split {SPLIT!r}",
        )

    def apply(self, request: TrainingRequest) -> dict[str, Any]:
        """Choose the threshold of the model that was trained, and write it into the model.

        Returns:
            What `model.json` and `training.json` record; see `describe`.

        Raises:
            UserError: If no eval row has a value.
        """
        found = self.profit(request.model)
        if not found.rows.sum():
            raise UserError(
                f"outcome_values: the value of all {found.left_out:,} rows of split {SPLIT!r} is "
                "undefined, for example because a column is missing."
            )
        choice = describe(found, self.values, self.seed)
        with files.atomic_directory(request.model) as directory:
            shutil.copytree(request.model, directory, dirs_exist_ok=True)
            decision_threshold.write(directory, choice["threshold"])
            spec = ModelSpec.load(directory)
            replace(
                spec,
                decision_threshold=choice["threshold"],
                hyperparameters={**spec.hyperparameters, CHOICE: choice},
            ).save(directory)
            _record(directory, request)
        _report(choice, request.training_logs)
        return choice


class ValueFold:
    """Counts what answers are worth.

    Args:
        values: What each outcome is worth.
        seed: Seed of the resampling groups.
    """

    def __init__(self, values: OutcomeValues, seed: int) -> None:
        self._values, self._seed = values, seed
        self._sums = ProfitSums(_USUAL)

    def add(self, batch: "PredictedBatch") -> None:
        """Add rows."""
        if len(batch.labels):
            worth = self._values.of(batch.columns, batch.labels == 1)
            groups = bootstrap.groups_of(batch.keys(self._seed))
            self._sums.add(groups, batch.predictions[0][:, 1], *worth)

    def merge(self, other: "ValueFold") -> None:
        """Add what another accumulator has seen."""
        self._sums.merge(other._sums)

    def state(self) -> bytes:
        """Return the state as bytes."""
        return self._sums.state()

    def from_state(self, state: bytes) -> "ValueFold":
        """Return an accumulator with a state."""
        found = ValueFold(self._values, self._seed)
        found._sums = self._sums.from_state(state)
        return found

    def result(self) -> Profit:
        """Return the profit."""
        return self._sums.result()


def describe(found: Profit, values: OutcomeValues, seed: int) -> dict[str, Any]:
    """Return the chosen threshold and what it is worth, as plain values.

    Args:
        found: The profit at each threshold.
        values: What each outcome is worth.
        seed: Seed of the intervals.

    Returns:
        `method` (`value`), `split`, `rows`, `rows_left_out`, `threshold`; `value` of a row and its
        `interval`; `gain` over 0.5 and its `gain_interval`; `none`, the value of a row if none is
        predicted as positive; `as_good`, the thresholds that may be as good, and `outcomes`.
    """
    told = profit.describe(found, bootstrap.weights(_SAMPLES, seed))
    best, gain = told["best"], told["gain"]
    return {
        "method": VALUE,
        "split": SPLIT,
        "rows": told["rows"],
        "rows_left_out": told["rows_left_out"],
        # Above 1 no row is predicted as positive; a model has a threshold of 1 at most.
        "threshold": float(np.clip(best["threshold"], 0.0, 1.0)),
        "value": best["value"],
        "interval": best["interval"],
        "gain": gain["value"],
        "gain_interval": gain["interval"],
        "none": told["none"],
        "as_good": [min(end, 1.0) for end in told["as_good"]],
        "outcomes": dict(values.texts),
    }


def _record(directory: Path, request: TrainingRequest) -> None:
    """Write digests and lineage again; the raw examples are an input now, too."""
    from kfp_tabular.components.training.worker import model_artifact

    before = lineage.read(directory)
    file_digests.write(directory)
    lineage.record(
        directory,
        inputs={
            "transformed_examples": request.transformed_examples,
            "transform_graph": request.transform_graph,
            **({} if request.examples is None else {"examples": request.examples}),
        },
        rows=before.get("rows"),
        seed=before.get("seed"),
        libraries=model_artifact.LIBRARIES,
        extra={"training": before.get("training", {})},
    )


def _report(choice: Mapping[str, Any], logs: Path) -> None:
    """Add findings on the threshold to those of the training."""
    found = Findings()
    for finding in found_by_tasks.read(logs):
        if finding.option != "decision_threshold":
            found.add(finding)
    ends = choice["gain_interval"]
    interval = "" if ends is None else f" (95% interval {_per(ends[0])} to {_per(ends[1])})"
    low, high = choice["as_good"]
    found.note(
        "value-threshold",
        f"The decision threshold {choice['threshold']:.4g} is worth most on the {choice['rows']:,} "
        f"rows of split {SPLIT!r}: {_per(choice['value'])} per 1,000 rows, "
        f"{_per(choice['gain'])} more than {_USUAL}{interval}. From {low:.3g} to {high:.3g} may be "
        "as good.",
        option="decision_threshold",
    )
    if choice["rows_left_out"]:
        found.warning(
            "no-value",
            f"The value of {choice['rows_left_out']:,} rows of split {SPLIT!r} is undefined, for "
            "example because a column is missing; the threshold is chosen without them.",
            option="outcome_values",
        )
    if choice["value"] <= choice["none"]:
        found.warning(
            "worth-nothing",
            "No threshold is worth more than predicting no row as positive. Check outcome_values, "
            "or the model is too weak for them.",
            option="outcome_values",
        )
    found.write(logs)


def _per(value: float) -> str:
    return f"{_THOUSAND * value:.4g}"
