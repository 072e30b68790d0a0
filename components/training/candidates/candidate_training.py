"""Trains the candidates of a plan one after the other, and records what came of them."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts.hyperparameters import TREES
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import Folder, is_remote
from kfp_tabular.components.training.candidates import candidate_plan, eval_rows, network
from kfp_tabular.components.training.candidates.candidate_plan import CandidatePlan
from kfp_tabular.components.training.candidates.choice import WEIGHTED, Choice
from kfp_tabular.components.training.candidates.fitted_candidate import (
    CandidateContext,
    FittedCandidate,
)
from kfp_tabular.components.training.distributed.replica_role import ReplicaRole
from kfp_tabular.components.training.loop.metrics_writer import MetricsWriter
from kfp_tabular.components.training.worker_settings import WorkerSettings

_logger = logging.getLogger(__name__)


def plan_of(context: CandidateContext) -> CandidatePlan:
    """Return which candidates a training tries."""
    return candidate_plan.plan(
        context.settings.hyperparameters,
        model_fn=context.settings.model_fn,
        workers=context.replica.workers,
        servers=context.replica.has_parameter_servers,
        has_eval_split=context.data.has_eval_split,
    )


def needs_eval_rows(settings: WorkerSettings, replica: ReplicaRole) -> bool:
    """Return whether rows are held out if there is no eval split: trees cannot do without."""
    planned = candidate_plan.plan(
        settings.hyperparameters,
        model_fn=settings.model_fn,
        workers=replica.workers,
        servers=replica.has_parameter_servers,
    )
    return TREES in planned.members


def train(
    context: CandidateContext,
    plan: CandidatePlan,
    written: Callable[[], None] | None = None,
) -> list[FittedCandidate]:
    """Train the members of a plan in turn; a restarted training goes on where it was.

    Where the best is kept anyway, a member that cannot be trained is left out, with a finding.

    Args:
        context: What to train with; its findings receive what was left out, and why.
        plan: The members.
        written: Called after each change of the logs.

    Raises:
        UserError: If no member can be trained, or one of a blend that was asked for.
        SystemExit: After SIGTERM, once the state is saved.
    """
    findings = context.findings
    eval_rows.note(context.data, findings)
    if plan.note:
        findings.note("candidates", plan.note, option="model_type")
    fitted: list[FittedCandidate] = []
    errors: list[UserError] = []
    for number, name in enumerate(plan.members, start=1):
        left = _seconds_left(context, fitted)
        if plan.chosen and fitted and left <= 0:
            findings.warning(
                "budget",
                f"{name} was not trained: the others used up the budget. Another run may have time "
                "for it, and keep another model.",
                option="budget_seconds",
            )
            continue
        if len(plan.members) > 1:
            _logger.info("candidate %d of %d: %s", number, len(plan.members), name)
        try:
            share = left / (len(plan.members) + 1 - number)
            own = replace(context, seconds=share)
            fitted.append(_train_one(own, plan, name, fitted, written))
        except UserError as error:
            if not plan.chosen:
                raise
            errors.append(error)
            findings.warning(
                "candidate-left-out", f"{name} was left out: {error}", option="model_type"
            )
    if not fitted:
        raise errors[-1]
    return fitted


def _seconds_left(context: CandidateContext, fitted: Sequence[FittedCandidate]) -> float:
    """Return what is left of the budget; infinity without one."""
    limit = context.settings.budget_seconds
    if not limit:
        return math.inf
    return limit - context.seconds_before - sum(member.seconds for member in fitted)


def _train_one(
    context: CandidateContext,
    plan: CandidatePlan,
    name: str,
    earlier: Sequence[FittedCandidate],
    written: Callable[[], None] | None,
) -> FittedCandidate:
    settings = context.settings
    own = replace(
        context,
        settings=replace(
            settings,
            hyperparameters=candidate_plan.with_model_type(settings.hyperparameters, name),
        ),
    )
    with MetricsWriter(
        _logs(settings.logs, plan, name),
        settings.metrics_file,
        writes=context.replica.is_chief,
        written=written,
        first_step=sum(member.steps for member in earlier),
    ) as writer:
        if name == TREES:
            # CatBoost is only needed here.
            from kfp_tabular.components.training.candidates import tree_candidate

            found = tree_candidate.train(own, writer)
        else:
            found = network.train(own, writer, more_follow=len(plan.members) > 1)
    if len(plan.members) > 1:
        _logger.info("%s: trained in %.1f s, best at step %d", name, found.seconds, found.best_step)
    return found


def _logs(logs: Path | None, plan: CandidatePlan, name: str) -> Path | None:
    """Return where a candidate's TensorBoard events go: each is a run of its own."""
    return logs / name if logs is not None and len(plan.members) > 1 else logs


def remove_state(context: CandidateContext, fitted: Sequence[FittedCandidate]) -> None:
    """Remove what a restarted training would have resumed from, that of failed members, too.

    Args:
        context: What was trained with.
        fitted: The members that were trained.
    """
    for member in fitted:
        member.remove_state()
    if not context.checkpoints:
        return
    if is_remote(context.checkpoints):
        folder = Folder(context.checkpoints)
        folder.remove(list(folder.list()))
    else:
        files.remove(Path(context.checkpoints))


def metrics(fitted: Sequence[FittedCandidate], choice: Choice) -> dict[str, float]:
    """Return the metrics of the training, and each candidate's score.

    `steps`, `best_step`, `epochs` and `rows_per_second` are those of the member with most weight;
    `seconds` are those of all candidates. A score that weighs the classes is there for the kept
    model, too: the evaluator's metrics lack it.
    """
    kept = [entry.score for entry in choice.leaderboard if entry.is_kept]
    return {
        **choice.main.metrics(),
        "seconds": sum(member.seconds for member in fitted),
        **({choice.score: kept[0]} if choice.score == f"eval_{WEIGHTED}" else {}),
        **{f"{entry.candidate}_{choice.score}": entry.score for entry in choice.leaderboard},
    }


def record(member: FittedCandidate, choice: Choice) -> Mapping[str, Any]:
    """Return what `training.json` holds of a member."""
    return {
        "name": member.name,
        "weight": choice.weights.get(member.name, 0.0),
        "steps": member.steps,
        "best_step": member.best_step,
        "seconds": member.seconds,
        "parameters": member.parameters,
        "size": member.size,
        "objective": f"eval_{member.objective}",
        "interval": member.schedule.get("interval"),
        "history": list(member.history),
    }
