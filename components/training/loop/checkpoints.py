"""Checkpoints that a killed run resumes from.

A checkpoint holds the weights, the optimizer, the best weights so far and the loop's state; the
input finds its own place from the step. Each configuration has a directory of its own under the
one given, so that a run never resumes from another's weights.

TensorFlow writes to a directory. Where checkpoints belong in an object store they are uploaded
from there in the background, `ckpt-<step>.json` last: what lacks that is not complete and is never
resumed from. TensorFlow 2.21 itself reads `gs://` but not `s3://`; here all stores are reached the
same way as for data.
"""

import hashlib
import json
import logging
import re
import shutil
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import Folder, is_remote
from kfp_tabular.components.training.distributed.replica_role import ReplicaRole
from kfp_tabular.components.training.settings import Settings

KEPT = 2
"""So many checkpoints are kept: the newest may turn out to be damaged."""

_NAME = "ckpt"
_MARKER = re.compile(rf"{_NAME}-(\d+)\.json")

_logger = logging.getLogger(__name__)


def identity(
    settings: Settings, replica: ReplicaRole, digests: Mapping[str, str] | None = None
) -> str:
    """Names a run by all that decides its result.

    Args:
        settings: What the run is told.
        replica: A process of the run; the order of rows depends on the number of workers.
        digests: Of the inputs, by the names of the settings; read from them where None.

    Returns:
        16 hexadecimal digits.
    """
    names = ("transformed_examples", "transform_graph")
    if digests is None:
        digests = {name: str(lineage.read(getattr(settings, name))["digest"]) for name in names}
    workers = (
        f"{replica.workers} with servers" if replica.has_parameter_servers else replica.workers
    )
    text = json.dumps([settings.digest_text(), workers, *(digests[name] for name in names)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def directory(settings: Settings, replica: ReplicaRole) -> str:
    """Names the directory of a run's checkpoints.

    Args:
        settings: What the run is told.
        replica: A process of the run.

    Returns:
        A path or URI under the settings' checkpoint directory; empty for no checkpoints.
    """
    parent = settings.checkpoint_directory
    return f"{parent.rstrip('/')}/{identity(settings, replica)}" if parent else ""


class Shelf(Protocol):
    """Where complete checkpoints are kept, by their step."""

    def newest(self) -> int:
        """Gives the step of the newest complete checkpoint; 0 where there is none."""

    def bring(self, step: int) -> str | None:
        """Gives a checkpoint's local path prefix, or None where it is not to be had."""

    def put(self, step: int) -> None:
        """Takes over the checkpoint that was just written to the local directory."""

    def flush(self) -> None:
        """Waits until what was put is safe."""

    def remove(self) -> None:
        """Removes all of the run's checkpoints."""


class Checkpoints:
    """Saves and restores a run.

    Args:
        path: From `directory`.
        model: The model.
        optimizer: Its optimizer, built.
        best: A variable for each of the model's weights, that holds the best so far.
        writes: Whether this process's checkpoints count. The others take part in the saving, as
            variables spread over workers need, but their copies are thrown away.
        io_device: The device that reads and writes the files; None for each variable's own.
        facts: Saved along; JSON-able.

    Raises:
        UserError: Where the directory cannot be written to.
    """

    def __init__(
        self,
        path: str,
        model: Any,
        optimizer: Any,
        best: Sequence[Any],
        *,
        writes: bool = True,
        io_device: str | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        import tensorflow as tf

        self._writes = writes
        self._facts = dict(facts or {})
        self._state = tf.Variable("{}", trainable=False, dtype=tf.string)
        self._checkpoint = tf.train.Checkpoint(
            model=model,
            optimizer=optimizer,
            best=list(best),
            randomness=_random_generators(model),
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
        self._shelf = shelf(path, own)
        if self._scratch is None:
            _require_writable(own)
        self._manager = tf.train.CheckpointManager(
            self._checkpoint, str(own), max_to_keep=KEPT, checkpoint_name=_NAME
        )

    def newest(self) -> int:
        """Gives the step of the newest complete checkpoint; 0 where there is none."""
        return self._shelf.newest()

    def bring(self, step: int) -> str | None:
        """Gives the path prefix of a checkpoint, or None where this process cannot get at it."""
        return self._shelf.bring(step)

    def restore(self, prefix: str) -> dict[str, Any]:
        """Restores a checkpoint, and gives the state it was saved with."""
        status = self._checkpoint.restore(prefix, options=self._options)
        status.assert_existing_objects_matched()
        state: dict[str, Any] = json.loads(self._state.numpy().decode())
        return state

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Saves a checkpoint and lets go of the oldest; an upload goes on in the background.

        Raises:
            UserError: Where the upload of an earlier one was denied.
        """
        self._state.assign(json.dumps({**self._facts, **state}))
        self._manager.save(checkpoint_number=step, options=self._options)
        if self._writes:
            self._shelf.put(step)

    def flush(self) -> None:
        """Waits until the last checkpoint is where it belongs."""
        if self._writes:
            self._shelf.flush()

    def remove(self) -> None:
        """Removes the run's checkpoints: it is done."""
        if self._writes:
            self._shelf.remove()
            _logger.info("checkpoints removed")


def shelf(path: str, local: Path) -> Shelf:
    """Gives where checkpoints are kept.

    Args:
        path: From `directory`.
        local: An existing directory for those of an object store.
    """
    return RemoteShelf(Folder(path), local) if is_remote(path) else LocalShelf(Path(path))


def restore_weights(prefix: str, model: Any) -> dict[str, Any]:
    """Restores a checkpoint's weights alone.

    Args:
        prefix: From a shelf.
        model: A model like the one that was saved.

    Returns:
        The state and the facts that the checkpoint was saved with.
    """
    import tensorflow as tf

    state = tf.Variable("{}", trainable=False, dtype=tf.string)
    checkpoint = tf.train.Checkpoint(model=model, state=state)
    checkpoint.restore(prefix).expect_partial()
    found: dict[str, Any] = json.loads(state.numpy().decode())
    return found


class LocalShelf:
    """Checkpoints in a directory, which TensorFlow itself keeps in order.

    Args:
        path: The directory. Workers on several machines must share it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def newest(self) -> int:
        """Gives the step of the newest complete checkpoint; 0 where there is none."""
        import tensorflow as tf

        latest = tf.train.latest_checkpoint(str(self._path))
        return int(latest.rpartition("-")[2]) if latest else 0

    def bring(self, step: int) -> str | None:
        """Gives a checkpoint's path prefix, or None where it is not to be had."""
        prefix = self._path / f"{_NAME}-{step}"
        return str(prefix) if prefix.with_name(f"{prefix.name}.index").is_file() else None

    def put(self, step: int) -> None:
        """Does nothing: TensorFlow wrote it replica."""

    def flush(self) -> None:
        """Does nothing: TensorFlow wrote it replica."""

    def remove(self) -> None:
        """Removes the directory."""
        files.remove(self._path)


class RemoteShelf:
    """Checkpoints in an object store, uploaded in the background; the newest wait for no older.

    Args:
        folder: Where they are kept.
        local: Where TensorFlow writes them.
    """

    def __init__(self, folder: Folder, local: Path) -> None:
        self._folder = folder
        self._local = local
        self._waiting: tuple[int, Path] | None = None
        self._busy = False
        self._error: Exception | None = None
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def newest(self) -> int:
        """Gives the step of the newest complete checkpoint; 0 where there is none."""
        return max(self._complete(), default=0)

    def bring(self, step: int) -> str | None:
        """Fetches a checkpoint, and gives its local path prefix; None where it is not there."""
        found = self._complete().get(step)
        if found is None:
            return None
        into = self._local / "restored"
        into.mkdir(exist_ok=True)
        self._folder.download(found, into)
        return str(into / f"{_NAME}-{step}")

    def put(self, step: int) -> None:
        """Uploads a checkpoint in the background; one that still waits is replaced.

        Raises:
            UserError: Where an earlier upload was denied.
        """
        copy = Path(tempfile.mkdtemp(prefix="upload-", dir=self._local))
        for path in self._local.glob(f"{_NAME}-{step}.*"):
            # TensorFlow removes its own files once there are newer ones.
            (copy / path.name).hardlink_to(path)
        with self._changed:
            self._raise_denied()
            if self._waiting is not None:
                shutil.rmtree(self._waiting[1])
            self._waiting = (step, copy)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._upload_all, name="checkpoint-uploads", daemon=True
                )
                self._thread.start()
            self._changed.notify_all()

    def flush(self) -> None:
        """Waits until nothing is being uploaded.

        Raises:
            UserError: Where an upload was denied.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting is None and not self._busy)
            self._raise_denied()

    def remove(self) -> None:
        """Removes all of the run's checkpoints, markers first."""
        self.flush()
        names = list(self._folder.list())
        markers = [name for name in names if _MARKER.fullmatch(name)]
        self._folder.remove(markers)
        self._folder.remove([name for name in names if name not in markers])

    def _complete(self) -> dict[int, dict[str, Any]]:
        """Gives the objects of every complete checkpoint by step."""
        stored = self._folder.list()
        found = {}
        for name in stored:
            match = _MARKER.fullmatch(name)
            if match is None:
                continue
            parts = json.loads(self._folder.read_text(name) or "{}")
            if parts and all(
                part in stored and stored[part].size == size for part, size in parts.items()
            ):
                found[int(match[1])] = {part: stored[part] for part in parts}
        return found

    def _upload_all(self) -> None:
        while True:
            with self._changed:
                while self._waiting is None:
                    self._changed.wait()
                (step, copy), self._waiting, self._busy = self._waiting, None, True
            try:
                self._upload(step, copy)
            except Exception as error:  # noqa: BLE001 - a thread's errors are the main one's to judge
                self._error = error
                if not isinstance(error, UserError):
                    _logger.warning("the checkpoint of step %d was not uploaded: %s", step, error)
            finally:
                shutil.rmtree(copy, ignore_errors=True)
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()

    def _upload(self, step: int, copy: Path) -> None:
        parts = {path.name: path for path in sorted(copy.iterdir())}
        marker = f"{_NAME}-{step}.json"
        # Another attempt may have come to this step, too.
        self._folder.remove([marker])
        self._folder.upload(parts)
        sizes = {name: path.stat().st_size for name, path in parts.items()}
        self._folder.write_text(marker, json.dumps(sizes))
        self._let_go(step)

    def _let_go(self, step: int) -> None:
        """Removes what is older than the newest ones, and what never was complete."""
        names = list(self._folder.list())
        steps = sorted(int(match[1]) for name in names if (match := _MARKER.fullmatch(name)))
        kept = {str(known) for known in steps if known <= step}
        kept = set(sorted(kept, key=int)[-KEPT:])
        old = [
            name
            for name in names
            if name.startswith(f"{_NAME}-") and name[len(_NAME) + 1 :].partition(".")[0] not in kept
        ]
        old.sort(key=lambda name: not name.endswith(".json"))
        for name in old:
            self._folder.remove([name])

    def _raise_denied(self) -> None:
        error, self._error = self._error, None
        if isinstance(error, UserError):
            raise error


def _random_generators(model: Any) -> list[Any]:
    """Gives the generators of the dropout layers, which Keras keeps out of its checkpoints."""
    found = (getattr(layer, "_random_generator", None) for layer in model.submodules)
    return [generator for generator in found if generator is not None]


def _require_writable(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"checkpoint_uri: {path} cannot be written to: {error.strerror}. Give a directory on a "
            "mounted volume, or a URI of an object store."
        ) from error
