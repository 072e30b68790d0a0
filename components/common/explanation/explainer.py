"""The explainer of a model: attributions of predictions to raw features, against a baseline."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.artifacts.model_document import (
    PREDICTION,
    PROBABILITIES,
    SERVING_SIGNATURE,
    ModelSpec,
)
from kfp_tabular.components.common.explanation import shapley_values, smooth_part
from kfp_tabular.components.common.explanation.chosen_baseline import ChosenBaseline, choose
from kfp_tabular.components.common.explanation.coalitions import Coalitions, Floats, coalitions
from kfp_tabular.components.common.explanation.integrated_gradients import (
    TOLERANCE,
    path_gradients,
)
from kfp_tabular.components.common.explanation.mixed_rows import MixedRows
from kfp_tabular.components.common.explanation.smooth_part import NotSmoothError, SmoothPart
from kfp_tabular.components.common.prediction.packed_columns import Columns, pack_columns

INTEGRATED_GRADIENTS = "integrated_gradients"
SHAPLEY_VALUES = "shapley_values"

_TREES, _ISOTONIC = "trees", "isotonic"
_BATCH_ROWS = 256
_MOST_ORDERS, _FEWEST_ORDERS, _PREDICTIONS = 64, 8, 4096


@dataclass(frozen=True)
class ExplanationSettings:
    """How predictions are explained.

    Attributes:
        baseline: Raw values of the baseline, by feature name, in place of those of the model's
            typical row; see `chosen_baseline.choose`.
        orders: How many orders of the features sampled Shapley values draw: an even number, at
            least 4. 0: 64, or as many as take 4,096 predictions a row, but at least 8.
        seed: The seed of the draw. All rows have the same orders, so neither the other rows of a
            batch nor its size change what a row gets.
    """

    baseline: Mapping[str, Any] = field(default_factory=dict)
    orders: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Explanations:
    """Attributions of some rows' predictions. Each row's sum is `predicted` less `baseline`.

    Attributes:
        features: The names of the raw features.
        explained: Which answer is explained: the position of the class, by row. Two classes: always
            the positive one. More: the predicted one. Regression: always 0.
        predicted: The model's answer there: a probability or a number, `[rows]`.
        baseline: The model's answer there for the baseline, `[rows]`.
        values: Attributions, `[rows, features]`.
        errors: Standard errors of sampled Shapley values, `[rows, features]`; else 0.
        gaps: How far the sum is from `predicted` less `baseline`, `[rows]`.
        by_gradients: Whether a row's attributions are integrated gradients, `[rows]`.
        chosen: The baseline, and where its values are from.
    """

    features: tuple[str, ...]
    explained: npt.NDArray[np.int64]
    predicted: Floats
    baseline: Floats
    values: Floats
    errors: Floats
    gaps: Floats
    by_gradients: npt.NDArray[np.bool_]
    chosen: ChosenBaseline

    @property
    def methods(self) -> list[str]:
        """The method of each row."""
        names = np.where(self.by_gradients, INTEGRATED_GRADIENTS, SHAPLEY_VALUES)
        return [str(name) for name in names]


class Explainer:
    """Explains predictions of a model. Several threads may call it at once.

    Args:
        tf: The TensorFlow module.
        loaded: The model, as `tf.saved_model.load` returns it. Make its explainer before others use
            it: functions of its graph are replaced by equal ones.
        spec: The model's description.
    """

    def __init__(self, tf: Any, loaded: Any, spec: ModelSpec) -> None:
        self.spec = spec
        self._tensorflow = tf
        signature = loaded.signatures[SERVING_SIGNATURE]
        self._smooth = None if _has_steps(spec) else _smooth_part(tf, signature, spec)
        self._call = pack_columns(tf, signature, spec.inputs)
        self._output = PREDICTION if spec.task == "regression" else PROBABILITIES

    @property
    def has_gradients(self) -> bool:
        """Whether rows are explained by integrated gradients first."""
        return self._smooth is not None

    def evaluations(self, settings: ExplanationSettings) -> int:
        """Return how many predictions the explanation of a row takes by Shapley values."""
        return len(self._coalitions(settings).masks)

    def explain(
        self, columns: Columns, settings: ExplanationSettings | None = None
    ) -> Explanations:
        """Explain the predictions of rows.

        Args:
            columns: Raw values by `ModelInput.input`; at least one row.
            settings: How.

        Raises:
            InstanceError: If the baseline names a feature that the model does not have, or a value
                that the feature cannot have.
            ValueError: If the graph fails on a value, as a user's preprocessing function may.
        """
        settings = settings or ExplanationSettings()
        inputs = self.spec.inputs
        chosen = choose(self.spec, settings.baseline)
        rows = MixedRows(inputs, columns, chosen.values)
        parts = [
            self._explained(rows.part(slice(start, start + _BATCH_ROWS)), settings, chosen)
            for start in range(0, len(rows), _BATCH_ROWS)
        ]
        return parts[0] if len(parts) == 1 else _joined(parts)

    def _explained(
        self, rows: MixedRows, settings: ExplanationSettings, chosen: ChosenBaseline
    ) -> Explanations:
        count, features = len(rows), len(rows.inputs)
        ends = self._answer(
            rows.mixed(
                np.concatenate([np.arange(count), [0]]),
                np.repeat([True, False], [count, 1])[:, None].repeat(features, 1),
            )
        )
        explained = self._explained_answers(ends[:-1])
        predicted = ends[np.arange(count), explained]
        base = ends[-1, explained]
        values, gaps = np.zeros((count, features)), np.full(count, np.inf)
        errors, by_gradients = np.zeros((count, features)), np.zeros(count, np.bool_)
        if self._smooth is not None:
            allowed = np.full(count, TOLERANCE)
            if self.spec.task == "regression":
                allowed *= np.maximum(np.abs(predicted), np.abs(base))
            weights = np.eye(ends.shape[1], dtype=np.float32)[explained]
            found = path_gradients(rows, self._smooth, weights, predicted - base, allowed)
            by_gradients = found.gaps <= allowed
            values[by_gradients] = found.values[by_gradients]
            gaps[by_gradients] = found.gaps[by_gradients]
        left = np.flatnonzero(~by_gradients)
        if len(left):
            design = self._coalitions(settings)
            part = rows.part(left)
            answers = shapley_values.answers(part, design, self._answer, explained[left])
            values[left], errors[left] = design.shapley_values(answers)
            # A feature that is as in the baseline changes nothing but the rounding.
            same = ~part.differs()
            values[left] = np.where(same, 0.0, values[left])
            errors[left] = np.where(same, 0.0, errors[left])
            gaps[left] = np.abs(values[left].sum(axis=1) - (predicted - base)[left])
        names = tuple(entry.name for entry in rows.inputs)
        return Explanations(
            names,
            explained,
            predicted,
            base,
            values,
            errors,
            gaps,
            by_gradients,
            chosen,
        )

    def _coalitions(self, settings: ExplanationSettings) -> Coalitions:
        features = len(self.spec.inputs)
        return coalitions(features, settings.orders or _orders(features), settings.seed)

    def _explained_answers(self, answers: Floats) -> npt.NDArray[np.int64]:
        if self.spec.task == "multiclass":
            return np.asarray(answers.argmax(axis=1))
        return np.full(len(answers), 1 if self.spec.task == "binary" else 0, np.int64)

    def _answer(self, columns: Columns) -> Floats:
        try:
            found = self._call(columns)[self._output].numpy().astype(np.float64)
        except self._tensorflow.errors.InvalidArgumentError as error:
            raise ValueError(str(error)) from error
        return np.asarray(found.reshape(len(found), -1))


def _orders(features: int) -> int:
    """Return how many orders to draw.

    Example:
        >>> _orders(16), _orders(200), _orders(5000)
        (64, 20, 8)
    """
    even = _PREDICTIONS // features // 2 * 2
    return min(max(even, _FEWEST_ORDERS), _MOST_ORDERS)


def _has_steps(spec: ModelSpec) -> bool:
    """Return whether a model's answers are steps, by trees or by isotonic calibration."""
    calibration = spec.hyperparameters.get("calibration")
    if isinstance(calibration, Mapping) and calibration.get("method") == _ISOTONIC:
        return True
    blend = spec.hyperparameters.get("blend")
    weights = blend.get("weights") if isinstance(blend, Mapping) else None
    members = weights if isinstance(weights, Mapping) else {}
    return spec.hyperparameters.get("model_type") == _TREES or _TREES in members


def _smooth_part(tf: Any, signature: Any, spec: ModelSpec) -> SmoothPart | None:
    try:
        return smooth_part.cut(tf, signature, spec)
    except NotSmoothError:
        return None


def _joined(parts: list[Explanations]) -> Explanations:
    def joined(name: str) -> Any:
        return np.concatenate([getattr(part, name) for part in parts])

    return Explanations(
        parts[0].features,
        joined("explained"),
        joined("predicted"),
        joined("baseline"),
        joined("values"),
        joined("errors"),
        joined("gaps"),
        joined("by_gradients"),
        parts[0].chosen,
    )
