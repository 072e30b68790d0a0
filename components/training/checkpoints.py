"""Checkpoints that a killed run resumes from.

A checkpoint holds the weights, the optimizer, the best weights so far and the loop's state; the
input finds its own place from the step. Each configuration has a directory of its own under the
one given, so that a run never resumes from another's weights.
"""

import hashlib
import json
import logging
from collections.abc import Sequence
from typing import Any

from kfp_tabular.components.common import lineage
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.training.settings import Settings

_logger = logging.getLogger(__name__)


def directory(settings: Settings, workers: int) -> str:
    """Names the directory of a run's checkpoints.

    Args:
        settings: What the run is told.
        workers: Number of workers; the order of rows depends on it.

    Returns:
        A path or URI under the settings' checkpoint directory; empty for no checkpoints.
    """
    parent = settings.checkpoint_directory
    if not parent:
        return ""
    inputs = [
        str(lineage.read(path)["digest"])
        for path in (settings.transformed_examples, settings.transform_graph)
    ]
    text = json.dumps([settings.digest_text(), workers, *inputs])
    return f"{parent.rstrip('/')}/{hashlib.sha256(text.encode()).hexdigest()[:16]}"


class Checkpoints:
    """Saves and restores a run.

    Args:
        path: From `directory`.
        model: The model.
        optimizer: Its optimizer, built.
        best: A variable for each of the model's weights, that holds the best so far.
        writes: Whether this process's checkpoints count. The others take part in the saving, as
            variables spread over workers need, but their copies are thrown away.
        worker: Index of this process.

    Raises:
        UserError: Where the directory is on storage that TensorFlow cannot reach.
    """

    def __init__(
        self,
        path: str,
        model: Any,
        optimizer: Any,
        best: Sequence[Any],
        *,
        writes: bool = True,
        worker: int = 0,
    ) -> None:
        import tensorflow as tf

        self._path = path
        self._writes = writes
        self._state = tf.Variable("{}", trainable=False, dtype=tf.string)
        checkpoint = tf.train.Checkpoint(
            model=model,
            optimizer=optimizer,
            best=list(best),
            randomness=_random_generators(model),
            state=self._state,
        )
        own = path if writes else f"{path}/worker-{worker}"
        _require_reachable(own)
        self._manager = tf.train.CheckpointManager(checkpoint, own, max_to_keep=1)
        self._checkpoint = checkpoint

    def latest_step(self) -> int:
        """Gives the step of the checkpoint to resume from; 0 where there is none."""
        latest = self._latest()
        return int(latest.rpartition("-")[2]) if latest else 0

    def restore(self) -> dict[str, Any]:
        """Restores the latest checkpoint, and gives the state it was saved with."""
        self._checkpoint.restore(self._latest()).assert_existing_objects_matched()
        state: dict[str, Any] = json.loads(self._state.numpy().decode())
        return state

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Saves a checkpoint, and removes the one before."""
        self._state.assign(json.dumps(state))
        self._manager.save(checkpoint_number=step)

    def remove(self) -> None:
        """Removes the run's checkpoints: it is done."""
        import tensorflow as tf

        if self._writes and tf.io.gfile.exists(self._path):
            tf.io.gfile.rmtree(self._path)
            _logger.info("checkpoints removed: %s", self._path)

    def _latest(self) -> str | None:
        import tensorflow as tf

        latest: str | None = tf.train.latest_checkpoint(self._path)
        return latest


def _random_generators(model: Any) -> list[Any]:
    """Gives the generators of the dropout layers, which Keras keeps out of its checkpoints."""
    found = (getattr(layer, "_random_generator", None) for layer in model.submodules)
    return [generator for generator in found if generator is not None]


def _require_reachable(path: str) -> None:
    import tensorflow as tf

    try:
        tf.io.gfile.makedirs(path)
    except tf.errors.OpError as error:
        raise UserError(
            f"checkpoint_uri: TensorFlow cannot write to {path}: {error.message}. Give a directory "
            "on a mounted volume."
        ) from error
