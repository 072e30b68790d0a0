"""The input of a training: its columns, its rows and its label."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kfp_tabular.components.common.artifacts.examples import (
    Examples,
    RowRange,
    ShardFile,
    worker_share,
)
from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.training.distributed.agreement import Agreement
from kfp_tabular.components.training.distributed.replica_role import ReplicaRole
from kfp_tabular.components.training.input import (
    hold_out,
    label_scale,
    label_statistics,
    number_ranges,
    packed_rows,
    parquet_reader,
)
from kfp_tabular.components.training.input.hold_out import HoldOut
from kfp_tabular.components.training.input.label_scale import LabelScale
from kfp_tabular.components.training.worker_settings import WorkerSettings


@dataclass(frozen=True)
class TrainingData:
    """The input of a training, as one process sees it.

    Attributes:
        task: What is predicted.
        columns: How columns are packed.
        reader: Reads rows, without those of the train split that are held out.
        rows: Rows by split, as they are in the examples.
        train_files: Shards of the train split.
        share: The part of the train split that this process trains on.
        class_counts: Rows of the train split by class; empty for regression.
        label_scale: How a regression label is standardized.
        ranges: The smallest and the largest number of each numeric column in the train split, in
            the columns' order; empty if unknown.
        has_eval_split: Whether there are rows to evaluate on: an eval split, or train rows in its
            place.
        held_out: Rows to evaluate on; None if there are none, or if another process evaluates.
        division: How rows of the train split were held out in the place of an eval split; None if
            there is one, or nothing to hold out.
    """

    task: Task
    columns: packed_rows.ColumnLayout
    reader: parquet_reader.Reader
    rows: Mapping[str, int]
    train_files: Sequence[ShardFile]
    share: Sequence[RowRange]
    class_counts: Sequence[int]
    label_scale: LabelScale
    ranges: Sequence[number_ranges.Range]
    has_eval_split: bool
    held_out: packed_rows.PackedRows | None
    division: HoldOut | None = None


def read(
    settings: WorkerSettings,
    replica: ReplicaRole,
    agreement: Agreement,
    *,
    holds_out: bool = False,
) -> TrainingData:
    """Read what training needs to know about the data, and the rows to evaluate on.

    Every process reads its own share of the label; the statistics are summed over all processes.

    Args:
        settings: Where the data is.
        replica: This process's role.
        agreement: Agreement with the other processes.
        holds_out: Whether some rows of the train split take the place of an eval split that is
            missing; only with one worker.

    Raises:
        UserError: If there are no rows to train on, or the columns do not fit the graph.
    """
    task = Task.load(settings.transform_graph)
    examples = Examples(settings.transformed_examples)
    rows = parquet_reader.require_rows(examples)
    columns = columns_of(settings.transform_graph, task)
    train = examples.require(parquet_reader.TRAIN_SPLIT)
    total = rows[parquet_reader.TRAIN_SPLIT]
    if total < replica.workers:
        raise UserError(
            f"{settings.transformed_examples}: {total} training rows for {replica.workers} "
            "workers. Use fewer workers."
        )
    share = (
        worker_share(train)
        if replica.has_parameter_servers
        else worker_share(train, replica.worker, replica.workers)
    )
    counts: Sequence[int] = ()
    scale = label_scale.AS_IT_IS
    if task.kind == "regression":
        scale = _label_scale(settings.hyperparameters.label_transform, share, task, agreement)
    else:
        own = label_statistics.class_counts(share, task.label, len(task.classes))
        counts = [round(count) for count in agreement.sum(own)]
    reader = parquet_reader.Reader(columns, task, scale)
    has_eval_split, held_out, division = bool(rows.get(parquet_reader.EVAL_SPLIT)), None, None
    if has_eval_split and replica.is_chief:
        held_out = parquet_reader.sample(
            reader, examples.require(parquet_reader.EVAL_SPLIT), settings.eval_rows
        )
    elif holds_out and not has_eval_split:

        def kept(keep: parquet_reader.Keep) -> parquet_reader.Reader:
            return parquet_reader.Reader(columns, task, scale, keep=keep, shards=train)

        held_out, division = _held_out(kept, train, total, settings.eval_rows)
        if division is not None:
            has_eval_split = True
            held = division
            reader = kept(lambda rows, numbers: ~held.mask(rows, numbers))
    return TrainingData(
        task=task,
        columns=columns,
        reader=reader,
        rows=rows,
        train_files=train,
        share=share,
        class_counts=counts,
        label_scale=scale,
        ranges=_ranges(train, share, columns.numeric, agreement),
        has_eval_split=has_eval_split,
        held_out=held_out,
        division=division,
    )


def _held_out(
    kept: Callable[[parquet_reader.Keep], parquet_reader.Reader],
    train: Sequence[ShardFile],
    total: int,
    most: int,
) -> tuple[packed_rows.PackedRows | None, HoldOut | None]:
    """Return the train rows that take the place of an eval split, and how they were chosen.

    Args:
        kept: Returns a reader of some rows.
        train: Files of the train split.
        total: Its rows.
        most: Largest number of rows to hold in memory.
    """
    share = hold_out.share_of(total)
    for held in (HoldOut(share), HoldOut(share, divides_equal=True)) if share else ():
        others = 0

        def mask(
            rows: packed_rows.PackedRows,
            numbers: "np.ndarray[Any, Any]",
            held: HoldOut = held,
        ) -> "np.ndarray[Any, Any]":
            nonlocal others
            found = held.mask(rows, numbers)
            others += len(found) - int(found.sum())
            return found

        found = parquet_reader.sample(kept(mask), train, round(most / share))
        if hold_out.is_usable(found, others, divides_equal=held.divides_equal):
            return found, held
    return None, None


def columns_of(transform_graph: Path, task: Task) -> packed_rows.ColumnLayout:
    """Return how the transformed columns are packed."""
    import tensorflow_transform as tft

    schema = tft.TFTransformOutput(str(transform_graph)).transformed_metadata.schema
    return packed_rows.from_schema(schema, task.label)


def _ranges(
    files: Sequence[ShardFile],
    share: Sequence[RowRange],
    names: Sequence[str],
    agreement: Agreement,
) -> list[number_ranges.Range]:
    """Return the columns' ranges over the shares of all processes, the same in each of them."""
    found = number_ranges.from_footers(files, names)
    # All processes see the same footers, so they agree on what is left.
    left = [name for name in names if name not in found]
    if left:
        own = number_ranges.from_rows(share, left)
        each = agreement.each(own.ravel().tolist()).reshape(-1, len(left), 2)
        lowest, highest = np.fmin.reduce(each[..., 0]), np.fmax.reduce(each[..., 1])
        found |= {
            name: (float(lowest[index]), float(highest[index])) for index, name in enumerate(left)
        }
    return [found[name] for name in names]


def _label_scale(
    transform: str, share: Sequence[RowRange], task: Task, agreement: Agreement
) -> LabelScale:
    """Return how the label is transformed and standardized, the same in every process."""
    scale = LabelScale(transform)
    if transform == label_scale.RANK:
        own = label_statistics.quantiles(share, task.label, label_scale.QUANTILES)
        scale = label_scale.of_quantiles(agreement.each(own).tolist())
    own_moments = label_statistics.moments(share, task.label, scale)
    found = label_statistics.LabelMoments()
    for count, mean, squares in agreement.each(
        [float(own_moments.count), own_moments.mean, own_moments.squares]
    ):
        found = found.plus(label_statistics.LabelMoments(int(count), float(mean), float(squares)))
    return scale.fitted(found.mean, found.deviation)
