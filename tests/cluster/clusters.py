"""A cluster to test launchers on: the server of these tests, or a real one."""

import json
import os
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kfp_tabular.components.common.kubernetes.client.api import Api, connect
from kfp_tabular.components.common.kubernetes.client.resource_kinds import Kind
from kfp_tabular.components.common.kubernetes.client.retries import RetryPolicy
from tests.cluster import kubelet
from tests.cluster.api_server import KINDS, ApiServer, Rule
from tests.cluster.container_logs import Logs

QUICK = RetryPolicy(
    unreachable_seconds=20,
    doubt_seconds=3,
    first_delay_seconds=0.02,
    longest_delay_seconds=0.3,
    answer_seconds=5,
    watch_seconds=3,
    poll_seconds=0.1,
    cancel_seconds=5,
)
"""So that a test of what takes minutes takes seconds."""

NAMESPACE = "team"
USER = f"system:serviceaccount:{NAMESPACE}:pipeline-runner"

LAUNCHER_RULES = (
    Rule(("",), ("pods",), ("get", "list", "watch")),
    Rule(("",), ("pods/log",), ("get",)),
    Rule(("",), ("events",), ("list",)),
    Rule(
        ("kubeflow.org", "trainer.kubeflow.org", "batch", "sparkoperator.k8s.io"),
        ("tfjobs", "trainjobs", "experiments", "jobs", "sparkapplications"),
        ("create", "get", "list", "watch", "delete"),
    ),
)
"""What launchers need."""


class Refused(Exception):
    """The server answered with an error."""


class Admin:
    """Has all rights; acts as operators, the kubelet and the user do."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        from kubernetes import config

        self._client = config.new_client_from_config(str(kubeconfig))
        self._namespace = namespace

    def create(self, kind: Kind, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make an object."""
        return self._call("POST", kind, "", body)

    def get(self, kind: Kind, name: str) -> dict[str, Any] | None:
        """Read an object; None where there is none."""
        found = [item for item in self.list(kind) if item["metadata"]["name"] == name]
        return found[0] if found else None

    def list(self, kind: Kind) -> "list[dict[str, Any]]":
        """Read all objects of a kind."""
        items: list[dict[str, Any]] = self._call("GET", kind, "")["items"]
        return items

    def status(self, kind: Kind, name: str, status: Mapping[str, Any]) -> dict[str, Any]:
        """Merge into an object's status."""
        return self._call("PATCH", kind, f"/{name}/status", {"status": status})

    def patch(self, kind: Kind, name: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Merge into an object."""
        return self._call("PATCH", kind, f"/{name}", changes)

    def delete(self, kind: Kind, name: str, **options: Any) -> None:
        """Delete an object."""
        self._call("DELETE", kind, f"/{name}", options or {"propagationPolicy": "Background"})

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Send any request."""
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        content_type = "application/json"
        if method == "PATCH":
            content_type = "application/merge-patch+json"
        end = time.monotonic() + 60
        while True:
            try:
                response = self._client.call_api(
                    path,
                    method,
                    body=body,
                    header_params={"Content-Type": content_type, "Accept": "application/json"},
                    auth_settings=["BearerToken"],
                    _preload_content=False,
                    _return_http_data_only=True,
                    _request_timeout=20,
                )
                answer: dict[str, Any] = json.loads(response.data)
            except ApiException as error:
                raise Refused(f"{method} {path}: {error.status} {error.body!r}") from None
            except (HTTPError, OSError):
                # A test has the server away for now.
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
            else:
                return answer

    def _call(self, method: str, kind: Kind, rest: str, body: Any = None) -> dict[str, Any]:
        root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.api_version}"
        place = f"/namespaces/{self._namespace}" if kind.namespaced else ""
        return self.call(method, f"{root}{place}/{kind.plural}{rest}", body)


@dataclass
class Cluster:
    """A cluster, with a namespace and a service account for launchers.

    Attributes:
        kubeconfig: The launcher's; its service account has the rights of `LAUNCHER_RULES`.
        namespace: Where launchers work.
        admin: May do everything there.
        logs: What the containers write.
        server: The server, for faults; None where it is a real one.
        node: Where pods run.
    """

    kubeconfig: Path
    namespace: str
    admin: Admin
    logs: Logs
    server: ApiServer | None
    node: str = "node"

    def connect(self, patience: RetryPolicy = QUICK) -> Api:
        """Connect as a launcher."""
        with _kubeconfig(self.kubeconfig):
            return connect(patience)


