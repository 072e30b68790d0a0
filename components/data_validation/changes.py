"""Schema evolution: how a given schema and the data at hand differ."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from kfp_tabular.components.data_validation import schema as schemas

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

ChangeKind = Literal["added", "removed", "type", "presence", "domain"]


@dataclass(frozen=True)
class Change:
    """A difference between two schemas.

    Attributes:
        kind: What differs.
        column: The column's name.
        before: What the given schema says.
        now: What the data say.
    """

    kind: ChangeKind
    column: str
    before: str
    now: str


def compare(given: "schema_pb2.Schema", inferred: "schema_pb2.Schema") -> list[Change]:
    """Lists how the data's schema differs from the one that somebody keeps.

    Args:
        given: The schema that is kept.
        inferred: The schema that the data would get.

    Returns:
        Changes in the order of the given schema; new columns come last.
    """
    now = {feature.name: feature for feature in inferred.feature}
    before = {feature.name: feature for feature in given.feature}
    found: list[Change] = []
    for name, feature in before.items():
        if name in now:
            found += _changed(given, feature, inferred, now[name])
        elif schemas.expected(given, feature):
            found.append(Change("removed", name, _describe(given, feature), ""))
    found += [
        Change("added", name, "", _describe(inferred, feature))
        for name, feature in now.items()
        if name not in before
    ]
    return found


def _changed(
    given: "schema_pb2.Schema",
    before: "schema_pb2.Feature",
    inferred: "schema_pb2.Schema",
    now: "schema_pb2.Feature",
) -> Iterator[Change]:
    name = before.name
    if schemas.arrow_type(before) != schemas.arrow_type(now):
        yield Change("type", name, schemas.type_name(before), schemas.type_name(now))
        return
    if schemas.required(before) != schemas.required(now):
        yield Change("presence", name, _presence(before), _presence(now))
    old, new = schemas.texts(given, before), schemas.texts(inferred, now)
    if old is not None and new is not None:
        if set(old) == set(new):
            return
        gone, come = sorted(set(old) - set(new)), sorted(set(new) - set(old))
        parts = [f"{len(come)} new: {schemas.listed(come)}"] if come else []
        parts += [f"{len(gone)} not seen: {schemas.listed(gone)}"] if gone else []
        yield Change("domain", name, f"{len(old)} values", "; ".join(parts))
        return
    was = schemas.describe_domain(given, before)
    is_now = schemas.describe_domain(inferred, now)
    # That a domain cannot be told from the data does not mean that it has changed.
    if was != is_now and is_now:
        yield Change("domain", name, was or "any value", is_now)
    elif old is not None and not is_now:
        yield Change("domain", name, was, "any text: too many values, or too rarely repeated")


def _presence(feature: "schema_pb2.Feature") -> str:
    return "a value in every row" if schemas.required(feature) else "may be missing"


def _describe(schema: "schema_pb2.Schema", feature: "schema_pb2.Feature") -> str:
    parts = [
        schemas.type_name(feature),
        _presence(feature),
        schemas.describe_domain(schema, feature),
    ]
    return ", ".join(part for part in parts if part)
