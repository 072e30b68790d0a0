"""Reads Parquet files."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import LocalFile
from kfp_tabular.components.common.values import arrays
from kfp_tabular.components.data_ingestion.columns import column_types, typed_columns
from kfp_tabular.components.data_ingestion.columns.column_names import check_same_columns
from kfp_tabular.components.data_ingestion.columns.column_types import ColumnType
from kfp_tabular.components.data_ingestion.readers.source import (
    MOST_TEXT,
    ParsedBlock,
    RowNumbers,
    SourceLine,
)

_MOST_ROWS = 65_536
_VALUES_PER_BLOCK = 4 << 20

_PANDAS_INDEX = re.compile(r"__index_level_\d+__")


class ParquetSource:
    """Parquet files with the same columns, in any order.

    Args:
        files: The files, at least one.
        forced: Types by column that are given rather than inferred.

    Raises:
        UserError: A file cannot be read, a column is nested, two columns have the same name, or
            the files' columns differ.
    """

    def __init__(self, files: Sequence[LocalFile], forced: Mapping[str, ColumnType]) -> None:
        self._files = files
        self._forced = forced
        first = _columns(files[0])
        self.columns: Sequence[str] = first
        for file in files[1:]:
            check_same_columns(files[0].uri, first, file.uri, _columns(file))

    def blocks(self, columns: Sequence[str] | None = None) -> Iterator["TypedBlock"]:
        """Yield the files as blocks, in order."""
        wanted = list(self.columns if columns is None else columns)
        rows = max(min(_MOST_ROWS, _VALUES_PER_BLOCK // len(wanted)), 1)
        for file in self._files:
            with _readable(file), pq.ParquetFile(file.path, memory_map=True) as parquet:
                first_row = 1
                for batch in parquet.iter_batches(batch_size=rows, columns=wanted):
                    yield TypedBlock(batch.select(wanted), file.uri, first_row, self._forced)
                    first_row += batch.num_rows


@dataclass(frozen=True)
class TypedBlock:
    """Rows with types; a `source.Block`."""

    batch: pa.RecordBatch
    file: str
    first_row: int
    forced: Mapping[str, ColumnType]

    def parse(self, least: Mapping[str, ColumnType]) -> ParsedBlock:
        """Convert the columns."""
        columns, found, faults = {}, {}, []
        for name, values in zip(self.batch.schema.names, self.batch.columns, strict=True):
            fitted = typed_columns.fit(
                values, least.get(name, ColumnType.NOTHING), self.forced.get(name)
            )
            columns[name] = fitted.values
            found[name] = fitted.column_type
            if fitted.undecodable is not None:
                faults.append((fitted.undecodable, f"column {name!r}: not valid UTF-8"))
            if fitted.misfits is not None:
                faults.append((fitted.misfits, column_types.misfit(name, fitted.column_type)))
        return ParsedBlock(
            columns, found, self.batch.num_rows, self.file, self._source_lines, faults=faults
        )

    def _source_lines(self, rows: RowNumbers) -> list[SourceLine]:
        records = self.batch.take(arrays.from_integers(rows)).to_pylist()
        return [
            SourceLine(
                self.first_row + int(row),
                json.dumps(record, ensure_ascii=False, default=str)[:MOST_TEXT],
            )
            for row, record in zip(rows, records, strict=True)
        ]


@contextmanager
def _readable(file: LocalFile) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{file.uri}: the Parquet file is damaged: {error}") from error


def _columns(file: LocalFile) -> list[str]:
    with _readable(file):
        schema = pq.read_schema(file.path, memory_map=True)
    for column in schema:
        if not typed_columns.is_scalar(column.type):
            raise UserError(
                f"{file.uri}: column {column.name!r} has type {column.type}, which is not "
                "supported. A column must hold one number, text, boolean, date or time per row. "
                "Drop or flatten it."
            )
        if schema.names.count(column.name) > 1:
            raise UserError(
                f"{file.uri}: the file has more than one column {column.name!r}. Rename one of "
                "them."
            )
    # Skip the index that pandas writes.
    names = [name for name in schema.names if not _PANDAS_INDEX.fullmatch(name)]
    if not names:
        raise UserError(f"{file.uri}: the file has no columns.")
    return names
