"""Reads TFRecord files of tf.Example, plain or gzipped."""

import gzip
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import google_crc32c
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import LocalFile
from kfp_tabular.components.data_ingestion.columns import arrays, typed_columns
from kfp_tabular.components.data_ingestion.columns.column_types import Kind, join
from kfp_tabular.components.data_ingestion.readers.parquet_source import TypedBlock

_RECORDS_PER_BLOCK = 8192
_HEADER = struct.Struct("<QI")
_CHECKSUM = struct.Struct("<I")
_MASK_DELTA = 0xA282EAD8  # tensorflow/core/lib/hash/crc32c.h


class TfRecordSource:
    """TFRecord files of tf.Example in which a feature has at most one value.

    An example without a feature has null there, so the columns are known only after all examples
    were seen: the files are read once for that.

    Args:
        files: The files, at least one.
        forced: Kinds by column that are not to be inferred.

    Raises:
        UserError: Where a file does not read, a record is not a tf.Example, or a feature has
            several values or changes its type.
    """

    def __init__(self, files: Sequence[LocalFile], forced: Mapping[str, Kind]) -> None:
        self._files = files
        self._forced = forced
        self._kinds: dict[str, Kind] = {}
        self._types: dict[str, pa.DataType] = {}
        for file, _, batch in self._batches():
            for name, values in zip(batch.schema.names, batch.columns, strict=True):
                known = self._types.setdefault(name, values.type)
                if pa.types.is_null(known):
                    self._types[name] = values.type
                elif values.type != known and not pa.types.is_null(values.type):
                    raise UserError(
                        f"{file.uri}: feature {name!r} is {values.type} here and {known} before; "
                        "it must have one type."
                    )
                kind = typed_columns.fit(values, Kind.NOTHING).kind
                self._kinds[name] = join(self._kinds.get(name, Kind.NOTHING), kind)
        if not self._types:
            raise UserError(f"{files[0].uri}: there are no examples with features.")
        self.columns: Sequence[str] = sorted(self._types)

    def blocks(self, columns: Sequence[str] | None = None) -> Iterator[TypedBlock]:
        """Cuts the files into blocks, in order."""
        wanted = self.columns if columns is None else columns
        for file, first_row, batch in self._batches():
            arrays = [
                batch.column(name)
                if name in batch.schema.names
                else pa.nulls(batch.num_rows, self._types[name])
                for name in wanted
            ]
            whole = pa.RecordBatch.from_arrays(arrays, list(wanted))
            yield TypedBlock(whole, file.uri, first_row, self._forced)

    def _batches(self) -> Iterator[tuple[LocalFile, int, pa.RecordBatch]]:
        from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

        decoder = ExamplesToRecordBatchDecoder()
        for file in self._files:
            records = _records(file)
            first_row = 1
            while chunk := list(islice(records, _RECORDS_PER_BLOCK)):
                try:
                    lists = decoder.DecodeBatch(chunk)
                except RuntimeError as error:  # all that the C++ decoder raises
                    raise UserError(
                        f"{file.uri}: in records {first_row} to {first_row + len(chunk) - 1}: "
                        f"not tf.Example with one type for each feature: {error}"
                    ) from error
                yield file, first_row, _scalars(lists, len(chunk), file)
                first_row += len(chunk)


def _records(file: LocalFile) -> Iterator[bytes]:
    """Gives the records of a file, checked."""
    with file.path.open("rb") as plain:
        zipped = plain.read(2) == b"\x1f\x8b"
        plain.seek(0)
        with gzip.open(plain) if zipped else plain as stream:
            number = 0
            try:
                while header := stream.read(_HEADER.size):
                    number += 1
                    length, checksum = _HEADER.unpack(header)
                    if masked_crc(header[:8]) != checksum:
                        raise UserError(_damaged(file, number, "its length does not check"))
                    data = stream.read(length)
                    (checksum,) = _CHECKSUM.unpack(stream.read(_CHECKSUM.size))
                    if masked_crc(data) != checksum:
                        raise UserError(_damaged(file, number, "its data does not check"))
                    yield data
            except (struct.error, EOFError) as error:
                raise UserError(_damaged(file, number, "the file is cut off")) from error
            except (gzip.BadGzipFile, zlib.error) as error:
                raise UserError(_damaged(file, number, str(error))) from error


def masked_crc(data: bytes) -> int:
    """Gives the checksum that TFRecord stores: CRC-32C, rotated and shifted."""
    crc: int = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def _damaged(file: LocalFile, number: int, why: str) -> str:
    return f"{file.uri}: record {number} is damaged: {why}; copy or write the file again."


def _scalars(batch: pa.RecordBatch, rows: int, file: LocalFile) -> pa.RecordBatch:
    """Turns lists of at most one value into values."""
    if not batch.num_columns:
        return pa.RecordBatch.from_arrays([pa.nulls(rows)], [""]).select([])
    arrays = [
        _scalar(values, name, file)
        for name, values in zip(batch.schema.names, batch.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, batch.schema.names)


def _scalar(values: pa.Array, name: str, file: LocalFile) -> pa.Array:
    if pa.types.is_null(values.type):
        return values
    lengths = arrays.to_integers(pc.cast(pc.list_value_length(values), pa.int64()))
    if lengths.max(initial=0) > 1:
        raise UserError(
            f"{file.uri}: feature {name!r} has {lengths.max()} values in an example; only features "
            "with one value can be read."
        )
    flat = values.flatten()
    if len(flat) == len(values):
        return flat
    positions = arrays.from_integers(np.cumsum(lengths) - 1)
    return flat.take(arrays.null_where(lengths == 0, positions))
