"""Opens the data to predict for, and compares its columns with those that the model takes."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from kfp_tabular.components.batch_prediction.options import ALL_COLUMNS, BatchPredictionOptions
from kfp_tabular.components.common.artifacts.findings import Findings
from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.pieces import Piece
from kfp_tabular.components.common.storage import InputFile
from kfp_tabular.components.data_ingestion.columns.column_names import require_columns
from kfp_tabular.components.data_ingestion.options import AUTO, CSV
from kfp_tabular.components.data_ingestion.readers.column_selection import ColumnSelection
from kfp_tabular.components.data_ingestion.readers.file_formats import detect, open_source
from kfp_tabular.components.data_ingestion.readers.partitions import partitions
from kfp_tabular.components.data_ingestion.readers.source import Block, Reader, Source

_MOST_NAMED = 5


@dataclass(frozen=True)
class ScoredSource:
    """The data to predict for.

    Attributes:
        source: The data.
        features: The columns that the model takes, or that its features are derived from.
        keys: The columns to write beside the predictions.
    """

    source: Source
    features: Sequence[str]
    keys: Sequence[str]

    @property
    def columns(self) -> list[str]:
        """The columns to read."""
        return list(dict.fromkeys([*self.features, *self.keys])) or list(self.source.columns)[:1]


def open_scored(
    options: BatchPredictionOptions,
    files: Sequence[InputFile],
    spec: ModelSpec,
    findings: Findings,
    engine: Engine,
) -> ScoredSource:
    """Open the data.

    Args:
        options: What to read.
        files: The files; at least one.
        spec: The model.
        findings: Takes notes, and which columns are not there.
        engine: Looks into the files.

    Raises:
        UserError: A file cannot be read, an option names a column that is not there, or the data
            lack a column that the model cannot do without.
    """
    wanted = _wanted(spec)
    nested = {**_bags(options, files, spec), **options.nested}
    named = [name for name in options.key_columns if name != ALL_COLUMNS]
    takes_all = not options.key_columns or ALL_COLUMNS in options.key_columns
    exclude: Collection[str] = frozenset(options.exclude)
    selection = ColumnSelection(exclude, nested, partitions(options.data_uri, files))
    if not takes_all:
        selection = ColumnSelection(
            _AllBut([*wanted, *named, *nested]), nested, selection.partitions
        )
    source = open_source(
        files, options.data_format, options.csv, selection, [*wanted, *named], engine
    )
    for name in (*options.exclude, *options.nested):
        if name not in source.known:
            argument = "nested" if name in options.nested else "exclude"
            raise UserError(
                f"{argument}: the data have no column {name!r}.{closest(name, source.known)}"
            )
    for note in (*selection.notes, *source.notes):
        findings.add(note)
    require_columns(named, source.columns, "key_columns")
    features = [name for name in wanted if name in source.columns]
    _check_features(options, source, spec, findings)
    if ALL_COLUMNS in options.key_columns:
        keys = list(source.columns)
    else:
        keys = named or [name for name in source.columns if name not in wanted]
    return ScoredSource(source, features, keys)


def key_schema(found: ScoredSource, reader: Reader, pieces: Sequence[Piece]) -> pa.Schema:
    """Return the types of the key columns, from the first rows.

    Args:
        found: The data.
        reader: Reads their pieces.
        pieces: The pieces.
    """
    for block in _blocks(reader, pieces):
        parsed = block.parse()
        if parsed.rows:
            types = {name: parsed.columns[name].type for name in found.keys}
            return pa.schema([(name, _written(kind)) for name, kind in types.items()])
    return pa.schema([(name, pa.string()) for name in found.keys])


class _AllBut(Collection[str]):
    """All names but some, as columns to leave out. No names are listed."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = frozenset(names)

    def __contains__(self, name: object) -> bool:
        return name not in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _blocks(reader: Reader, pieces: Sequence[Piece]) -> Iterator[Block]:
    for piece in pieces:
        yield from reader(piece)


def _written(kind: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_null(kind) else kind


def _wanted(spec: ModelSpec) -> list[str]:
    """Return the columns that a model takes, and those that its features are derived from."""
    derived = [
        entry.format.derived_from
        for entry in spec.inputs
        if entry.format is not None and entry.format.derived_from
    ]
    return list(dict.fromkeys([*(entry.name for entry in spec.inputs), *derived]))


def _bags(
    options: BatchPredictionOptions, files: Sequence[InputFile], spec: ModelSpec
) -> dict[str, str]:
    """Return the features that are bags: lists in formats that have lists."""
    bags = [
        entry.name
        for entry in spec.inputs
        if entry.format is not None and entry.format.kind == "bag"
    ]
    if not bags:
        return {}
    found = detect(files[0]) if options.data_format == AUTO else options.data_format
    return {} if found == CSV else dict.fromkeys(bags, "bag")


def _check_features(
    options: BatchPredictionOptions, source: Source, spec: ModelSpec, findings: Findings
) -> None:
    columns = source.columns
    absent = [
        entry
        for entry in spec.inputs
        if entry.name not in columns
        and (entry.format is None or entry.format.derived_from not in columns)
    ]
    if len(absent) == len(spec.inputs):
        # Names the delimiter, if that is why.
        require_columns([absent[0].name], columns, options.data_uri)
    required = [entry.name for entry in absent if entry.required]
    if required:
        more = f" (and {len(required) - 1} more)" if len(required) > 1 else ""
        raise UserError(
            f"{options.data_uri}: no column {required[0]!r}{more}, which the model cannot do "
            f"without.{closest(required[0], columns)}"
        )
    for entry in absent[:_MOST_NAMED]:
        findings.warning(
            "absent-column",
            f"The data have no column {entry.name!r}, so it counts as missing."
            f"{closest(entry.name, columns)}",
            column=entry.name,
        )
    if len(absent) > _MOST_NAMED:
        findings.warning(
            "absent-column",
            f"{len(absent) - _MOST_NAMED} more columns that the model takes are not in the data.",
        )
