"""Notices versions that come and go in the repository, and changes over to them.

A pure function decides from what two looks found; the rest looks, loads and hands over.
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
from kfp_tabular.serving.model.model_repository import Fingerprint, ModelSource, ModelVersion
from kfp_tabular.serving.model.served_model import ServedModel

_logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")

_ENDED_SECONDS = 0.05
"""How often to look whether the requests of a replaced release have ended."""
_LONGEST_END_SECONDS = 60.0
"""After which the next version need not wait for them. What they use stays in memory until then."""


def choose(
    found: Sequence[ModelVersion],
    before: Mapping[str | None, Fingerprint],
    current: ModelVersion,
    broken: Set[ModelVersion],
) -> ModelVersion | None:
    """Decides what to change over to.

    The highest version counts, as in TensorFlow Serving. Its removal is a way back to the one
    below. What differs from the look before is left alone: somebody may be writing there.

    Args:
        found: What there is now, the highest version first.
        before: What the look before found, by version.
        current: What is served.
        broken: What could not be loaded. It counts again once it has changed.

    Returns:
        The version to load, or None to stay with the current one.
    """
    if not any(version.directory == current.directory for version in found) and (
        current.version in before
    ):
        # It may be about to be replaced by another copy of itself.
        return None
    for version in found:
        if version == current:
            return None
        if version in broken:
            if version.directory == current.directory:
                # The one in memory was loaded from there before, and is still the highest.
                return None
            continue
        return version if before.get(version.version) == version.fingerprint else None
    return None


def load_first(
    source: ModelSource, loader: VersionLoader, metrics: Metrics
) -> tuple[ModelVersion, LoadedVersion, frozenset[ModelVersion]]:
    """Loads the highest version that can be loaded.

    Args:
        source: What there is to serve.
        loader: Loads.
        metrics: Where to count versions that cannot be loaded.

    Returns:
        The version, its release, and the versions above it that could not be loaded.

    Raises:
        UserError: Where none can be loaded; it is about the highest.
    """
    problems: list[UserError] = []
    broken: set[ModelVersion] = set()
    for version in source.versions():
        try:
            release = loader.load(version)
        except UserError as error:
            metrics.load_failed(source.name)
            problems.append(error)
            broken.add(version)
            continue
        for problem in problems:
            _logger.error("serving version %s instead: %s", version.version, problem)
        return version, release, frozenset(broken)
    raise problems[0] if problems else UserError(f"{source.path}: no version is left to serve.")


@dataclass
class VersionReloader:
    """Follows a repository for one model.

    Attributes:
        model: What serves the versions.
        source: Where they come from.
        loader: Loads them.
        executor: Where it looks and loads. Its threads are not waited for at the end.
        metrics: Where to count loads that failed.
        current: The version that is served.
        broken: Versions that could not be loaded.
    """

    model: ServedModel
    source: ModelSource
    loader: VersionLoader
    executor: Executor
    metrics: Metrics
    current: ModelVersion
    broken: set[ModelVersion] = field(default_factory=set)
    _before: dict[str | None, Fingerprint] = field(default_factory=dict)

    async def follow(self, seconds: float) -> None:
        """Looks at the repository again and again, until it is cancelled.

        Args:
            seconds: The time between two looks.
        """
        while True:
            await asyncio.sleep(seconds)
            await self.look()

    async def look(self) -> None:
        """Looks once, and changes over where that is due."""
        found = await self._do(self.source.versions)
        wanted = choose(found, self._before, self.current, self.broken)
        self._before = {version.version: version.fingerprint for version in found}
        self.broken &= set(found)
        if wanted is not None:
            await self._change_over(wanted)

    async def _change_over(self, wanted: ModelVersion) -> None:
        _logger.info("loading version %s", wanted.version)
        try:
            release = await self._do(self.loader.load, wanted)
        except Exception as error:  # noqa: BLE001  whatever it is, the current version stays
            self.broken.add(wanted)
            self.metrics.load_failed(self.model.name)
            _logger.error(
                "version %s cannot be served, version %s stays: %s",
                wanted.version,
                self.current.version,
                error if isinstance(error, UserError) else type(error).__name__,
            )
            return
        replaced = self.model.serve(release)
        _logger.info(
            "serving version %s instead of %s; it took %.1f s to load",
            wanted.version,
            self.current.version,
            release.load_seconds,
        )
        self.current = wanted
        if replaced is not None:
            end = time.monotonic() + _LONGEST_END_SECONDS
            while replaced.requests and time.monotonic() < end:
                await asyncio.sleep(_ENDED_SECONDS)
            del replaced
        # A SavedModel in memory refers to itself; at the next look the old one would still be here.
        await self._do(gc.collect)

    async def _do(self, work: Callable[..., _Result], *arguments: object) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self.executor, work, *arguments)
