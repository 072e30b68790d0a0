"""Trains boosted trees as a candidate: reads rows, reports measurements, keeps snapshots."""

import dataclasses
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts.hyperparameters import TREES
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.process.termination import termination
from kfp_tabular.components.common.storage import Folder, is_remote
from kfp_tabular.components.training.candidates.fitted_candidate import (
    CandidateContext,
    FittedCandidate,
)
from kfp_tabular.components.training.input import parquet_reader
from kfp_tabular.components.training.input.packed_rows import PackedRows
from kfp_tabular.components.training.loop import trainable_model
from kfp_tabular.components.training.loop.metrics_writer import MetricsWriter
from kfp_tabular.components.training.model.logits_model import LogitsModel
from kfp_tabular.components.training.trees import sizes
from kfp_tabular.components.training.trees.fit import (
    TREES_PER_EVALUATION,
    FittedTrees,
    TreeRequest,
    fit,
)

_GROUPS = 64
"""Row groups that are read of a split with too many rows."""

_SECONDS = "seconds.txt"
"""Holds the time of earlier attempts, beside their snapshot."""

_logger = logging.getLogger(__name__)


def train(context: CandidateContext, writer: MetricsWriter) -> FittedCandidate:
    """Train boosted trees, from their last snapshot if there is one.

    Args:
        context: What to train with.
        writer: Receives a measurement for every ten trees.

    Raises:
        UserError: If class weights are given for a regression task, or no feature varies.
        SystemExit: After SIGTERM, once the snapshot is saved.
    """
    settings, data = context.settings, context.data
    kind = data.task.kind
    units = len(data.task.classes) if kind == "multiclass" else 1
    class_weights = trainable_model.class_weights(settings, data)
    started = time.monotonic()
    rows = _rows(context, units)
    writer.expect(TREES)

    with _state(context.checkpoints, started) as state, termination() as terminated:
        cut = False

        def is_over() -> bool:
            nonlocal cut
            cut = state.before + time.monotonic() - started >= context.seconds
            return cut

        def after_iteration(tree: int, train_loss: float, eval_loss: float | None) -> bool:
            if tree % TREES_PER_EVALUATION == 0:
                writer.write(_entry(context, tree, train_loss, eval_loss))
            return not terminated.is_set()

        fitted = fit(
            TreeRequest(
                kind=kind,
                units=units,
                layout=data.columns,
                train=rows,
                held_out=data.held_out,
                hyperparameters=settings.hyperparameters,
                class_weights=class_weights,
                patience=settings.early_stopping_patience,
                seed=settings.seed,
                threads=_threads(),
                directory=state.directory,
                checkpoint_seconds=settings.checkpoint_seconds,
                after_snapshot=state.upload,
                after_iteration=after_iteration,
                is_over=is_over,
            )
        )
        if cut:
            context.findings.warning(
                "budget",
                f"{TREES} were stopped with {fitted.grown:,} grown, because their share of the "
                f"budget was used up; kept are the best {fitted.trees:,}.",
                option="budget_seconds",
            )
    history = _history(context, fitted)
    writer.resume(history)
    seconds = state.before + time.monotonic() - started
    return FittedCandidate(
        name=TREES,
        model=fitted.model,
        history=history,
        steps=fitted.grown,
        best_step=fitted.best_iteration,
        epochs=float(fitted.grown),
        seconds=seconds,
        rows_per_second=len(rows) * fitted.grown / max(seconds, 1e-9),
        parameters=fitted.leaves,
        size=_size(fitted.model),
        objective=_metric(context),
        schedule={"interval": TREES_PER_EVALUATION},
    )


def _rows(context: CandidateContext, units: int) -> PackedRows:
    """Read the rows that trees are grown on; all of them unless there are too many."""
    data = context.data
    most = sizes.most_rows(context.settings.hyperparameters, data.columns, units)
    total = data.rows[parquet_reader.TRAIN_SPLIT]
    is_sample = total > min(most, parquet_reader.most_sampled(data.reader))
    rows = parquet_reader.sample(data.reader, data.train_files, most, groups=_GROUPS)
    if is_sample:
        context.findings.note(
            "tree-rows",
            f"Trees are grown on {len(rows):,} of {total:,} training rows, evenly spaced.",
            option="tree_rows",
        )
    return rows


