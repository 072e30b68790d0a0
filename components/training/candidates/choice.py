"""Which candidate is kept: the best on the eval split by the task's proper score."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kfp_tabular.components.common.artifacts.hyperparameters import BLEND
from kfp_tabular.components.common.artifacts.supervised_task import TaskKind
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.training.candidates import blended_model, blending, calibration
from kfp_tabular.components.training.candidates.blending import Blend, CrossValidation, Form
from kfp_tabular.components.training.candidates.calibrated_model import CalibratedModel
from kfp_tabular.components.training.candidates.calibration import Calibration
from kfp_tabular.components.training.candidates.candidate_plan import CandidatePlan
from kfp_tabular.components.training.candidates.fitted_candidate import FittedCandidate
from kfp_tabular.components.training.input.label_statistics import balanced_weights
from kfp_tabular.components.training.input.packed_rows import PackedRows
from kfp_tabular.components.training.input.training_data import TrainingData
from kfp_tabular.components.training.loop import evaluation
from kfp_tabular.components.training.model import prediction_metrics
from kfp_tabular.components.training.model.logits_model import LogitsModel
from kfp_tabular.components.training.model.predictor import Predictor, predictions
from kfp_tabular.components.training.options import NO_CALIBRATION

Array = np.ndarray[Any, Any]

WEIGHTED = "weighted_log_loss"
"""The log loss with the weights of the classes, as `class_weights` `balanced` trains it."""


@dataclass(frozen=True)
class LeaderboardEntry:
    """A candidate's row of the leaderboard.

    Attributes:
        candidate: Its name.
        score: Its proper score on the eval split; lower is better.
        cross_validated: A blend's score on rows that it was not fitted on; None for others.
        seconds: Time of its training; for a blend, of all members.
        size: Bytes of its numbers in the exported model.
        weight: Its share in the model that is kept.
        is_kept: Whether it is the model that is kept.
    """

    candidate: str
    score: float
    cross_validated: float | None
    seconds: float
    size: int
    weight: float
    is_kept: bool


@dataclass(frozen=True)
class Choice:
    """The model that is kept.

    Attributes:
        name: The candidate's name, `blend` for a blend.
        model: The model.
        main: The member whose history and steps stand for the model: the one with most weight.
        weights: Share of each member in the model, by name; members without a share are left out.
        score: The name of the proper score, such as `eval_log_loss`; empty if there was nothing to
            compare.
        reason: Why it was chosen, in a sentence.
        leaderboard: All candidates, best first.
        blend: Coefficients and bias of a blend; None for a single member.
        calibration: How its probabilities were calibrated; None if they were not.
    """

    name: str
    model: LogitsModel
    main: FittedCandidate
    weights: Mapping[str, float]
    score: str = ""
    reason: str = ""
    leaderboard: Sequence[LeaderboardEntry] = ()
    blend: Blend | None = None
    calibration: Calibration | None = None

    def calibrated(self, method: str, data: TrainingData) -> "Choice":
        """Return the choice with calibrated probabilities.

        Args:
            method: The option `calibration`.
            data: The input; its held-out rows are what the calibration is fitted on.

        Raises:
            UserError: If there are no such rows of two classes.
        """
        rows = data.held_out
        if method == NO_CALIBRATION:
            return self
        if rows is None or len(np.unique(rows.label)) == 1:
            raise UserError(
                "calibration: there are no eval rows of at least two classes to calibrate on. "
                "Give an eval split (split_fractions), or leave out calibration."
            )
        logits = Predictor(self.model, data.task.kind, data.columns).logits(rows)
        fitted = calibration.fit(method, logits, rows.label)
        return replace(self, model=CalibratedModel(self.model, fitted), calibration=fitted)

    def document(self) -> dict[str, Any]:
        """Return what `model.json` records: the model type, and how a blend adds up its members."""
        if self.blend is None:
            return {"model_type": self.name}
        coefficients = [value for value in self.blend.coefficients if value > 0]
        return {
            "model_type": self.name,
            # Not `members`, which is a hyperparameter of tabm.
            "blend": {
                "weights": dict(self.weights),
                "coefficients": dict(zip(self.weights, coefficients, strict=True)),
                "bias": list(self.blend.bias),
            },
        }


@dataclass(frozen=True)
class _Scored:
    """A candidate with its score on the eval rows."""

    name: str
    blend: Blend
    score: float
    validation: CrossValidation | None = None
    cross_validated: float | None = None


@dataclass(frozen=True)
class _EvalRows:
    """The eval rows, with the members' logits for them.

    Attributes:
        data: The input.
        rows: The rows.
        logits: The logits of each member, `[rows, units]`.
        weights: Weight of each row in the score; None for equal ones.
    """

    data: TrainingData
    rows: PackedRows
    logits: Sequence[Array]
    weights: Array | None

    @property
    def kind(self) -> TaskKind:
        return self.data.task.kind

    @property
    def score_name(self) -> str:
        return WEIGHTED if self.weights is not None else prediction_metrics.objective(self.kind)

    def score(self, logits: Array) -> float:
        """Return the proper score of logits: the evaluator's, or with the weights of classes."""
        import tensorflow as tf

        values = predictions(self.kind, tf.constant(logits, tf.float32)).numpy()
        if self.weights is not None:
            of_label = values[np.arange(len(values)), self.rows.label].astype(np.float64)
            return float(np.average(-np.log(np.maximum(of_label, 1e-7)), weights=self.weights))
        measured = evaluation.measure(lambda _: values, self.data, self.rows)
        return measured[self.score_name]


