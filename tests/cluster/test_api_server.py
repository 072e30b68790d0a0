"""What a client can rely on, with these tests' server and with a real one.

With `KFP_TABULAR_TEST_KUBECONFIG` all of it is checked against a real API server.
"""

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import urllib3

from kfp_tabular.components.common.kubernetes.client.resource_kinds import EVENT, JOB, POD, TFJOB
from tests.cluster.clusters import Cluster, Refused
from tests.cluster.operators import wait_until

URL = "/apis/kubeflow.org/v1/namespaces/{}/tfjobs"
PODS = "/api/v1/namespaces/{}/pods"


def tfjob(name: str = "a", **metadata: Any) -> dict[str, Any]:
    container = {"name": "tensorflow", "image": "i"}
    template = {"spec": {"containers": [container]}}
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "TFJob",
        "metadata": {"name": name, **metadata},
        "spec": {"tfReplicaSpecs": {"Worker": {"replicas": 1, "template": template}}},
    }


def pod(
    name: str = "p", containers: tuple[str, ...] = ("main",), **metadata: Any
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, **metadata},
        "spec": {"containers": [{"name": name, "image": "i"} for name in containers]},
    }


class Client:
    """Sends requests as the cluster's admin, or as the launcher."""

    def __init__(self, cluster: Cluster, launcher: bool = False) -> None:
        from kubernetes import config

        path = str(cluster.kubeconfig)
        client = config.new_client_from_config(path) if launcher else cluster.admin._client
        self.host = client.configuration.host
        self.token = client.configuration.get_api_key_with_prefix("authorization")
        self.pool = urllib3.PoolManager(cert_reqs="CERT_NONE", retries=False)

    def send(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> tuple[int, Any]:
        response = self.pool.request(
            method,
            self.host + path,
            body=None if body is None else json.dumps(body),
            headers={"Authorization": self.token, "Content-Type": content_type},
        )
        try:
            return response.status, json.loads(response.data)
        except ValueError:
            return response.status, response.data.decode()

    def lines(self, path: str, seconds: float = 20) -> Iterator[str]:
        response = self.pool.request(
            "GET",
            self.host + path,
            headers={"Authorization": self.token},
            preload_content=False,
            timeout=urllib3.Timeout(read=seconds),
        )
        assert response.status == 200, response.data
        rest = b""
        for chunk in response.stream():
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line.decode() for line in lines)

    def events(self, path: str, seconds: float = 20) -> Iterator[dict[str, Any]]:
        yield from map(json.loads, self.lines(path, seconds))


@pytest.fixture
def admin(cluster: Cluster) -> Client:
    return Client(cluster)


@pytest.fixture
def url(cluster: Cluster) -> str:
    return URL.format(cluster.namespace)


@pytest.fixture
def pods_url(cluster: Cluster) -> str:
    return PODS.format(cluster.namespace)


def test_a_new_object_gets_what_the_server_gives(admin: Client, url: str) -> None:
    status, made = admin.send(
        "POST", url, tfjob() | {"status": {"startTime": "2026-01-01T00:00:00Z"}}
    )
    assert status == 201
    assert {"uid", "creationTimestamp", "resourceVersion", "namespace"} <= made["metadata"].keys()
    assert made["metadata"]["generation"] == 1
    assert "status" not in made
    assert datetime.fromisoformat(made["metadata"]["creationTimestamp"]).tzinfo


def test_a_name_is_taken_once(admin: Client, url: str) -> None:
    admin.send("POST", url, tfjob())
    status, answer = admin.send("POST", url, tfjob())
    assert status == answer["code"] == 409
    assert answer["kind"] == "Status"
    assert answer["status"] == "Failure"
    assert answer["reason"] == "AlreadyExists"
    assert answer["message"] == 'tfjobs.kubeflow.org "a" already exists'
    assert answer["details"] == {"name": "a", "group": "kubeflow.org", "kind": "tfjobs"}


