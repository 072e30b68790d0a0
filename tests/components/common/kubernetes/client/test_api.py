"""Access to the API server, over HTTP."""

import logging
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.kubernetes import owner_reference
from kfp_tabular.components.common.kubernetes.client import errors
from kfp_tabular.components.common.kubernetes.client.api import Api, connect
from kfp_tabular.components.common.kubernetes.client.resource_kinds import (
    EXPERIMENT,
    POD,
    TFJOB,
    TRAINING_RUNTIME,
    Kind,
)
from tests.cluster.api_server import WORKFLOW, ApiServer
from tests.cluster.clusters import NAMESPACE, QUICK, USER, Cluster, write_kubeconfig
from tests.servers import tls


def tfjob(name: str = "a") -> dict[str, Any]:
    template = {"spec": {"containers": [{"name": "tensorflow", "image": "i"}]}}
    return {
        "apiVersion": TFJOB.api_version,
        "kind": TFJOB.kind,
        "metadata": {"name": name},
        "spec": {"tfReplicaSpecs": {"Worker": {"template": template}}},
    }


@pytest.fixture
def server(cluster: Cluster) -> ApiServer:
    if cluster.server is None:
        pytest.skip("needs a server that fails on demand")
    return cluster.server


@pytest.fixture
def api(cluster: Cluster) -> Api:
    return cluster.connect()


@pytest.fixture
def admin(server: ApiServer, cluster: Cluster) -> Api:
    """May do everything."""
    server.user(USER, "launcher-token")
    return cluster.connect()


def test_the_namespace_is_that_of_the_kubeconfig(api: Api, cluster: Cluster) -> None:
    assert api.namespace == cluster.namespace


def test_objects_come_and_go(admin: Api) -> None:
    made = admin.create(TFJOB, tfjob())
    assert admin.get(TFJOB, "a") == made
    assert admin.list(TFJOB, labels="x=1").items == []
    assert [item["metadata"]["name"] for item in admin.list(TFJOB).items] == ["a"]
    admin.delete(TFJOB, "a", uid=made["metadata"]["uid"], propagation="Background")
    with pytest.raises(errors.NotFoundError, match=r'get TFJob team/a: tfjobs.kubeflow.org "a"'):
        admin.get(TFJOB, "a")


def test_a_lock_that_only_one_gets(admin: Api) -> None:
    """The requests that keep two rollouts apart."""
    read = admin.create(TFJOB, tfjob())
    version = read["metadata"]["resourceVersion"]

    def take(who: str) -> Any:
        annotations = {"kfp-tabular.dev/locked-by": who}
        changes = {"metadata": {"resourceVersion": version, "annotations": annotations}}
        return admin.patch(TFJOB, "a", changes)

    assert take("first")["metadata"]["annotations"] == {"kfp-tabular.dev/locked-by": "first"}
    with pytest.raises(errors.ConflictError, match="the object has been modified"):
        take("second")
    with pytest.raises(errors.ConflictError):
        admin.replace(TFJOB, read)
    admin.replace(TFJOB, {**admin.get(TFJOB, "a"), "spec": read["spec"]})


def test_only_the_object_that_is_meant_is_deleted(admin: Api) -> None:
    admin.create(TFJOB, tfjob())
    with pytest.raises(errors.ConflictError):
        admin.delete(TFJOB, "a", uid="another")
    assert admin.get(TFJOB, "a")


def test_kinds_without_namespaces(admin: Api) -> None:
    body = {
        "apiVersion": TRAINING_RUNTIME.api_version,
        "kind": TRAINING_RUNTIME.kind,
        "metadata": {"name": "runtime"},
        "spec": {},
    }
    admin.create(TRAINING_RUNTIME, body)
    assert "namespace" not in admin.get(TRAINING_RUNTIME, "runtime")["metadata"]


def test_an_operator_that_is_not_installed(admin: Api) -> None:
    unknown = Kind("example.com/v1", "Unknown", "unknowns")
    with pytest.raises(
        UserError, match=r"does not know Unknown \(example.com/v1\). Install the operator"
    ):
        admin.list(unknown)


def test_a_namespace_that_is_not_there(admin: Api) -> None:
    with pytest.raises(UserError, match='namespaces "absent" not found'):
        admin.create(TFJOB, tfjob(), "absent")


def test_an_object_that_is_not_accepted(admin: Api) -> None:
    with pytest.raises(UserError, match="the API server rejected it: .* Invalid value"):
        admin.create(TFJOB, tfjob("Not_A_Name"))


def test_a_missing_right(api: Api, cluster: Cluster) -> None:
    with pytest.raises(errors.ForbiddenError) as got:
        api.patch(EXPERIMENT, "a", {})
    assert (got.value.verb, got.value.resource) == ("patch", "experiments.kubeflow.org")
    assert str(got.value).startswith(
        f"system:serviceaccount:{cluster.namespace}:pipeline-runner may not patch "
        f"experiments.kubeflow.org in namespace {cluster.namespace!r}. Add "
        '{"apiGroups": ["kubeflow.org"], "resources": ["experiments"], "verbs": ["patch"]} to its '
        "Role"
    )


def test_a_refusal_that_is_not_about_rights(api: Api, server: ApiServer) -> None:
    server.faults.answers.append(("create", 403, ""))
    with pytest.raises(errors.RejectedError, match="create TFJob team: forbidden: as wanted: 403"):
        api.create(TFJOB, tfjob())


