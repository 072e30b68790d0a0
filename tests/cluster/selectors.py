"""Label and field selectors, as the API server reads them."""

import re
from collections.abc import Callable, Mapping
from typing import Any

Object = Mapping[str, Any]

_SET = re.compile(r"(?P<key>\S+)\s+(?P<operator>in|notin)\s+\((?P<values>[^)]*)\)")
_EQUALITY = re.compile(r"(?P<key>[^=!\s]+)\s*(?P<operator>==|=|!=)\s*(?P<value>\S*)")

# What can be selected by, apart from the name and the namespace.
_FIELDS = {
    "pods": ("spec.nodeName", "status.phase", "spec.restartPolicy"),
    "events": (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.fieldPath",
        "reason",
        "type",
    ),
    "jobs": ("status.successful",),
}


class UnsupportedSelector(Exception):
    """The server answers 400."""


def matcher(resource: str, labels: str, fields: str) -> Callable[[Object], bool]:
    """Return a predicate for objects of a resource.

    Args:
        resource: The plural, on which the selectable fields depend.
        labels: A label selector.
        fields: A field selector.
    """
    tests = [_label_test(part) for part in _split(labels)]
    tests += [_field_test(resource, part) for part in _split(fields)]
    return lambda item: all(test(item) for test in tests)


def _split(selector: str) -> list[str]:
    """Split at commas outside of parentheses."""
    return [part.strip() for part in re.split(r",(?![^(]*\))", selector) if part.strip()]


def _labels(item: Object) -> Mapping[str, str]:
    return item["metadata"].get("labels") or {}


def _label_test(part: str) -> Callable[[Object], bool]:
    if match := _SET.fullmatch(part):
        key, values = match["key"], {value.strip() for value in match["values"].split(",")}
        if match["operator"] == "in":
            return lambda item: _labels(item).get(key) in values
        return lambda item: _labels(item).get(key) not in values
    if match := _EQUALITY.fullmatch(part):
        key, value = match["key"], match["value"]
        if match["operator"] == "!=":
            return lambda item: _labels(item).get(key) != value
        return lambda item: _labels(item).get(key) == value
    if part.startswith("!"):
        return lambda item: part[1:] not in _labels(item)
    if re.search(r"[\s()=]", part):
        raise UnsupportedSelector(f"unable to parse requirement: {part}")
    return lambda item: part in _labels(item)


def _field_test(resource: str, part: str) -> Callable[[Object], bool]:
    match = _EQUALITY.fullmatch(part)
    if match is None:
        raise UnsupportedSelector(f"invalid selector: '{part}'; can't understand '{part}'")
    path, wanted = match["key"], match["value"]
    if path not in ("metadata.name", "metadata.namespace", *_FIELDS.get(resource, ())):
        raise UnsupportedSelector(f"field label not supported: {path}")

    def value(item: Object) -> str:
        found: Any = item
        for key in path.split("."):
            found = (found or {}).get(key)
        return "" if found is None else str(found)

    if match["operator"] == "!=":
        return lambda item: value(item) != wanted
    return lambda item: value(item) == wanted
