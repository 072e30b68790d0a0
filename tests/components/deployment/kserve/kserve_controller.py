"""KServe and Knative, as far as a rollout meets them, with real processes behind the revisions.

The status follows `PropagateStatus` and `createKnativeService` of KServe: what changes the pod
template, annotations and labels included, makes a revision; `canaryTrafficPercent` splits between
the newest ready revision and the one that last had all of the traffic; zero after a promotion leads
back to the one before it.
"""

import http.client
import json
import random
import socket
import threading
import time
import traceback
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from kfp_tabular.components.common.kubernetes.client.resource_kinds import (
    INFERENCE_SERVICE,
    POD,
    SERVICE,
)
from tests.cluster.clusters import NAMESPACE, Cluster, Refused

Object = dict[str, Any]
FAILED = 0
"""The port of a model that cannot be loaded."""

MESSAGE = "RuntimeError: Failed to fetch model. No model found in s3://models/broken."

_MODEL_REGISTRY = "model-registry://"

LONGEST_TIMEOUT = 600
"""`max-revision-timeout-seconds` of Knative's config-defaults."""


@dataclass
class Revision:
    """What serves one pod template.

    Attributes:
        name: Its name.
        template: The pod template that it was made of.
        model: The name of its model's directory.
        port: Where its process listens.
        since: When it was made.
    """

    name: str
    template: str
    model: str
    port: int
    since: float = field(default_factory=time.monotonic)


@dataclass
class _Service:
    uid: str = ""
    local: bool = False
    revisions: list[Revision] = field(default_factory=list)
    latest_ready: str = ""
    rolled_out: str = ""
    previous: str = ""
    traffic: list[Object] = field(default_factory=list)
    routed: list[Object] = field(default_factory=list)
    moved: float = 0.0
    asked: str = ""
    since: float = 0.0
    failure: Object | None = None


