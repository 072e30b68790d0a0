"""Opens the engine that a task's `processing` argument names."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kfp_tabular.components.common.processing import processing_settings
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.local_engine import LocalEngine
from kfp_tabular.components.common.processing.processing_settings import LocalSettings


@contextmanager
def opened(document: Mapping[str, Any], task: str = "") -> Iterator[Engine]:
    """Open an engine for a task, and close it afterwards.

    Args:
        document: The `processing` argument.
        task: The task's name, one of `processing_settings.DATA_TASKS`.

    Raises:
        UserError: The document does not fit, or what the engine needs is not installed here.

    Example:
        >>> with opened({"engine": "local", "threads": 2}) as engine:
        ...     type(engine).__name__
        'LocalEngine'
    """
    settings = processing_settings.parse(document, task)
    if isinstance(settings, LocalSettings):
        yield LocalEngine(settings.threads)
        return
    # Imported when needed: most tasks run on one machine.
    from kfp_tabular.components.common.processing.spark import spark_context
    from kfp_tabular.components.common.processing.spark.spark_engine import SparkEngine

    with spark_context.opened(settings, f"kfp-tabular {task}".rstrip()) as context:
        yield SparkEngine(context, settings.attempts)
