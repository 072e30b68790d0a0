"""Runs tasks in the virtual environments of their images."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from kfp_tabular.components.common.process.tensorflow import ENVIRONMENT
from kfp_tabular.components.common.processing.spark.installation import SPARK_HOME
from kfp_tabular.pipelines.environments.location import Environments, image_name
from kfp_tabular.pipelines.local.cache.fingerprint import search_path
from kfp_tabular.pipelines.local.contents import Contents
from kfp_tabular.pipelines.local.execution.task_runner import (
    LocalRunRequest,
    Starter,
    TaskCall,
    TaskProcess,
)
from kfp_tabular.pipelines.local.virtual_environments.fingerprint import EnvironmentDigests
from kfp_tabular.pipelines.local.virtual_environments.preloader import Preloader

_PRELOAD_LOG = "preload.log"


class Interpreters(Protocol):
    """Chooses the `python3` of a task."""

    def bin(self, image: str) -> Path:
        """Return the folder to put first on PATH, by the image's name."""


class VirtualEnvironmentRunner:
    """A `TaskRunner`: one virtual environment per image.

    Args:
        environments: The environments on this machine.
    """

    def __init__(self, environments: Environments) -> None:
        self._environments = environments
        self._digests = EnvironmentDigests()

    def check(self, images: Sequence[str]) -> None:
        """Check that every image has an environment.

        Raises:
            UserError: For the first image without one.
        """
        for image in images:
            self._environments.python(image)

    def fingerprint(self, image: str, contents: Contents) -> str:
        """Return a digest of what is installed in an image's environment."""
        return self._digests.of(self._environments.python(image), search_path(), contents)

    @contextmanager
    def opened(self, request: LocalRunRequest) -> Iterator[Starter]:
        """Keep preloaded interpreters for the tasks of a run."""
        # The first task starts at once, with a plain interpreter: nothing is loaded for it yet.
        names = [image_name(image) for image in request.images[1:]]
        with Preloader(self._environments, names, request.logs / _PRELOAD_LOG) as preloader:
            # Nothing is loaded before it: a run whose tasks are all cached needs no interpreter.
            yield _Starter(preloader, Path.cwd(), self._environments.spark_home())


class _Starter:
    def __init__(
        self, interpreters: Interpreters, search_path: Path, spark_home: Path | None
    ) -> None:
        self._interpreters = interpreters
        self._search_path = search_path
        # For tasks with the engine Spark; one that the user names wins.
        self._spark = {} if spark_home is None else {SPARK_HOME: str(spark_home)}

    def start(self, call: TaskCall) -> TaskProcess:
        """Start a task with its image's interpreter; it can import from the current folder."""
        folder = self._interpreters.bin(image_name(call.image))
        variables = {
            **self._spark,
            **os.environ,
            **ENVIRONMENT,
            "PATH": os.pathsep.join([str(folder), os.environ.get("PATH", os.defpath)]),
            "PYTHONPATH": os.pathsep.join(
                filter(None, [str(self._search_path), os.environ.get("PYTHONPATH")])
            ),
            "PYTHONUNBUFFERED": "1",
            **call.environment,
        }
        return TaskProcess(call.command, variables)
