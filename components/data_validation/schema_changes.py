"""Differences between a given schema and the schema inferred from the data."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from kfp_tabular.components.data_validation import schema_features as schemas

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

ChangeKind = Literal["added", "removed", "type", "presence", "domain"]


@dataclass(frozen=True)
class SchemaChange:
    """A difference between two schemas.

    Attributes:
        kind: What differs.
        column: The column's name.
        before: The given schema's side; empty where it lacks the column.
        now: The data's side; empty where they lack the column.
    """

    kind: ChangeKind
    column: str
    before: str
    now: str


def compare(given: "schema_pb2.Schema", inferred: "schema_pb2.Schema") -> list[SchemaChange]:
    """List the differences between a given schema and the data.

    Args:
        given: The schema that the user keeps.
        inferred: The schema inferred from the data.

    Returns:
        The differences in the order of the given schema; new columns come last.

    Example:
        >>> from tensorflow_metadata.proto.v0 import schema_pb2
        >>> before, now = schema_pb2.Schema(), schema_pb2.Schema()
        >>> _ = before.feature.add(name="fare", type=schema_pb2.INT)
        >>> _ = now.feature.add(name="fare", type=schema_pb2.FLOAT)
        >>> [(c.column, c.kind, c.before, c.now) for c in compare(before, now)]
        [('fare', 'type', 'whole numbers', 'numbers')]
    """
    now = {feature.name: feature for feature in inferred.feature}
    before = {feature.name: feature for feature in given.feature}
    found: list[SchemaChange] = []
    for name, feature in before.items():
        if name in now:
            found += _changed(given, feature, inferred, now[name])
        elif schemas.is_expected(given, feature):
            found.append(SchemaChange("removed", name, _describe(given, feature), ""))
    found += [
        SchemaChange("added", name, "", _describe(inferred, feature))
        for name, feature in now.items()
        if name not in before
    ]
    return found


def _changed(
    given: "schema_pb2.Schema",
    before: "schema_pb2.Feature",
    inferred: "schema_pb2.Schema",
    now: "schema_pb2.Feature",
) -> Iterator[SchemaChange]:
    name = before.name
    if schemas.arrow_type(before) != schemas.arrow_type(now):
        yield SchemaChange("type", name, schemas.type_name(before), schemas.type_name(now))
        return
    if schemas.is_required(before) != schemas.is_required(now):
        yield SchemaChange("presence", name, _presence(before), _presence(now))
    old, new = schemas.texts(given, before), schemas.texts(inferred, now)
    if old is not None and new is not None:
        if set(old) == set(new):
            return
        gone, come = sorted(set(old) - set(new)), sorted(set(new) - set(old))
        parts = [f"{len(come)} new: {schemas.listed(come)}"] if come else []
        parts += [f"{len(gone)} not seen: {schemas.listed(gone)}"] if gone else []
        yield SchemaChange("domain", name, f"{len(old)} values", "; ".join(parts))
        return
    was = schemas.describe_domain(given, before)
    is_now = schemas.describe_domain(inferred, now)
    # A domain that cannot be inferred from the data has not necessarily changed.
    if was != is_now and is_now:
        yield SchemaChange("domain", name, was or "any value", is_now)
    elif old is not None and not is_now:
        yield SchemaChange("domain", name, was, "any text: too many values, or too rarely repeated")


def _presence(feature: "schema_pb2.Feature") -> str:
    return "a value in every row" if schemas.is_required(feature) else "may be missing"


def _describe(schema: "schema_pb2.Schema", feature: "schema_pb2.Feature") -> str:
    parts = [
        schemas.type_name(feature),
        _presence(feature),
        schemas.describe_domain(schema, feature),
    ]
    return ", ".join(part for part in parts if part)
