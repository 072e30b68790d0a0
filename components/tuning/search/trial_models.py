"""Which models the trials of a search train."""

import logging
from collections.abc import Collection
from dataclasses import asdict, replace

from kfp_tabular.components.common.artifacts.hyperparameters import (
    AUTO,
    AUTO_NETWORK,
    BLEND,
    TREES,
    Hyperparameters,
)
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.training_options import check_model_type
from kfp_tabular.components.tuning.search.search_space import Choice, SearchSpace

_logger = logging.getLogger(__name__)


def trial_base(base: Hyperparameters, space: SearchSpace, model_fn: str = "") -> Hyperparameters:
    """Return the hyperparameters that hold in trials where these have no value of their own.

    `auto` trains networks and trees. A trial trains only those that the search changes: the others
    would be the same in every trial, and hide how the values differ.

    Args:
        base: The base hyperparameters.
        space: What is searched.
        model_fn: The model function; empty for none.

    Example:
        >>> from kfp_tabular.components.tuning.search.search_space import parse
        >>> space = parse([{"name": "dropout", "parameterType": "discrete",
        ...     "feasibleSpace": {"list": ["0", "0.2"]}}])
        >>> trial_base(Hyperparameters(model_type="auto"), space).model_type == AUTO_NETWORK
        True
    """
    names = {entry.name for entry in space}
    if "model_type" in names:
        return _with_searched_chosen(base, names)
    of_trees = {name for name in names if name.startswith("tree_")}
    if base.model_type == AUTO and not model_fn and not of_trees:
        base = replace(base, model_type=AUTO_NETWORK)
    elif base.model_type == AUTO and not model_fn and of_trees == names:
        base = replace(base, model_type=TREES)
    # The first trial is the base: with what 0 chooses, so that it lies in the space.
    network = AUTO_NETWORK if base.model_type in (AUTO, BLEND) else base.model_type
    chosen = replace(base, model_type=AUTO if model_fn else network).chosen()
    return replace(chosen, model_type=base.model_type)


def _with_searched_chosen(base: Hyperparameters, names: Collection[str]) -> Hyperparameters:
    """Choose what the search varies, for the base to lie in the space as its first trial.

    What the search does not vary stays open: each trial's model type chooses its own value.
    """
    network = AUTO_NETWORK if base.model_type in (AUTO, BLEND) else base.model_type
    chosen = asdict(replace(base, model_type=network).chosen())
    return base.updated({name: chosen[name] for name in names if name != "model_type"})


def model_types(base: Hyperparameters, space: SearchSpace) -> tuple[str, ...]:
    """Return the model types that trials may have.

    Example:
        >>> model_types(Hyperparameters(model_type="dnn"), ())
        ('dnn',)
    """
    for entry in space:
        if entry.name == "model_type" and isinstance(entry, Choice):
            return tuple(str(value) for value in entry.values)
    return (base.model_type,)


def problems(
    base: Hyperparameters,
    space: SearchSpace,
    *,
    model_fn: str,
    workers: int = 1,
    servers: bool = False,
) -> list[str]:
    """Return why trials of some model types cannot be trained; empty if all can.

    Args:
        base: The base hyperparameters.
        space: What is searched.
        model_fn: The model function; empty for none.
        workers: Worker processes of a trial.
        servers: Whether a trial has parameter servers.

    Example:
        >>> trees = Hyperparameters(model_type="trees")
        >>> problems(trees, (), model_fn=""), len(problems(trees, (), model_fn="", workers=2))
        ([], 1)
    """
    found = []
    for name in model_types(base, space):
        try:
            check_model_type(
                replace(base, model_type=name), model_fn=model_fn, workers=workers, servers=servers
            )
        except UserError as error:
            found.append(str(error))
    return found


def log_narrowing(base: Hyperparameters, space: SearchSpace, model_fn: str = "") -> None:
    """Log which candidate of `auto` trials train, if they do not train all."""
    kind = trial_base(base, space, model_fn).model_type
    if kind != base.model_type:
        _logger.info(
            "model_type %s: trials train %s alone, since nothing else is searched; train_model "
            "tries all candidates",
            base.model_type,
            kind,
        )
