"""The evaluator of a job: measures every checkpoint on the eval split as soon as it is saved.

The chief measures, too, to choose the best weights, but on a sample, so that training does not
wait. The evaluator reads up to a million rows and writes its TensorBoard events and `metrics.txt`
to `evaluator/` in the logs. It is not part of the cluster: no other process waits for it.
"""

import logging
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.hyperparameters import TREES
from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage.object_store import MissingError
from kfp_tabular.components.training.candidates import network
from kfp_tabular.components.training.candidates.candidate_plan import plan, with_model_type
from kfp_tabular.components.training.distributed.replica_role import ReplicaRole
from kfp_tabular.components.training.input import parquet_reader
from kfp_tabular.components.training.input.label_scale import AS_IT_IS, LabelScale
from kfp_tabular.components.training.input.packed_rows import PackedRows
from kfp_tabular.components.training.input.training_data import TrainingData, columns_of
from kfp_tabular.components.training.loop import (
    checkpoint_storage,
    checkpoints,
    evaluation,
    trainable_model,
)
from kfp_tabular.components.training.loop.checkpoint_storage import CheckpointStorage
from kfp_tabular.components.training.loop.metrics_writer import MetricsWriter
from kfp_tabular.components.training.model.predictor import Predictor
from kfp_tabular.components.training.worker.outputs import Outputs
from kfp_tabular.components.training.worker.workspace import Workspace
from kfp_tabular.components.training.worker_settings import WorkerSettings

FOLDER = "evaluator"
"""Directory of its logs, in the logs of the training."""

_ROWS = 1_000_000
_POLL_SECONDS = 5.0

_logger = logging.getLogger(__name__)


def evaluate(
    opened: Workspace,
    replica: ReplicaRole,
    ended: Callable[[], bool],
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> Mapping[str, float]:
    """Evaluate checkpoints until the chief has written everything.

    Args:
        opened: The workspace.
        replica: This process's role.
        ended: Returns whether the chief is done.
        sleep: Waits for a number of seconds.

    Returns:
        The last measurement; empty if there was none.

    Raises:
        UserError: If there is no eval split, or no directory of checkpoints or of logs.
    """
    settings = opened.settings
    path = checkpoints.directory(settings, replica)
    if not path or settings.logs is None:
        raise UserError("an evaluator needs --logs and checkpoints to evaluate.")
    tf = trainable_model.quiet_tensorflow()
    trainable_model.seed(settings)
    data = _data(opened)
    name = _network(settings, replica)
    if not name:
        _logger.info("model_type %s has no checkpoints to evaluate", TREES)
        while not ended():
            sleep(_POLL_SECONDS)
        return {}
    own = with_model_type(settings.hyperparameters, name)
    model = trainable_model.build(replace(settings, hyperparameters=own), data)
    predictor = Predictor(model, data.task.kind, data.columns)
    outputs = _own(opened.outputs, settings.logs)
    logs = settings.logs / FOLDER
    held_out = data.held_out
    if held_out is None:
        raise UserError(
            f"{settings.transformed_examples}: no eval split, so an evaluator has nothing to do."
        )
    _logger.info("evaluating on %d rows", len(held_out))
    last: dict[str, float] = {}
    with (
        tempfile.TemporaryDirectory(prefix="kfp-tabular-checkpoints-") as local,
        MetricsWriter(logs, logs / "metrics.txt") as writer,
    ):
        storage = checkpoint_storage.storage(path, Path(local))
        done, over = 0, False
        while not over:
            # Asked first: a checkpoint saved just before the end is still evaluated.
            over = ended()
            step = storage.newest()
            if step > done:
                done = step
                state = _restore(tf, storage, step, model)
                if state is not None:
                    current = replace(data, label_scale=_label_scale(state[network.LABEL]))
                    rows = _standardized(held_out, current)
                    measured = evaluation.measure(predictor.predict, current, rows)
                    last = {f"eval_{name}": value for name, value in measured.items()}
                    writer.write({"step": float(step), **last})
                    outputs.publish_logs()
            if not over:
                sleep(_POLL_SECONDS)
    if not last:
        _logger.warning(
            "no checkpoint was measured: training ended, and removed its checkpoints, before this "
            "process had read one. The chief's measurements are in training.json"
        )
    outputs.publish_logs()
    return last


def _network(settings: WorkerSettings, replica: ReplicaRole) -> str:
    """Return the model type of the network that is trained; empty for none."""
    planned = plan(
        settings.hyperparameters,
        model_fn=settings.model_fn,
        workers=replica.workers,
        servers=replica.has_parameter_servers,
    )
    return next((name for name in planned.members if name != TREES), "")


def _restore(
    tf: Any, storage: CheckpointStorage, step: int, model: Any
) -> Mapping[str, Any] | None:
    """Load weights and return the saved state; None if the checkpoint is already removed."""
    try:
        prefix = storage.fetch(step)
        if prefix is None:
            return None
        return checkpoints.restore_weights(prefix, model)
    except (
        tf.errors.NotFoundError,
        tf.errors.DataLossError,
        FileNotFoundError,
        MissingError,
    ) as error:
        _logger.info("the checkpoint of step %d is already removed: %s", step, error)
        return None


def _label_scale(saved: Mapping[str, Any]) -> LabelScale:
    """Return how a checkpoint's label is standardized."""
    return LabelScale(
        **{**saved, "labels": tuple(saved["labels"]), "scores": tuple(saved["scores"])}
    )


def _standardized(rows: PackedRows, data: TrainingData) -> PackedRows:
    if data.task.kind != "regression":
        return rows
    label = data.label_scale.standardized(rows.label)
    return PackedRows(rows.numeric, rows.categorical, label.astype(np.float32))


def _data(opened: Workspace) -> TrainingData:
    settings = opened.settings
    task = Task.load(settings.transform_graph)
    examples = Examples(settings.transformed_examples)
    columns = columns_of(settings.transform_graph, task)
    reader = parquet_reader.Reader(columns, task)
    rows = parquet_reader.require_rows(examples)
    held_out = None
    if rows.get(parquet_reader.EVAL_SPLIT):
        held_out = parquet_reader.sample(reader, examples.require(parquet_reader.EVAL_SPLIT), _ROWS)
    return TrainingData(
        task=task,
        columns=columns,
        reader=reader,
        rows=rows,
        # An evaluator does not train: it needs no share, and its weights come from checkpoints.
        train_files=(),
        share=(),
        class_counts=[1] * len(task.classes),
        label_scale=AS_IT_IS,
        ranges=(),
        has_eval_split=held_out is not None,
        held_out=held_out,
    )


def _own(outputs: Outputs, logs: Path) -> Outputs:
    """Return where the evaluator's logs go."""
    remote = outputs.remote_logs
    return Outputs(None, logs / FOLDER, None, None if remote is None else remote.folder(FOLDER))
