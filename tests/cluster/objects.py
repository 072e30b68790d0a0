"""Objects as a Kubernetes API server keeps them: versions, history, deletion, ownership."""

import copy
import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kfp_tabular.components.common.kubernetes.client.resource_kinds import Kind

_MOST_ANNOTATIONS = 256 * 1024
Json = dict[str, Any]
Key = tuple[str, str]  # namespace, name

_FOREGROUND = "foregroundDeletion"
_ORPHAN = "orphan"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


class Refusal(Exception):
    """What the API server answers instead of success."""

    def __init__(self, status: int, reason: str, message: str, details: Json | None = None) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message
        self.details = details or {}


@dataclass(frozen=True)
class Change:
    """One entry of the history.

    Attributes:
        version: The resource version it made.
        kind: What was changed.
        before: The object before; None where it was made.
        after: The object after; None where it was removed.
    """

    version: int
    kind: Kind
    before: Json | None
    after: Json | None


@dataclass
class Store:
    """All objects of a cluster.

    Attributes:
        changed: Notified at every change; its lock guards everything.
        version: The latest resource version.
        oldest: No watch or list can start from a version before this one.
        history: Every change since then.
    """

    changed: threading.Condition = field(default_factory=threading.Condition)
    version: int = 1000
    oldest: int = 0
    history: list[Change] = field(default_factory=list)
    _objects: dict[Kind, dict[Key, Json]] = field(default_factory=dict)

    def get(self, kind: Kind, namespace: str, name: str) -> Json:
        """Return a copy of an object."""
        with self.changed:
            found = self._objects.get(kind, {}).get((namespace, name))
            if found is None:
                raise _not_found(kind, name)
            return copy.deepcopy(found)

    def list(self, kind: Kind, namespace: str) -> "list[Json]":
        """Return copies of all objects of a kind, in one namespace or in all."""
        with self.changed:
            return [
                copy.deepcopy(item)
                for (where, _), item in sorted(self._objects.get(kind, {}).items())
                if not namespace or where == namespace
            ]

    def create(self, kind: Kind, namespace: str, body: Json) -> Json:
        """Make an object."""
        body = copy.deepcopy(body)
        metadata = body.setdefault("metadata", {})
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + uuid.uuid4().hex[:5]
        name = metadata.get("name", "")
        _check(kind, namespace, body)
        with self.changed:
            if (namespace, name) in self._objects.get(kind, {}):
                message = f'{kind.qualified} "{name}" already exists'
                raise Refusal(409, "AlreadyExists", message, _details(kind, name))
            if metadata.get("resourceVersion"):
                message = "resourceVersion should not be set on objects to be created"
                raise Refusal(500, "InternalError", message)
            metadata.update(
                uid=str(uuid.uuid4()), creationTimestamp=_now(), generation=1, namespace=namespace
            )
            if not kind.namespaced:
                del metadata["namespace"]
            if _has_status(kind):
                body.pop("status", None)
            if kind.kind == "Pod":
                body["status"] = {"phase": "Pending"}
            self._put(kind, (namespace, name), body)
            self._collect()
            return copy.deepcopy(body)

    def update(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        change: Callable[[Json], Json],
        *,
        status: bool = False,
        replaces: bool = False,
    ) -> Json:
        """Change an object.

        Args:
            kind: Its kind.
            namespace: Its namespace.
            name: Its name.
            change: Returns the wanted object, given a copy of the current one.
            status: Whether this is the status subresource: nothing else is changed then, and the
                status is not changed otherwise.
            replaces: Whether it is a PUT, for which custom resources insist on a version.
        """
        with self.changed:
            current = self._objects.get(kind, {}).get((namespace, name))
            if current is None:
                raise _not_found(kind, name)
            wanted = change(copy.deepcopy(current))
            _check(kind, namespace, wanted)
            metadata = wanted["metadata"]
            given = metadata.get("resourceVersion")
            if replaces and not given and kind.group and "." in kind.group:
                raise _invalid(
                    kind,
                    name,
                    "metadata.resourceVersion: Invalid value: 0: must be specified for an update",
                )
            if given and given != current["metadata"]["resourceVersion"]:
                raise _conflict(
                    kind,
                    name,
                    "the object has been modified; please apply your changes to the latest version "
                    "and try again",
                )
            if metadata.get("uid", current["metadata"]["uid"]) != current["metadata"]["uid"]:
                raise _conflict(
                    kind,
                    name,
                    f"StorageError: invalid object, Code: 4, Key: /registry/{kind.plural}/"
                    f"{namespace}/{name}, ResourceVersion: 0, AdditionalErrorMsg: Precondition "
                    f"failed: UID in precondition: {metadata['uid']}, UID in object meta: "
                    f"{current['metadata']['uid']}",
                )
            result = _merged(kind, current, wanted, status)
            if _without_version(result) == _without_version(current):
                return copy.deepcopy(current)
            if result["metadata"].get("deletionTimestamp") and not _finalizers(result):
                gone = self._remove(kind, (namespace, name))
                self._collect()
                return gone
            self._put(kind, (namespace, name), result)
            self._collect()
            return copy.deepcopy(result)

    def delete(
        self, kind: Kind, namespace: str, name: str, options: Mapping[str, Any]
    ) -> tuple[Json, bool]:
        """Delete an object, or mark it as being deleted.

        Returns:
            The object, and whether it is gone already.
        """
        with self.changed:
            current = self._objects.get(kind, {}).get((namespace, name))
            if current is None:
                raise _not_found(kind, name)
            uid = (options.get("preconditions") or {}).get("uid")
            if uid and uid != current["metadata"]["uid"]:
                raise Refusal(
                    409,
                    "Conflict",
                    f'Operation cannot be fulfilled on {_singular(kind)} "{name}": the UID in the '
                    f"precondition ({uid}) does not match the UID in record "
                    f"({current['metadata']['uid']}). The object might have been deleted and then "
                    "recreated",
                    {**_details(kind, name), "kind": kind.kind},
                )
            policy = options.get("propagationPolicy")
            marked = copy.deepcopy(current)
            finalizers = _finalizers(marked)
            if policy in ("Foreground", "Orphan"):
                finalizer = _FOREGROUND if policy == "Foreground" else _ORPHAN
                if finalizer not in finalizers:
                    marked["metadata"]["finalizers"] = [*finalizers, finalizer]
            if not _finalizers(marked):
                gone = self._remove(kind, (namespace, name))
                self._collect()
                return gone, True
            if not marked["metadata"].get("deletionTimestamp"):
                marked["metadata"]["deletionTimestamp"] = _now()
                marked["metadata"]["deletionGracePeriodSeconds"] = 0
                self._put(kind, (namespace, name), marked)
            self._collect()
            still_there = self._objects.get(kind, {}).get((namespace, name))
            return copy.deepcopy(still_there or marked), False

    def compact(self) -> None:
        """Forget the history: from any version before now, nothing can start."""
        with self.changed:
            self.version += 1
            self.oldest = self.version
            self.history.clear()

    def _put(self, kind: Kind, key: Key, item: Json) -> None:
        before = self._objects.setdefault(kind, {}).get(key)
        self.version += 1
        item["metadata"]["resourceVersion"] = str(self.version)
        self._objects[kind][key] = item
        self._record(kind, before, item)

    def _remove(self, kind: Kind, key: Key) -> Json:
        before = self._objects[kind].pop(key)
        self.version += 1
        gone = copy.deepcopy(before)
        gone["metadata"]["resourceVersion"] = str(self.version)
        self._record(kind, gone, None)
        return gone

    def _record(self, kind: Kind, before: Json | None, after: Json | None) -> None:
        change = Change(self.version, kind, copy.deepcopy(before), copy.deepcopy(after))
        self.history.append(change)
        self.changed.notify_all()

    def _everything(self) -> Iterator[tuple[Kind, Key, Json]]:
        for kind, items in list(self._objects.items()):
            for key, item in list(items.items()):
                yield kind, key, item

    def _collect(self) -> None:
        """Collect garbage, which takes a moment in a real cluster."""
        while self._collect_once():
            pass

    def _collect_once(self) -> bool:
        everything = list(self._everything())
        owners = {item["metadata"]["uid"]: (key[0], item) for _, key, item in everything}
        waited_for: set[str] = set()
        acted = False
        for kind, key, item in everything:
            references = item["metadata"].get("ownerReferences") or []
            if not references:
                continue
            living = []
            for reference in references:
                where, owner = owners.get(reference["uid"], ("", None))
                # An owner in another namespace counts as absent.
                if owner is not None and where in ("", key[0]):
                    living.append(owner)
            orphaned = any(_ORPHAN in _finalizers(owner) for owner in living)
            if orphaned:
                continue
            dying = [owner for owner in living if _FOREGROUND in _finalizers(owner)]
            if not living or len(dying) == len(living):
                if not item["metadata"].get("deletionTimestamp"):
                    if dying or _finalizers(item):
                        policy = {"propagationPolicy": "Foreground"} if dying else {}
                        self.delete(kind, *key, policy)
                    else:
                        self._remove(kind, key)
                    return True
                waited_for.update(owner["metadata"]["uid"] for owner in dying)
        for kind, key, item in everything:
            own = _finalizers(item)
            if not item["metadata"].get("deletionTimestamp"):
                continue
            if _ORPHAN in own or (_FOREGROUND in own and item["metadata"]["uid"] not in waited_for):
                rest = [name for name in own if name not in (_ORPHAN, _FOREGROUND)]
                if rest:
                    continue
                self._remove(kind, key)
                acted = True
        return acted


