"""Opens the engine that a task's `processing` argument names."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common.processing import processing_settings, sigterm
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.local_engine import LocalEngine
from kfp_tabular.components.common.processing.processing_settings import BeamSettings, LocalSettings

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class OpenedEngine:
    """What a task processes rows with.

    Attributes:
        engine: Runs its folds and maps.
        shards_uri: Where it writes shards of examples; empty for the artifact's own folder.
    """

    engine: Engine
    shards_uri: str


@contextmanager
def opened(document: Mapping[str, Any], task: str = "") -> Iterator[OpenedEngine]:
    """Open an engine for a task, and close it afterwards.

    Args:
        document: The `processing` argument.
        task: The task's name, one of `processing_settings.DATA_TASKS`.

    Raises:
        UserError: The document does not fit, or what the engine needs is not installed here.

    Example:
        >>> with opened({"engine": "local", "threads": 2}) as found:
        ...     type(found.engine).__name__
        'LocalEngine'
    """
    settings = processing_settings.parse(document, task)
    if isinstance(settings, LocalSettings):
        yield OpenedEngine(LocalEngine(settings.threads), settings.shards_uri)
        return
    # Imported when needed: most tasks run on one machine.
    if isinstance(settings, BeamSettings):
        from kfp_tabular.components.common.processing.beam import installation

        installation.require()
        installation.require_runner(settings)
        from kfp_tabular.components.common.processing.beam.beam_engine import BeamEngine

        _logger.info("Beam %s: each fold and each map is a pipeline", settings.runner)
        with sigterm.ends_block():
            engine = BeamEngine(settings, f"kfp-tabular-{task}".rstrip("-"))
            yield OpenedEngine(engine, settings.shards_uri)
        return
    from kfp_tabular.components.common.processing.spark import spark_context
    from kfp_tabular.components.common.processing.spark.spark_engine import SparkEngine

    with spark_context.opened(settings, f"kfp-tabular {task}".rstrip()) as context:
        yield OpenedEngine(SparkEngine(context, settings.attempts), settings.shards_uri)
