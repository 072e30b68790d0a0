"""Runs tasks in containers of their images, as Kubeflow does.

Why not with the DockerRunner of `kfp.local`: docs/decisions/images.md.
"""

import os
import re
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kfp_tabular.pipelines.local.containers import access, registry_access
from kfp_tabular.pipelines.local.containers.engine import UNPRIVILEGED, Container, Engine, Mount
from kfp_tabular.pipelines.local.containers.ownership import Loan, check_readable
from kfp_tabular.pipelines.local.contents import Contents
from kfp_tabular.pipelines.local.execution.task_runner import (
    LocalRunRequest,
    Starter,
    TaskCall,
    TaskProcess,
)

_ARTIFACTS = "artifacts"


@dataclass(frozen=True)
class ContainerRunner:
    """A `TaskRunner`: a container per task.

    A container sees the run's folder, what the pipeline's arguments name, and nothing else of this
    machine; a task that uses the registry of models sees the tracking store, too. Its root file
    system is read-only, it has no rights beyond an ordinary user's, and no network unless its
    parameters name something remote. The caller owns the files that it writes.

    Attributes:
        engine: The container engine.
    """

    engine: Engine

    def check(self, images: Sequence[str]) -> None:
        """Check that the images are on this machine; pull those that are not."""
        for image in dict.fromkeys(images):
            self.engine.require(image)

    def fingerprint(self, image: str, contents: Contents) -> str:  # noqa: ARG002 - its interface
        """Return an image's identity, which is a digest of its content."""
        return self.engine.identity(image)

    @contextmanager
    def opened(self, request: LocalRunRequest) -> Iterator[Starter]:
        """Return what starts a run's containers."""
        paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        user_code = [Path.cwd(), *(Path(path).absolute() for path in paths if path)]
        mounts = access.mounts(request.arguments, request.output, user_code)
        if self.engine.user() == UNPRIVILEGED:
            check_readable([mount.source for mount in mounts if not mount.writable], UNPRIVILEGED)
        (request.output / _ARTIFACTS).mkdir(exist_ok=True)
        starter = _Starter(self.engine, mounts, request.output)
        try:
            yield starter
        finally:
            starter.take_back_store()


class _Starter:
    def __init__(self, engine: Engine, mounts: Sequence[Mount], output: Path) -> None:
        self._engine = engine
        self._mounts = mounts
        self._output = output
        self._store: Path | None = None

    def start(self, call: TaskCall) -> TaskProcess:
        """Start a task's container."""
        registry = registry_access.of_task(call.parameters, os.environ)
        network = access.network(call.parameters, is_remote=registry.is_remote)
        mounts, forwarded = list(self._mounts), list(registry.forwarded)
        if network != "none":
            forwarded += access.forwarded(os.environ)
            mounts += access.credential_mounts(os.environ)
        mounts = access.with_more(mounts, registry.mounts)
        environment = {**registry.environment, **call.environment}
        if registry.folder is not None:
            self._lend_store(registry.folder)
        search_path = access.search_path(mounts)
        if search_path:
            environment.setdefault("PYTHONPATH", search_path)
        container = Container(
            name=f"kfp-tabular-{re.sub(r'[^a-zA-Z0-9_.-]', '-', call.name)}-{uuid.uuid4().hex[:8]}",
            image=call.image,
            command=call.command,
            user=self._engine.user(),
            network=network,
            mounts=mounts,
            environment=environment,
            forwarded=forwarded,
        )
        return _ContainerProcess(self._engine, container, self._loan(call))

    def _lend_store(self, folder: Path) -> None:
        """Let containers write the tracking store.

        They have it until the run ends, since several tasks may use it at a time.
        """
        if self._engine.user() == UNPRIVILEGED:
            self._store = folder
            Loan([folder], [], UNPRIVILEGED).give()

    def take_back_store(self) -> None:
        """Own the tracking store again."""
        if self._store is not None:
            Loan([self._store], [], UNPRIVILEGED).take_back()

    def _loan(self, call: TaskCall) -> Loan | None:
        if self._engine.user() != UNPRIVILEGED:
            return None
        ways = [path for path in call.folder.parents if path.is_relative_to(self._output)]
        return Loan([call.folder, *access.written(call.parameters)], ways, UNPRIVILEGED)


class _ContainerProcess(TaskProcess):
    """A container that runs; the process is the engine's program, attached to it."""

    def __init__(self, engine: Engine, container: Container, loan: Loan | None) -> None:
        self._engine = engine
        self._name = container.name
        self._loan = loan
        if loan:
            loan.give()
        # If this process is killed, the kernel signals the engine's program, and that ends the
        # container.
        parent_death = shutil.which("setpriv")
        command = engine.command(container)
        super().__init__(
            [parent_death, "--pdeathsig", "TERM", *command] if parent_death else command, os.environ
        )

    def kill(self) -> None:
        """End the container."""
        self._engine.remove(self._name)
        super().kill()

    def ended(self) -> None:
        """Leave no container behind, however the engine's program ended."""
        if self.exit_code != 0:
            self._engine.remove(self._name)
        if self._loan:
            self._loan.take_back()
