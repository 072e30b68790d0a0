"""Predictions as CSV: parts with a header each, and one file made of them."""

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.csv as pacsv

from kfp_tabular.components.common import storage
from kfp_tabular.components.common.artifacts.examples import Examples, ShardDestination

FOLDER = "_csv"
"""Below the predictions. The underscore keeps readers of Parquet from it."""

_CHUNK = 1 << 20


def header(names: Sequence[str]) -> bytes:
    r"""Return the first line of CSV.

    Example:
        >>> header(["id", "a, b"])
        b'id,"a, b"\n'
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(names)
    return text.getvalue().encode()


def lines(batch: pa.RecordBatch) -> bytes:
    r"""Return rows as CSV: values are quoted where a batch needs it.

    Example:
        >>> lines(pa.record_batch({"id": ["a", None], "p": [0.5, 1.5]}))
        b'a,0.5\n,1.5\n'
    """
    for quoting in ("none", "needed"):
        sink = pa.BufferOutputStream()
        options = pacsv.WriteOptions(include_header=False, quoting_style=quoting)
        try:
            pacsv.write_csv(batch, sink, options)
        except pa.ArrowInvalid:  # a value holds a delimiter, a quote or a line end
            if quoting == "needed":
                raise
            continue
        return bytes(sink.getvalue())
    raise AssertionError


class CsvPart:
    """Writes a piece as CSV with a header; a context manager. Without rows, nothing is written.

    Args:
        destination: Where the predictions are written.
        number: The number of the piece.

    Attributes:
        sizes: After the block, the size of what was written, by path.
    """

    def __init__(self, destination: ShardDestination, number: int) -> None:
        self.sizes: dict[str, int] = {}
        self._destination = destination
        self._path = f"{FOLDER}/part-{number:05d}.csv"
        self._files = ExitStack()
        self._file: Path | None = None
        self._stream: IO[bytes] | None = None

    def __enter__(self) -> "CsvPart":
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        with self._files:
            if self._stream is not None:
                self._stream.close()
            if kind is None and self._file is not None:
                self.sizes[self._path] = self._file.stat().st_size
                self._destination.put(self._file, self._path)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows."""
        if not batch.num_rows:
            return
        if self._stream is None:
            self._file = self._files.enter_context(self._destination.file())
            self._stream = self._file.open("wb")
            self._stream.write(header(batch.schema.names))
        self._stream.write(lines(batch))


def joined(predictions: Path) -> Iterator[bytes]:
    """Yield predictions that were written as CSV, in order, with one header.

    Args:
        predictions: The directory of the predictions.
    """
    artifact = Examples(predictions)
    first = header(artifact.schema.names)
    yield first
    found = artifact.manifest
    if found is None or not any(found.rows.values()):
        return
    root = found.shards_uri or str(predictions)
    with storage.local_copy(f"{root}/{FOLDER}") as folder:
        for part in sorted(folder.glob("part-*.csv")):
            with part.open("rb") as stream:
                stream.seek(len(first))
                while chunk := stream.read(_CHUNK):
                    yield chunk
