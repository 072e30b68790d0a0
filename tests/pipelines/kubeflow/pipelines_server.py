"""A Kubeflow Pipelines API server, as far as submitting, scheduling and following need it.

It speaks the v2beta1 REST API and checks what the real one checks: that a spec is a spec, that a
reference exists, that a token is valid. It has the habits of version 2.17: errors of runs and tasks
are null, a log that cannot be read is an error with status 200, deleting a schedule deletes the
Workflows of its runs, which it then lists as running for good.
"""

import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

PREFIX = "/apis/v2beta1/"
LOG = re.compile(r"/apis/v1alpha1/runs/([^/]+)/nodes/([^/]+)/log")
EPOCH = "1970-01-01T00:00:00Z"


class PipelinesServer:
    """The server's state, and the switches that tests turn.

    Attributes:
        token: The bearer token to ask for; empty for none.
        experiments: By id.
        runs: By id.
        recurring: By id.
        states: What a run shows each time it is looked at; the last stays.
        failing: Answers with this status for so many requests: `[503, 503]`.
        logs: A pod's log by the pod's name, or the status that its request is answered with.
        read: The pods whose logs were asked for.
        looked: Called when a run is looked at, or runs are listed.
        killed: Runs whose Workflow was deleted with their schedule.
        terminated: Runs that were asked to stop.
    """

    def __init__(self) -> None:
        self.url = ""
        self.token = ""
        self.experiments: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.recurring: dict[str, dict[str, Any]] = {}
        self.states: list[dict[str, Any]] = []
        self.failing: list[int] = []
        self.logs: dict[str, str | int] = {}
        self.read: list[str] = []
        self.looked: Callable[[], None] = lambda: None
        self.killed: list[str] = []
        self.terminated: list[str] = []

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> Any:
        """Answer a request, or raise `Refused`."""
        kind, _, identifier = path.partition("/")
        identifier, _, action = identifier.partition(":")
        if kind == "healthz":
            return {"multi_user": False}
        stores = {
            "experiments": self.experiments,
            "runs": self.runs,
            "recurringruns": self.recurring,
        }
        if kind not in stores:
            raise Refused(404, "no such route")
        store = stores[kind]
        if method == "POST" and not identifier:
            return self._make(kind, store, body)
        if identifier and identifier not in store:
            raise Refused(404, f"{kind} {identifier} not found")
        if action:
            return self._act(store[identifier], action)
        if method == "DELETE":
            return self._delete(kind, store, identifier, query)
        if identifier:
            return self._look(identifier) if kind == "runs" else store[identifier]
        return self._list(kind, store, query)

    def _make(self, kind: str, store: dict[str, dict[str, Any]], body: Any) -> Any:
        identifier = str(uuid.uuid4())
        key = {"experiments": "experiment_id", "runs": "run_id"}.get(kind, "recurring_run_id")
        if kind != "experiments":
            if body["experiment_id"] not in self.experiments:
                raise Refused(400, "experiment not found")
            spec = body["pipeline_spec"]
            json_format.ParseDict(spec["pipeline_spec"], pipeline_spec_pb2.PipelineSpec())
            json_format.ParseDict(spec["platform_spec"], pipeline_spec_pb2.PlatformSpec())
        if kind == "recurringruns" and not 1 <= int(body["max_concurrency"]) <= 10:
            raise Refused(400, "Max concurrency of a recurring run must be at least 1")
        store[identifier] = {**body, key: identifier}
        if kind == "recurringruns":
            store[identifier]["status"] = f"{body.get('mode', 'ENABLE')}D"
        return store[identifier]

    def _act(self, entry: dict[str, Any], action: str) -> Any:
        if action == "terminate":
            self.terminated.append(entry["run_id"])
            entry["state"] = "CANCELING"
        else:
            entry["mode"] = {"enable": "ENABLE", "disable": "DISABLE"}[action]
            entry["status"] = f"{entry['mode']}D"
        return {}

    def _delete(
        self,
        kind: str,
        store: dict[str, dict[str, Any]],
        identifier: str,
        query: dict[str, list[str]],
    ) -> Any:
        if kind == "recurringruns" and query.get("propagation_policy") != ["ORPHAN"]:
            self.killed += [
                run["run_id"]
                for run in self.runs.values()
                if run.get("recurring_run_id") == identifier and run["state"] == "RUNNING"
            ]
        del store[identifier]
        return {}

    def read_log(self, run: str, pod: str) -> str:
        """Return a pod's log, or raise `Refused`."""
        self.read.append(pod)
        log = self.logs.get(pod)
        if isinstance(log, int):
            raise Refused(log, "no log")
        if run in self.runs and log is not None:
            return log
        message = f"Failed to read logs for run {run}: object not found"
        return json.dumps({"error_message": message, "error_details": f"{message}\nstack"})

    def _look(self, identifier: str) -> Any:
        self.looked()
        state = self.states.pop(0) if len(self.states) > 1 else (self.states or [{}])[0]
        return {**self.runs[identifier], **state}

    def _list(
        self, kind: str, store: dict[str, dict[str, Any]], query: dict[str, list[str]]
    ) -> Any:
        if kind == "runs":
            self.looked()
        found = list(store.values())
        for predicate in json.loads(query.get("filter", ["{}"])[0]).get("predicates", ()):
            wanted = predicate.get("string_value", predicate.get("stringValue"))
            found = [entry for entry in found if entry.get(predicate["key"]) == wanted]
        if "experiment_id" in query:
            found = [
                entry for entry in found if entry["experiment_id"] == query["experiment_id"][0]
            ]
        # One to a page, so that clients must turn pages.
        start = int(query.get("page_token", ["0"])[0] or 0)
        following = str(start + 1) if start + 1 < len(found) else ""
        key = {"recurringruns": "recurringRuns"}.get(kind, kind)
        return {key: found[start : start + 1], "next_page_token": following}


class Refused(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def task(name: str, state: str, seconds: int = 0, error: str = "") -> dict[str, Any]:
    """Return a task's details as the server has them."""
    return {
        "display_name": name,
        "state": state,
        "create_time": EPOCH,
        "start_time": "2030-01-01T00:00:00Z",
        "end_time": f"2030-01-01T00:00:{seconds:02d}Z" if seconds else EPOCH,
        **({"error": {"code": 13, "message": error}} if error else {}),
    }


@contextmanager
def running() -> Iterator[PipelinesServer]:
    """Serve on a free port of the loopback."""
    state = PipelinesServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            parts = urlsplit(self.path)
            status, kind, text = 200, "application/json", ""
            try:
                if state.failing:
                    raise Refused(state.failing.pop(0), "down")
                if state.token and self.headers.get("Authorization") != f"Bearer {state.token}":
                    raise Refused(401, "Unauthenticated")
                log = LOG.fullmatch(parts.path)
                if log:
                    kind, text = "text/plain", state.read_log(*log.groups())
                else:
                    route = parts.path.removeprefix(PREFIX)
                    answer = state.answer(self.command, route, parse_qs(parts.query), body)
                    text = json.dumps(answer)
            except Refused as refused:
                status, text = refused.status, json.dumps({"code": 3, "message": str(refused)})
            except (json_format.ParseError, KeyError) as error:
                status, text = 400, json.dumps({"code": 3, "message": f"invalid: {error}"})
            self._send(status, kind, text)

        def _send(self, status: int, kind: str, text: str) -> None:
            data = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            # A client may stop reading a log at its limit.
            with suppress(ConnectionError):
                self.wfile.write(data)

        do_GET = do_POST = do_DELETE = _serve

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