def test_what_is_absent(admin: Client, url: str) -> None:
    status, answer = admin.send("GET", f"{url}/a")
    assert (status, answer["reason"]) == (404, "NotFound")
    assert answer["message"] == 'tfjobs.kubeflow.org "a" not found'
    assert answer["details"]["name"] == "a"
    assert admin.send("DELETE", f"{url}/a")[0] == 404
    assert admin.send("PATCH", f"{url}/a", {}, "application/merge-patch+json")[0] == 404


def test_what_the_server_does_not_know(admin: Client, cluster: Cluster, url: str) -> None:
    status, answer = admin.send("GET", url.replace("kubeflow.org", "unknown.example.com"))
    assert (status, answer.strip()) == (404, "404 page not found")
    status, answer = admin.send("GET", url.replace("tfjobs", "tfjobz"))
    assert (status, answer.strip()) == (404, "404 page not found")
    # Authorization is decided before this.
    other = url.replace("kubeflow.org", "unknown.example.com")
    assert Client(cluster, launcher=True).send("GET", other)[0] == 403


def test_an_object_that_is_not_valid(admin: Client, url: str, pods_url: str) -> None:
    status, answer = admin.send("POST", url, tfjob("Not_A_Name"))
    assert (status, answer["reason"]) == (422, "Invalid")
    assert answer["message"].startswith(
        'TFJob.kubeflow.org "Not_A_Name" is invalid: metadata.name: Invalid value: "Not_A_Name"'
    )
    status, answer = admin.send("POST", url, tfjob() | {"kind": "TFJobs"})
    assert (status, answer["reason"]) == (422, "Invalid")
    assert 'kind: Invalid value: "TFJobs": must be TFJob' in answer["message"]
    long = tfjob()
    long["metadata"]["annotations"] = {"a": "b" * 262_144}
    status, answer = admin.send("POST", url, long)
    assert (status, answer["reason"]) == (422, "Invalid")
    assert "metadata.annotations: Too long" in answer["message"]
    status, answer = admin.send("POST", pods_url, pod() | {"kind": "Pods"})
    assert (status, answer["reason"]) == (400, "BadRequest")


def test_a_namespace_that_is_not_there(admin: Client, url: str) -> None:
    status, answer = admin.send("POST", URL.format("absent"), tfjob())
    assert (status, answer["reason"]) == (404, "NotFound")
    assert answer["message"] == 'namespaces "absent" not found'
    assert answer["details"] == {"name": "absent", "kind": "namespaces"}
    status, answer = admin.send("GET", URL.format("absent"))
    assert (status, answer["items"]) == (200, [])