def _metric(context: CandidateContext) -> str:
    """Return the name of the loss: the log loss, or the RMSE in the label's own unit.

    A transformed label's error has no such unit: it is a loss of the standardized label.
    """
    if context.data.task.kind == "regression":
        return "rmse" if context.data.label_scale.is_linear else "loss"
    # With class weights CatBoost weights the rows of the eval split, too.
    return "log_loss" if context.settings.class_weights == "none" else "loss"


def _entry(
    context: CandidateContext, tree: int, train_loss: float, eval_loss: float | None
) -> dict[str, float]:
    is_regression = context.data.task.kind == "regression"
    # As a network's: the mean squared error of the standardized label.
    entry = {
        "step": float(tree),
        "epoch": float(tree),
        "train_loss": train_loss**2 if is_regression else train_loss,
    }
    if eval_loss is not None:
        scale = context.data.label_scale
        if not is_regression:
            measured = eval_loss
        elif scale.is_linear:
            measured = eval_loss * scale.deviation
        else:
            measured = eval_loss**2
        entry[f"eval_{_metric(context)}"] = measured
    return entry


def _history(context: CandidateContext, fitted: FittedTrees) -> list[dict[str, float]]:
    """Return every tenth measurement, that of the number of trees kept, and the last."""
    wanted = {fitted.best_iteration, fitted.grown}
    return [
        _entry(context, tree, losses.train_loss, losses.eval_loss)
        for tree, losses in enumerate(fitted.history, start=1)
        if tree % TREES_PER_EVALUATION == 0 or tree in wanted
    ]


def _size(model: LogitsModel) -> int:
    """Return the bytes of the trees' tables."""
    tables: Any = getattr(model, "tables", None)
    if not dataclasses.is_dataclass(tables):
        return 0
    values = (getattr(tables, field.name) for field in dataclasses.fields(tables))
    return sum(int(value.nbytes) for value in values if isinstance(value, np.ndarray))


def _threads() -> int:
    # Parallel trials of a search share the cores; the search sets this for each.
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdecimal() and int(given) else os.cpu_count() or 1


@dataclass(frozen=True)
class _State:
    """Where a training's state is.

    Attributes:
        directory: The local directory of the snapshots; None for none.
        folder: The folder of an object store where they belong; None if the directory is there.
        started: When this attempt started, by the monotonic clock.
        before: The seconds that earlier attempts took.
    """

    directory: Path | None
    folder: Folder | None
    started: float
    before: float

    def upload(self) -> None:
        """Bring the state to the object store; a failure is logged, and the next one may do.

        Raises:
            UserError: If it is denied.
        """
        if self.directory is None:
            return
        _write_seconds(self.directory, self.before + time.monotonic() - self.started)
        if self.folder is None:
            return
        try:
            self.folder.upload({path.name: path for path in self.directory.iterdir()})
        except UserError:
            raise
        except Exception as error:  # noqa: BLE001 - as for a network's checkpoints
            _logger.warning("the snapshot of the trees was not uploaded: %s", error)


@contextmanager
def _state(checkpoints: str, started: float) -> Iterator[_State]:
    """Yield where the snapshots are; those of an object store are brought here first."""
    if not checkpoints:
        yield _State(None, None, started, 0.0)
        return
    location = f"{checkpoints}/{TREES}"
    if not is_remote(location):
        directory = Path(location)
        state = _State(directory, None, started, _read_seconds(directory))
        try:
            yield state
        finally:
            state.upload()
        return
    folder = Folder(location)
    with tempfile.TemporaryDirectory(prefix="kfp-tabular-trees-") as scratch:
        directory = Path(scratch)
        folder.download(folder.list(), directory)
        state = _State(directory, folder, started, _read_seconds(directory))
        try:
            yield state
        finally:
            state.upload()


def _read_seconds(directory: Path) -> float:
    file = directory / _SECONDS
    return float(file.read_text(encoding="utf-8")) if file.is_file() else 0.0


def _write_seconds(directory: Path, seconds: float) -> None:
    if directory.is_dir():
        files.write_text(directory / _SECONDS, f"{seconds:.3f}")
