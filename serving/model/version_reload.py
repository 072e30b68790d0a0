"""Reloading: follows the versions in the repository and switches to the newest one.

A pure function decides from the results of two looks; the rest looks, loads and switches.
"""

import asyncio
import gc
import logging
import time
from collections.abc import Callable, Mapping, Sequence, Set
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TypeVar

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.serving.metrics.instruments import Metrics
from kfp_tabular.serving.model.loaded_version import LoadedVersion, VersionLoader
from kfp_tabular.serving.model.model_repository import ModelVersion, ServedModelSource
from kfp_tabular.serving.model.served_model import ServedModel
from kfp_tabular.serving.model.version_files import Fingerprint

_logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")

_POLL_SECONDS = 0.05
"""How often to check whether the requests of a replaced version have ended."""
_LONGEST_WAIT_SECONDS = 60.0
"""How long to wait for them. The replaced version stays in memory until they end."""


def choose_version(
    found: Sequence[ModelVersion],
    before: Mapping[str | None, Fingerprint],
    current: ModelVersion,
    broken: Set[ModelVersion],
) -> ModelVersion | None:
    """Return the version to switch to, or None to keep the current one.

    The highest version is served, as in TensorFlow Serving; removing it is a rollback to the one
    below. A version that differs from the previous look is skipped, as it may still be written.

    Args:
        found: The versions that exist now, the highest first.
        before: The fingerprints of the previous look, by version.
        current: The version that is served.
        broken: Versions that could not be loaded. One is tried again when it has changed.

    Example:
        >>> from pathlib import Path
        >>> first, second = (
        ...     ModelVersion(Path(f"/models/taxi/{number}"), number, frozenset()) for number in "12"
        ... )
        >>> choose_version([second, first], {"1": frozenset()}, first, frozenset())
        >>> before = {"1": frozenset(), "2": frozenset()}
        >>> choose_version([second, first], before, first, frozenset()).version
        '2'
    """
    if not any(version.directory == current.directory for version in found) and (
        current.version in before
    ):
        # Another copy may be about to replace it.
        return None
    for version in found:
        if version == current:
            return None
        if version in broken:
            if version.directory == current.directory:
                # It was served from this directory before the change, and is still the highest.
                return None
            continue
        return version if before.get(version.version) == version.fingerprint else None
    return None


def load_first(
    source: ServedModelSource, loader: VersionLoader, metrics: Metrics
) -> tuple[ModelVersion, LoadedVersion, frozenset[ModelVersion]]:
    """Load the highest version that can be loaded.

    Args:
        source: Where the versions are.
        loader: Loads a version.
        metrics: Where versions that cannot be loaded are counted.

    Returns:
        The version as it was found, as it was loaded, and the higher versions that could not be
        loaded.

    Raises:
        UserError: If no version can be loaded; the error is that of the highest one.
    """
    problems: list[UserError] = []
    broken: set[ModelVersion] = set()
    for version in source.versions():
        try:
            loaded = loader.load(version)
        except UserError as error:
            metrics.count_failed_load(source.name)
            problems.append(error)
            broken.add(version)
            continue
        for problem in problems:
            _logger.error(
                "serving version %s, because a higher one failed to load: %s",
                version.version,
                problem,
            )
        return version, loaded, frozenset(broken)
    raise problems[0] if problems else UserError(f"{source.path}: all versions have been removed.")


@dataclass
class VersionReloader:
    """Follows the versions of one model.

    Attributes:
        model: Serves the versions.
        source: Where the versions are.
        loader: Loads a version.
        executor: Where it looks and loads. The server does not wait for its threads at the end.
        metrics: Where failed loads are counted.
        current: The version that is served.
        broken: Versions that could not be loaded.
    """

    model: ServedModel
    source: ServedModelSource
    loader: VersionLoader
    executor: Executor
    metrics: Metrics
    current: ModelVersion
    broken: set[ModelVersion] = field(default_factory=set)
    _before: dict[str | None, Fingerprint] = field(default_factory=dict)

    async def follow(self, seconds: float) -> None:
        """Look at the repository until cancelled.

        Args:
            seconds: The time between two looks.
        """
        while True:
            await asyncio.sleep(seconds)
            await self.look()

    async def look(self) -> None:
        """Look once, and switch to another version if there is one to switch to."""
        found = await self._in_thread(self.source.versions)
        chosen = choose_version(found, self._before, self.current, self.broken)
        self._before = {version.version: version.fingerprint for version in found}
        self.broken &= set(found)
        if chosen is not None:
            await self._switch(chosen)

    async def _switch(self, chosen: ModelVersion) -> None:
        _logger.info("loading version %s", chosen.version)
        try:
            loaded = await self._in_thread(self.loader.load, chosen)
        except Exception as error:  # noqa: BLE001  the current version is served on in any case
            self.broken.add(chosen)
            self.metrics.count_failed_load(self.model.name)
            _logger.error(
                "version %s failed to load, still serving version %s: %s",
                chosen.version,
                self.current.version,
                error if isinstance(error, UserError) else type(error).__name__,
            )
            return
        replaced = self.model.switch_to(loaded)
        _logger.info(
            "serving version %s instead of %s, loaded in %.1f s",
            chosen.version,
            self.current.version,
            loaded.load_seconds,
        )
        self.current = chosen
        if replaced is not None:
            end = time.monotonic() + _LONGEST_WAIT_SECONDS
            while replaced.requests and time.monotonic() < end:
                await asyncio.sleep(_POLL_SECONDS)
            del replaced
        # A SavedModel in memory refers to itself, so only a collection frees the replaced one.
        await self._in_thread(gc.collect)

    async def _in_thread(self, work: Callable[..., _Result], *arguments: object) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self.executor, work, *arguments)