def choose(
    plan: CandidatePlan,
    fitted: Sequence[FittedCandidate],
    data: TrainingData,
    *,
    balanced: bool = False,
) -> Choice:
    """Return the model that is kept.

    A blend is kept unless it is worse than its best member: on the eval rows, or by more than a
    standard error on eval rows that it was not fitted on, in five folds. A tie keeps the blend:
    averaging two different models lowers the variance of both, and which of them is best on the
    eval rows is partly chance.

    Args:
        plan: What may be chosen.
        fitted: The trained members; those that failed are left out.
        data: The input.
        balanced: Whether the classes were weighted: then the score is `eval_weighted_log_loss`,
            and a blend is not calibrated.
    """
    if len(fitted) == 1 or data.held_out is None:
        return _without_scores(fitted, data)
    found = _measured(fitted, data, data.held_out, balanced=balanced)
    members = [
        _Scored(member.name, _alone(index, found.logits), found.score(found.logits[index]))
        for index, member in enumerate(fitted)
    ]
    best = _best(members, fitted)
    blend = _blended(found, balanced=balanced)
    kept, reason = best, "the best member on the eval split"
    if blend is None:
        reason += f"; a blend needs {blending.LEAST_ROWS['weights']} eval rows"
        if not plan.chosen:
            equal = blending.equal(len(fitted), _units(found.logits))
            kept = blend = _Scored(BLEND, equal, found.score(_blend_logits(found, equal)))
            reason = "equal weights, because a fit needs more eval rows"
    elif not plan.chosen:
        kept, reason = blend, "the blend that was asked for"
    else:
        kept, reason = _better(blend, best, members.index(best))
    return _choice(found, fitted, kept, reason, [*members, *([blend] if blend else [])])


def _without_scores(fitted: Sequence[FittedCandidate], data: TrainingData) -> Choice:
    first = fitted[0]
    if len(fitted) == 1:
        return Choice(first.name, first.model, first, {first.name: 1.0})
    units = len(data.task.classes) if data.task.kind == "multiclass" else 1
    blend = blending.equal(len(fitted), units)
    return Choice(
        BLEND,
        blended_model.build(data.task.kind, [member.model for member in fitted], blend),
        first,
        _shares(fitted, blend),
        reason="equal weights, because there is no eval split to fit a blend on",
        blend=blend,
    )


def _measured(
    fitted: Sequence[FittedCandidate], data: TrainingData, rows: PackedRows, *, balanced: bool
) -> _EvalRows:
    kind = data.task.kind
    logits = [
        blending.normalized(kind, Predictor(member.model, kind, data.columns).logits(rows))
        for member in fitted
    ]
    weights = np.array(balanced_weights(data.class_counts))[rows.label] if balanced else None
    return _EvalRows(data, rows, logits, weights)


