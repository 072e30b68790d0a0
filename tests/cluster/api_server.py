"""A Kubernetes API server over HTTP, for tests: real semantics, and faults on demand.

Clients cannot tell it from the real one in what they use: `Status` objects, resource versions,
watches with bookmarks and `410 Gone`, selectors, optimistic locking, preconditions, deletion in
the foreground, owner references, RBAC, pod logs.
"""

import copy
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from kfp_tabular.components.common.kubernetes.client import resource_kinds
from kfp_tabular.components.common.kubernetes.client.resource_kinds import Kind
from tests.cluster import selectors
from tests.cluster.container_logs import Logs
from tests.cluster.objects import Change, Json, Refusal, Store

WORKFLOW = Kind("argoproj.io/v1alpha1", "Workflow", "workflows")
KINDS = (
    *(value for value in vars(resource_kinds).values() if isinstance(value, Kind)),
    Kind("v1", "Secret", "secrets"),
    Kind("v1", "ConfigMap", "configmaps"),
    WORKFLOW,
)

_MERGE = "application/merge-patch+json"
_JSON_PATCH = "application/json-patch+json"
_BOOKMARK_SECONDS = 0.5


@dataclass(frozen=True)
class Rule:
    """A rule of a Role. `resources` have the form `pods` or `pods/log`; `*` means any."""

    api_groups: tuple[str, ...]
    resources: tuple[str, ...]
    verbs: tuple[str, ...]

    @classmethod
    def of(cls, rule: Mapping[str, Any]) -> "Rule":
        """Read a rule of a Role's manifest."""
        return cls(tuple(rule["apiGroups"]), tuple(rule["resources"]), tuple(rule["verbs"]))

    def allows(self, verb: str, group: str, resource: str) -> bool:
        """Tell whether it grants a verb on a resource."""
        pairs = ((self.verbs, verb), (self.api_groups, group), (self.resources, resource))
        return all({wanted, "*"} & set(allowed) for allowed, wanted in pairs)


@dataclass(frozen=True)
class Asked:
    """What a request needs the right for, as RBAC sees it."""

    verb: str
    group: str
    resource: str


@dataclass
class Faults:
    """The faults to inject.

    Attributes:
        answers: Statuses to answer instead, each once: `(verb or "", status, Retry-After or "")`.
        lost_answers: Verbs of which the next request is carried out, but never answered.
        forbidden: `(verb, resource)` pairs that are refused whatever the rules say.
        gone_in_stream: Whether a version that is too old is told by an event after a 200, or by
            the status 410.
        without_bookmarks: As servers behind some proxies.
    """

    answers: list[tuple[str, int, str]] = field(default_factory=list)
    lost_answers: list[str] = field(default_factory=list)
    forbidden: set[tuple[str, str]] = field(default_factory=set)
    gone_in_stream: bool = True
    without_bookmarks: bool = False


class _Answered(Exception):
    """A fault has answered already."""


@dataclass(frozen=True)
class _Target:
    kind: Kind
    namespace: str
    name: str
    subresource: str


