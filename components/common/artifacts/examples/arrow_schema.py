"""The Arrow schema of examples as columns of a manifest, and back."""

import re
from collections.abc import Sequence

import pyarrow as pa

from kfp_tabular.components.common.artifacts.manifest import Column
from kfp_tabular.components.common.errors import UserError

_LIST = re.compile(r"(?P<kind>list|large_list)<(?P<item>\w+): (?P<of>.+?)(?P<full> not null)?>")
_VECTOR = re.compile(
    r"fixed_size_list<(?P<item>\w+): (?P<of>.+?)(?P<full> not null)?>\[(?P<width>\d{1,9})\]"
)
_TIMESTAMP = re.compile(r"timestamp\[(?P<unit>s|ms|us|ns), tz=(?P<zone>[\w/+:-]+)\]")
_DEEPEST = 8


def columns_of(schema: pa.Schema) -> tuple[Column, ...]:
    """Return the columns of a schema.

    Raises:
        ValueError: A column has a type that examples cannot have, such as a struct.

    Example:
        >>> columns_of(pa.schema([("tags", pa.list_(pa.string()))]))
        (Column(name='tags', type='list<item: string>', nullable=True),)
    """
    columns = tuple(Column(field.name, str(field.type), field.nullable) for field in schema)
    if not schema_of(columns, "schema").equals(schema):
        raise ValueError(f"types of examples that a manifest cannot hold: {schema}")
    return columns


def schema_of(columns: Sequence[Column], source: object) -> pa.Schema:
    """Return the schema with these columns.

    Args:
        columns: The columns of a manifest.
        source: The manifest's path, for error messages.

    Raises:
        UserError: A type is unknown.

    Example:
        >>> schema_of([Column("note", "fixed_size_list<item: float>[8]")], "_manifest.json")
        note: fixed_size_list<item: float>[8]
          child 0, item: float
    """
    fields = []
    for column in columns:
        try:
            kind = _type(column.type)
        except ValueError as error:
            raise UserError(
                f"{source}: column {column.name!r}: unknown type {column.type!r}."
            ) from error
        fields.append(pa.field(column.name, kind, column.nullable))
    return pa.schema(fields)


def _type(text: str, depth: int = 0) -> pa.DataType:
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    if found := _LIST.fullmatch(text):
        make = pa.list_ if found["kind"] == "list" else pa.large_list
        return make(_item(found, depth))
    if found := _VECTOR.fullmatch(text):
        return pa.list_(_item(found, depth), int(found["width"]))
    if found := _TIMESTAMP.fullmatch(text):
        return pa.timestamp(found["unit"], found["zone"])
    return pa.type_for_alias(text)


def _item(found: "re.Match[str]", depth: int) -> pa.Field:
    return pa.field(found["item"], _type(found["of"], depth + 1), nullable=not found["full"])
