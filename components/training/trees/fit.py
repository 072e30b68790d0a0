"""Trains boosted trees with CatBoost on packed rows."""

import contextlib
import dataclasses
import hashlib
import json
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.artifacts.supervised_task import TaskKind
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.process.termination import TERMINATED_EXIT_CODE
from kfp_tabular.components.training.input.packed_rows import ColumnLayout, PackedRows
from kfp_tabular.components.training.model.logits_model import LogitsModel
from kfp_tabular.components.training.trees import absent_classes, column_choice, pool, sizes
from kfp_tabular.components.training.trees.export import TreeColumns, from_catboost
from kfp_tabular.components.training.trees.iterations import AfterIteration, Iterations
from kfp_tabular.components.training.trees.log_lines import LogLines
from kfp_tabular.components.training.trees.snapshots import Snapshots

TREES_PER_EVALUATION = 10
"""The patience of early stopping counts evaluations; trees are measured each, so ten are one."""

LOSSES: Mapping[TaskKind, str] = {
    "binary": "Logloss",
    "multiclass": "MultiClass",
    "regression": "RMSE",
}
"""CatBoost's name of the loss, and of its mean over a split, by task."""

_SNAPSHOT = "snapshot"

_logger = logging.getLogger(__name__)


def _nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True)
class TreeRequest:
    """A training of trees.

    Attributes:
        kind: The task's kind.
        units: Logits per row: 1, or one per class.
        layout: How columns are packed.
        train: Rows to train on; `sizes.most_rows` says how many are worth reading.
        held_out: Rows that choose the number of trees; None for a fixed number.
        hyperparameters: Its `tree_...` values are used.
        class_weights: Weight of each class in the loss; None for equal weights.
        patience: Evaluations, of ten trees each, without improvement before training stops; 0 grows
            all trees.
        seed: Seed of CatBoost's random numbers.
        threads: Threads to use; they do not change the trees.
        directory: Where a killed training leaves its state, and resumes from; None for nowhere.
        checkpoint_seconds: Shortest time between two snapshots.
        after_snapshot: Called after each snapshot in the directory.
        after_iteration: Called after each tree with its number from 1, the loss on the train split
            and that on the held-out rows; False stops, as after SIGTERM.
        is_over: Asked after each tree; true stops, and the best trees so far are kept.
    """

    kind: TaskKind
    units: int
    layout: ColumnLayout
    train: PackedRows
    held_out: PackedRows | None
    hyperparameters: Hyperparameters
    class_weights: Sequence[float] | None = None
    patience: int = 5
    seed: int = 0
    threads: int = 1
    directory: Path | None = None
    checkpoint_seconds: float = 15.0
    after_snapshot: Callable[[], None] = _nothing
    after_iteration: AfterIteration = lambda _iteration, _train, _held_out: True
    is_over: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class TreeLoss:
    """The mean loss after a tree: log loss, or the root mean squared error.

    Attributes:
        train_loss: On the rows trained on.
        eval_loss: On the held-out rows; None without them.
    """

    train_loss: float
    eval_loss: float | None


@dataclass(frozen=True)
class FittedTrees:
    """Trained trees.

    Attributes:
        model: From packed rows to logits, of TensorFlow operations.
        trees: The trees of the model.
        grown: The trees that were grown; those after the number kept are dropped.
        best_iteration: The number of trees kept: those with the lowest loss on the held-out rows;
            all without such rows.
        leaves: The numbers in the leaves of the model.
        history: The losses after each tree grown.
    """

    model: LogitsModel
    trees: int
    grown: int
    best_iteration: int
    leaves: int
    history: Sequence[TreeLoss]


def fit(request: TreeRequest) -> FittedTrees:
    """Train boosted trees.

    The same request gives the same trees, whatever the number of threads, and also if it was killed
    and resumed.

    Raises:
        UserError: If no column varies, or the directory is not writable.
        SystemExit: With `TERMINATED_EXIT_CODE`, once the state is saved, after `after_iteration`
            returned False.
    """
    columns = column_choice.choose(request.layout, request.kind, request.train)
    if not columns.numbers and not columns.categorical:
        raise UserError(
            "model_type: no feature varies in the train split, so trees have nothing to split. "
            "Use model_type=linear."
        )
    if request.kind != "multiclass":
        return _fit(request, columns)
    classes = absent_classes.present(request.train.label, request.units)
    if len(classes) == request.units:
        return _fit(request, columns)
    weights = request.class_weights
    fitted = _fit(
        dataclasses.replace(
            request,
            units=len(classes),
            train=absent_classes.renumbered(request.train, classes),
            held_out=(
                None
                if request.held_out is None
                else absent_classes.renumbered(request.held_out, classes)
            ),
            class_weights=None if weights is None else [weights[index] for index in classes],
        ),
        columns,
    )
    model = absent_classes.WithAbsentClasses(
        fitted.model, classes, request.units, len(request.train)
    )
    return dataclasses.replace(fitted, model=model)


def _fit(request: TreeRequest, columns: TreeColumns) -> FittedTrees:
    if request.held_out is not None and not len(request.held_out):
        # A split without rows measures nothing.
        request = dataclasses.replace(request, held_out=None)
    has_eval = request.held_out is not None
    plan = sizes.plan(
        request.hyperparameters,
        columns,
        kind=request.kind,
        units=request.units,
        rows=len(request.train),
        has_eval=has_eval,
        stops_early=request.patience > 0,
    )
    _logger.info(
        "trees: at most %d of depth %d, learning rate %.3g, on %d rows, %d numbers and %d "
        "categorical columns",
        plan.trees,
        plan.depth,
        plan.learning_rate,
        len(request.train),
        columns.numbers,
        len(columns.categorical),
    )
    if not has_eval:
        _logger.warning(
            "no eval split: early stopping is off, and all %d trees are kept; tree_count changes "
            "their number",
            plan.trees,
        )
    model, history = _train(request, columns, _parameters(request, plan))
    trees = best_number([loss.eval_loss for loss in history if loss.eval_loss is not None])
    trees = trees or int(model.tree_count_)
    if trees < model.tree_count_:
        model.shrink(trees)
    _logger.info("trees: %d of %d kept", trees, len(history))
    return FittedTrees(
        model=from_catboost(model, columns),
        trees=trees,
        grown=len(history),
        best_iteration=trees,
        leaves=len(model.get_leaf_values()),
        history=history,
    )


