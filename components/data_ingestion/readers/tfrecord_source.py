"""Reads TFRecord files of tf.Example, plain or compressed."""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import google_crc32c
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.local_engine import LocalEngine
from kfp_tabular.components.common.processing.pieces import Piece
from kfp_tabular.components.common.storage import InputFile
from kfp_tabular.components.common.values import arrays
from kfp_tabular.components.data_ingestion.columns import nested_columns
from kfp_tabular.components.data_ingestion.nested_ways import FLATTEN
from kfp_tabular.components.data_ingestion.readers.column_selection import ColumnSelection
from kfp_tabular.components.data_ingestion.readers.compression import open_decompressed
from kfp_tabular.components.data_ingestion.readers.parquet_source import TypedBlock
from kfp_tabular.components.data_ingestion.readers.partitions import Partition
from kfp_tabular.components.data_ingestion.readers.source_pieces import grouped
from kfp_tabular.components.data_ingestion.readers.typed_layout import ColumnLayout

_RECORDS_PER_BLOCK = 8192
_HEADER = struct.Struct("<QI")
_CHECKSUM = struct.Struct("<I")
_MASK_DELTA = 0xA282EAD8  # tensorflow/core/lib/hash/crc32c.h


class TfRecordSource:
    """TFRecord files of tf.Example.

    A feature that an example lacks is null. The columns are known only after reading all examples,
    so the constructor reads the files once, with a map.

    Args:
        files: The files, at least one.
        selection: Which columns to read, and how features with several values become columns.
            Default: all, and none with several values.
        engine: Reads the files; None for threads of this process.

    Attributes:
        columns: The columns that are read.
        known: All columns that options may name: excluded and nested ones too.
        bags: The formats of the columns that are read as bags.
        notes: What was decided about types.

    Raises:
        UserError: A file cannot be read, a record is not a tf.Example, a feature has more than one
            type in a file, or several values and `selection` does not say what to do with them.
    """

    def __init__(
        self,
        files: Sequence[InputFile],
        selection: ColumnSelection | None = None,
        engine: Engine | None = None,
    ) -> None:
        self._files = files
        self._selection = selection = selection or ColumnSelection()
        by_place = {file.place: file for file in files}
        pieces = [Piece(file.place, "bytes", 0, file.size) for file in files]
        seen = {
            by_place[piece.uri]: found
            for piece, found in (engine or LocalEngine()).map(pieces, FeatureScan(by_place))
        }
        types = [seen[file].arrow_types() for file in files]
        own = sorted({name for found in types for name in found})
        if not own:
            raise UserError(f"{files[0].uri}: the file has no examples with features.")
        self._partitions = {file: selection.partition(file, own) for file in files}
        partitioned = sorted({name for found in self._partitions.values() for name in found})
        self._check_nested(seen)
        kept = [{name: found[name] for name in selection.kept(found)} for found in types]
        self._layout = ColumnLayout.of(selection.nested, kept, partitioned)
        self._parts = {
            name: [
                f"{name}_{position}"
                for position in range(max(found.longest.get(name, 0) for found in seen.values()))
            ]
            for name in own
            if selection.nested.get(name) == FLATTEN
        }
        flat = [part for name in selection.kept(own) for part in self._parts.get(name, [name])]
        self.columns: Sequence[str] = [*selection.kept(flat), *partitioned]
        self.bags = self._layout.bags
        self.known: Sequence[str] = list(
            dict.fromkeys(
                [*own, *flat, *(name for found in selection.partitions.values() for name in found)]
            )
        )
        self.notes = self._layout.notes(
            [(file.uri, found) for file, found in zip(files, types, strict=True)]
        )

    def pieces(self, engine: Engine) -> Sequence[Piece]:  # noqa: ARG002 - `Source`
        """Group the files: records have no marks to cut a file at."""
        sizes = [file.size for file in self._files]
        return grouped(sizes, "blocks", self._files[0].uri)

    def reader(self, columns: Sequence[str] | None = None) -> "TfRecordReader":
        """Return what reads the pieces."""
        wanted = tuple(self.columns if columns is None else columns)
        whole = {part: name for name, parts in self._parts.items() for part in parts}
        partitions = [self._partitions[file] for file in self._files]
        nested = frozenset(self._selection.nested)
        return TfRecordReader(
            tuple(self._files), tuple(partitions), wanted, whole, nested, self._layout
        )

    def _check_nested(self, seen: Mapping[InputFile, "SeenFeatures"]) -> None:
        for file, found in seen.items():
            unclear = {
                name: pa.list_(found.arrow_types()[name])
                for name in self._selection.kept(found.types)
                if found.longest[name] > 1 and name not in self._selection.nested
            }
            if unclear:
                name = next(iter(unclear))
                raise UserError(
                    f"{file.uri}: feature {name!r} has {found.longest[name]} values in an example. "
                    + nested_columns.advice(unclear)
                )


