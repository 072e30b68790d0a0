"""Checks core Kubernetes objects against the official client's models, unknown fields forbidden.

The client's models are generated from the API server's own OpenAPI document, so a misspelt or
missing field, or text where a number belongs, is found without a cluster.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kubernetes import client

_LIST = re.compile(r"list\[(.+)\]")
_DICT = re.compile(r"dict\(str, (.+)\)")
_SCALARS = {"str": str, "int": int, "bool": bool, "float": (int, float), "datetime": str}


def model(resource: Mapping[str, Any]) -> type | None:
    """Return the client's model of an object, None where it has none: a custom resource."""
    group, _, version = str(resource["apiVersion"]).rpartition("/")
    if group and "." in group and not group.endswith(".k8s.io"):
        return None
    name = f"{version[:1].upper()}{version[1:]}{resource['kind']}"
    found: type | None = getattr(client, name, None)
    return found


def problems(resource: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a core object, one line each, beginning with the field's path."""
    kind = model(resource)
    assert kind is not None, f"{resource['kind']} is not a core kind"
    return list(_object(kind, resource, str(resource["kind"])))


def _object(kind: Any, given: Any, path: str) -> Iterator[str]:
    if not isinstance(given, Mapping):
        yield f"{path}: expected an object, found {given!r}"
        return
    attributes = {key: name for name, key in kind.attribute_map.items()}
    for key, value in given.items():
        if key not in attributes:
            yield f"{path}.{key}: unknown field"
        else:
            yield from _value(kind.openapi_types[attributes[key]], value, f"{path}.{key}")
    present = {attributes[key]: given[key] for key in given if key in attributes}
    try:
        kind(**present)
    except ValueError as error:
        yield f"{path}: {error}"


def _value(kind: str, given: Any, path: str) -> Iterator[str]:
    if match := _LIST.fullmatch(kind):
        if not isinstance(given, list):
            yield f"{path}: expected a list, found {given!r}"
            return
        for position, item in enumerate(given):
            yield from _value(match[1], item, f"{path}[{position}]")
    elif match := _DICT.fullmatch(kind):
        if not isinstance(given, Mapping):
            yield f"{path}: expected an object, found {given!r}"
            return
        for key, item in given.items():
            yield from _value(match[1], item, f"{path}.{key}")
    elif kind in _SCALARS:
        # A bool is an int to Python and not to the API server.
        if not isinstance(given, _SCALARS[kind]) or (kind != "bool" and isinstance(given, bool)):
            yield f"{path}: expected {kind}, found {given!r}"
    elif kind != "object":
        yield from _object(getattr(client, kind), given, path)
