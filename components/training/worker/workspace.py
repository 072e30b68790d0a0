"""A worker's files: stages inputs to local disk and publishes outputs to their URIs.

A location on this machine or on a mounted volume is used in place. One in an object store gets a
scratch directory under `TMPDIR`. The shards of transformed examples stay there and are streamed.
"""

import contextlib
import fcntl
import functools
import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kfp_tabular.components.common import options
from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.artifacts.examples import remote_examples
from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import Folder, is_remote, local_copy
from kfp_tabular.components.training.distributed.replica_role import ReplicaRole
from kfp_tabular.components.training.loop import checkpoints
from kfp_tabular.components.training.training_record import RESULT_FILE, TrainingRecord
from kfp_tabular.components.training.worker.outputs import Outputs
from kfp_tabular.components.training.worker_settings import WorkerArguments, WorkerSettings

_PREFIX = "kfp-tabular-worker-"
_LOCK = ".lock"
_INPUTS = ("transformed_examples", "transform_graph")

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Workspace:
    """What a worker reads and writes, on this machine.

    Attributes:
        settings: What to do; all paths are local.
        outputs: Where model and logs go.
    """

    settings: WorkerSettings
    outputs: Outputs


@contextlib.contextmanager
def opened(arguments: WorkerArguments) -> Iterator[Workspace]:
    """Stage everything that the arguments name.

    Errors name a file in a store by its URI, not by its local copy.

    Args:
        arguments: The worker's command line.

    Yields:
        The workspace. Scratch space is removed afterwards, also that of processes that were
        killed.

    Raises:
        UserError: If an input is missing or access is denied.

    Example:
        >>> arguments = WorkerArguments("/data/examples", "/data/graph", output="/data/model")
        >>> with opened(arguments) as found:
        ...     found.settings.output, found.outputs.remote_model
        (PosixPath('/data/model'), None)
    """
    with _scratch() as scratch:
        local_inputs = {name: scratch / name for name in _INPUTS}
        uris = {path: str(getattr(arguments, name)) for name, path in local_inputs.items()}
        with _named_by_uri(uris):
            model, remote_model = _target(arguments.output, scratch / "output")
            logs, remote_logs = _target(arguments.logs, scratch / "logs")
            outputs = Outputs(model, logs, remote_model, remote_logs)
            examples = _examples(
                arguments.transformed_examples, local_inputs["transformed_examples"]
            )
            graph = _directory(arguments.transform_graph, local_inputs["transform_graph"])
            yield Workspace(settings(arguments, examples, graph, outputs), outputs)


def settings(
    arguments: WorkerArguments, examples: Path, graph: Path, outputs: Outputs
) -> WorkerSettings:
    """Return a worker's settings with local paths.

    If the logs are in a store, so are the checkpoints, unless the arguments name a location.

    Args:
        arguments: The worker's command line.
        examples: Directory of the transformed examples.
        graph: Directory of the transform graph.
        outputs: Directories of model and logs.

    Raises:
        UserError: If hyperparameters are unknown or have the wrong type.

    Example:
        >>> arguments = WorkerArguments("gs://b/examples", "gs://b/graph", logs="gs://b/logs")
        >>> local = Outputs(Path("/scratch/model"), Path("/scratch/logs"))
        >>> found = settings(arguments, Path("/scratch/examples"), Path("/scratch/graph"), local)
        >>> found.logs, found.checkpoints
        (PosixPath('/scratch/logs'), 'gs://b/logs/checkpoints')
    """
    chosen = Hyperparameters()
    if arguments.hyperparameters:
        with local_copy(arguments.hyperparameters) as document:
            chosen = Hyperparameters.load(document)
    checkpoint_uri = arguments.checkpoints
    if arguments.logs and is_remote(arguments.logs) and not checkpoint_uri:
        checkpoint_uri = f"{arguments.logs.rstrip('/')}/checkpoints"
    return options.build(
        WorkerSettings,
        {
            **vars(arguments),
            "transformed_examples": examples,
            "transform_graph": graph,
            "output": outputs.model,
            "logs": outputs.logs,
            "checkpoints": checkpoint_uri,
            "hyperparameters": chosen.updated(arguments.values),
            "metrics_file": Path(arguments.metrics_file) if arguments.metrics_file else None,
        },
    )


def finished(arguments: WorkerArguments, replica: ReplicaRole) -> TrainingRecord | None:
    """Return the record of an earlier attempt that completed the same training.

    All workers are restarted together, even if only one of them failed after the chief had
    written everything.

    Args:
        arguments: The worker's command line.
        replica: A process of the job.

    Returns:
        The record if the logs' `training.json` has the same inputs and configuration, and the
        model, if one is wanted, is complete; else None.

    Example:
        >>> replica = ReplicaRole(0, 1, is_chief=True)
        >>> with tempfile.TemporaryDirectory() as logs:
        ...     finished(WorkerArguments("examples", "graph", logs=logs), replica) is None
        True
    """
    text = _read(arguments.logs, RESULT_FILE) if arguments.logs else None
    if text is None:
        return None
    if arguments.output and _read(arguments.output, lineage.FILE_NAME) is None:
        return None
    record = TrainingRecord.parse(text)
    digests = {}
    for name in _INPUTS:
        location = getattr(arguments, name)
        recorded = lineage.recorded(functools.partial(_read, location), location)
        if recorded is None:
            return None
        digests[name] = str(recorded["digest"])
    nowhere = Path()
    wanted = settings(arguments, nowhere, nowhere, Outputs(nowhere, nowhere))
    return record if record.identity == checkpoints.identity(wanted, replica, digests) else None


def _read(location: str, name: str) -> str | None:
    if is_remote(location):
        return Folder(location).read_text(name)
    path = Path(location) / name
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _target(location: str, local: Path) -> tuple[Path | None, Folder | None]:
    if not location:
        return None, None
    if is_remote(location):
        return local, Folder(location)
    return Path(location), None


def _directory(location: str, local: Path) -> Path:
    if not is_remote(location):
        return Path(location)
    folder = Folder(location)
    found = folder.list()
    if not found:
        raise UserError(f"{folder}: not found, or it holds no files; check the path.")
    folder.download(found, local)
    return local


def _examples(location: str, local: Path) -> Path:
    if not is_remote(location):
        return Path(location)
    remote_examples.stage(Folder(location), local)
    return local


@contextlib.contextmanager
def _named_by_uri(uris: Mapping[Path, str]) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        message = str(error)
        for path, uri in uris.items():
            message = message.replace(str(path), uri.rstrip("/"))
        raise UserError(message) from error


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """Make a directory that no other running process uses."""
    parent = Path(tempfile.gettempdir())
    # A container restarted in place keeps its volumes, with what a killed process left there.
    for left in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), (left / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left, ignore_errors=True)
            _logger.info("removed %s, left behind by a killed process", left)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    with (folder / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
