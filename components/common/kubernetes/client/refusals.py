"""What error responses of the API server mean, as exceptions that name a remedy."""

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
from kfp_tabular.components.common.kubernetes.client.resource_kinds import Kind

# RBAC's message for a missing permission. Quotas and admission webhooks answer 403 as well.
_DENIED = re.compile(r'User "(?P<user>[^"]*)" cannot (?P<verb>\S+) resource')
_REJECTED = frozenset({400, 405, 413, 415, 422})
_MEANINGS = {404: NotFoundError, 409: ConflictError, 410: GoneError}


@dataclass(frozen=True)
class Subject:
    """The subject of a request: what is done to which resource.

    Attributes:
        verb: The verb as in RBAC, such as `list`.
        kind: The kind of resource.
        namespace: The namespace; ignored for kinds without namespaces.
        name: The name of the object; empty for a collection.
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
    """Return the exception for an error response.

    Args:
        status: The HTTP status.
        body: Usually a `Status` object as JSON; proxies send other content.
        subject: What was requested.

    Example:
        >>> from kfp_tabular.components.common.kubernetes.client.resource_kinds import POD
        >>> body = b'{"message": "gone", "details": {"name": "p"}}'
        >>> error(404, body, Subject("get", POD, "team", "p"))
        NotFoundError('get Pod team/p: gone (HTTP 404)')
    """
    answer = _status(body)
    message = str(answer.get("message") or body[:300].decode("utf-8", errors="replace")).strip()
    if status == 403:
        return _forbidden(message, subject)
    named = bool((answer.get("details") or {}).get("name"))
    if status == 404 and (subject.verb == "create" or not named):
        return _unknown(message, named, subject)
    if status in _REJECTED:
        return RejectedError(f"{subject}: the API server rejected it: {message}")
    meaning = _MEANINGS.get(status, ApiError)
    whole = f"{subject}: {message or 'no message'} (HTTP {status})"
    return meaning(whole, status, str(answer.get("reason") or ""))


def _unknown(message: str, named: bool, subject: Subject) -> RejectedError:
    """Return the error for a missing kind or namespace, which waiting does not bring."""
    if named:
        return RejectedError(f"{subject}: {message}.")
    return RejectedError(
        f"The cluster does not know {subject.kind.kind} ({subject.kind.api_version}). Install the "
        f"operator that it belongs to, in a version that serves this API. ({message})"
    )


def _forbidden(message: str, subject: Subject) -> ForbiddenError | RejectedError:
    denied = _DENIED.search(message)
    if denied is None:
        return RejectedError(f"{subject}: forbidden: {message}")
    kind = subject.kind
    plural = f"{kind.plural}/{subject.subresource}" if subject.subresource else kind.plural
    resource = f"{plural}.{kind.group}" if kind.group else plural
    scope, role = "", "ClusterRole"
    if kind.namespaced:
        scope, role = f" in namespace {subject.namespace!r}", "Role"
    rule = json.dumps({"apiGroups": [kind.group], "resources": [plural], "verbs": [subject.verb]})
    return ForbiddenError(
        f"{denied['user']} may not {subject.verb} {resource}{scope}. Add {rule} to its {role}, or "
        "apply the manifests of this project, which grant all that is needed.",
        subject.verb,
        resource,
    )


def _status(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
