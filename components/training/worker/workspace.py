"""A process's files: what is elsewhere is brought here, what is made here goes where it belongs.

A location on this machine or on a mounted volume is used where it is. For one in an object store
there is a directory of scratch space, under `TMPDIR`.
"""

import contextlib
import fcntl
import json
import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import Folder, is_remote, local_copy
from kfp_tabular.components.training.distributed.replica_role import ReplicaRole
from kfp_tabular.components.training.input import parquet_reader
from kfp_tabular.components.training.loop import checkpoints
from kfp_tabular.components.training.settings import Settings
from kfp_tabular.components.training.training_record import RESULT_FILE, TrainingRecord
from kfp_tabular.components.training.worker.outputs import Outputs

_PREFIX = "kfp-tabular-worker-"
_LOCK = ".lock"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Order:
    """What the worker program is asked for; every location is a path or a URI.

    Attributes:
        transformed_examples: The transformed examples' directory.
        transform_graph: The transform graph's directory.
        output: The model's directory; None for no model.
        logs: The logs' directory; None for none.
        hyperparameters: A document of hyperparameters; empty for the defaults.
        values: Hyperparameters by name; they win over the document.
        options: The other fields of `Settings`, by name.
    """

    transformed_examples: str
    transform_graph: str
    output: str | None = None
    logs: str | None = None
    hyperparameters: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def settings(self, examples: Path, graph: Path, outputs: Outputs) -> Settings:
        """Gives the settings for these directories.

        A run whose logs are in a store has its checkpoints there, too.

        Raises:
            UserError: For hyperparameters that do not fit.
        """
        chosen = Hyperparameters()
        if self.hyperparameters:
            with local_copy(self.hyperparameters) as document:
                chosen = Hyperparameters.load(document)
        options = dict(self.options)
        if self.logs is not None and is_remote(self.logs) and not options.get("checkpoints"):
            options["checkpoints"] = f"{self.logs.rstrip('/')}/checkpoints"
        return Settings(
            transformed_examples=examples,
            transform_graph=graph,
            output=outputs.model,
            logs=outputs.logs,
            hyperparameters=chosen.updated(self.values),
            **options,
        )


@dataclass(frozen=True)
class Workspace:
    """What a process works with.

    Attributes:
        settings: What to do; all paths are local.
        outputs: Where model and logs go.
        ensure: Brings pieces of the examples replica.
    """

    settings: Settings
    outputs: Outputs
    ensure: parquet_reader.Ensure


@contextlib.contextmanager
def opened(order: Order) -> Iterator[Workspace]:
    """Makes everything that an order names available.

    Errors name what is in a store by its URI, not by where it lies replica.

    Args:
        order: What the program is asked for.

    Yields:
        The workspace. Scratch space is removed afterwards, also that of processes that were
        killed.

    Raises:
        UserError: Where something is missing or access is denied.
    """
    with _scratch() as scratch:
        places = {scratch / name: getattr(order, name) for name in _NAMES}
        with _named_by_uri({path: uri for path, uri in places.items() if uri}):
            model, remote_model = _target(order.output, scratch / "output")
            logs, remote_logs = _target(order.logs, scratch / "logs")
            outputs = Outputs(model, logs, remote_model, remote_logs)
            examples, ensure = _examples(order.transformed_examples, scratch / _NAMES[0])
            graph = _directory(order.transform_graph, scratch / _NAMES[1])
            yield Workspace(order.settings(examples, graph, outputs), outputs, ensure)


_NAMES = ("transformed_examples", "transform_graph")


def finished(order: Order, replica: ReplicaRole) -> TrainingRecord | None:
    """Gives the outcome of an earlier attempt that had come to its end.

    A set of workers is restarted as a whole, also where one of them ended badly after the chief
    had written everything.

    Args:
        order: What the program is asked for.
        replica: A process of the run.

    Returns:
        The outcome, where the logs' `training.json` is of the same inputs and configuration, and
        the model, where one is wanted, is complete; else None.
    """
    text = _read(order.logs, RESULT_FILE) if order.logs is not None else None
    if text is None:
        return None
    if order.output is not None and _read(order.output, lineage.FILE_NAME) is None:
        return None
    outcome = TrainingRecord.parse(text)
    digests = {}
    for name in _NAMES:
        recorded = _read(getattr(order, name), lineage.FILE_NAME)
        if recorded is None:
            return None
        digests[name] = str(json.loads(recorded)["digest"])
    nowhere = Path()
    settings = order.settings(nowhere, nowhere, Outputs(nowhere, nowhere))
    same = outcome.identity == checkpoints.identity(settings, replica, digests)
    return outcome if same else None


def _read(location: str, name: str) -> str | None:
    if is_remote(location):
        return Folder(location).read_text(name)
    path = Path(location) / name
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _target(location: str | None, local: Path) -> tuple[Path | None, Folder | None]:
    if location is None:
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


def _examples(location: str, local: Path) -> tuple[Path, parquet_reader.Ensure]:
    if not is_remote(location):
        return Path(location), lambda _: None
    from kfp_tabular.components.training.input.remote_examples import RemoteExamples

    local.mkdir()
    remote = RemoteExamples(Folder(location), local)
    return local, remote.ensure


@contextlib.contextmanager
def _named_by_uri(places: Mapping[Path, str]) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        message = str(error)
        for path, uri in places.items():
            message = message.replace(str(path), uri.rstrip("/"))
        raise UserError(message) from error


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """Makes a directory that no other living process uses."""
    parent = Path(tempfile.gettempdir())
    # A container that is restarted in place keeps its volumes, and what was killed left there.
    for left in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), (left / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left, ignore_errors=True)
            _logger.info("removed %s, which a killed process left", left)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    with (folder / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