@dataclass(frozen=True)
class TfRecordReader:
    """Reads pieces of TFRecord files. Made by `TfRecordSource.reader`.

    Attributes:
        files: The files.
        partitions: What the folders of each file say about its rows.
        wanted: The columns to read.
        whole: The feature that a flattened column is a part of.
        nested: The features with several values.
        layout: How features become columns.
    """

    files: tuple[InputFile, ...]
    partitions: tuple[Partition, ...]
    wanted: tuple[str, ...]
    whole: Mapping[str, str]
    nested: frozenset[str]
    layout: ColumnLayout

    def __call__(self, piece: Piece) -> Iterator[TypedBlock]:
        """Yield the blocks of a piece in order."""
        for number in range(piece.start, piece.stop):
            file, partition = self.files[number], self.partitions[number]
            columns_of = partial(self.layout.columns, wanted=self.wanted, partition=partition)
            read = [self.whole.get(name, name) for name in self.wanted if name not in partition]
            read = list(dict.fromkeys(read))
            for first_row, batch in _batches(file):
                there = [name for name in read if name in batch.schema.names]
                values = [self._values(batch, name) for name in there]
                rows = pa.RecordBatch.from_arrays(values, there) if values else batch.select([])
                yield TypedBlock(rows, file.uri, first_row, self.layout.inferred, columns_of)

    def _values(self, batch: pa.RecordBatch, name: str) -> pa.Array:
        values = batch.column(name)
        return values if name in self.nested else _scalar(values)


def _batches(file: InputFile) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield the features of examples, each a list, after the number of the first example."""
    from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

    decoder = ExamplesToRecordBatchDecoder()
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
        if not lists.num_columns:
            lists = pa.RecordBatch.from_arrays([pa.nulls(len(chunk))], [""]).select([])
        yield first_row, lists
        first_row += len(chunk)


@dataclass(frozen=True)
class SeenFeatures:
    """The features of a file.

    Attributes:
        types: The types of single values by feature, as Arrow writes them.
        longest: The number of values in the example that has most, by feature.
    """

    types: dict[str, str]
    longest: dict[str, int]

    def arrow_types(self) -> dict[str, pa.DataType]:
        """Return the types by feature, sorted."""
        return {name: pa.type_for_alias(found) for name, found in sorted(self.types.items())}


@dataclass(frozen=True)
class FeatureScan:
    """Reads a whole file for the features that it has.

    Attributes:
        files: The files by their places.
    """

    files: Mapping[str, InputFile]

    def __call__(self, piece: Piece) -> SeenFeatures:
        """Return the features of a file."""
        file = self.files[piece.uri]
        types: dict[str, pa.DataType] = {}
        longest: dict[str, int] = {}
        for _, batch in _batches(file):
            for name, values in zip(batch.schema.names, batch.columns, strict=True):
                empty = pa.types.is_null(values.type)
                found = pa.null() if empty else values.type.value_type
                known = types.setdefault(name, found)
                if pa.types.is_null(known):
                    types[name] = found
                elif found != known and not empty:
                    raise UserError(
                        f"{file.uri}: feature {name!r} is {found} here and {known} before. "
                        "A feature must have one type in a file."
                    )
                most = 0 if empty else int(_lengths(values).max(initial=0))
                longest[name] = max(longest.get(name, 0), most)
        return SeenFeatures({name: str(found) for name, found in types.items()}, longest)


def _records(file: InputFile) -> Iterator[bytes]:
    """Yield the records of a file, after checking them."""
    with open_decompressed(file) as stream:
        number = 0
        try:
            while header := stream.read(_HEADER.size):
                number += 1
                length, checksum = _HEADER.unpack(header)
                if masked_crc(header[:8]) != checksum:
                    raise UserError(_damaged(file, number, "the checksum of its length is wrong"))
                data = stream.read(length)
                (checksum,) = _CHECKSUM.unpack(stream.read(_CHECKSUM.size))
                if masked_crc(data) != checksum:
                    raise UserError(_damaged(file, number, "the checksum of its data is wrong"))
                yield data
        except (struct.error, EOFError) as error:
            raise UserError(_damaged(file, number, "the file is truncated")) from error


def masked_crc(data: bytes) -> int:
    """Return the checksum that TFRecord stores: CRC-32C, rotated and shifted.

    Example:
        >>> hex(masked_crc(b"123456789"))
        '0xc78ab0e5'
    """
    crc: int = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def _damaged(file: InputFile, number: int, why: str) -> str:
    return f"{file.uri}: record {number} is damaged: {why}. Copy or write the file again."


def _scalar(values: pa.Array) -> pa.Array:
    """Convert lists of at most one value to values."""
    if pa.types.is_null(values.type):
        return values
    lengths = _lengths(values)
    flat = values.flatten()
    if len(flat) == len(values):
        return flat
    positions = arrays.from_integers(np.cumsum(lengths) - 1)
    return flat.take(arrays.null_where(lengths == 0, positions))


def _lengths(values: pa.Array) -> "np.ndarray[Any, np.dtype[np.int64]]":
    return arrays.to_integers(pc.cast(pc.list_value_length(values), pa.int64()))