class ApiServer:
    """The server. Started by `running`.

    Attributes:
        store: Its objects; tests may act on them as controllers would.
        logs: Its containers' logs.
        namespaces: Where something can be made.
        faults: What is to go wrong.
        asked: Every right that was needed for a request so far, by user.
        requests: Every request so far: method and path with query.
    """

    def __init__(
        self, kinds_served: Iterable[Kind] = KINDS, namespaces: Iterable[str] = ("default",)
    ) -> None:
        self.store = Store()
        self.logs = Logs()
        self.faults = Faults()
        self.asked: dict[str, list[Asked]] = {}
        self.requests: list[str] = []
        self._kinds = {(kind.api_version, kind.plural): kind for kind in kinds_served}
        self.namespaces = set(namespaces)
        self._users: dict[str, str] = {}
        self._rules: dict[str, list[Rule]] = {}
        self._connections: set[socket.socket] = set()
        self._streams: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._server: _Server | None = None
        self._port = 0
        self._started = 0.0

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._port}"

    @contextmanager
    def running(self) -> "Iterator[ApiServer]":
        """Serve for the duration of the block."""
        self._listen()
        try:
            yield self
        finally:
            self._stopping.set()
            self._close()

    def user(self, name: str, token: str, rules: Iterable[Rule] | None = None) -> None:
        """Add a user. Once there is one, requests without a known token are refused.

        Args:
            name: Such as `system:serviceaccount:team:default-editor`.
            token: The bearer token.
            rules: The rights; all where None.
        """
        self._users[token] = name
        if rules is not None:
            self._rules[name] = list(rules)
        else:
            self._rules.pop(name, None)

    def go_away(self) -> None:
        """Stop: break connections and refuse new ones."""
        self._close()

    def come_back(self, starting_seconds: float = 0) -> None:
        """Continue after `go_away`, with all objects.

        Args:
            starting_seconds: How long it has not loaded any rights yet, and refuses everything.
        """
        self._started = time.monotonic() + starting_seconds
        self._listen()

    def away(self, seconds: float, starting_seconds: float = 0) -> None:
        """Be away for some seconds, and return when it is back."""
        self.go_away()
        time.sleep(seconds)
        self.come_back(starting_seconds)

    def drop_streams(self) -> int:
        """Break all watches and followed logs, as a restarting proxy does. Return their number."""
        with self._lock:
            streams = list(self._streams)
        for connection in streams:
            _break(connection)
        return len(streams)

    def streams(self) -> int:
        """Return the number of open watches and followed logs."""
        with self._lock:
            return len(self._streams)

    def _listen(self) -> None:
        self._server = _Server(("127.0.0.1", self._port), self)
        self._port = self._server.server_address[1]
        threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="api server", daemon=True
        ).start()

    def _close(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        server.server_close()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            _break(connection)

    def spares(self, token: str) -> bool:
        """Tell whether faults are not for this user: `admin`, who acts for the cluster itself."""
        return self._users.get(token) == "admin"

    def authorize(self, token: str, asked: Asked, target: _Target) -> None:
        """Refuse what the token's user may not do, in the API server's words."""
        if self._users and token not in self._users:
            raise Refusal(401, "Unauthorized", "Unauthorized")
        user = self._users.get(token, "system:admin")
        self.asked.setdefault(user, []).append(asked)
        rules = self._rules.get(user)
        allowed = rules is None or any(
            rule.allows(asked.verb, asked.group, asked.resource) for rule in rules
        )
        wanted = (asked.verb, asked.resource) in self.faults.forbidden and not self.spares(token)
        starting = time.monotonic() < self._started and not self.spares(token)
        if allowed and not wanted and not starting:
            return
        named = f' "{target.name}"' if target.name else ""
        where = (
            f'in the namespace "{target.namespace}"' if target.namespace else "at the cluster scope"
        )
        raise Refusal(
            403,
            "Forbidden",
            f'{target.kind.qualified}{named} is forbidden: User "{user}" cannot {asked.verb} '
            f'resource "{asked.resource}" in API group "{asked.group}" {where}',
            {"name": target.name, "group": asked.group, "kind": target.kind.plural},
        )

    def find(self, path: str) -> _Target:
        """Find the resource of a path, whether or not it is served."""
        parts = [unquote(part) for part in path.strip("/").split("/")]
        size = 3 if parts[0] == "apis" else 2
        version, rest = "/".join(parts[1:size]), parts[size:]
        namespace = ""
        if len(rest) > 2 and rest[0] == "namespaces":
            namespace, rest = rest[1], rest[2:]
        plural, name, subresource, *_ = [*rest, "", "", ""]
        kind = self._kinds.get((version, plural), Kind(version, "", plural))
        return _Target(kind, namespace, name, subresource)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], api: ApiServer) -> None:
        self.api = api
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that have disconnected."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        with self.server.api._lock:
            self.server.api._connections.add(self.connection)

    def finish(self) -> None:
        with self.server.api._lock:
            self.server.api._connections.discard(self.connection)
        with suppress(OSError):
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""

    def do_GET(self) -> None:
        self._serve("get")

    def do_POST(self) -> None:
        self._serve("create")

    def do_PUT(self) -> None:
        self._serve("update")

    def do_PATCH(self) -> None:
        self._serve("patch")

    def do_DELETE(self) -> None:
        self._serve("delete")

    def _serve(self, verb: str) -> None:
        api = self.server.api
        length = int(self.headers.get("Content-Length") or 0)
        content = self.rfile.read(length)
        api.requests.append(f"{self.command} {self.path}")
        if self.headers.get("Upgrade"):
            # Clients in Java ask for a web socket first, and take 503 for one that there is not.
            self._refuse(Refusal(503, "ServiceUnavailable", "no web sockets here"))
            return
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        try:
            target = api.find(url.path)
            if verb == "get" and not target.name:
                verb = "watch" if query.get("watch") in ("true", "1") else "list"
            if verb == "delete" and not target.name:
                verb = "deletecollection"
            resource = "/".join(filter(None, (target.kind.plural, target.subresource)))
            token = self.headers.get("Authorization", "").partition(" ")[2]
            if not api.spares(token):
                self._fail_if_wanted(verb)
            api.authorize(token, Asked(verb, target.kind.group, resource), target)
            if not target.kind.kind:
                raise Refusal(404, "", "404 page not found")
            body = self._body(content)
            self._act(verb, target, query, body)
        except _Answered:
            return
        except Refusal as refusal:
            self._refuse(refusal)
        except selectors.UnsupportedSelector as error:
            self._refuse(Refusal(400, "BadRequest", str(error)))

    def _body(self, content: bytes) -> Any:
        if not content:
            return None
        try:
            return json.loads(content)
        except ValueError as error:
            raise Refusal(400, "BadRequest", f"the body is not JSON: {error}") from error

    def _fail_if_wanted(self, verb: str) -> None:
        answers = self.server.api.faults.answers
        for index, (wanted, status, retry_after) in enumerate(answers):
            if wanted in ("", verb):
                del answers[index]
                reason = {429: "TooManyRequests", 503: "ServiceUnavailable"}.get(status, "")
                refusal = Refusal(status, reason or "InternalError", f"as wanted: {status}")
                self._refuse(refusal, {"Retry-After": retry_after} if retry_after else {})
                raise _Answered

    def _act(self, verb: str, target: _Target, query: dict[str, str], body: Any) -> None:
        api, store = self.server.api, self.server.api.store
        where = (target.kind, target.namespace)
        if verb == "watch":
            self._watch(target, query)
            return
        if target.subresource == "log":
            self._log(target, query)
            return
        if target.subresource not in ("", "status"):
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        status = 200
        if verb == "list":
            answer = self._list(target, query)
        elif verb == "get":
            answer = store.get(*where, target.name)
        elif verb == "create":
            if target.namespace and target.namespace not in api.namespaces:
                details = {"name": target.namespace, "kind": "namespaces"}
                message = f'namespaces "{target.namespace}" not found'
                raise Refusal(404, "NotFound", message, details)
            answer, status = store.create(*where, body), 201
        elif verb == "delete":
            answer = self._delete(target, body or {})
        elif verb == "update":
            answer = store.update(
                *where, target.name, lambda _: body, status=bool(target.subresource), replaces=True
            )
        elif verb == "patch":
            change = _patch(self.headers.get("Content-Type", ""), body)
            answer = store.update(*where, target.name, change, status=bool(target.subresource))
        else:
            raise Refusal(405, "MethodNotAllowed", f"{verb} is not supported here")
        token = self.headers.get("Authorization", "").partition(" ")[2]
        if verb in api.faults.lost_answers and not api.spares(token):
            api.faults.lost_answers.remove(verb)
            _break(self.connection)
            return
        self._answer(status, answer)

    def _delete(self, target: _Target, options: Mapping[str, Any]) -> Json:
        gone, is_gone = self.server.api.store.delete(
            target.kind, target.namespace, target.name, options
        )
        if not is_gone or target.kind.kind == "Pod":
            return gone
        details = {
            "name": target.name,
            "group": target.kind.group,
            "kind": target.kind.plural,
            "uid": gone["metadata"]["uid"],
        }
        return _status("Success", 0, "", "", details)

    def _list(self, target: _Target, query: Mapping[str, str]) -> Json:
        store, kind = self.server.api.store, target.kind
        matches = selectors.matcher(
            kind.plural, query.get("labelSelector", ""), query.get("fieldSelector", "")
        )
        with store.changed:
            found = [item for item in store.list(kind, target.namespace) if matches(item)]
            version = str(store.version)
        if "." not in kind.group:
            # Lists of built-in kinds do not repeat the kind in every item.
            for item in found:
                del item["apiVersion"], item["kind"]
        metadata: Json = {"resourceVersion": version}
        start = int(query.get("continue") or 0)
        limit = int(query.get("limit") or 0)
        if limit and len(found) > start + limit:
            metadata |= {
                "continue": str(start + limit),
                "remainingItemCount": len(found) - start - limit,
            }
        items = found[start : start + limit] if limit else found[start:]
        return {
            "apiVersion": kind.api_version,
            "kind": f"{kind.kind}List",
            "metadata": metadata,
            "items": items,
        }

    def _watch(self, target: _Target, query: Mapping[str, str]) -> None:
        api, store, kind = self.server.api, self.server.api.store, target.kind
        matches = selectors.matcher(
            kind.plural, query.get("labelSelector", ""), query.get("fieldSelector", "")
        )
        since = int(query.get("resourceVersion") or 0)
        bookmarks = query.get("allowWatchBookmarks") in ("true", "1")
        bookmarks = bookmarks and not api.faults.without_bookmarks
        end = time.monotonic() + float(query.get("timeoutSeconds") or 1800)
        if since and since < store.oldest:
            gone = _status(
                "Failure", 410, "Expired", f"too old resource version: {since} ({store.oldest})", {}
            )
            if not api.faults.gone_in_stream:
                self._answer(410, gone)
                return
            with self._stream("application/json"):
                self._chunk(_line("ERROR", gone))
            return
        with self._stream("application/json"):
            if not since:
                with store.changed:
                    since = store.version
                    present = store.list(kind, target.namespace)
                for item in filter(matches, present):
                    self._chunk(_line("ADDED", item))
            told = since
            last_bookmark = time.monotonic()
            while not api._stopping.is_set():
                changes = self._changes_after(told, min(0.1, max(0, end - time.monotonic())))
                for change in changes:
                    told = change.version
                    event = _event(change, target, matches)
                    if event:
                        self._chunk(event)
                now = time.monotonic()
                if bookmarks and (now - last_bookmark > _BOOKMARK_SECONDS or now >= end):
                    last_bookmark = now
                    self._chunk(_line("BOOKMARK", _bookmark(kind, told)))
                if now >= end:
                    return
                if not changes:
                    self._check_connection()

    def _changes_after(self, version: int, seconds: float) -> list[Change]:
        store = self.server.api.store
        with store.changed:
            if store.version <= version:
                store.changed.wait(seconds)
            return [change for change in store.history if change.version > version]

    def _log(self, target: _Target, query: dict[str, str]) -> None:
        api = self.server.api
        pod = api.store.get(target.kind, target.namespace, target.name)
        container = _container(pod, query.get("container", ""))
        try:
            lines = api.logs.read(target.namespace, target.name, container, query)
        except LookupError as error:
            raise Refusal(400, "BadRequest", error.args[0]) from error
        with self._stream("text/plain"):
            for line in lines:
                if line:
                    self._chunk(line)
                    continue
                self._check_connection()
                try:
                    api.store.get(target.kind, target.namespace, target.name)
                except Refusal:
                    return

    @contextmanager
    def _stream(self, content_type: str) -> Iterator[None]:
        api = self.server.api
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        with api._lock:
            api._streams.add(self.connection)
        try:
            yield
            self.wfile.write(b"0\r\n\r\n")
            self.wfile.flush()
        except (OSError, ssl.SSLError):
            self.close_connection = True
        finally:
            with api._lock:
                api._streams.discard(self.connection)

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(content), content))
        self.wfile.flush()

    def _check_connection(self) -> None:
        """Notice a client that has disconnected, even while nothing is written."""
        self.connection.setblocking(False)
        try:
            if self.connection.recv(1, socket.MSG_PEEK) == b"":
                raise ConnectionResetError
        except BlockingIOError:
            pass
        finally:
            self.connection.setblocking(True)

    def _refuse(self, refusal: Refusal, headers: Mapping[str, str] | None = None) -> None:
        if not refusal.reason:
            self._send(refusal.status, refusal.message.encode(), "text/plain", headers or {})
            return
        self._answer(
            refusal.status,
            _status("Failure", refusal.status, refusal.reason, refusal.message, refusal.details),
            headers,
        )

    def _answer(
        self, status: int, answer: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> None:
        self._send(status, json.dumps(answer).encode(), "application/json", headers or {})

    def _send(
        self, status: int, content: bytes, content_type: str, headers: Mapping[str, str]
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()


def _event(change: Change, target: _Target, matches: Callable[[Json], bool]) -> bytes | None:
    """Return a watch's event for a change: added, modified or deleted, by the watch's selector."""
    sample = change.after or change.before
    assert sample is not None
    if change.kind != target.kind:
        return None
    if target.namespace and sample["metadata"].get("namespace") != target.namespace:
        return None
    was = change.before is not None and matches(change.before)
    now = change.after is not None and matches(change.after)
    if now and change.after is not None:
        return _line("MODIFIED" if was else "ADDED", change.after)
    if not was:
        return None
    assert change.before is not None
    last = copy.deepcopy(change.before)
    last["metadata"]["resourceVersion"] = str(change.version)
    return _line("DELETED", last)


def _bookmark(kind: Kind, version: int) -> Json:
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"resourceVersion": str(version), "creationTimestamp": None},
    }


