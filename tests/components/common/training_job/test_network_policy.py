"""The policy of a job: its own pods reach each other on the workers' ports, and no others do."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from kfp_tabular.components.common.kubernetes.client.errors import ForbiddenError, RejectedError
from kfp_tabular.components.common.kubernetes.client.resource_kinds import NETWORK_POLICY, TFJOB
from kfp_tabular.components.common.training_job.job_kinds import JOB_KINDS
from kfp_tabular.components.common.training_job.job_settings import JobSettings
from kfp_tabular.components.common.training_job.network_policy import (
    NetworkPolicies,
    build,
    has_peers,
)
from tests.cluster import core_models
from tests.cluster.api_server import KINDS, Rule
from tests.cluster.clusters import LAUNCHER_RULES, Cluster, simulated
from tests.cluster.operators import wait_until

MANAGED = {"app.kubernetes.io/managed-by": "kfp-tabular"}
MAY = Rule(("networking.k8s.io",), ("networkpolicies",), ("create",))


def job(kind: str, name: str, uid: str = "0b6a3c1e-7f0f-4b53-9e5b-2f1f3f0a9d11") -> dict[str, Any]:
    resource = JOB_KINDS[kind].resource
    metadata = {"name": name, "uid": uid, "namespace": "team", "labels": {"a": "b"}}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}


def pod(kind: str, name: str) -> dict[str, str]:
    """Return the labels of a pod of a job, with those that the job's controller adds."""
    return {**MANAGED, "kfp-tabular.dev/run-id": "run", JOB_KINDS[kind].name_label: name}


def admits(
    policies: Iterable[Mapping[str, Any]],
    source: Mapping[str, str],
    target: Mapping[str, str],
    port: int,
) -> bool:
    """Tell whether a pod may connect to another, both by their labels, as Kubernetes defines it."""

    def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
        assert set(selector) <= {"matchLabels"}
        return selector.get("matchLabels", {}).items() <= labels.items()

    found = [policy["spec"] for policy in policies]
    isolating = [spec for spec in found if selects(spec["podSelector"], target)]
    return not isolating or any(
        any(selects(peer["podSelector"], source) for peer in rule["from"])
        and any(
            entry["port"] <= port <= entry.get("endPort", entry["port"]) for entry in rule["ports"]
        )
        for spec in isolating
        for rule in spec.get("ingress", ())
    )


@pytest.mark.parametrize("kind", ["tfjob", "trainjob"])
def test_pods_of_one_job_reach_each_other_and_no_others_do(kind: str) -> None:
    deny = {"spec": {"podSelector": {"matchLabels": MANAGED}, "policyTypes": ["Ingress"]}}
    policies = [
        deny,
        *(build(JOB_KINDS[kind], name, job(kind, name), JobSettings(workers=2)) for name in "ab"),
    ]

    assert admits(policies, pod(kind, "a"), pod(kind, "a"), 2222)
    assert admits(policies, pod(kind, "b"), pod(kind, "b"), 2222)
    assert not admits(policies, pod(kind, "a"), pod(kind, "b"), 2222)
    assert not admits(policies, pod(kind, "b"), pod(kind, "a"), 2222)
    assert not admits(policies, pod(kind, "a"), pod(kind, "a"), 22)
    assert not admits(policies, MANAGED, pod(kind, "a"), 2222)
    assert not admits(policies, {"app": "notebook"}, pod(kind, "a"), 2222)
    # A job of another project whose name is the same.
    assert not admits(policies, {JOB_KINDS[kind].name_label: "a"}, pod(kind, "a"), 2222)
    assert not admits([deny], pod(kind, "a"), pod(kind, "a"), 2222)


@pytest.mark.parametrize(
    ("document", "open_to_nccl"),
    [({}, False), ({"gpus": 1}, True), ({"roles": {"workers": {"gpus": 2}}}, True)],
)
def test_nccl_has_its_ports_where_there_are_gpus_and_only_there(
    document: dict[str, Any], open_to_nccl: bool
) -> None:
    settings = JobSettings.parse({"workers": 2, **document})
    policy = build(JOB_KINDS["tfjob"], "a", job("tfjob", "a"), settings)

    for port in (32768, 65535):
        assert admits([policy], pod("tfjob", "a"), pod("tfjob", "a"), port) == open_to_nccl
    assert not admits([policy], pod("tfjob", "b"), pod("tfjob", "a"), 32768)
    assert not admits([policy], pod("tfjob", "a"), pod("tfjob", "a"), 32767)


