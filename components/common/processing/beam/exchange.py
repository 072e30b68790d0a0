"""A folder through which the driver and the workers of a pipeline pass pieces, errors and results.

Beam has no way to return values that all runners share, so a pipeline writes what it made to a file
below `temp_location`. Pieces go the same way, so the pipeline's graph does not grow with them. All
files hold JSON or states of accumulators: reading one runs no code.
"""

import contextlib
import json
import logging
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from uuid import uuid4

import pyarrow as pa

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.processing.pieces import Piece
from kfp_tabular.components.common.storage.folder import Folder
from kfp_tabular.components.common.storage.location import parse

_PIECES, _RESULT, _ERRORS, _DONE = "pieces.json", "result.arrow", "errors", "done"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Exchange:
    """The folder of one pipeline. It is there as long as the driver waits for the pipeline.

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

    def write_result(self, error: str, parts: Sequence[bytes]) -> None:
        """Write what the pipeline made. A second attempt replaces it.

        Args:
            error: The message of a user error; empty for none.
            parts: The results of all pieces, or one state.
        """
        table = pa.table({"part": pa.array(parts, pa.large_binary())})
        self._write(_RESULT, states.pack({"error": error, "parts": table}))

    def read_result(self) -> tuple[str, list[bytes]]:
        """Return what `write_result` was given."""
        found = states.unpack(self._read(_RESULT))
        return str(found["error"]), found["parts"]["part"].to_pylist()

    def note_done(self, number: int) -> None:
        """Tell the driver that a piece is done."""
        self._write(f"{_DONE}/{number:010d}", b"-")

    def note_error(self, number: int, message: str) -> None:
        """Tell the driver and other workers that a piece is bad."""
        self._write(f"{_ERRORS}/{number:010d}", message.encode())

    @contextmanager
    def user_errors(self) -> Iterator[None]:
        """Raise the first error that was noted, where the pipeline in the block failed.

        Raises:
            UserError: A worker has noted it.
        """
        try:
            yield
        except RuntimeError as error:
            bad = self._numbers(_ERRORS)
            if not bad:
                raise
            raise UserError(self._read(f"{_ERRORS}/{min(bad):010d}").decode()) from error

    def done(self) -> list[int]:
        """Return the numbers of the pieces that are done, without bad ones."""
        return self._numbers(_DONE)

    def starts(self, number: int) -> bool:
        """Whether a piece is still of use: the driver waits, and no piece before it is bad."""
        return self._is_there() and all(bad >= number for bad in self._numbers(_ERRORS))

    @cached_property
    def _path(self) -> Path:
        return parse(self.uri).path

    @cached_property
    def _folders(self) -> dict[str, Folder]:
        """The folder and its parts if it is in an object store; each keeps its connection."""
        if parse(self.uri).is_local:
            return {}
        whole = Folder(self.uri)
        return {"": whole, _ERRORS: whole.folder(_ERRORS), _DONE: whole.folder(_DONE)}

    def _is_there(self) -> bool:
        if self._folders:
            return self._folders[""].stat(_PIECES) is not None
        return (self._path / _PIECES).exists()

    def _numbers(self, name: str) -> list[int]:
        if self._folders:
            return [int(found) for found in self._folders[name].list()]
        with contextlib.suppress(FileNotFoundError):
            return [int(path.name) for path in (self._path / name).iterdir() if path.name.isdigit()]
        return []

    def _write(self, name: str, content: bytes) -> None:
        if not self._folders:
            path = self._path / name
            # Two attempts may write at a time.
            partial = path.with_name(f".{path.name}.{uuid4().hex}")
            partial.write_bytes(content)
            partial.replace(path)
            return
        with tempfile.TemporaryDirectory(prefix="kfp-tabular-") as folder:
            path = Path(folder) / "content"
            path.write_bytes(content)
            self._folders[""].upload({name: path})

    def _read(self, name: str) -> bytes:
        if not self._folders:
            return (self._path / name).read_bytes()
        folder = self._folders[""]
        stored = folder.stat(name)
        if stored is None:
            raise FileNotFoundError(f"{self.uri}/{name}")
        return folder.read(stored, 0, stored.size)


@contextmanager
def opened(temp_location: str) -> Iterator[Exchange]:
    """Make the folder of a pipeline below a location, and remove it afterwards.

    Args:
        temp_location: A local path or a URI; empty for a temporary folder of this machine.
    """
    if not temp_location:
        with tempfile.TemporaryDirectory(prefix="kfp-tabular-", ignore_cleanup_errors=True) as made:
            yield _made(made)
        return
    exchange = _made(f"{temp_location.rstrip('/')}/kfp-tabular-{uuid4().hex}")
    try:
        yield exchange
    finally:
        try:
            _remove(exchange.uri)
        except (OSError, UserError) as error:
            _logger.warning("%s: not removed: %s", exchange.uri, error)


def _made(uri: str) -> Exchange:
    location = parse(uri)
    if location.is_local:
        # Workers make no folder, or they would bring back one that the driver has removed.
        for name in (_ERRORS, _DONE):
            (location.path / name).mkdir(parents=True)
    return Exchange(uri)


def _remove(uri: str) -> None:
    location = parse(uri)
    if location.is_local:
        # Not in one step: a worker that writes meanwhile sees that the folder is closed.
        (location.path / _PIECES).unlink(missing_ok=True)
        shutil.rmtree(location.path, ignore_errors=True)
        return
    folder = Folder(uri)
    folder.remove([_PIECES])
    folder.remove(folder.list())
