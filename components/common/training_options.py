"""The options that `train_model` and `tune_hyperparameters` share, and the training worker's flags.

Both components run the same worker program, `kfp_tabular.components.training.worker`: `train_model`
once for each process, `tune_hyperparameters` once for each trial. An option gets its name, default,
meaning and check here; the program's parser and the flags that start it follow from that.
"""

import argparse
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

from kfp_tabular.components.common import options
from kfp_tabular.components.common.artifacts.hyperparameters import (
    AUTO_NETWORK,
    BLEND,
    TREES,
    BasicHyperparameters,
    Hyperparameters,
)
from kfp_tabular.components.common.documents import at_least, one_of
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.options import option

WORKER_MODULE = "kfp_tabular.components.training.worker"
"""The worker program, as `python -m` takes it."""

NO_EXPORT = "--no-export"
"""The flag that has the worker train and measure, but write no model."""


@dataclass(frozen=True, kw_only=True)
class BaseHyperparameters(BasicHyperparameters):
    """The hyperparameters as a component takes them: the basic ones, and the others by name."""

    base_hyperparameters: Mapping[str, Any] = option(
        {},
        """More hyperparameters by name: `learning_rate_schedule`, `hidden_units` (such as
        "256,128"), `dropout`, `l2`, `cross_layers`, `members`, `embedding_dimension`,
        `label_transform` (`log` or `rank`); of trees, `tree_count`, `tree_depth`,
        `tree_learning_rate`, `tree_l2`, `tree_rows`. They override the arguments of the same
        name.""",
    )

    def hyperparameters(self) -> Hyperparameters:
        """Return all hyperparameters, with the arguments in place.

        Raises:
            UserError: If a name is unknown or a value has the wrong type.

        Example:
            >>> options = BaseHyperparameters(epochs=3, base_hyperparameters={"l2": 0.01})
            >>> options.hyperparameters().l2
            0.01
        """
        basic = {field.name: getattr(self, field.name) for field in fields(BasicHyperparameters)}
        return Hyperparameters().updated({**basic, **self.base_hyperparameters})


@dataclass(frozen=True, kw_only=True)
class LearningOptions:
    """How a model learns, beside its hyperparameters: the same for a training and for a trial."""

    class_weights: str = option(
        "none",
        """`none`, or `balanced`: all classes have the same total weight in the loss. The
        probabilities of a balanced model are not calibrated.""",
        check=one_of("none", "balanced"),
    )
    early_stopping_patience: int = option(
        5,
        """Evaluations on the eval split without improvement before training stops; 0 trains to
        the end. There is one evaluation per epoch, at least 10 and at most 50 in all (25 for
        `tabm`), on at most 50,000 rows. Without an eval split `auto`, `trees` and `blend` hold out
        train rows; others do not stop early.""",
        check=at_least(0),
    )
    model_fn: str = option(
        "",
        """Your own model as `package.module:function`, used instead of `model_type`; see the guide
        on model functions.""",
    )
    seed: int = option(
        0,
        """Seed of the initial weights, the row order and dropout. tune_hyperparameters seeds its
        search with it, too.""",
        check=at_least(0),
    )


def check_model_type(
    hyperparameters: BasicHyperparameters, *, model_fn: str, workers: int, servers: bool = False
) -> None:
    """Check that the model type can be trained with these processes.

    Args:
        hyperparameters: The training's hyperparameters.
        model_fn: The model function; empty for none.
        workers: Worker processes that train together.
        servers: Whether there are parameter servers.

    Raises:
        UserError: If `trees` or `blend` is asked for together with a model function, with several
            workers or with parameter servers.

    Example:
        >>> check_model_type(BasicHyperparameters(model_type="trees"), model_fn="", workers=2)
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: model_type: 'trees' trains in one process,
        not with 2 workers. Use workers=1, or model_type='...'.
    """
    kind = hyperparameters.model_type
    if kind not in (TREES, BLEND):
        return
    if model_fn:
        raise UserError(
            f"model_type: {kind!r} cannot be combined with model_fn, which replaces it. Leave one "
            "of them out."
        )
    if workers > 1 or servers:
        found = f"{workers} workers" if workers > 1 else "parameter servers"
        raise UserError(
            f"model_type: {kind!r} trains in one process, not with {found}. Use workers=1, or "
            f"model_type={AUTO_NETWORK!r}."
        )


@dataclass(frozen=True)
class WorkerLocations:
    """Where a training worker reads and writes. Each location is a path or a URI."""

    transformed_examples: str = option(MISSING, "Directory of the transformed examples.")
    transform_graph: str = option(MISSING, "Directory of the transform graph.")
    output: str = option("", f"Directory for the model; leave it out with {NO_EXPORT}.")
    logs: str = option("", "Directory for TensorBoard logs and training.json.")
    checkpoints: str = option("", "Directory for checkpoints; default: checkpoints/ in --logs.")
    hyperparameters: str = option("", "File with a JSON object of hyperparameters.")
    metrics_file: str = option("", "File that metrics are appended to, in Katib's text format.")

    def flags(self) -> list[str]:
        """Return the flags that tell a worker these locations."""
        return [*flags(self), *([] if self.output else [NO_EXPORT])]


def flag(name: str, value: object) -> str:
    """Return one of the worker's flags.

    Args:
        name: The option's name, with underscores or dashes.
        value: Its value.

    Example:
        >>> flag("early_stopping_patience", 5)
        '--early-stopping-patience=5'
    """
    return f"--{name.replace('_', '-')}={value}"


def flags(values: Any) -> list[str]:
    """Return the worker's flags for a dataclass of options, without those that are empty text.

    Args:
        values: A dataclass of options that the worker knows.

    Example:
        >>> flags(LearningOptions(class_weights="balanced"))
        ['--class-weights=balanced', '--early-stopping-patience=5', '--seed=0']
    """
    known = options.describe(type(values))
    return [
        flag(name, value)
        for name, value in asdict(values).items()
        if name in known and value not in (None, "")
    ]


def add_flags(parser: argparse.ArgumentParser, kind: type, *, as_text: bool = False) -> None:
    """Add a flag to a parser for each option of a dataclass.

    A flag that the command line leaves out is absent from the parsed arguments, so that
    `options.build` fills in the default.

    Args:
        parser: The parser to extend.
        kind: A dataclass of options.
        as_text: Whether values stay text, for the caller to convert.

    Example:
        >>> parser = argparse.ArgumentParser()
        >>> add_flags(parser, LearningOptions)
        >>> options.build(LearningOptions, vars(parser.parse_args(["--seed=7"]))).seed
        7
    """
    for entry in options.describe(kind).values():
        required = entry.default is MISSING
        default = "" if required or entry.default in ("", None) else f" Default: {entry.default}."
        parser.add_argument(
            f"--{entry.name.replace('_', '-')}",
            type=str if as_text else entry.type,
            required=required,
            default=argparse.SUPPRESS,
            # argparse replaces %(...)s in help texts.
            help=f"{entry.meaning}{default}".replace("%", "%%"),
        )
