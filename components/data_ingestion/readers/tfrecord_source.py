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
from kfp_tabular.components.common.values import arrays
from kfp_tabular.components.data_ingestion.columns import typed_columns
from kfp_tabular.components.data_ingestion.columns.column_types import ColumnType, join
from kfp_tabular.components.data_ingestion.readers.parquet_source import TypedBlock

_RECORDS_PER_BLOCK = 8192
_HEADER = struct.Struct("<QI")
_CHECKSUM = struct.Struct("<I")
_MASK_DELTA = 0xA282EAD8  # tensorflow/core/lib/hash/crc32c.h


class TfRecordSource:
    """TFRecord files of tf.Example whose features have at most one value.

    A feature that an example lacks is null. The columns are known only after reading all examples,
    so the constructor reads the files once.

    Args:
        files: The files, at least one.
        forced: Types by column that are given rather than inferred.

    Raises:
        UserError: A file cannot be read, a record is not a tf.Example, or a feature has several
            values or more than one type.
    """

    def __init__(self, files: Sequence[LocalFile], forced: Mapping[str, ColumnType]) -> None:
        self._files = files
        self._forced = forced
        self._column_types: dict[str, ColumnType] = {}
        self._types: dict[str, pa.DataType] = {}
        for file, _, batch in self._batches():
            for name, values in zip(batch.schema.names, batch.columns, strict=True):
                known = self._types.setdefault(name, values.type)
                if pa.types.is_null(known):
                    self._types[name] = values.type
                elif values.type != known and not pa.types.is_null(values.type):
                    raise UserError(
                        f"{file.uri}: feature {name!r} is {values.type} here and {known} before. "
                        "A feature must have one type."
                    )
                found = typed_columns.fit(values, ColumnType.NOTHING).column_type
                self._column_types[name] = join(
                    self._column_types.get(name, ColumnType.NOTHING), found
                )
        if not self._types:
            raise UserError(f"{files[0].uri}: the file has no examples with features.")
        self.columns: Sequence[str] = sorted(self._types)

    def blocks(self, columns: Sequence[str] | None = None) -> Iterator[TypedBlock]:
        """Yield the files as blocks, in order."""
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
                except RuntimeError as error:  # the only error of the C++ decoder
                    raise UserError(
                        f"{file.uri}: records {first_row} to {first_row + len(chunk) - 1} are not "
                        f"tf.Example with one type per feature: {error}"
                    ) from error
                yield file, first_row, _scalars(lists, len(chunk), file)
                first_row += len(chunk)


def _records(file: LocalFile) -> Iterator[bytes]:
    """Yield the records of a file, after checking them."""
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
                        raise UserError(
                            _damaged(file, number, "the checksum of its length is wrong")
                        )
                    data = stream.read(length)
                    (checksum,) = _CHECKSUM.unpack(stream.read(_CHECKSUM.size))
                    if masked_crc(data) != checksum:
                        raise UserError(_damaged(file, number, "the checksum of its data is wrong"))
                    yield data
            except (struct.error, EOFError) as error:
                raise UserError(_damaged(file, number, "the file is truncated")) from error
            except (gzip.BadGzipFile, zlib.error) as error:
                raise UserError(_damaged(file, number, str(error))) from error


def masked_crc(data: bytes) -> int:
    """Return the checksum that TFRecord stores: CRC-32C, rotated and shifted.

    Example:
        >>> hex(masked_crc(b"123456789"))
        '0xc78ab0e5'
    """
    crc: int = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def _damaged(file: LocalFile, number: int, why: str) -> str:
    return f"{file.uri}: record {number} is damaged: {why}. Copy or write the file again."


def _scalars(batch: pa.RecordBatch, rows: int, file: LocalFile) -> pa.RecordBatch:
    """Convert lists of at most one value to values."""
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
            f"{file.uri}: feature {name!r} has {lengths.max()} values in an example. Only features "
            "with one value are supported."
        )
    flat = values.flatten()
    if len(flat) == len(values):
        return flat
    positions = arrays.from_integers(np.cumsum(lengths) - 1)
    return flat.take(arrays.null_where(lengths == 0, positions))