def _alone(index: int, logits: Sequence[Array]) -> Blend:
    coefficients = tuple(float(index == other) for other in range(len(logits)))
    return Blend(coefficients, (0.0,) * _units(logits))


def _units(logits: Sequence[Array]) -> int:
    return int(logits[0].shape[1])


def _best(members: Sequence[_Scored], fitted: Sequence[FittedCandidate]) -> _Scored:
    """Return the member with the best score; of equal ones the smaller, which is also faster."""
    least = min(member.score for member in members)
    sizes = {member.name: member.size for member in fitted}
    near = [member for member in members if member.score <= least * (1 + 1e-9)]
    return min(near, key=lambda member: sizes[member.name])


def _blended(found: _EvalRows, *, balanced: bool) -> _Scored | None:
    """Return the form of blend that does best in cross-validation; None with too few rows."""
    forms: list[Form] = ["weights"] if balanced else ["weights", "calibrated"]
    forms = [form for form in forms if len(found.rows) >= blending.LEAST_ROWS[form]]
    if not forms:
        return None
    arguments = (found.kind, found.logits, found.rows.label)
    tried = {form: blending.cross_validated(*arguments, form, found.weights) for form in forms}
    form = min(forms, key=lambda form: tried[form].loss)
    blend = blending.fit(*arguments, form, found.weights)
    loss = tried[form].loss
    if found.kind == "regression":
        loss = found.data.label_scale.deviation * float(np.sqrt(loss))
    return _Scored(BLEND, blend, found.score(_blend_logits(found, blend)), tried[form], loss)


def _blend_logits(found: _EvalRows, blend: Blend) -> Array:
    return blend.logits(found.logits)


def _better(blend: _Scored, best: _Scored, index: int) -> tuple[_Scored, str]:
    """Return the blend or its best member, and why; `index` is the member's."""
    if blend.validation is None or blend.score > best.score:
        return best, "the best member on the eval split; a blend is worse there"
    above, error = blend.validation.above(blend.validation.members[index])
    scale = float(np.average(blend.validation.members[index], weights=blend.validation.weights))
    change = f"{abs(above) / scale:.2%}" if scale else f"{abs(above):.3g}"
    if above > error:
        return best, (
            f"the best member on the eval split; a blend's loss is {change} higher in "
            "cross-validation"
        )
    if above < -error:
        return blend, (f"because its loss in cross-validation is {change} below its best member's")
    than = "below" if above < 0 else "above"
    return blend, (
        "because its loss in cross-validation is within a standard error of its best member's "
        f"({change} {than}); model_type={best.name} alone answers faster"
    )


def _shares(fitted: Sequence[FittedCandidate], blend: Blend) -> dict[str, float]:
    return {
        member.name: weight
        for member, weight in zip(fitted, blend.weights, strict=True)
        if weight > 0
    }


def _choice(
    found: _EvalRows,
    fitted: Sequence[FittedCandidate],
    kept: _Scored,
    reason: str,
    scored: Sequence[_Scored],
) -> Choice:
    shares = _shares(fitted, kept.blend)
    entries = []
    for candidate in sorted(scored, key=lambda one: one.score):
        used = _shares(fitted, candidate.blend)
        entries.append(
            LeaderboardEntry(
                candidate=candidate.name,
                score=candidate.score,
                cross_validated=candidate.cross_validated,
                # All members were trained to find the blend's weights.
                seconds=sum(
                    member.seconds for member in fitted if candidate.name in (BLEND, member.name)
                ),
                size=sum(member.size for member in fitted if member.name in used),
                weight=(
                    float(candidate is kept)
                    if candidate.name == BLEND
                    else shares.get(candidate.name, 0.0)
                ),
                is_kept=candidate is kept,
            )
        )
    return Choice(
        name=kept.name,
        model=blended_model.build(found.kind, [member.model for member in fitted], kept.blend),
        main=max(fitted, key=lambda member: shares.get(member.name, 0.0)),
        weights=shares,
        score=f"eval_{found.score_name}",
        reason=reason,
        leaderboard=entries,
        blend=kept.blend if kept.name == BLEND else None,
    )
