"""Checkpoints that a killed training resumes from.

A checkpoint holds the weights, the optimizer, the best weights so far and the loop's state; the
input finds its own position from the step. Each configuration has its own directory under the
one given, so that a training never resumes from another's weights.
"""

import hashlib
import json
import logging
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.storage import is_remote, writability
from kfp_tabular.components.training.distributed.replica_role import ReplicaRole
from kfp_tabular.components.training.loop import checkpoint_storage
from kfp_tabular.components.training.loop.checkpoint_storage import KEPT, NAME
from kfp_tabular.components.training.loop.trainable_model import TrainableModel
from kfp_tabular.components.training.worker_settings import WorkerSettings

MEASURED = "measured"
"""The key of the averaged weights in a checkpoint; those of training are at `model`."""

_logger = logging.getLogger(__name__)


def identity(
    settings: WorkerSettings, replica: ReplicaRole, digests: Mapping[str, str] | None = None
) -> str:
    """Return an id of everything that decides the result of a training.

    Args:
        settings: The settings of the process.
        replica: A process of the job; the order of rows depends on the number of workers.
        digests: The inputs' digests, by the names of the settings; None to read them.

    Returns:
        16 hexadecimal digits.

    Example:
        >>> settings = WorkerSettings(Path("examples"), Path("graph"), Path("model"), Path("logs"))
        >>> digests = {"transformed_examples": "sha256:1", "transform_graph": "sha256:2"}
        >>> one, two = ReplicaRole(0, 1, is_chief=True), ReplicaRole(0, 2, is_chief=True)
        >>> identity(settings, one, digests) == identity(settings, two, digests)
        False
    """
    names = ("transformed_examples", "transform_graph")
    if digests is None:
        digests = {name: str(lineage.read(getattr(settings, name))["digest"]) for name in names}
    workers = (
        f"{replica.workers} with servers" if replica.has_parameter_servers else replica.workers
    )
    text = json.dumps([settings.digest_text(), workers, *(digests[name] for name in names)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def directory(settings: WorkerSettings, replica: ReplicaRole) -> str:
    """Return the directory of a training's checkpoints.

    Args:
        settings: The settings of the process.
        replica: A process of the job.

    Returns:
        A path or URI in the settings' checkpoint directory; empty for no checkpoints.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     inputs = Path(folder)
        ...     _ = lineage.record(inputs, inputs={})
        ...     settings = WorkerSettings(inputs, inputs, None, None, checkpoints="gs://b/saved")
        ...     directory(settings, ReplicaRole(0, 1, is_chief=True))
        'gs://b/saved/...'
    """
    parent = settings.checkpoint_directory
    return f"{parent.rstrip('/')}/{identity(settings, replica)}" if parent else ""


class Checkpoints:
    """Saves and restores a training.

    Args:
        path: From `directory`.
        model: The model, with its optimizer and its best weights.
        seconds: Shortest time between two checkpoints.
        writes: Whether this process's checkpoints count. The others take part in saving, because
            variables spread over workers need it, but their copies are discarded.
        io_device: The device that reads and writes the files; None for each variable's own.
        facts: Saved with each checkpoint; must fit JSON.

    Raises:
        UserError: If the directory is not writable.
    """

    def __init__(
        self,
        path: str,
        model: TrainableModel,
        *,
        seconds: float,
        writes: bool = True,
        io_device: str | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        import tensorflow as tf

        self._seconds = seconds
        self._saved = time.monotonic()
        self._writes = writes
        self._facts = dict(facts or {})
        self._model = model
        self._state = tf.Variable("{}", trainable=False, dtype=tf.string)
        self._checkpoint = tf.train.Checkpoint(
            model=model.trained,
            optimizer=model.optimizer,
            best=list(model.best),
            **({MEASURED: model.model} if model.averages else {}),
            randomness=_random_generators(model.trained),
            state=self._state,
        )
        self._options = tf.train.CheckpointOptions(experimental_io_device=io_device)
        remote = is_remote(path)
        self._scratch = (
            tempfile.TemporaryDirectory(prefix="kfp-tabular-checkpoints-")
            if remote or not writes
            else None
        )
        own = Path(path) if self._scratch is None else Path(self._scratch.name)
        self._storage = checkpoint_storage.storage(path, own)
        if self._scratch is None:
            _require_writable(own)
        self._manager = tf.train.CheckpointManager(
            self._checkpoint, str(own), max_to_keep=KEPT, checkpoint_name=NAME
        )

    def is_due(self) -> bool:
        """Return whether the last checkpoint is old enough for the next."""
        return time.monotonic() - self._saved >= self._seconds

    def newest(self) -> int:
        """Return the step of the newest complete checkpoint; 0 if there is none."""
        return self._storage.newest()

    def fetch(self, step: int) -> str | None:
        """Return the path prefix of a checkpoint, or None if this process cannot access it."""
        return self._storage.fetch(step)

    def restore(self, prefix: str) -> dict[str, Any]:
        """Restore a checkpoint and return the state that it was saved with."""
        status = self._checkpoint.restore(prefix, options=self._options)
        status.assert_existing_objects_matched()
        state: dict[str, Any] = json.loads(self._state.numpy().decode())
        return state

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Save a checkpoint and remove the oldest; an upload continues in the background.

        Raises:
            UserError: If the upload of an earlier one was denied.
        """
        if self._model.averages:
            # For those who measure a checkpoint; training itself resumes from the optimizer's.
            self._model.fetch()
        self._state.assign(json.dumps({**self._facts, **state}))
        self._manager.save(checkpoint_number=step, options=self._options)
        if self._writes:
            self._storage.put(step)
        self._saved = time.monotonic()

    def flush(self) -> None:
        """Wait until the last checkpoint is stored."""
        if self._writes:
            self._storage.flush()

    def remove(self) -> None:
        """Remove all checkpoints: the training is done."""
        if self._writes:
            self._storage.remove()
            _logger.info("checkpoints removed")


def restore_weights(prefix: str, model: Any) -> dict[str, Any]:
    """Restore only the weights of a checkpoint: their averages if it holds any.

    Args:
        prefix: From `CheckpointStorage.fetch`.
        model: A model of the same architecture.

    Returns:
        The state and the facts that the checkpoint was saved with.
    """
    import tensorflow as tf

    state = tf.Variable("{}", trainable=False, dtype=tf.string)
    keys = {name.split("/")[0] for name, _ in tf.train.list_variables(prefix)}
    checkpoint = tf.train.Checkpoint(
        state=state, **{MEASURED if MEASURED in keys else "model": model}
    )
    checkpoint.restore(prefix).expect_partial()
    found: dict[str, Any] = json.loads(state.numpy().decode())
    return found


def _random_generators(model: Any) -> list[Any]:
    """Return the dropout layers' generators, which Keras leaves out of its checkpoints."""
    found = (getattr(layer, "_random_generator", None) for layer in model.submodules)
    return [generator for generator in found if generator is not None]


def _require_writable(path: Path) -> None:
    writability.check(str(path), "checkpoint_uri")
    path.mkdir(parents=True, exist_ok=True)
