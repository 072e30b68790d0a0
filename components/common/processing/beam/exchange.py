"""A folder through which the driver and the workers of a pipeline pass pieces, errors and results.

Beam has no way to return values that all runners share, so a pipeline writes what it made to a file
below `temp_location`. Pieces go the same way, so the pipeline's graph does not grow with them.
"""

import contextlib
import json
import logging
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from kfp_tabular.components.common import storage
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing.pieces import Piece
from kfp_tabular.components.common.storage.location import parse
from kfp_tabular.components.common.storage.store_factory import open_store

_PIECES, _RESULT, _ERRORS = "pieces.json", "result", "errors"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Exchange:
    """The folder of one pipeline.

    Attributes:
        uri: A local path or a URI that the driver and all workers can read and write.
    """

    uri: str

    def write_pieces(self, pieces: Sequence[Piece]) -> None:
        """Write the pieces for the workers."""
        self._write(_PIECES, json.dumps([piece.to_json() for piece in pieces]).encode())

    def read_pieces(self) -> list[Piece]:
        """Return the pieces."""
        return [Piece.from_json(text) for text in json.loads(self._read(_PIECES))]

    def write_result(self, result: bytes) -> None:
        """Write what the pipeline made. A second attempt replaces it."""
        self._write(_RESULT, result)

    def read_result(self) -> bytes:
        """Return what the pipeline made."""
        return self._read(_RESULT)

    def note_error(self, number: int) -> None:
        """Tell other workers that a piece is bad, so that they start no later one."""
        self._write(f"{_ERRORS}/{number:010d}", b"bad")

    def is_bad_before(self, number: int) -> bool:
        """Whether a piece with a smaller number is bad."""
        return any(int(name) < number for name in self._error_names())

    def _error_names(self) -> list[str]:
        location = parse(f"{self.uri}/{_ERRORS}")
        if not location.is_local:
            found = open_store(location).list(f"{location.key}/")
            return [stored.key.rpartition("/")[2] for stored in found]
        with contextlib.suppress(FileNotFoundError):
            return [path.name for path in location.path.iterdir() if path.name.isdigit()]
        return []

    def _write(self, name: str, content: bytes) -> None:
        location = parse(f"{self.uri}/{name}")
        if location.is_local:
            location.path.parent.mkdir(parents=True, exist_ok=True)
            # Two attempts may write at a time.
            partial = location.path.with_name(f".{location.path.name}.{uuid4().hex}")
            partial.write_bytes(content)
            partial.replace(location.path)
            return
        with tempfile.TemporaryDirectory(prefix="kfp-tabular-") as folder:
            path = Path(folder) / "content"
            path.write_bytes(content)
            storage.upload(path, f"{self.uri}/{name}")

    def _read(self, name: str) -> bytes:
        location = parse(f"{self.uri}/{name}")
        if location.is_local:
            return location.path.read_bytes()
        with storage.local_copy(f"{self.uri}/{name}") as path:
            return path.read_bytes()


@contextmanager
def opened(temp_location: str) -> Iterator[Exchange]:
    """Make the folder of a pipeline below a location, and remove it afterwards.

    Args:
        temp_location: A local path or a URI; empty for a temporary folder of this machine.
    """
    if not temp_location:
        with tempfile.TemporaryDirectory(prefix="kfp-tabular-") as folder:
            yield Exchange(folder)
        return
    exchange = Exchange(f"{temp_location.rstrip('/')}/kfp-tabular-{uuid4().hex}")
    try:
        yield exchange
    finally:
        try:
            _remove(exchange.uri)
        except (OSError, UserError) as error:
            _logger.warning("%s: not removed: %s", exchange.uri, error)


def _remove(uri: str) -> None:
    location = parse(uri)
    if location.is_local:
        shutil.rmtree(location.path, ignore_errors=True)
        return
    store = open_store(location)
    store.delete([stored.key for stored in store.list(f"{location.key}/")])
