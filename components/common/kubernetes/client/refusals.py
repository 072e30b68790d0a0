"""What the API server's refusals mean, and what one can do about them."""

import json
import re
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common.kubernetes.client.errors import (
    ApiError,
    ConflictError,
    ForbiddenError,
    GoneError,
    NotFoundError,
    RejectedError,
)
from kfp_tabular.components.common.kubernetes.client.kinds import Kind

# How RBAC says that a permission is missing; quotas and admission webhooks answer 403 as well.
_DENIED = re.compile(r'User "(?P<user>[^"]*)" cannot (?P<verb>\S+) resource')
_REJECTED = frozenset({400, 405, 413, 415, 422})
_MEANINGS = {404: NotFoundError, 409: ConflictError, 410: GoneError}


@dataclass(frozen=True)
class Subject:
    """What a request was about.

    Attributes:
        verb: As RBAC has it, such as `list`.
        kind: The kind of resource.
        namespace: Where; ignored for kinds without namespaces.
        name: The object's name; empty for a whole collection.
        subresource: Such as `log`; may be empty.
    """

    verb: str
    kind: Kind
    namespace: str
    name: str = ""
    subresource: str = ""

    def __str__(self) -> str:
        place = f"{self.namespace}/" if self.kind.namespaced else ""
        return f"{self.verb} {self.kind.kind} {place}{self.name}".rstrip("/ ")


def error(status: int, body: bytes, subject: Subject) -> ApiError | ForbiddenError | RejectedError:
    """Gives the exception that stands for an answer that is no success.

    Args:
        status: The HTTP status.
        body: Usually a `Status` object as JSON; proxies answer otherwise.
        subject: What was asked for.
    """
    answer = _status(body)
    message = str(answer.get("message") or body[:300].decode("utf-8", errors="replace")).strip()
    if status == 403:
        return _forbidden(message, subject)
    named = bool((answer.get("details") or {}).get("name"))
    if status == 404 and (subject.verb == "create" or not named):
        return _unknown(message, named, subject)
    if status in _REJECTED:
        return RejectedError(f"{subject}: the API server does not accept this: {message}")
    meaning = _MEANINGS.get(status, ApiError)
    whole = f"{subject}: {message or 'no message'} (HTTP {status})"
    return meaning(whole, status, str(answer.get("reason") or ""))


def _unknown(message: str, named: bool, subject: Subject) -> RejectedError:
    """Something that a request needs is not there, and will not come by waiting."""
    if named:
        return RejectedError(f"{subject}: {message}.")
    return RejectedError(
        f"the cluster does not know {subject.kind.kind} ({subject.kind.api_version}); is the "
        f"operator that it belongs to installed, in this version? ({message})"
    )


def _forbidden(message: str, subject: Subject) -> ForbiddenError | RejectedError:
    denied = _DENIED.search(message)
    if denied is None:
        return RejectedError(f"{subject}: refused: {message}")
    kind = subject.kind
    plural = f"{kind.plural}/{subject.subresource}" if subject.subresource else kind.plural
    resource = f"{plural}.{kind.group}" if kind.group else plural
    scope, role = "", "ClusterRole"
    if kind.namespaced:
        scope, role = f" in namespace {subject.namespace!r}", "Role"
    rule = json.dumps({"apiGroups": [kind.group], "resources": [plural], "verbs": [subject.verb]})
    return ForbiddenError(
        f"{denied['user']} may not {subject.verb} {resource}{scope}. Add {rule} to its {role}; the "
        "manifests of this project grant all that is needed.",
        subject.verb,
        resource,
    )


def _status(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
