"""Kubeflow's Model Registry as far as this project uses it: REST, unique names, no aliases."""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

API = "/api/model_registry/v1alpha3"
TOKEN = "let-me-in"


class State:
    def __init__(self):
        self.lock = threading.Lock()
        self.models, self.versions, self.artifacts = {}, {}, {}
        self.next = 1

    def make(self, kind, entry):
        now = str(int(time.time() * 1000))
        entry = {**entry, "id": str(self.next), "createTimeSinceEpoch": now}
        self.next += 1
        kind[entry["id"]] = entry
        return entry


def answer(state, method, path, query, body):
    if path == "/registered_model":
        found = [it for it in state.models.values() if it["name"] == query["name"][0]]
        return (200, found[0]) if found else (404, {"message": "not found"})
    if path == "/registered_models" and method == "GET":
        return 200, page(list(state.models.values()), query)
    if path == "/registered_models":
        if any(it["name"] == body["name"] for it in state.models.values()):
            return 409, {"message": "already exists"}
        return 201, state.make(state.models, body)
    if path == "/model_version":
        parent, name = query["parentResourceId"][0], query["name"][0]
        own = [it for it in state.versions.values() if it["registeredModelId"] == parent]
        found = [it for it in own if it["name"] == name]
        return (200, found[0]) if found else (404, {"message": "not found"})
    match = re.fullmatch(r"/registered_models/(\d+)/versions", path)
    if match:
        own = [it for it in state.versions.values() if it["registeredModelId"] == match[1]]
        if method == "GET":
            return 200, page(own, query)
        if any(it["name"] == body["name"] for it in own):
            return 409, {"message": "already exists"}
        return 201, state.make(state.versions, body)
    match = re.fullmatch(r"/model_versions/(\d+)/artifacts", path)
    if match:
        own = [it for it in state.artifacts.values() if it["version"] == match[1]]
        if method == "GET":
            return 200, page(own, query)
        return 201, state.make(state.artifacts, {**body, "version": match[1]})
    for pattern, kind in (
        (r"/registered_models/(\d+)", state.models),
        (r"/model_versions/(\d+)", state.versions),
        (r"/model_artifacts/(\d+)", state.artifacts),
    ):
        match = re.fullmatch(pattern, path)
        if match and method == "PATCH":
            kind[match[1]].update(body)
            return 200, kind[match[1]]
    return 404, {"message": f"{method} {path}"}


def page(entries, query):
    """Two entries a page, whatever is asked for: readers must follow the token."""
    start = int(query.get("nextPageToken", ["0"])[0])
    rest = entries[start + 2 :]
    token = str(start + 2) if rest else ""
    return {"items": entries[start : start + 2], "nextPageToken": token, "size": 2, "pageSize": 2}


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
                    status, document = answer(
                        state, self.command, path, parse_qs(parts.query), body
                    )
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = handle_any

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"model-registry+http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
