"""Access to the Kubernetes API: the official client with retries and errors that name a remedy."""

import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.kubernetes.client import access, refusals, watching
from kfp_tabular.components.common.kubernetes.client.errors import (
    AbortedError,
    ForbiddenError,
)
from kfp_tabular.components.common.kubernetes.client.resource_kinds import POD, Kind, Object
from kfp_tabular.components.common.kubernetes.client.retries import (
    Retry,
    RetryPolicy,
    TransientFailure,
    is_transient,
)
from kfp_tabular.components.common.kubernetes.client.watching import Listing

if TYPE_CHECKING:
    from kubernetes.client import ApiClient
    from urllib3 import BaseHTTPResponse

T = TypeVar("T")

_MERGE_PATCH = "application/merge-patch+json"
_JSON = "application/json"

_CONNECT_SECONDS = 10
# A log may be silent for long. After this time it is requested again, in case the connection died.
_LOG_SECONDS = 300

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Request:
    """One request, as HTTP and RBAC see it."""

    method: str
    verb: str
    kind: Kind
    namespace: str
    name: str = ""
    subresource: str = ""
    query: Mapping[str, str | int] | None = None
    body: Object | None = None
    content_type: str = _JSON

    @property
    def path(self) -> str:
        root = "/apis/" if self.kind.group else "/api/"
        parts = [root + self.kind.api_version]
        if self.kind.namespaced:
            parts += ["namespaces", quote(self.namespace, safe="")]
        parts.append(self.kind.plural)
        parts += [quote(part, safe="") for part in (self.name, self.subresource) if part]
        return "/".join(parts)

    @property
    def subject(self) -> refusals.Subject:
        return refusals.Subject(self.verb, self.kind, self.namespace, self.name, self.subresource)

    @property
    def right(self) -> tuple[str, Kind, str, str]:
        return self.verb, self.kind, self.namespace, self.subresource