def _line(event: str, item: Mapping[str, Any]) -> bytes:
    return json.dumps({"type": event, "object": item}).encode() + b"\n"


def _status(status: str, code: int, reason: str, message: str, details: Mapping[str, Any]) -> Json:
    answer: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": status}
    if status == "Failure":
        answer |= {"message": message, "reason": reason, "code": code}
    return answer | ({"details": dict(details)} if details else {})


def _container(pod: Mapping[str, Any], wanted: str) -> str:
    """Find the container whose log is asked for, as the API server and the kubelet do."""
    name, names = pod["metadata"]["name"], [item["name"] for item in pod["spec"]["containers"]]
    if not wanted and len(names) > 1:
        raise Refusal(
            400,
            "BadRequest",
            f"a container name must be specified for pod {name}, choose one of: "
            f"[{' '.join(names)}]",
        )
    container = wanted or names[0]
    if container not in names:
        raise Refusal(400, "BadRequest", f"container {container} is not valid for pod {name}")
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        waiting = (status.get("state") or {}).get("waiting")
        if status["name"] == container and (not waiting or status.get("lastState")):
            return container
        if status["name"] == container:
            raise _waits(container, name, waiting["reason"])
    raise _waits(container, name, "ContainerCreating")


def _waits(container: str, pod: str, reason: str) -> Refusal:
    trouble = "trying and failing to pull image" if "Image" in reason else reason
    return Refusal(
        400,
        "BadRequest",
        f'container "{container}" in pod "{pod}" is waiting to start: {trouble}',
    )


