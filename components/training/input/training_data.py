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
    label_statistics,
    number_ranges,
    packed_rows,
    parquet_reader,
)
from kfp_tabular.components.training.input.hold_out import HoldOut
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
        mean: Mean of a regression label; 0 for other tasks.
        scale: Standard deviation of a regression label; 1 for other tasks.
        ranges: The smallest and the largest number of each numeric column in the train split, in
            the columns' order; empty if unknown.
        has_eval_split: Whether there are rows to evaluate on: an eval split, or train rows in its
            place.
        held_out: Rows to evaluate on; None if there are none, or if another process evaluates.
        held_out_share: The share of the train split that takes the place of an eval split; 0 for
            none.
    """

    task: Task
    columns: packed_rows.ColumnLayout
    reader: parquet_reader.Reader
    rows: Mapping[str, int]
    train_files: Sequence[ShardFile]
    share: Sequence[RowRange]
    class_counts: Sequence[int]
    mean: float
    scale: float
    ranges: Sequence[number_ranges.Range]
    has_eval_split: bool
    held_out: packed_rows.PackedRows | None
    held_out_share: float = 0.0


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
    mean, scale = 0.0, 1.0
    if task.kind == "regression":
        found = label_statistics.LabelMoments()
        for count, middle, squares in agreement.each(_moments(share, task)):
            found = found.plus(
                label_statistics.LabelMoments(int(count), float(middle), float(squares))
            )
        mean, scale = found.mean, found.deviation
    else:
        own = label_statistics.class_counts(share, task.label, len(task.classes))
        counts = [round(count) for count in agreement.sum(own)]
    reader = parquet_reader.Reader(columns, task, mean, scale)
    has_eval_split, held_out, share_held_out = bool(rows.get(parquet_reader.EVAL_SPLIT)), None, 0.0
    if has_eval_split and replica.is_chief:
        held_out = parquet_reader.sample(
            reader, examples.require(parquet_reader.EVAL_SPLIT), settings.eval_rows
        )
    elif holds_out and not has_eval_split:

        def kept(keep: parquet_reader.Keep) -> parquet_reader.Reader:
            return parquet_reader.Reader(columns, task, mean, scale, keep=keep)

        held_out, share_held_out = _held_out(kept, train, total, settings.eval_rows)
        if held_out is not None:
            has_eval_split = True
            held = HoldOut(share_held_out)
            reader = kept(lambda rows: ~held.mask(rows))
    return TrainingData(
        task=task,
        columns=columns,
        reader=reader,
        rows=rows,
        train_files=train,
        share=share,
        class_counts=counts,
        mean=mean,
        scale=scale,
        ranges=_ranges(train, share, columns.numeric, agreement),
        has_eval_split=has_eval_split,
        held_out=held_out,
        held_out_share=share_held_out,
    )


def _held_out(
    kept: Callable[[parquet_reader.Keep], parquet_reader.Reader],
    train: Sequence[ShardFile],
    total: int,
    most: int,
) -> tuple[packed_rows.PackedRows | None, float]:
    """Return the train rows that take the place of an eval split, and their share; None for none.

    Args:
        kept: Returns a reader of some rows.
        train: Files of the train split.
        total: Its rows.
        most: Largest number of rows to hold in memory.
    """
    share = hold_out.share_of(total)
    if not share:
        return None, 0.0
    held, others = HoldOut(share), 0

    def mask(rows: packed_rows.PackedRows) -> np.ndarray[Any, Any]:
        nonlocal others
        found = held.mask(rows)
        others += len(found) - int(found.sum())
        return found

    found = parquet_reader.sample(kept(mask), train, round(most / share))
    return (found, share) if hold_out.is_usable(len(found), others) else (None, 0.0)


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


def _moments(share: Sequence[RowRange], task: Task) -> list[float]:
    found = label_statistics.moments(share, task.label)
    return [float(found.count), found.mean, found.squares]
