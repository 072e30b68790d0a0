"""Kubeflow's Model Registry as far as this project uses it: REST, unique names, no aliases.

`recorded_answers.json` has answers of the real server, and a test compares these with them.
"""

import base64
import binascii
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from tests.servers import loopback

API = "/api/model_registry/v1alpha3"
TOKEN = "let-me-in"


class State:
    def __init__(self):
        self.lock = threading.Lock()
        self.models, self.versions, self.artifacts = {}, {}, {}
        self.next = 1

    def make(self, kind, entry):
        now = str(int(time.time() * 1000))
        times = {"createTimeSinceEpoch": now, "lastUpdateTimeSinceEpoch": now}
        entry = {"customProperties": {}, **entry, "id": str(self.next), **times}
        self.next += 1
        kind[entry["id"]] = entry
        return entry


class Refused(Exception):
    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code = status, code


BASE = {"customProperties", "description", "externalId", "name", "state"}
FIELDS = {
    "models": BASE | {"owner"},
    "versions": BASE | {"author", "registeredModelId"},
    "artifacts": BASE | {"artifactType", "uri", "modelFormatName", "modelFormatVersion"},
}


def check(kind, body):
    for name in body:
        if name not in FIELDS[kind]:
            raise Refused(400, "Bad Request", f'json: unknown field "{name}"')
    for value in (body.get("customProperties") or {}).values():
        if set(value) != {"metadataType", "string_value"}:
            raise Refused(400, "Bad Request", "data failed to match schemas in oneOf")


def missing(what):
    return Refused(404, "Not Found", f"no {what} found: not found")


def taken(what, name):
    return Refused(409, "Conflict", f"{what} with name {name} already exists: conflict")


def answer(state, method, path, query, body):
    if path == "/registered_model":
        found = [it for it in state.models.values() if it["name"] == query["name"][0]]
        if not found:
            raise missing("registered models")
        return 200, found[0]
    if path == "/registered_models" and method == "GET":
        return 200, page(list(state.models.values()), query)
    if path == "/registered_models":
        check("models", body)
        if any(it["name"] == body["name"] for it in state.models.values()):
            raise taken("registered model", body["name"])
        return 201, state.make(state.models, {**body, "state": "LIVE"})
    if path == "/model_version":
        parent, name = query["parentResourceId"][0], query["name"][0]
        own = [it for it in state.versions.values() if it["registeredModelId"] == parent]
        found = [it for it in own if it["name"] == name]
        if not found:
            raise missing("model versions")
        return 200, found[0]
    match = re.fullmatch(r"/registered_models/(\d+)/versions", path)
    if match:
        own = [it for it in state.versions.values() if it["registeredModelId"] == match[1]]
        if method == "GET":
            return 200, page(own, query)
        check("versions", body)
        if any(it["name"] == body["name"] for it in own):
            raise taken("model version", body["name"])
        return 201, state.make(state.versions, {**body, "state": "LIVE"})
    match = re.fullmatch(r"/model_versions/(\d+)/artifacts", path)
    if match:
        own = [it for number, it in state.artifacts.values() if number == match[1]]
        if method == "GET":
            return 200, page(own, query)
        check("artifacts", body)
        made = state.make({}, body)
        state.artifacts[made["id"]] = (match[1], made)
        return 201, made
    for pattern, kind in (
        (r"/registered_models/(\d+)", "models"),
        (r"/model_versions/(\d+)", "versions"),
        (r"/model_artifacts/(\d+)", "artifacts"),
    ):
        match = re.fullmatch(pattern, path)
        entries = getattr(state, kind)
        if match and match[1] not in entries:
            raise missing(kind)
        if match and method == "PATCH":
            check(kind, body)
            entry = entries[match[1]]
            entry = entry[1] if kind == "artifacts" else entry
            entry.update({"state": "UNKNOWN"} if kind == "artifacts" else {})
            entry.update(body)
            return 200, entry
    return 404, {"code": "Not Found", "message": f"{method} {path}"}


def page(entries, query):
    """Two entries a page, whatever is asked for: readers must follow the token."""
    token = query.get("nextPageToken", [""])[0]
    try:
        start = int(base64.b64decode(token, validate=True) or "0")
    except (binascii.Error, ValueError) as error:
        raise Refused(400, "Bad Request", f"invalid nextPageToken: {error}") from error
    rest = entries[start + 2 :]
    after = base64.b64encode(str(start + 2).encode()).decode() if rest else ""
    return {"items": entries[start : start + 2], "nextPageToken": after, "size": 2, "pageSize": 2}


@contextmanager
def running(token: str = "") -> Iterator[str]:
    """Run a server; yield its address for `open_registry`."""
    state = State()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

        def handle_any(self):
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            if token and self.headers.get("Authorization") != f"Bearer {token}":
                status, document = 401, {"message": "unauthorized"}
            else:
                with state.lock:
                    path = parts.path.removeprefix(API)
                    try:
                        query = parse_qs(parts.query)
                        status, document = answer(state, self.command, path, query, body)
                    except Refused as error:
                        status = error.status
                        document = {"code": error.code, "message": str(error)}
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = handle_any

    with loopback.serving(Handler) as address:
        yield f"model-registry+http://{address}"
