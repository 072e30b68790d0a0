"""Chooses how files are read: in place, from the store by ranges, or from a local copy."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from kfp_tabular.components.common import storage
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.local_engine import LocalEngine
from kfp_tabular.components.common.storage import InputFile
from kfp_tabular.components.data_ingestion.options import PARQUET, IngestionOptions
from kfp_tabular.components.data_ingestion.readers import file_formats

_ROOM = 2
"""A copy is made only where the disk has this many times its size free."""


@contextmanager
def opened(settings: IngestionOptions, engine: Engine) -> Iterator[Sequence[InputFile]]:
    """Yield the files to read.

    Executors of a cluster read the store by ranges, and so do threads of this process if the data
    are Parquet, which is read once. CSV and TFRecord are read two or three times, so on one machine
    they are copied once, if there is room; else they are read by ranges, too.

    Args:
        settings: Names the files.
        engine: What reads them.

    Raises:
        UserError: Nothing is found, or access is denied.
    """
    uri = settings.data_uri
    if not storage.is_remote(uri):
        with storage.local_files(uri) as local:
            # Other processes may have another working directory.
            yield [replace(file, path=file.path.absolute()) for file in local]
        return
    stored = storage.stored_files(uri)
    size = sum(file.size for file in stored)
    is_copied = (
        isinstance(engine, LocalEngine)
        and file_formats.detect(stored[0]) != PARQUET
        and shutil.disk_usage(tempfile.gettempdir()).free > _ROOM * size
    )
    if not is_copied:
        yield stored
        return
    with storage.local_files(uri) as copies:
        yield copies