def test_a_replacement_needs_the_version_it_was_made_from(admin: Client, url: str) -> None:
    _, first = admin.send("POST", url, tfjob())
    changed = {**first, "metadata": {**first["metadata"], "labels": {"a": "b"}}}
    status, second = admin.send("PUT", f"{url}/a", changed)
    assert status == 200
    assert int(second["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])
    status, answer = admin.send("PUT", f"{url}/a", changed)
    assert (status, answer["reason"]) == (409, "Conflict")
    assert answer["message"] == (
        'Operation cannot be fulfilled on tfjobs.kubeflow.org "a": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    del changed["metadata"]["resourceVersion"]
    status, answer = admin.send("PUT", f"{url}/a", changed)
    assert (status, answer["reason"]) == (422, "Invalid")
    assert "must be specified for an update" in answer["message"]


def test_a_merge_patch(admin: Client, url: str) -> None:
    merge = "application/merge-patch+json"
    _, made = admin.send("POST", url, tfjob(annotations={"a": "1", "b": "2"}))
    version = made["metadata"]["resourceVersion"]
    changes: dict[str, Any] = {"metadata": {"annotations": {"a": None, "c": "3"}}}
    status, patched = admin.send("PATCH", f"{url}/a", changes, merge)
    assert status == 200
    assert patched["metadata"]["annotations"] == {"b": "2", "c": "3"}
    changes["metadata"]["resourceVersion"] = version
    changes["metadata"]["annotations"] = {"d": "4"}
    assert admin.send("PATCH", f"{url}/a", changes, merge)[0] == 409
    strategic = "application/strategic-merge-patch+json"
    status, answer = admin.send("PATCH", f"{url}/a", {}, strategic)
    assert (status, answer["reason"]) == (415, "UnsupportedMediaType")


def test_a_json_patch(admin: Client, url: str) -> None:
    json_patch = "application/json-patch+json"
    admin.send("POST", url, tfjob(labels={"a": "1"}))
    patch = [
        {"op": "test", "path": "/metadata/labels/a", "value": "1"},
        {"op": "add", "path": "/metadata/labels/x.example.com~1b", "value": "2"},
        {"op": "remove", "path": "/metadata/labels/a"},
    ]
    status, patched = admin.send("PATCH", f"{url}/a", patch, json_patch)
    assert status == 200
    assert patched["metadata"]["labels"] == {"x.example.com/b": "2"}
    assert admin.send("PATCH", f"{url}/a", patch, json_patch)[0] == 422


def test_the_status_is_a_matter_of_its_own(admin: Client, url: str) -> None:
    merge = "application/merge-patch+json"
    admin.send("POST", url, tfjob())
    both = {"spec": {"runPolicy": {"backoffLimit": 3}}, "status": {"replicaStatuses": {}}}
    _, answer = admin.send("PATCH", f"{url}/a/status", both, merge)
    assert "runPolicy" not in answer["spec"]
    assert answer["status"] == {"replicaStatuses": {}}
    assert answer["metadata"]["generation"] == 1
    both["status"] = {"startTime": "2026-01-01T00:00:00Z"}
    _, answer = admin.send("PATCH", f"{url}/a", both, merge)
    assert answer["spec"]["runPolicy"]["backoffLimit"] == 3
    assert answer["status"] == {"replicaStatuses": {}}
    assert answer["metadata"]["generation"] == 2


def test_what_changes_nothing_makes_no_version(admin: Client, url: str) -> None:
    _, made = admin.send("POST", url, tfjob(labels={"a": "1"}))
    _, same = admin.send(
        "PATCH", f"{url}/a", {"metadata": {"labels": {"a": "1"}}}, "application/merge-patch+json"
    )
    assert same["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_deleting_only_the_one_that_is_meant(admin: Client, url: str) -> None:
    _, made = admin.send("POST", url, tfjob())
    options = {"preconditions": {"uid": "00000000-0000-0000-0000-000000000000"}}
    status, answer = admin.send("DELETE", f"{url}/a", options)
    assert (status, answer["reason"]) == (409, "Conflict")
    assert 'on TFJob.kubeflow.org "a": the UID in the precondition (0000' in answer["message"]
    replaced = {**made, "metadata": {**made["metadata"], "uid": "0000"}}
    status, answer = admin.send("PUT", f"{url}/a", replaced)
    assert (status, answer["reason"]) == (409, "Conflict")
    assert "Precondition failed: UID in precondition: 0000" in answer["message"]
    options = {"preconditions": {"uid": made["metadata"]["uid"]}}
    status, answer = admin.send("DELETE", f"{url}/a", options)
    assert (status, answer["status"]) == (200, "Success")
    assert answer["details"]["uid"] == made["metadata"]["uid"]
    assert admin.send("GET", f"{url}/a")[0] == 404


def test_finalizers_keep_an_object(admin: Client, url: str) -> None:
    admin.send("POST", url, tfjob(finalizers=["example.com/wait"]))
    status, answer = admin.send("DELETE", f"{url}/a")
    assert status == 200
    assert answer["metadata"]["deletionTimestamp"]
    assert admin.send("POST", url, tfjob())[1]["reason"] == "AlreadyExists"
    changes = {"metadata": {"finalizers": None}}
    admin.send("PATCH", f"{url}/a", changes, "application/merge-patch+json")
    assert admin.send("GET", f"{url}/a")[0] == 404


@pytest.mark.parametrize("policy", ["Background", "Foreground"])
def test_what_is_owned_goes_with_its_owner(
    admin: Client, url: str, pods_url: str, policy: str
) -> None:
    _, owner = admin.send("POST", url, tfjob())
    reference = {
        "apiVersion": TFJOB.api_version,
        "kind": TFJOB.kind,
        "name": "a",
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    child = pod(ownerReferences=[reference], finalizers=["example.com/wait"])
    assert admin.send("POST", pods_url, child)[0] == 201
    time.sleep(1)
    status, _ = admin.send("DELETE", f"{url}/a", {"propagationPolicy": policy})
    assert status == 200
    wait_until(
        lambda: "deletionTimestamp" in admin.send("GET", f"{pods_url}/p")[1]["metadata"],
        "deletion of the pod",
    )
    # In the foreground, the owner stays as long as what it owns.
    status, answer = admin.send("GET", f"{url}/a")
    assert status == (200 if policy == "Foreground" else 404)
    if policy == "Foreground":
        assert answer["metadata"]["finalizers"] == ["foregroundDeletion"]
        assert answer["metadata"]["deletionTimestamp"]
    changes = {"metadata": {"finalizers": None}}
    admin.send("PATCH", f"{pods_url}/p", changes, "application/merge-patch+json")
    wait_until(lambda: admin.send("GET", f"{pods_url}/p")[0] == 404, "end of the pod")
    wait_until(lambda: admin.send("GET", f"{url}/a")[0] == 404, "end of the owner")


def test_what_has_an_absent_owner_goes(admin: Client, pods_url: str) -> None:
    reference = {
        "apiVersion": TFJOB.api_version,
        "kind": TFJOB.kind,
        "name": "never",
        "uid": "00000000-0000-0000-0000-000000000000",
    }
    admin.send("POST", pods_url, pod(ownerReferences=[reference]))
    wait_until(lambda: admin.send("GET", f"{pods_url}/p")[0] == 404, "end of the pod")


def test_lists_and_their_selectors(admin: Client, url: str, pods_url: str) -> None:
    for name, labels in (("a", {"x": "1"}), ("b", {"x": "2", "y": "1"}), ("c", {})):
        admin.send("POST", url, tfjob(name, labels=labels))

    def names(query: str) -> list[str]:
        status, answer = admin.send("GET", f"{url}?{query}")
        assert status == 200, answer
        assert answer["kind"] == "TFJobList"
        assert answer["metadata"]["resourceVersion"]
        return [item["metadata"]["name"] for item in answer["items"]]

    assert names("") == ["a", "b", "c"]
    assert names("labelSelector=x=1") == ["a"]
    assert names("labelSelector=x!=1") == ["b", "c"]
    assert names("labelSelector=x%20in%20(1,2),y") == ["b"]
    assert names("labelSelector=x%20notin%20(1)") == ["b", "c"]
    assert names("labelSelector=!x") == ["c"]
    assert names("fieldSelector=metadata.name=b") == ["b"]
    status, answer = admin.send("GET", f"{url}?fieldSelector=spec.x=b")
    assert (status, answer["reason"]) == (400, "BadRequest")
    assert "field label not supported: spec.x" in answer["message"]
    _, page = admin.send("GET", f"{url}?limit=2")
    assert [item["metadata"]["name"] for item in page["items"]] == ["a", "b"]
    assert names(f"limit=2&continue={page['metadata']['continue']}") == ["c"]
    admin.send("POST", pods_url, pod())
    _, listed = admin.send("GET", pods_url)
    assert listed["kind"] == "PodList"
    assert "kind" not in listed["items"][0]


def test_a_watch_from_a_version(admin: Client, url: str) -> None:
    _, made = admin.send("POST", url, tfjob("before"))
    version = made["metadata"]["resourceVersion"]
    selector = "labelSelector=x=1&allowWatchBookmarks=true"
    events = admin.events(
        f"{url}?watch=true&resourceVersion={version}&{selector}&timeoutSeconds=10"
    )
    merge = "application/merge-patch+json"
    admin.send("POST", url, tfjob("a", labels={"x": "1"}))
    admin.send("PATCH", f"{url}/a", {"metadata": {"annotations": {"b": "1"}}}, merge)
    admin.send("PATCH", f"{url}/a", {"metadata": {"labels": {"x": "2"}}}, merge)
    admin.send("PATCH", f"{url}/a", {"metadata": {"labels": {"x": "1"}}}, merge)
    admin.send("DELETE", f"{url}/a")
    seen = []
    for event in events:
        if event["type"] != "BOOKMARK":
            seen.append((event["type"], int(event["object"]["metadata"]["resourceVersion"])))
        if len(seen) == 5:
            break
    assert [kind for kind, _ in seen] == ["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"]
    assert [number for _, number in seen] == sorted({number for _, number in seen})


def test_a_watch_without_a_version_begins_with_what_is_there(admin: Client, url: str) -> None:
    admin.send("POST", url, tfjob("a"))
    events = list(admin.events(f"{url}?watch=1&timeoutSeconds=1"))
    assert [(event["type"], event["object"]["metadata"]["name"]) for event in events] == [
        ("ADDED", "a")
    ]


def test_a_watch_ends_in_time_with_a_bookmark(admin: Client, url: str) -> None:
    _, made = admin.send("POST", url, tfjob("a"))
    began = time.monotonic()
    query = "watch=true&resourceVersion={}&allowWatchBookmarks=true&timeoutSeconds=3"
    events = list(admin.events(f"{url}?{query.format(made['metadata']['resourceVersion'])}"))
    assert 2 < time.monotonic() - began < 30
    for event in events:
        assert event["type"] == "BOOKMARK"
        assert event["object"]["kind"] == "TFJob"
        assert event["object"]["metadata"]["resourceVersion"]


def test_a_watch_from_a_version_that_is_too_old(admin: Client, cluster: Cluster, url: str) -> None:
    if cluster.server is None:
        pytest.skip("compaction takes minutes")
    cluster.server.store.compact()
    (event,) = admin.events(f"{url}?watch=true&resourceVersion=1&timeoutSeconds=3")
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)
    assert event["object"]["reason"] == "Expired"


def test_a_forbidden_request(cluster: Cluster, url: str) -> None:
    launcher = Client(cluster, launcher=True)
    user = f"system:serviceaccount:{cluster.namespace}:pipeline-runner"
    where = f'in the namespace "{cluster.namespace}"'
    status, answer = launcher.send("PUT", f"{url}/a", tfjob())
    assert (status, answer["reason"], answer["code"]) == (403, "Forbidden", 403)
    assert answer["message"] == (
        f'tfjobs.kubeflow.org "a" is forbidden: User "{user}" cannot update resource "tfjobs" in '
        f'API group "kubeflow.org" {where}'
    )
    pods = PODS.format(cluster.namespace)
    _, answer = launcher.send("POST", pods, pod())
    assert answer["message"] == (
        f'pods is forbidden: User "{user}" cannot create resource "pods" in API group "" {where}'
    )
    _, answer = launcher.send("GET", f"{pods}/p/status")
    assert answer["message"] == (
        f'pods "p" is forbidden: User "{user}" cannot get resource "pods/status" in API group "" '
        f"{where}"
    )
    assert launcher.send("GET", url)[0] == 200


def test_who_is_not_known(cluster: Cluster, url: str) -> None:
    client = Client(cluster, launcher=True)
    client.token = "Bearer wrong"
    status, answer = client.send("GET", url)
    assert (status, answer["reason"], answer["message"]) == (401, "Unauthorized", "Unauthorized")


class TestLogs:
    @pytest.fixture
    def running(self, cluster: Cluster, admin: Client, pods_url: str) -> str:
        """A pod with two containers, one of which runs; return the URL of its log."""
        wanted = pod("p", ("main", "sidecar"))
        wanted["spec"]["nodeName"] = cluster.node
        assert admin.send("POST", pods_url, wanted)[0] == 201
        statuses = [
            {
                "name": name,
                "image": "i",
                "imageID": "",
                "ready": True,
                "restartCount": 0,
                "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
            }
            for name in ("main", "sidecar")
        ]
        cluster.admin.status(POD, "p", {"phase": "Running", "containerStatuses": statuses})
        return f"{pods_url}/p/log?container=main"

    def test_lines(self, cluster: Cluster, admin: Client, running: str) -> None:
        cluster.logs.write(cluster.namespace, "p", "main", "one", "two", "three")
        assert list(admin.lines(running)) == ["one", "two", "three"]
        assert list(admin.lines(f"{running}&tailLines=2")) == ["two", "three"]
        assert admin.send("GET", f"{running}&limitBytes=5")[1] == "one\nt"
        (line,) = admin.lines(f"{running}&tailLines=1&timestamps=true")
        assert datetime.fromisoformat(line.split(" ")[0]).tzinfo == UTC
        assert line.endswith(" three")

    def test_since(self, cluster: Cluster, admin: Client, running: str) -> None:
        cluster.logs.write(cluster.namespace, "p", "main", "one")
        time.sleep(1.1)
        cluster.logs.write(cluster.namespace, "p", "main", "two")
        time.sleep(1.1)
        cluster.logs.write(cluster.namespace, "p", "main", "three")
        stamps = [line.split(" ")[0] for line in admin.lines(f"{running}&timestamps=true")]
        # The fraction of a second is lost on the way.
        assert list(admin.lines(f"{running}&sinceTime={stamps[1]}")) == ["two", "three"]

    def test_following(self, cluster: Cluster, admin: Client, running: str) -> None:
        cluster.logs.write(cluster.namespace, "p", "main", "one")

        seen = threading.Event()

        def go_on() -> None:
            # The second line is written once the first one has arrived.
            assert seen.wait(60)
            cluster.logs.write(cluster.namespace, "p", "main", "two")
            cluster.logs.end(cluster.namespace, "p", "main")

        writer = threading.Thread(target=go_on)
        writer.start()
        lines = []
        for line in admin.lines(f"{running}&follow=true"):
            lines.append(line)
            seen.set()
        writer.join()
        assert len(lines) == 2

    def test_what_cannot_be_read(self, admin: Client, running: str) -> None:
        path = running.partition("?")[0]
        status, answer = admin.send("GET", path)
        assert (status, answer["reason"]) == (400, "BadRequest")
        assert answer["message"] == (
            "a container name must be specified for pod p, choose one of: [main sidecar]"
        )
        status, answer = admin.send("GET", f"{path}?container=other")
        assert (status, answer["message"]) == (400, "container other is not valid for pod p")
        status, answer = admin.send("GET", f"{running}&previous=true")
        assert status == 400
        assert 'previous terminated container "main" in pod "p" not found' in answer["message"]
        status, answer = admin.send("GET", path.replace("/p/", "/q/"))
        assert (status, answer["reason"]) == (404, "NotFound")


def test_events_by_what_they_are_about(cluster: Cluster) -> None:
    for name in ("a", "b"):
        cluster.admin.create(
            EVENT,
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": f"{name}.1"},
                "involvedObject": {"name": name, "namespace": cluster.namespace},
                "reason": "Failed",
                "type": "Warning",
            },
        )
    path = f"/api/v1/namespaces/{cluster.namespace}/events?fieldSelector=involvedObject.name=b"
    _, found = Client(cluster, launcher=True).send("GET", path)
    assert [item["metadata"]["name"] for item in found["items"]] == ["b.1"]


def test_the_rights_that_were_needed_are_recorded(cluster: Cluster) -> None:
    if cluster.server is None:
        pytest.skip("the server of these tests records them")
    api = cluster.connect()
    api.list(TFJOB)
    with pytest.raises(Exception, match="may not update jobs.batch"):
        api.replace(JOB, {"metadata": {"name": "a"}})
    asked = cluster.server.asked[f"system:serviceaccount:{cluster.namespace}:pipeline-runner"]
    found = [(right.verb, right.group, right.resource) for right in asked]
    assert found == [("list", "kubeflow.org", "tfjobs"), ("update", "batch", "jobs")]


def test_admin_reports_refusals(cluster: Cluster) -> None:
    with pytest.raises(Refused, match="404"):
        cluster.admin.delete(TFJOB, "absent")