class KServe:
    """The controller, and the router of all traffic.

    Attributes:
        start_seconds: How long a revision takes to be ready.
        revision_seconds: How long Knative takes to make a revision; traffic changes before that.
        route_seconds: How long gateways take to apply the traffic in the status.
        silent: Whether it does nothing for now, as if it were behind.
        errors: What went wrong in it.
        requests: Every request that was routed: host, model and status.
    """

    def __init__(self, cluster: Cluster, port_of: Callable[[str], int]) -> None:
        self.start_seconds = 0.15
        self.revision_seconds = 0.0
        self.route_seconds = 0.0
        self.silent = False
        self.errors: list[str] = []
        self.requests: list[tuple[str, str, int]] = []
        self._cluster, self._port_of = cluster, port_of
        self._services: dict[str, _Service] = {}
        self._entries: dict[str, str] = {}
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._router = _Router(("127.0.0.1", 0), self)

    @property
    def url(self) -> str:
        """The ingress gateway's address."""
        return f"http://127.0.0.1:{self._router.server_address[1]}"

    @contextmanager
    def running(self) -> "Iterator[KServe]":
        """Work for the duration of the block."""
        threads = [
            threading.Thread(target=self._work, name="kserve", daemon=True),
            threading.Thread(
                target=self._router.serve_forever, args=(0.02,), name="router", daemon=True
            ),
        ]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            self._router.shutdown()
            self._router.server_close()
            threads[0].join(10)
            assert not self.errors, "\n".join(self.errors)

    def shares(self, name: str) -> dict[str, int]:
        """Return the percentage of the traffic by model."""
        with self._lock:
            service = self._services.get(name)
            found: dict[str, int] = {}
            for entry in service.routed if service else ():
                model = self._revision(service, entry["revisionName"]).model
                found[model] = found.get(model, 0) + entry["percent"]
            return {model: percent for model, percent in found.items() if percent}

    def revisions(self, name: str) -> list[Revision]:
        """Return the revisions that were ever made."""
        with self._lock:
            return list(self._services[name].revisions)

    def entry(self, name: str) -> str:
        """Return the InferenceService that an entry Service selects."""
        with self._lock:
            return self._entries.get(name, "")

    def _work(self) -> None:
        while not self._stop.wait(0.02):
            if self.silent:
                continue
            try:
                self._reconcile_all()
            except Refused as refused:
                if " 404 " not in str(refused) and " 409 " not in str(refused):
                    self.errors.append(traceback.format_exc())
            except Exception:  # noqa: BLE001 - the test reports it
                self.errors.append(traceback.format_exc())

    def _reconcile_all(self) -> None:
        admin = self._cluster.admin
        found = {item["metadata"]["name"]: item for item in admin.list(INFERENCE_SERVICE)}
        entries = {
            item["metadata"]["name"]: item["spec"]["selector"]["serving.kserve.io/inferenceservice"]
            for item in admin.list(SERVICE)
        }
        with self._lock:
            self._entries = entries
            for name in set(self._services) - set(found):
                del self._services[name]
        for item in found.values():
            self._reconcile(item)

    def _reconcile(self, item: Object) -> None:
        metadata = item["metadata"]
        mode = metadata["annotations"]["serving.kserve.io/deploymentMode"]
        with self._lock:
            service = self._services.get(metadata["name"])
            if service is None or service.uid != metadata["uid"]:
                service = self._services[metadata["name"]] = _Service(metadata["uid"])
        refusal = _refusal(item) if mode == "Knative" else ""
        if refusal:
            # Template and traffic are one update of the Knative service: neither changes.
            self._show(item, _refused(item.get("status") or {}, refusal))
            return
        with self._lock:
            service.local = _is_local(item, mode)
            template = _template(item)
            if template != service.asked:
                service.asked, service.since = template, time.monotonic()
            made = time.monotonic() - service.since >= self.revision_seconds
            if not service.revisions or (service.revisions[-1].template != template and made):
                number = len(service.revisions) + 1
                model = _resolved(_storage_uri(item)).rstrip("/").rpartition("/")[2]
                service.revisions.append(
                    Revision(
                        f"{metadata['name']}-predictor-{number:05}",
                        template,
                        model,
                        self._port_of(model),
                    )
                )
            newest = service.revisions[-1]
            old = time.monotonic() - newest.since >= self.start_seconds
            if newest.port == FAILED:
                service.failure = {
                    "reason": "ModelLoadFailed",
                    "message": MESSAGE,
                    "exitCode": 1,
                }
            elif old:
                service.latest_ready, service.failure = newest.name, None
            status = (
                self._knative(item, service, newest)
                if mode == "Knative"
                else self._standard(item, service, newest)
            )
        if mode == "Standard":
            self._pods(item, service, newest)
        self._show(item, status)

    def _show(self, item: Object, status: Object) -> None:
        if item.get("status") != status:
            path = f"/apis/serving.kserve.io/v1beta1/namespaces/{NAMESPACE}/inferenceservices"
            body = {**item, "status": status}
            self._cluster.admin.call("PUT", f"{path}/{item['metadata']['name']}/status", body)

    def _knative(self, item: Object, service: _Service, newest: Revision) -> Object:
        percent = item["spec"]["predictor"].get("canaryTrafficPercent")
        targets: list[Object] = [
            {"latestRevision": True, "percent": 100, "revisionName": service.latest_ready}
        ]
        if percent is not None and service.rolled_out:
            targets[0]["percent"] = percent
            if percent < 100:
                before = {
                    "latestRevision": False,
                    "percent": 100 - percent,
                    "revisionName": service.rolled_out,
                    "tag": "prev",
                }
                targets.append(before)
        host = f"{item['metadata']['name']}-predictor"
        if item["metadata"]["annotations"].get("serving.kserve.io/enable-tag-routing") == "true":
            targets[0]["tag"] = "latest"
        for target in targets:
            if "tag" in target:
                target["url"] = f"http://{target['tag']}-{host}.{NAMESPACE}.{_domain(service)}"
        if service.latest_ready:
            if service.traffic != targets:
                service.traffic, service.moved = targets, time.monotonic()
            self._roll(service, newest)
        # A route is ready once a probe has seen its traffic at all gateways.
        routed = time.monotonic() - service.moved >= self.route_seconds
        if routed:
            service.routed = service.traffic
        name = item["metadata"]["name"]
        predictor: Object = {
            "latestCreatedRevision": newest.name,
            "latestReadyRevision": service.latest_ready,
            "latestRolledoutRevision": service.rolled_out,
            "previousRolledoutRevision": service.previous,
            "traffic": service.traffic,
        }
        if service.latest_ready:
            predictor["url"] = f"http://{host}.{NAMESPACE}.{_domain(service)}"
            predictor["address"] = {"url": f"http://{host}.{NAMESPACE}.svc.cluster.local"}
        ready = service.latest_ready == newest.name and routed
        return self._status(name, "Knative", service, ready, predictor)

    def _roll(self, service: _Service, newest: Revision) -> None:
        """What `PropagateStatus` makes of the traffic."""
        latest = service.traffic[0]
        if service.rolled_out != service.latest_ready:
            if latest["percent"] == 100:
                service.previous, service.rolled_out = service.rolled_out, service.latest_ready
        elif service.latest_ready == newest.name and latest["percent"] < 100:
            whole = sum(
                entry["percent"]
                for entry in service.traffic
                if entry["revisionName"] == service.latest_ready
            )
            if whole == 100 and service.previous:
                service.rolled_out = service.previous

    def _standard(self, item: Object, service: _Service, newest: Revision) -> Object:
        name = item["metadata"]["name"]
        ready = bool(service.latest_ready)
        service.traffic = []
        if ready:
            service.traffic = [{"revisionName": service.latest_ready, "percent": 100}]
        service.routed = service.traffic
        # An old Deployment that is available makes the whole available.
        return self._status(name, "Standard", service, ready, {})

    def _status(
        self, name: str, mode: str, service: _Service, ready: bool, predictor: Object
    ) -> Object:
        def condition(kind: str, true: bool) -> Object:
            return {"type": kind, "status": "True" if true else "False"}

        model: Object = {
            "transitionStatus": "UpToDate" if ready else "InProgress",
            "states": {"targetModelState": "Loaded" if ready else "Pending"},
        }
        if service.failure and not (mode == "Standard" and service.latest_ready):
            model["transitionStatus"] = "BlockedByFailedLoad"
            model["states"] = {"targetModelState": "FailedToLoad"}
            model["lastFailureInfo"] = service.failure
        inside = "predictor." if mode == "Standard" else ""
        host = f"{name}-predictor" if inside else name
        return {
            "deploymentMode": mode,
            "url": f"http://{name}.{NAMESPACE}.{_domain(service)}",
            "address": {"url": f"http://{host}.{NAMESPACE}.svc.cluster.local"},
            "conditions": [
                condition(kind, ready) for kind in ("PredictorReady", "IngressReady", "Ready")
            ],
            "components": {"predictor": predictor},
            "modelStatus": model,
        }

    def _pods(self, item: Object, service: _Service, newest: Revision) -> None:
        """A rolling update: the new pod is ready before the old one goes."""
        admin, name = self._cluster.admin, item["metadata"]["name"]
        labels = {
            **item["metadata"]["labels"],
            **item["spec"]["predictor"].get("labels", {}),
            "serving.kserve.io/inferenceservice": name,
            "component": "predictor",
        }
        present = {pod["metadata"]["name"]: pod for pod in admin.list(POD)}
        if newest.name not in present:
            owner = {
                "apiVersion": item["apiVersion"],
                "kind": item["kind"],
                "name": name,
                "uid": item["metadata"]["uid"],
            }
            container = {"name": "kserve-container", "image": "registry.example.com/serving:1"}
            admin.create(
                POD,
                {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {
                        "name": newest.name,
                        "labels": labels,
                        "ownerReferences": [owner],
                    },
                    "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
                },
            )
        ready = service.latest_ready == newest.name
        self._show_pod(newest, ready)
        if ready:
            for other in service.revisions[:-1]:
                if other.name in present:
                    # The kubelet's part of an immediate deletion.
                    admin.delete(POD, other.name, gracePeriodSeconds=0)

    def _show_pod(self, revision: Revision, ready: bool) -> None:
        if revision.port == FAILED:
            terminated = {"exitCode": 1, "reason": "Error", "message": MESSAGE}
            state = {
                "name": "storage-initializer",
                "image": "",
                "imageID": "",
                "ready": False,
                "restartCount": 3,
                "state": {"terminated": terminated},
                "lastState": {"terminated": terminated},
            }
            status: Object = {"phase": "Pending", "initContainerStatuses": [state]}
        else:
            condition = {"type": "Ready", "status": "True" if ready else "False"}
            status = {"phase": "Running", "conditions": [condition]}
        self._cluster.admin.status(POD, revision.name, status)

    def route(self, host: str) -> Revision | None:
        """Find what answers a request; None where nothing does."""
        first = host.partition(".")[0]
        with self._lock:
            if first in self._entries and ".svc." in host:
                first = self._entries[first]
            tagged = first.startswith("latest-")
            name = first.removeprefix("latest-").removesuffix("-predictor")
            service = self._services.get(name)
            if service is None or not service.routed:
                return None
            if service.local and ".svc." not in host:
                return None
            if tagged:
                return self._revision(service, service.routed[0]["revisionName"])
            names = [entry["revisionName"] for entry in service.routed]
            weights = [entry["percent"] for entry in service.routed]
            return self._revision(service, random.choices(names, weights)[0])

    @staticmethod
    def _revision(service: Any, name: str) -> Revision:
        return next(revision for revision in service.revisions if revision.name == name)