def test_a_right_that_is_suddenly_missing(
    api: Api, server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    api.list(TFJOB)
    server.faults.forbidden.add(("list", "tfjobs"))
    threading.Timer(1, server.faults.forbidden.clear).start()
    api.list(TFJOB)
    assert "may not list tfjobs.kubeflow.org" in caplog.text
    server.faults.forbidden.add(("list", "tfjobs"))
    began = time.monotonic()
    with pytest.raises(errors.ForbiddenError):
        api.list(TFJOB)
    # On a busy machine, too, it is far from what an outage is given.
    assert time.monotonic() - began < QUICK.unreachable_seconds


def test_a_server_that_asks_to_come_later(api: Api, server: ApiServer) -> None:
    server.faults.answers += [("list", 429, "1"), ("list", 503, "")]
    began = time.monotonic()
    api.list(TFJOB)
    assert 1 <= time.monotonic() - began < QUICK.unreachable_seconds
    assert len(server.requests) == 3


def test_trouble_is_reported_once(
    api: Api, server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server.faults.answers += [("list", 500, "")] * 4
    api.list(TFJOB)
    assert [record.getMessage() for record in caplog.records if "kubernetes" in record.name][
        1:
    ] == ["The API server responds again."]
    assert "list TFJob team: HTTP 500" in caplog.text


def test_a_server_that_stays_away(cluster: Cluster, server: ApiServer) -> None:
    api = cluster.connect().bound(unreachable_seconds=1)
    server.go_away()
    began = time.monotonic()
    with pytest.raises(errors.UnreachableError, match="list TFJob team: gave up after"):
        api.list(TFJOB)
    assert time.monotonic() - began < QUICK.unreachable_seconds / 2


def test_giving_up_ends_waits_and_streams(api: Api, server: ApiServer) -> None:
    bound = api.bound()
    watch = bound.watch(TFJOB)
    next(watch)
    threading.Timer(0.5, bound.abort).start()
    began = time.monotonic()
    with pytest.raises(errors.AbortedError):
        next(watch)
    assert time.monotonic() - began < QUICK.unreachable_seconds / 2
    server.go_away()
    with pytest.raises(errors.AbortedError):
        bound.list(TFJOB)
    other = api.bound()
    threading.Timer(0.3, other.abort).start()
    began = time.monotonic()
    with pytest.raises(errors.AbortedError):
        other.list(TFJOB)
    assert time.monotonic() - began < QUICK.unreachable_seconds / 2


def test_a_token_that_is_replaced_while_it_is_in_use(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pod's service account: the kubelet writes a new token before the old one expires."""
    from kubernetes.config import incluster_config

    token, certificate = tmp_path / "token", tls.authority(tmp_path).ca_file
    (tmp_path / "namespace").write_text(NAMESPACE)
    token.write_text("launcher-token")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(certificate))
    monkeypatch.setattr(incluster_config, "_join_host_port", lambda *_: "unused")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    api = connect(QUICK)
    assert api.namespace == NAMESPACE
    loader = api._client.configuration.refresh_api_key_hook.__closure__[0].cell_contents
    # The client insists on https for a pod's own server.
    loader.host = api._client.configuration.host = server.url
    api.list(TFJOB)
    token.write_text("second-token")
    server._users.clear()
    server.user(USER, "second-token")
    # The client looks at the file every minute; meanwhile the server answers 401.
    threading.Timer(0.5, setattr, (loader, "token_expires_at", datetime.min)).start()
    api.list(TFJOB)


def test_no_cluster_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "absent"))
    with pytest.raises(UserError, match="No access to a Kubernetes cluster: .* set KUBECONFIG"):
        connect()
    (tmp_path / "absent").write_text("a: [")
    with pytest.raises(UserError, match="No access to a Kubernetes cluster"):
        connect()


def test_a_server_that_cannot_be_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.cluster import kubelet
    from tests.cluster.container_logs import Logs

    with kubelet.serving(Logs()) as port:
        url = f"https://127.0.0.1:{port}"
        monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "k", url, "t", "team")))
        with pytest.raises(
            UserError,
            match="certificate of the API server is not trusted: .*VERIFY_FAILED",
        ):
            connect(QUICK).list(TFJOB)


class TestOwner:
    @pytest.fixture(autouse=True)
    def task(self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(owner_reference.POD_NAME_VARIABLE, "task")
        if cluster.server is None:
            pytest.skip("a real cluster has no workflows here")
        workflow = {"apiVersion": WORKFLOW.api_version, "kind": WORKFLOW.kind}
        run = cluster.admin.create(WORKFLOW, {**workflow, "metadata": {"name": "run"}})
        self.reference = {**workflow, "name": "run", "uid": run["metadata"]["uid"]}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": "task",
                "ownerReferences": [
                    {**self.reference, "controller": True, "blockOwnerDeletion": True}
                ],
            },
            "spec": {"containers": [{"name": "main", "image": "i"}]},
        }
        cluster.admin.create(POD, pod)

    def test_the_run_owns_what_a_task_makes(self, admin: Api, cluster: Cluster) -> None:
        reference = owner_reference.reference(admin)
        assert reference == self.reference
        job = tfjob()
        job["metadata"]["ownerReferences"] = [reference]
        admin.create(TFJOB, job)
        cluster.admin.delete(WORKFLOW, "run")
        with pytest.raises(errors.NotFoundError):
            admin.get(TFJOB, "a")

    def test_no_owner_in_another_namespace(self, api: Api) -> None:
        assert owner_reference.reference(api, "elsewhere") is None

    def test_no_owner_outside_of_a_run(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(owner_reference.POD_NAME_VARIABLE, "absent")
        assert owner_reference.reference(api) is None
        monkeypatch.delenv(owner_reference.POD_NAME_VARIABLE)
        assert owner_reference.reference(api) is None

    def test_the_right_to_read_the_own_pod(self, api: Api, server: ApiServer) -> None:
        server.faults.forbidden.add(("get", "pods"))
        with pytest.raises(errors.ForbiddenError, match="may not get pods in namespace 'team'"):
            owner_reference.reference(api)
