"""How the columns of files with types become those of the examples.

Files of one data set may store a column differently: as text in one and as integers in another.
Such a column is read as text and gets its type from its values, like a column of CSV.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.artifacts.findings import Finding
from kfp_tabular.components.common.values.column_format import ColumnFormat, NumberFormat
from kfp_tabular.components.data_ingestion.columns import nested_columns
from kfp_tabular.components.data_ingestion.nested_ways import BAG, FLATTEN
from kfp_tabular.components.data_ingestion.readers.partitions import Partition, repeated

Family = Literal["nothing", "boolean", "number", "date", "time", "text"]


def family(arrow_type: pa.DataType) -> Family:  # noqa: PLR0911 - one per family
    """Return what kind of values a type holds.

    Example:
        >>> family(pa.int32()), family(pa.dictionary(pa.int32(), pa.string()))
        ('number', 'text')
    """
    if isinstance(arrow_type, pa.BaseExtensionType):
        return family(arrow_type.storage_type)
    if pa.types.is_dictionary(arrow_type):
        return family(arrow_type.value_type)
    if pa.types.is_null(arrow_type):
        return "nothing"
    if pa.types.is_boolean(arrow_type):
        return "boolean"
    if pa.types.is_timestamp(arrow_type):
        return "time"
    if pa.types.is_date(arrow_type):
        return "date"
    return "text" if nested_columns.holds_text(arrow_type) else "number"


@dataclass(frozen=True)
class ColumnLayout:
    """How columns are read, the same for all files.

    Attributes:
        nested: `flatten` or `bag`, by column of the files.
        text_bags: The bags whose items are text in at least one file.
        inferred: Columns that get their type from their values as text.
        aligned: Columns of booleans and numbers, or of dates and times: the wider family.
    """

    nested: Mapping[str, str] = field(default_factory=dict)
    text_bags: frozenset[str] = frozenset()
    inferred: frozenset[str] = frozenset()
    aligned: Mapping[str, Family] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        nested: Mapping[str, str],
        schemas: Sequence[Mapping[str, pa.DataType]],
        partition_columns: Iterable[str],
    ) -> "ColumnLayout":
        """Return the layout of files.

        Args:
            nested: The option, for columns that the files have.
            schemas: The types of each file, by column of the file.
            partition_columns: Columns that the names of folders hold.

        Raises:
            UserError: A bag is not a list of single values.
        """
        types: dict[str, list[pa.DataType]] = {}
        for schema in schemas:
            for name, arrow_type in schema.items():
                types.setdefault(name, []).append(arrow_type)
        inferred, text_bags = set(partition_columns), set()
        aligned: dict[str, Family] = {}
        for name, found in types.items():
            if nested.get(name) == BAG:
                items = [_bag_item(name, arrow_type) for arrow_type in found]
                if any(nested_columns.holds_text(item) for item in items):
                    text_bags.add(name)
            elif name not in nested:
                families = {family(arrow_type) for arrow_type in found} - {"nothing"}
                if families <= {"boolean", "number"} or families <= {"date", "time"}:
                    if len(families) > 1:
                        aligned[name] = "number" if "number" in families else "time"
                elif len(families) > 1:
                    inferred.add(name)
        return cls(dict(nested), frozenset(text_bags), frozenset(inferred), aligned)

    @property
    def bags(self) -> dict[str, ColumnFormat]:
        """The formats of the columns that are bags."""
        return {
            name: ColumnFormat("bag", None if name in self.text_bags else NumberFormat())
            for name, way in self.nested.items()
            if way == BAG
        }

    def notes(self, files: Sequence[tuple[str, Mapping[str, pa.DataType]]]) -> list[Finding]:
        """Return what to say about columns whose types differ between files.

        Args:
            files: The URI of each file, and its types by column.
        """
        found = []
        for name in sorted({*self.inferred, *self.aligned}):
            places: dict[str, str] = {}
            for uri, types in files:
                if name in types and family(types[name]) != "nothing":
                    places.setdefault(str(types[name]), uri)
            if len(places) > 1:
                kinds = " and ".join(f"{kind} in {uri}" for kind, uri in list(places.items())[:2])
                read = "its values decide the type" if name in self.inferred else "the wider holds"
                message = f"Column {name!r} is {kinds}; {read}."
                found.append(Finding("note", "types-differ", message, name, "column_types"))
        return found

    def columns(
        self, batch: pa.RecordBatch, wanted: Sequence[str], partition: Partition
    ) -> dict[str, pa.Array]:
        """Return the wanted columns of some rows.

        Args:
            batch: The columns as the file has them.
            wanted: The columns, under the names that they become.
            partition: What the file's folders say about its rows.
        """
        found: dict[str, pa.Array] = {}
        for name, values in zip(batch.schema.names, batch.columns, strict=True):
            way = self.nested.get(name)
            if way == FLATTEN:
                found.update(nested_columns.flatten(name, values))
            elif way == BAG:
                found[name] = nested_columns.bag(name, values, as_text=name in self.text_bags)
            else:
                found[name] = self._aligned(name, values)
        for name, value in partition.items():
            found[name] = repeated(value, batch.num_rows)
        nothing = pa.nulls(batch.num_rows)
        return {name: found.get(name, nothing) for name in wanted}

    def _aligned(self, name: str, values: pa.Array) -> pa.Array:
        wider = self.aligned.get(name)
        if wider == "number" and family(values.type) == "boolean":
            return pc.cast(_decoded(values), pa.int64())
        if wider == "time" and family(values.type) == "date":
            return pc.cast(_decoded(values), pa.timestamp("ms"))
        return values


def _bag_item(name: str, arrow_type: pa.DataType) -> pa.DataType:
    nested_columns.check_bag(name, arrow_type)
    return nested_columns.item_type(arrow_type)


def _decoded(values: pa.Array) -> pa.Array:
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