class _Router(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], kserve: KServe) -> None:
        self.kserve = kserve
        super().__init__(address, _Route)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that have disconnected."""


class _Route(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Router

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""

    def setup(self) -> None:
        super().setup()
        self._onwards: dict[int, http.client.HTTPConnection] = {}

    def finish(self) -> None:
        for connection in self._onwards.values():
            connection.close()
        with suppress(OSError):
            super().finish()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        host = self.headers["Host"]
        revision = self.server.kserve.route(host)
        if revision is None or not revision.port:
            self._answer(404, b"no route", "")
            return
        connection = self._onwards.get(revision.port)
        if connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", revision.port, timeout=30)
            self._onwards[revision.port] = connection
        try:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", self.path, body, headers)
            if connection.sock is not None:
                connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            answer = connection.getresponse()
            status, content = answer.status, answer.read()
        except OSError:
            status, content = 502, b"the pod does not answer"
        self.server.kserve.requests.append((host, revision.model, status))
        self._answer(status, content, revision.model)

    def _answer(self, status: int, content: bytes, model: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Model", model)
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()


def _template(item: Object) -> str:
    predictor = dict(item["spec"]["predictor"])
    predictor.pop("canaryTrafficPercent", None)
    metadata = item["metadata"]
    return json.dumps([predictor, metadata["labels"], metadata["annotations"]], sort_keys=True)


def _is_local(item: Object, mode: str) -> bool:
    """KServe reads another label in each mode; Knative knows its own only."""
    prefix = "networking.knative.dev" if mode == "Knative" else "networking.kserve.io"
    return bool(item["metadata"]["labels"].get(f"{prefix}/visibility") == "cluster-local")


def _domain(service: _Service) -> str:
    return "svc.cluster.local" if service.local else "example.com"


def _refusal(item: Object) -> str:
    """Return why Knative's webhook rejects the Knative service."""
    seconds = item["spec"]["predictor"].get("timeout") or 0
    if seconds <= LONGEST_TIMEOUT:
        return ""
    return (
        'admission webhook "validation.webhook.serving.knative.dev" denied the request: validation '
        f"failed: expected 0 <= {seconds} <= {LONGEST_TIMEOUT}: spec.template.spec.timeoutSeconds"
    )