def best_number(losses: Sequence[float]) -> int:
    """Return the number of trees with the lowest loss, the smaller of equals; 0 without losses.

    Args:
        losses: The loss on the held-out rows after each tree.

    Example:
        >>> best_number([0.7, 0.5, 0.5, 0.6]), best_number([])
        (2, 0)
    """
    return losses.index(min(losses)) + 1 if losses else 0


def _parameters(request: TreeRequest, plan: sizes.TreePlan) -> dict[str, Any]:
    """Return CatBoost's parameters, without those that do not change the trees."""
    parameters: dict[str, Any] = {
        "loss_function": LOSSES[request.kind],
        "iterations": plan.trees,
        "learning_rate": plan.learning_rate,
        "depth": plan.depth,
        "l2_leaf_reg": plan.l2,
        "one_hot_max_size": sizes.LARGEST_ONE_HOT,
        # A table for each column; combinations would need one for each pair of ids, or more.
        "max_ctr_complexity": 1,
        "boosting_type": "Ordered" if plan.is_ordered else "Plain",
        "random_seed": request.seed,
        "allow_const_label": True,
        "use_best_model": request.held_out is not None,
    }
    if request.kind == "multiclass":
        parameters["classes_count"] = request.units
    if request.kind == "binary":
        parameters["class_names"] = [0, 1]
    elif not np.ptp(request.train.label):
        # Without errors there is nothing by which rows could be sampled.
        parameters["bootstrap_type"] = "No"
    if request.held_out is not None and request.patience:
        parameters["early_stopping_rounds"] = request.patience * TREES_PER_EVALUATION
    return parameters


def _train(
    request: TreeRequest,
    columns: TreeColumns,
    parameters: Mapping[str, Any],
) -> tuple[Any, list[TreeLoss]]:
    import catboost

    train_pool = pool.build(request.train, columns, request.class_weights)
    held_out_pool = (
        None
        if request.held_out is None
        else pool.build(request.held_out, columns, request.class_weights)
    )
    with _snapshots(request, columns, parameters) as (snapshots, writing):
        iterations = Iterations(
            LOSSES[request.kind],
            request.after_iteration,
            None if snapshots is None else lambda: _keep(snapshots, request),
            request.is_over,
        )
        model = catboost.CatBoost(
            {**parameters, **writing, "thread_count": request.threads, "logging_level": "Silent"}
        )
        model.fit(
            train_pool,
            eval_set=held_out_pool,
            callbacks=[iterations],
            log_cout=LogLines(_logger, logging.DEBUG),
            log_cerr=LogLines(_logger, logging.INFO),
        )
        if snapshots is not None:
            # CatBoost writes one more at the end.
            _keep(snapshots, request)
    if iterations.error is not None:
        raise iterations.error
    if iterations.stopped:
        _logger.warning("SIGTERM: stopped after %d trees", model.tree_count_)
        raise SystemExit(TERMINATED_EXIT_CODE)
    measured = model.get_evals_result()
    loss = LOSSES[request.kind]
    train = measured["learn"][loss]
    eval_ = measured.get("validation", {}).get(loss, [None] * len(train))
    return model, [TreeLoss(*losses) for losses in zip(train, eval_, strict=True)]


def _keep(snapshots: Snapshots, request: TreeRequest) -> bool:
    is_new = snapshots.keep()
    if is_new:
        request.after_snapshot()
    return is_new


@contextlib.contextmanager
def _snapshots(
    request: TreeRequest, columns: TreeColumns, parameters: Mapping[str, Any]
) -> Iterator[tuple[Snapshots | None, dict[str, Any]]]:
    """Yield where snapshots are kept, and CatBoost's parameters for writing files."""
    if request.directory is None:
        yield None, {"allow_writing_files": False}
        return
    with tempfile.TemporaryDirectory(prefix="kfp-tabular-trees-") as scratch:
        file = Path(scratch, _SNAPSHOT)
        snapshots = Snapshots(request.directory, file, _identity(request, columns, parameters))
        if snapshots.restore():
            _logger.info("trees: resumed from the snapshot in %s", request.directory)
        yield (
            snapshots,
            {
                "train_dir": scratch,
                "save_snapshot": True,
                "snapshot_file": str(file),
                "snapshot_interval": round(request.checkpoint_seconds),
            },
        )


def _identity(request: TreeRequest, columns: TreeColumns, parameters: Mapping[str, Any]) -> str:
    """Return what decides the result of a training: parameters, columns, rows and library."""
    digest = hashlib.sha256()
    for rows in (request.train, request.held_out):
        for matrix in () if rows is None else (rows.numeric, rows.categorical, rows.label):
            digest.update(repr(matrix.shape).encode())
            digest.update(matrix.tobytes())
    return json.dumps(
        [
            dict(parameters),
            dataclasses.asdict(columns),
            None if request.class_weights is None else list(request.class_weights),
            metadata.version("catboost"),
            digest.hexdigest(),
        ],
        sort_keys=True,
    )