def write_kubeconfig(
    path: Path, url: str, token: str, namespace: str, cluster: Mapping[str, Any] | None = None
) -> Path:
    """Write a kubeconfig with one context."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [
            {"name": "test", "context": {"cluster": "c", "user": "u", "namespace": namespace}}
        ],
        "clusters": [{"name": "c", "cluster": {"server": url, **(cluster or {})}}],
        "users": [{"name": "u", "user": {"token": token}}],
    }
    path.write_text(yaml.safe_dump(document))
    return path


@contextmanager
def simulated(
    rules: Iterable[Rule] | None = LAUNCHER_RULES, kinds: Iterable[Kind] = KINDS
) -> Iterator[Cluster]:
    """Return a cluster of the server of these tests.

    Args:
        rules: The rights of the launcher; all where None.
        kinds: The kinds of resources that it knows.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        ApiServer(kinds, namespaces=[NAMESPACE]).running() as server,
    ):
        server.user("admin", "admin-token")
        server.user(USER, "launcher-token", rules)
        root = Path(folder)
        admin = write_kubeconfig(root / "admin", server.url, "admin-token", NAMESPACE)
        launcher = write_kubeconfig(root / "launcher", server.url, "launcher-token", NAMESPACE)
        yield Cluster(launcher, NAMESPACE, Admin(admin, NAMESPACE), server.logs, server)


@contextmanager
def real(kubeconfig: Path) -> Iterator[Cluster]:
    """Return a new namespace of a real API server, and play the kubelet of a node there.

    There should be nothing but the API server and the garbage collector: tests act as operators.

    Args:
        kubeconfig: Of a user who may do everything.
    """
    name = f"kfp-tabular-{uuid.uuid4().hex[:8]}"
    admin, logs = Admin(kubeconfig, name), Logs()
    namespaces, nodes = "/api/v1/namespaces", "/api/v1/nodes"
    document = yaml.safe_load(kubeconfig.read_text())
    cluster = document["clusters"][0]["cluster"]
    with tempfile.TemporaryDirectory() as folder, kubelet.serving(logs) as port:
        admin.call("POST", namespaces, _named("v1", "Namespace", name))
        admin.call("POST", nodes, _named("v1", "Node", name))
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        }
        admin.call("PATCH", f"{nodes}/{name}/status", {"status": status})
        token = _service_account(admin, f"{namespaces}/{name}")
        others = {field: value for field, value in cluster.items() if field != "server"}
        launcher = write_kubeconfig(
            Path(folder, "launcher"), cluster["server"], token, name, others
        )
        try:
            yield Cluster(launcher, name, admin, logs, None, name)
        finally:
            admin.call("DELETE", f"{nodes}/{name}")
            admin.call("DELETE", f"{namespaces}/{name}")


def _service_account(admin: Admin, namespace: str) -> str:
    """Make the launcher's service account with its rights; return a token for it."""
    name, group = USER.rpartition(":")[2], "rbac.authorization.k8s.io"
    admin.call("POST", f"{namespace}/serviceaccounts", _named("v1", "ServiceAccount", name))
    rules = [
        {"apiGroups": rule.api_groups, "resources": rule.resources, "verbs": rule.verbs}
        for rule in LAUNCHER_RULES
    ]
    root = f"/apis/{group}/v1/{namespace.removeprefix('/api/v1/')}"
    role = _named(f"{group}/v1", "Role", name) | {"rules": rules}
    admin.call("POST", f"{root}/roles", role)
    binding = _named(f"{group}/v1", "RoleBinding", name) | {
        "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name}],
    }
    admin.call("POST", f"{root}/rolebindings", binding)
    # Pods name it by default, and a controller makes it a moment after the namespace.
    for _ in range(100):
        accounts = admin.call("GET", f"{namespace}/serviceaccounts")["items"]
        if any(account["metadata"]["name"] == "default" for account in accounts):
            break
        time.sleep(0.05)
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    answer = admin.call("POST", f"{namespace}/serviceaccounts/{name}/token", request)
    return str(answer["status"]["token"])


def _named(api_version: str, kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}}


@contextmanager
def _kubeconfig(path: Path) -> Iterator[None]:
    before = os.environ.get("KUBECONFIG")
    os.environ["KUBECONFIG"] = str(path)
    try:
        yield
    finally:
        if before is None:
            del os.environ["KUBECONFIG"]
        else:
            os.environ["KUBECONFIG"] = before