def _refused(status: Object, refusal: str) -> Object:
    """What `PropagateRawStatusWithMessages` makes of it; the rest stays that of the spec before."""
    failed: Object = {
        "status": "False",
        "reason": "ReconcileFailed",
        "message": f"fails to reconcile predictor: {refusal}",
    }
    others = [
        entry
        for entry in status.get("conditions") or ()
        if entry["type"] not in ("PredictorReady", "Ready")
    ]
    conditions = [{"type": kind, **failed} for kind in ("PredictorReady", "Ready")]
    return {
        "components": {"predictor": {}},
        **status,
        "deploymentMode": "Knative",
        "conditions": [*conditions, *others],
    }


def _resolved(uri: str) -> str:
    """Return what the storage initializer of Kubeflow's Model Registry downloads for a URI.

    It asks as its `DownloadModel` does: for the model, its version, and the version's artifact.
    """
    if not uri.startswith(_MODEL_REGISTRY):
        return uri
    host, name, version = uri.removeprefix(_MODEL_REGISTRY).split("/")
    root = f"http://{host}/api/model_registry/v1alpha3"

    def get(path: str) -> Object:
        with urllib.request.urlopen(f"{root}{path}", timeout=10) as response:
            return dict(json.load(response))

    model = get(f"/registered_model?name={name}")
    found = get(f"/model_version?name={version}&parentResourceId={model['id']}")
    order = "orderBy=CREATE_TIME&sortOrder=DESC"
    artifact = get(f"/model_versions/{found['id']}/artifacts?{order}")["items"][0]
    assert artifact["artifactType"] == "model-artifact"
    place = str(artifact["uri"])
    assert place.startswith(("s3://", "gs://", "https://", "http://")), place
    return place


def _storage_uri(item: Object) -> str:
    predictor = item["spec"]["predictor"]
    if "model" in predictor:
        return str(predictor["model"]["storageUri"])
    variables = {entry["name"]: entry for entry in predictor["containers"][0]["env"]}
    return str(variables["STORAGE_URI"]["value"])