def _patch(content_type: str, patch: Any) -> Callable[[Json], Json]:
    if content_type.startswith(_MERGE):
        return lambda current: merged(current, patch)
    if content_type.startswith(_JSON_PATCH):
        return lambda current: _patched(current, patch)
    raise Refusal(
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: "
        f"{_JSON_PATCH}, {_MERGE}, application/apply-patch+yaml",
    )


def merged(current: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    result = dict(current) if isinstance(current, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def _patched(current: Json, operations: list[Json]) -> Json:
    """Apply the JSON patch operations (RFC 6902) that clients of Kubernetes use."""
    document: Any = copy.deepcopy(current)
    for operation in operations:
        *parents, last = [
            part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]
        ]
        holder = document
        try:
            for part in parents:
                holder = holder[int(part)] if isinstance(holder, list) else holder[part]
            _apply(holder, last, operation)
        except (KeyError, IndexError, ValueError) as error:
            message = f"the server rejected our request due to an error in our request: {error}"
            raise Refusal(422, "Invalid", message) from error
    result: Json = document
    return result


def _apply(holder: Any, last: str, operation: Json) -> None:
    what = operation["op"]
    key: Any = last
    if isinstance(holder, list):
        key = len(holder) if last == "-" else int(last)
    if what == "test":
        if holder[key] != operation["value"]:
            raise ValueError(f"testing value {operation['path']} failed")
    elif what == "remove":
        del holder[key]
    elif what == "add" and isinstance(holder, list):
        holder.insert(key, operation["value"])
    elif what == "replace" and key not in (
        holder if isinstance(holder, dict) else range(len(holder))
    ):
        raise KeyError(operation["path"])
    else:
        holder[key] = operation["value"]


def _break(connection: socket.socket) -> None:
    """Break a connection hard, with a reset."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        connection.shutdown(socket.SHUT_RDWR)
    with suppress(OSError):
        connection.close()