def test_the_api_server_knows_every_field_and_the_job_owns_it() -> None:
    policy = build(JOB_KINDS["tfjob"], "a", job("tfjob", "a"), JobSettings(workers=2, gpus=1))

    assert core_models.problems(policy) == []
    (owner,) = policy["metadata"]["ownerReferences"]
    assert owner["uid"] == job("tfjob", "a")["metadata"]["uid"]
    assert "blockOwnerDeletion" not in owner


def test_a_job_that_is_made_again_gets_another_policy() -> None:
    first, second = (
        build(JOB_KINDS["tfjob"], "a", job("tfjob", "a", uid), JobSettings(workers=2))
        for uid in ("11111111-0", "22222222-0")
    )

    assert first["metadata"]["name"] != second["metadata"]["name"]


@pytest.mark.parametrize(
    ("document", "peers"),
    [
        ({}, False),
        ({"evaluator": True}, False),
        ({"workers": 2}, True),
        ({"workers": 2, "parameter_servers": 1}, True),
    ],
)
def test_one_pod_needs_no_policy(document: dict[str, Any], peers: bool) -> None:
    assert has_peers(JobSettings.parse(document)) == peers


def body(name: str) -> dict[str, Any]:
    return {**job("tfjob", name), "metadata": {"name": name}, "spec": {}}


def policies(cluster: Cluster, mode: str = "auto") -> NetworkPolicies:
    settings = JobSettings(workers=2, network_policy=mode)
    return NetworkPolicies(cluster.connect(), JOB_KINDS["tfjob"], settings)


def test_it_is_made_once_and_an_earlier_attempts_is_taken_over() -> None:
    with simulated((*LAUNCHER_RULES, MAY)) as cluster:
        assert cluster.server is not None
        first, second = (cluster.admin.create(TFJOB, body(name)) for name in "ab")
        made = policies(cluster)
        for owner in (first, first, second):
            made.add(owner)
        policies(cluster, "required").add(first)

        assert len(cluster.admin.list(NETWORK_POLICY)) == 2
        sent = [line for line in cluster.server.requests if "POST /apis/networking" in line]
        assert len(sent) == 3
        # The job owns it.
        cluster.admin.delete(TFJOB, "a")
        wait_until(lambda: len(cluster.admin.list(NETWORK_POLICY)) == 1, "deletion")


def test_without_the_right_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with simulated(LAUNCHER_RULES) as cluster:
        asked = policies(cluster)
        for name in ("a", "b"):
            asked.add(job("tfjob", name, f"{name * 8}-0"))

        assert cluster.admin.list(NETWORK_POLICY) == []
    (line,) = [entry.message for entry in caplog.records if entry.levelno == logging.WARNING]
    assert line.startswith("No NetworkPolicy for the job: port 2222 of its pods is as open as")
    assert '"networkpolicies"], "verbs": ["create"]' in line
    assert "job.network_policy: required" in line


def test_without_the_right_a_task_that_requires_it_ends() -> None:
    with (
        simulated(LAUNCHER_RULES) as cluster,
        pytest.raises(ForbiddenError, match="may not create networkpolicies"),
    ):
        policies(cluster, "required").add(job("tfjob", "a"))


def test_a_cluster_without_policies(caplog: pytest.LogCaptureFixture) -> None:
    kinds = [kind for kind in KINDS if kind is not NETWORK_POLICY]
    with simulated((*LAUNCHER_RULES, MAY), kinds) as cluster:
        policies(cluster).add(job("tfjob", "a"))
        with pytest.raises(RejectedError):
            policies(cluster, "required").add(job("tfjob", "a"))
    assert "No NetworkPolicy for the job" in caplog.text


def test_none_asks_for_nothing() -> None:
    with simulated(LAUNCHER_RULES) as cluster:
        assert cluster.server is not None
        policies(cluster, "none").add(job("tfjob", "a"))

        assert not [line for line in cluster.server.requests if line.startswith("POST")]
