"""What is known of the input before the model is: its columns, its rows, its label."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.training import inputs, labels, layout
from kfp_tabular.components.training.agreement import Agreement
from kfp_tabular.components.training.roles import Place
from kfp_tabular.components.training.settings import Settings


@dataclass(frozen=True)
class Data:
    """The input of a run.

    Attributes:
        task: What is predicted.
        columns: How columns are packed.
        reader: Reads rows.
        rows: Rows by split.
        train: Files of the train split.
        share: What of the train split this process trains on.
        counts: Rows of the train split by class; empty for regression.
        mean: Mean of a regression label; 0 for the other tasks.
        scale: Standard deviation of a regression label; 1 for the other tasks.
        evaluated: Whether there is an eval split with rows.
        held_out: Rows to evaluate on; None without an eval split, and where another process
            evaluates.
    """

    task: Task
    columns: layout.Layout
    reader: inputs.Reader
    rows: Mapping[str, int]
    train: Sequence[Path]
    share: Sequence[inputs.Piece]
    counts: Sequence[int]
    mean: float
    scale: float
    evaluated: bool
    held_out: layout.Rows | None


def read(settings: Settings, here: Place, agreement: Agreement, ensure: inputs.Ensure) -> Data:
    """Finds out about the data, and reads the rows to evaluate on.

    Every process looks at its own share; what concerns all of it is added up.

    Args:
        settings: Where the data is.
        here: Which process this is.
        agreement: With the others.
        ensure: Brings pieces to this machine.

    Raises:
        UserError: Where there is nothing to train on, or the columns do not fit together.
    """
    task = Task.load(settings.transform_graph)
    examples = Examples(settings.transformed_examples)
    rows = inputs.require_rows(examples)
    columns = columns_of(settings.transform_graph, task)
    train = examples.require(inputs.TRAIN_SPLIT)
    total = rows[inputs.TRAIN_SPLIT]
    if total < here.workers:
        raise UserError(
            f"{settings.transformed_examples}: {total} training rows are fewer than the "
            f"{here.workers} workers. Use fewer workers."
        )
    share = (
        inputs.pieces(train)
        if here.asynchronous
        else inputs.pieces(train, here.worker, here.workers)
    )
    ensure(share)
    counts: Sequence[int] = ()
    mean, scale = 0.0, 1.0
    if task.kind == "regression":
        found = labels.Moments()
        for count, middle, squares in agreement.each(_moments(share, task)):
            found = found.plus(labels.Moments(int(count), float(middle), float(squares)))
        mean, scale = found.mean, found.deviation
    else:
        own = labels.class_counts(share, task.label, len(task.classes))
        counts = [round(count) for count in agreement.sum(own)]
    reader = inputs.Reader(columns, task, mean, scale, ensure=ensure)
    evaluated, held_out = bool(rows.get(inputs.EVAL_SPLIT)), None
    if evaluated and here.chief:
        held_out = inputs.sample(reader, examples.require(inputs.EVAL_SPLIT), settings.eval_rows)
    return Data(task, columns, reader, rows, train, share, counts, mean, scale, evaluated, held_out)


def columns_of(transform_graph: Path, task: Task) -> layout.Layout:
    """Gives how the transformed columns are packed."""
    import tensorflow_transform as tft

    schema = tft.TFTransformOutput(str(transform_graph)).transformed_metadata.schema
    return layout.from_schema(schema, task.label)


def _moments(share: Sequence[inputs.Piece], task: Task) -> list[float]:
    found = labels.moments(share, task.label)
    return [float(found.count), found.mean, found.squares]
