"""Which models a training tries: rules on its settings, before anything is read."""

from dataclasses import dataclass, replace

from kfp_tabular.components.common.artifacts.hyperparameters import (
    AUTO,
    AUTO_NETWORK,
    BLEND,
    TREES,
    Hyperparameters,
)
from kfp_tabular.components.common.training_options import check_model_type


@dataclass(frozen=True)
class CandidatePlan:
    """What is trained, and what may be kept.

    Attributes:
        members: Model types in the order of their training, each trained alone.
        blended: Whether a blend of them is tried.
        chosen: Whether the best is kept; if not, the blend is.
        note: One sentence about what was left out; empty for nothing.
    """

    members: tuple[str, ...]
    blended: bool = False
    chosen: bool = False
    note: str = ""


def plan(
    hyperparameters: Hyperparameters,
    *,
    model_fn: str,
    workers: int,
    servers: bool = False,
    has_eval_split: bool = True,
) -> CandidatePlan:
    """Return what is trained.

    Args:
        hyperparameters: The training's hyperparameters.
        model_fn: The model function; empty for none.
        workers: Worker processes that train together.
        servers: Whether there are parameter servers.
        has_eval_split: Whether there are rows to choose by.

    Raises:
        UserError: As `check_model_type` does.

    Example:
        >>> plan(Hyperparameters(model_type="auto"), model_fn="", workers=1).members
        ('trees', 'tabm')
        >>> plan(Hyperparameters(model_type="auto"), model_fn="", workers=2).members
        ('tabm',)
        >>> plan(Hyperparameters(model_type="dnn"), model_fn="", workers=1).members
        ('dnn',)
    """
    check_model_type(hyperparameters, model_fn=model_fn, workers=workers, servers=servers)
    kind = hyperparameters.model_type
    if kind not in (AUTO, BLEND):
        return CandidatePlan((kind,))
    if model_fn:
        note = f"{model_fn} replaces model_type auto: it is trained alone, and not compared."
        return CandidatePlan((AUTO_NETWORK,), note=note)
    if workers > 1 or servers:
        found = f"{workers} workers" if workers > 1 else "parameter servers"
        note = f"With {found}, model_type auto trains {AUTO_NETWORK} alone: trees need workers=1."
        return CandidatePlan((AUTO_NETWORK,), note=note)
    members = (TREES, AUTO_NETWORK)
    if has_eval_split:
        return CandidatePlan(members, blended=True, chosen=kind == AUTO)
    if kind == BLEND:
        note = "No eval split to fit a blend on: its members have equal weights, not calibrated."
        return CandidatePlan(members, blended=True, note=note)
    note = f"No eval split to choose a model by: {TREES} alone is trained."
    return CandidatePlan((TREES,), note=note)


def with_model_type(hyperparameters: Hyperparameters, name: str) -> Hyperparameters:
    """Return hyperparameters of one member.

    Example:
        >>> with_model_type(Hyperparameters(model_type="auto"), "dnn").model_type
        'dnn'
    """
    return replace(hyperparameters, model_type=name)