class Api:
    """Access to one cluster. Threads may share it.

    Every call retries after lost connections, 429 and 5xx, until the API server was unavailable
    for `retry_policy.unreachable_seconds`. So a `create` may find the object it made itself, and a
    `replace` with a resource version its own change: both raise `ConflictError`.

    Every call may raise `ForbiddenError` (403), `RejectedError` (400, 422, unknown kind),
    `UnreachableError` and `AbortedError`, or `ApiError` for other responses.

    Attributes:
        namespace: The default namespace: that of this pod, or of the kubeconfig's context.
        retry_policy: What is retried and for how long.
    """

    def __init__(
        self,
        client: "ApiClient",
        namespace: str,
        retry_policy: RetryPolicy | None = None,
        authority_advice: str = "",
    ) -> None:
        self.namespace = namespace
        self._authority_advice = authority_advice
        self.retry_policy = retry_policy or RetryPolicy()
        self._client = client
        self._aborted = threading.Event()
        self._lock = threading.Lock()
        self._streams: set[BaseHTTPResponse] = set()
        self._granted: set[tuple[str, Kind, str, str]] = set()

    def bound(self, **changes: float) -> "Api":
        """Return the same access for one piece of work, which `abort` ends.

        Args:
            changes: Fields of the retry policy to replace, by name.
        """
        policy = replace(self.retry_policy, **changes)
        other = Api(self._client, self.namespace, policy, self._authority_advice)
        other._granted = self._granted
        return other

    def abort(self) -> None:
        """End waits and streams of this access; they and later calls raise `AbortedError`."""
        self._aborted.set()
        with self._lock:
            for response in self._streams:
                # A response that ended meanwhile has no socket any more.
                with suppress(OSError, ValueError, RuntimeError):
                    response.shutdown()

    def pause(self, seconds: float) -> None:
        """Wait for a number of seconds.

        Raises:
            AbortedError: `abort` was called.
        """
        if self._aborted.wait(seconds):
            raise AbortedError

    def get(self, kind: Kind, name: str, namespace: str = "") -> Object:
        """Return an object.

        Raises:
            NotFoundError: It does not exist.
        """
        return self._json(self._request("GET", "get", kind, namespace, name=name))

    def create(self, kind: Kind, body: Object, namespace: str = "") -> Object:
        """Create an object, and return it with the server's defaults.

        Raises:
            ConflictError: The name is taken.
        """
        return self._json(self._request("POST", "create", kind, namespace, body=body))

    def replace(self, kind: Kind, body: Object, namespace: str = "") -> Object:
        """Replace an object; if `body` has a resource version, only that version.

        Raises:
            ConflictError: It changed since it was read.
            NotFoundError: It does not exist.
        """
        name = str(body["metadata"]["name"])
        return self._json(self._request("PUT", "update", kind, namespace, name=name, body=body))

    def patch(self, kind: Kind, name: str, changes: Object, namespace: str = "") -> Object:
        """Apply a JSON merge patch: None removes a field, a list is replaced as a whole.

        If `changes` has `metadata.resourceVersion`, it applies to that version only.

        Raises:
            ConflictError: It changed since it was read.
            NotFoundError: It does not exist.
        """
        request = self._request("PATCH", "patch", kind, namespace, name=name, body=changes)
        return self._json(replace(request, content_type=_MERGE_PATCH))

    def delete(
        self,
        kind: Kind,
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        propagation: str = "",
    ) -> None:
        """Request the deletion of an object, which lasts until its finalizers are done.

        Args:
            kind: The kind of the object.
            name: Its name.
            namespace: Its namespace; empty for the default.
            uid: Delete only the object with this uid, not a later one of the same name.
            propagation: `Foreground` keeps it until all objects that it owns are deleted,
                `Background` does not; empty for the propagation of the kind.

        Raises:
            NotFoundError: It does not exist.
            ConflictError: The existing object has another uid.
        """
        options: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation or kind.propagation,
        }
        if uid:
            options["preconditions"] = {"uid": uid}
        self._json(self._request("DELETE", "delete", kind, namespace, name=name, body=options))

    def list(
        self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> Listing:
        """Return the objects that match label and field selectors, such as `a=b,c!=d`."""
        query = _selectors(labels, fields)
        found = self._json(self._request("GET", "list", kind, namespace, query=query))
        return Listing(found.get("items") or [], found["metadata"].get("resourceVersion", ""))

    def watch(
        self, kind: Kind, namespace: str = "", *, name: str = "", labels: str = ""
    ) -> Iterator[Mapping[str, Object]]:
        """Yield all matching objects by name: now, and after every change, without an end.

        Handles calls that end, lost connections, stale versions and a forbidden `watch`, in which
        case it lists at intervals. An object that is missing was deleted.

        Args:
            kind: The kind of the objects.
            namespace: Their namespace; empty for the default.
            name: Watch only the object of this name.
            labels: A label selector.
        """
        fields = f"metadata.name={name}" if name else ""

        def events(since: str) -> Iterator[Object]:
            return self.watch_call(kind, namespace, since=since, labels=labels, fields=fields)

        return watching.snapshots(
            lambda: self.list(kind, namespace, labels=labels, fields=fields),
            events,
            self.pause,
            self.retry_policy,
        )

    def watch_call(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        since: str,
        labels: str = "",
        fields: str = "",
    ) -> Iterator[Object]:
        """Yield the events of one watch call. `watch` turns them into snapshots.

        Args:
            kind: The objects' kind.
            namespace: Their namespace; empty for the default.
            since: The resource version to start from.
            labels: A label selector.
            fields: A field selector.

        Raises:
            ConnectionError: The stream broke.
            GoneError: The resource version is too old.
        """
        seconds = self.retry_policy.watch_seconds
        query = _selectors(labels, fields) | {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": since,
            "timeoutSeconds": max(1, round(seconds)),
        }
        request = self._request("GET", "watch", kind, namespace, query=query)
        for line in self._lines(request, seconds + self.retry_policy.answer_seconds):
            try:
                yield json.loads(line)
            except ValueError as error:
                raise ConnectionError(f"the stream ended within a line: {error}") from error

    def logs(
        self,
        pod: str,
        namespace: str = "",
        *,
        container: str = "",
        follow: bool = False,
        timestamps: bool = False,
        since: str = "",
        tail: int = 0,
        previous: bool = False,
    ) -> Iterator[str]:
        """Yield the lines of a container's log, without line ends.

        Args:
            pod: The name of the pod.
            namespace: Its namespace; empty for the default.
            container: The container; required if the pod has several.
            follow: Continue until the container ends.
            timestamps: Start each line with an RFC 3339 time with nanoseconds and a space.
            since: Only lines from this RFC 3339 time on; the server truncates it to seconds.
            tail: Only this many last lines; 0 for all.
            previous: Read the log from before the last restart of the container.

        Raises:
            NotFoundError: The pod does not exist.
            ConnectionError: The stream broke after it had begun.
        """
        given: dict[str, str | int] = {
            "container": container,
            "follow": "true" if follow else "",
            "timestamps": "true" if timestamps else "",
            "sinceTime": since,
            "tailLines": tail,
            "previous": "true" if previous else "",
        }
        query = {name: value for name, value in given.items() if value}
        request = self._request("GET", "get", POD, namespace, name=pod, query=query)
        return self._lines(replace(request, subresource="log"), _LOG_SECONDS)

    def _request(
        self,
        method: str,
        verb: str,
        kind: Kind,
        namespace: str,
        *,
        name: str = "",
        query: Mapping[str, str | int] | None = None,
        body: Object | None = None,
    ) -> _Request:
        where = namespace or self.namespace
        return _Request(method, verb, kind, where, name=name, query=query, body=body)

    def _json(self, request: _Request) -> Object:
        content = self._answer(request, lambda response: response.data)
        answer: Object = json.loads(content)
        return answer

    def _lines(self, request: _Request, silence_seconds: float) -> Iterator[str]:
        response = self._answer(request, lambda response: response, silence_seconds)
        return self._read_lines(response)

    def _read_lines(self, response: "BaseHTTPResponse") -> Iterator[str]:
        from urllib3.exceptions import HTTPError

        buffer = bytearray()
        with self._tracked(response):
            try:
                for chunk in response.stream(2**16, decode_content=True):
                    buffer += chunk
                    *lines, rest = buffer.split(b"\n")
                    buffer = bytearray(rest)
                    for line in lines:
                        yield line.decode("utf-8", errors="replace")
            except (HTTPError, OSError) as error:
                if self._aborted.is_set():
                    raise AbortedError from error
                raise ConnectionError(str(error)) from error
        if self._aborted.is_set():
            raise AbortedError
        if buffer:
            yield buffer.decode("utf-8", errors="replace")

    @contextmanager
    def _tracked(self, response: "BaseHTTPResponse") -> Iterator[None]:
        """Let `abort` reach a response while it is read; close it at the end."""
        with self._lock:
            self._streams.add(response)
        try:
            if self._aborted.is_set():
                raise AbortedError
            yield
        finally:
            with self._lock:
                self._streams.discard(response)
            response.close()
            response.release_conn()

    def _answer(
        self,
        request: _Request,
        read: "Callable[[BaseHTTPResponse], T]",
        silence_seconds: float | None = None,
    ) -> "T":
        """Send a request, with retries, until the response is final."""
        retry = Retry(self.retry_policy, str(request.subject))
        while True:
            if self._aborted.is_set():
                raise AbortedError
            try:
                answer = self._attempt(request, read, silence_seconds)
            except ForbiddenError as error:
                if not retry.failures and not self._expects(request):
                    raise
                answer = TransientFailure(str(error), 403, refusal=error)
            if not isinstance(answer, TransientFailure):
                retry.succeeded()
                self._granted.add(request.right)
                return answer
            self.pause(retry.delay_after(answer))

    def _expects(self, request: _Request) -> bool:
        """Whether a permission should exist, since it, or one that it belongs to, was granted."""
        return request.verb == "delete" or request.right in self._granted

    def _attempt(
        self,
        request: _Request,
        read: "Callable[[BaseHTTPResponse], T]",
        silence_seconds: float | None,
    ) -> "T | TransientFailure":
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        seconds = self.retry_policy.answer_seconds
        try:
            response = self._client.call_api(
                request.path,
                request.method,
                query_params=list((request.query or {}).items()),
                header_params={"Accept": _JSON, "Content-Type": request.content_type},
                body=request.body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _return_http_data_only=True,
                _request_timeout=(min(seconds, _CONNECT_SECONDS), silence_seconds or seconds),
            )
            return read(response)
        except ApiException as error:
            if error.status == 0:
                return _tls_failure(str(error.reason), self._authority_advice)
            if is_transient(error.status):
                return TransientFailure.of(error)
            raise refusals.error(error.status, error.body or b"", request.subject) from None
        except (HTTPError, OSError) as error:
            return TransientFailure(f"{type(error).__name__}: {error}")


def _tls_failure(reason: str, advice: str) -> TransientFailure:
    """Tell a connection lost during its handshake from a certificate that is not trusted."""
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        raise UserError(
            f"The certificate of the API server is not trusted: {reason.splitlines()[-1]}. {advice}"
        )
    return TransientFailure(reason.replace("\n", ": "))


def _selectors(labels: str, fields: str) -> dict[str, str | int]:
    given = {"labelSelector": labels, "fieldSelector": fields}
    return {name: value for name, value in given.items() if value}


def connect(retry_policy: RetryPolicy | None = None) -> Api:
    """Connect with `KUBECONFIG`, else the service account of the pod, else `~/.kube/config`.

    Args:
        retry_policy: What is retried and for how long; None for the defaults.

    Raises:
        UserError: None of them exists, or it cannot be used.
    """
    found = access.find()
    return Api(found.client, found.namespace, retry_policy, found.authority_advice)