def _merged(kind: Kind, current: Json, wanted: Json, status: bool) -> Json:
    """Take over what a request may change."""
    result = copy.deepcopy(current)
    if status:
        result["status"] = wanted.get("status") or {}
        return result
    fixed = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "namespace", "name")
    metadata = {**wanted["metadata"]}
    for name in (*fixed, "deletionGracePeriodSeconds", "resourceVersion"):
        metadata.pop(name, None)
        if name in current["metadata"]:
            metadata[name] = current["metadata"][name]
    result = {**wanted, "metadata": metadata}
    if _has_status(kind):
        result.pop("status", None)
        if "status" in current:
            result["status"] = copy.deepcopy(current["status"])
    if result.get("spec") != current.get("spec"):
        metadata["generation"] = current["metadata"].get("generation", 1) + 1
    return result


def _check(kind: Kind, namespace: str, body: Json) -> None:
    metadata = body.get("metadata") or {}
    name = metadata.get("name", "")
    given = body.get("kind", "")
    if given != kind.kind and "." in kind.group:
        why = f'{given}.{kind.group} "{name}" is invalid: kind: Invalid value: "{given}": must be '
        raise Refusal(422, "Invalid", why + kind.kind, {**_details(kind, name), "kind": given})
    if (body.get("apiVersion"), given) != (kind.api_version, kind.kind):
        raise Refusal(
            400,
            "BadRequest",
            f'{given} in version "{body.get("apiVersion")}" cannot be handled as a {kind.kind}',
        )
    if metadata.get("namespace", namespace) != namespace:
        raise Refusal(
            400,
            "BadRequest",
            "the namespace of the provided object does not match the namespace sent on the request",
        )
    if not name:
        raise _invalid(kind, "", "metadata.name: Required value: name or generateName is required")
    if not _NAME.fullmatch(name) or len(name) > 253:
        raise _invalid(
            kind,
            name,
            f'metadata.name: Invalid value: "{name}": a lowercase RFC 1123 subdomain must consist '
            "of lower case alphanumeric characters, '-' or '.', and must start and end with an "
            "alphanumeric character",
        )
    for key, value in (metadata.get("labels") or {}).items():
        if not isinstance(value, str) or len(value) > 63:
            raise _invalid(
                kind, name, f"metadata.labels: Invalid value: {json.dumps(value)}: of {key}"
            )
    annotations = metadata.get("annotations") or {}
    size = sum(len(f"{key}{value}".encode()) for key, value in annotations.items())
    if size > _MOST_ANNOTATIONS:
        why = f"metadata.annotations: Too long: may not be more than {_MOST_ANNOTATIONS} bytes"
        raise _invalid(kind, name, why)
    for index, owner in enumerate(metadata.get("ownerReferences") or []):
        for required in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(required):
                raise _invalid(
                    kind,
                    name,
                    f"metadata.ownerReferences[{index}].{required}: Required value: must not be "
                    "empty",
                )


def _has_status(kind: Kind) -> bool:
    return kind.kind != "Event"


def _without_version(item: Json) -> Json:
    metadata = {
        name: value for name, value in item["metadata"].items() if name != "resourceVersion"
    }
    return {**item, "metadata": metadata}


def _finalizers(item: Json) -> "list[str]":
    return list(item["metadata"].get("finalizers") or [])


def _singular(kind: Kind) -> str:
    return f"{kind.kind}.{kind.group}" if kind.group else kind.kind


def _details(kind: Kind, name: str) -> Json:
    return {"name": name, "group": kind.group, "kind": kind.plural}


def _not_found(kind: Kind, name: str) -> Refusal:
    return Refusal(404, "NotFound", f'{kind.qualified} "{name}" not found', _details(kind, name))


def _conflict(kind: Kind, name: str, why: str) -> Refusal:
    message = f'Operation cannot be fulfilled on {kind.qualified} "{name}": {why}'
    return Refusal(409, "Conflict", message, _details(kind, name))


def _invalid(kind: Kind, name: str, why: str) -> Refusal:
    message = f'{_singular(kind)} "{name}" is invalid: {why}'
    return Refusal(422, "Invalid", message, {**_details(kind, name), "kind": kind.kind})


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
