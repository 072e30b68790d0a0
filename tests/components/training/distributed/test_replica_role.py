"""A process's role in its job, and TF_CONFIG from the variables of a TrainJob's pods."""

import json
import socket
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.training import rendezvous
from kfp_tabular.components.training.distributed import peers, replica_role
from tests.components.training.processes import free_ports


def config(cluster, role, index):
    return json.dumps(
        {"cluster": cluster, "task": {"type": role, "index": index}, "environment": "cloud"}
    )


@pytest.mark.parametrize(
    ("cluster", "role", "index", "expected"),
    [
        ({"worker": ["a:1"]}, "worker", 0, (0, 1, True)),
        ({"worker": ["a:1", "b:1"]}, "worker", 1, (1, 2, False)),
        ({"chief": ["a:1"], "worker": ["b:1"]}, "chief", 0, (0, 2, True)),
        ({"chief": ["a:1"], "worker": ["b:1"]}, "worker", 0, (1, 2, False)),
        ({"master": ["a:1"], "worker": ["b:1"]}, "master", 0, (0, 2, True)),
        ({"chief": ["a:1"], "evaluator": ["e:1"]}, "chief", 0, (0, 1, True)),
        ({"chief": ["a:1"], "evaluator": ["e:1"]}, "evaluator", 0, (0, 1, False)),
        ({"chief": ["a:1"], "worker": ["b:1"], "evaluator": ["e:1"]}, "worker", 0, (1, 2, False)),
        ({"chief": ["a:1"], "worker": ["b:1"], "ps": ["p:1"]}, "worker", 0, (0, 1, False)),
        ({"chief": ["a:1"], "worker": ["b:1", "c:1"], "ps": ["p:1"]}, "chief", 0, (0, 2, True)),
        ({"chief": ["a:1"], "worker": ["b:1"], "ps": ["p:1"]}, "ps", 0, (0, 1, False)),
    ],
)
def test_the_role_in_a_cluster(cluster, role, index, expected):
    found = replica_role.parse_tf_config(config(cluster, role, index))
    assert (found.worker, found.workers, found.is_chief) == expected
    assert found.has_evaluator == ("evaluator" in cluster)
    assert found.has_parameter_servers == ("ps" in cluster)
    assert "evaluator" not in found.cluster


@given(
    chiefs=st.integers(0, 1),
    workers=st.integers(0, 6),
    servers=st.integers(0, 3),
    evaluators=st.integers(0, 1),
)
def test_a_job_has_one_chief_and_everyone_knows_the_others(chiefs, workers, servers, evaluators):
    counts = {"chief": chiefs, "worker": workers, "ps": servers, "evaluator": evaluators}
    cluster = {
        role: [f"{role}-{index}:2222" for index in range(count)]
        for role, count in counts.items()
        if count
    }
    tasks = [(role, index) for role, count in counts.items() for index in range(count)]
    if not tasks:
        return
    try:
        places = [replica_role.parse_tf_config(config(cluster, *task)) for task in tasks]
    except UserError:
        assert len(tasks) > 1
        assert not (chiefs and workers) if servers else not (chiefs or workers)
        return
    assert sum(place.is_chief for place in places) == 1
    assert len({(place.workers, place.has_parameter_servers) for place in places}) == 1
    training = [place.worker for place in places if place.role in ("chief", "worker")]
    if not servers:
        assert sorted(training) == list(range(len(training)))
    everyone = {address for place in places for address in (*place.peers, place.address)} - {""}
    for place in places:
        if place.role != "evaluator" and place.cluster:
            assert {*place.peers, place.address} == everyone


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "JSON"),
        ("[]", "JSON"),
        ('{"cluster": {"worker": ["a", "b"]}}', "number None"),
        (config({"worker": ["a", "b"]}, "worker", 2), "cluster of 2 worker"),
        (config({"worker": ["a", "b"]}, "worker", True), "'worker' number True"),
        (config({"worker": ["a", "b"], "ps": ["c"]}, "worker", 0), "no chief"),
        (config({"chief": ["a"], "ps": ["c"]}, "chief", 0), "no worker"),
        (config({"worker": {"1": "b"}, "ps": []}, "worker", 1), "enableDynamicWorker"),
        (config({"chief": ["a"], "master": ["b"]}, "chief", 0), "both a chief and a master"),
        (config({"chief": ["a", "b"]}, "chief", 0), "2 chiefs"),
        (config({"worker": ["a"], "boss": ["b"]}, "worker", 0), "the role 'boss'"),
        (config({"evaluator": ["a"], "ps": ["b"]}, "evaluator", 0), "no process that trains"),
    ],
)
def test_an_invalid_tf_config(text, words):
    with pytest.raises(UserError, match=f"TF_CONFIG.*{words}"):
        replica_role.parse_tf_config(text)


@pytest.mark.parametrize("text", ["", "  ", "{}", '{"cluster": {}}'])
def test_a_process_alone(text):
    assert replica_role.parse_tf_config(text) == replica_role.ALONE
    assert replica_role.ALONE.peers == ()


POD = {
    "JOB_COMPLETION_INDEX": "1",
    "KFP_TABULAR_WORKERS": "3",
    "KFP_TABULAR_JOBSET": "train-abc",
}


def test_the_pods_of_a_jobset():
    found = json.loads(rendezvous.tf_config(POD))
    assert found["cluster"] == {
        "worker": [f"train-abc-node-0-{index}.train-abc:2222" for index in range(3)]
    }
    assert found["task"] == {"type": "worker", "index": 1}
    place = replica_role.parse_tf_config(rendezvous.tf_config(POD))
    assert (place.worker, place.workers, place.is_chief) == (1, 3, False)


def test_a_jobset_of_one_pod_needs_no_names():
    assert rendezvous.tf_config({"KFP_TABULAR_WORKERS": "1"}) == ""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"KFP_TABULAR_WORKERS": ""}, "KFP_TABULAR_WORKERS is not set.*TrainJob"),
        ({"KFP_TABULAR_WORKERS": "two"}, "KFP_TABULAR_WORKERS: expected a whole number"),
        ({"KFP_TABULAR_WORKERS": "0"}, "at least 1, found '0'"),
        ({"JOB_COMPLETION_INDEX": ""}, "JOB_COMPLETION_INDEX is not set.*Indexed Job"),
        ({"JOB_COMPLETION_INDEX": "3"}, "JOB_COMPLETION_INDEX is 3, but KFP_TABULAR_WORKERS is 3"),
        ({"KFP_TABULAR_JOBSET": ""}, "KFP_TABULAR_JOBSET is not set.*ClusterTrainingRuntime"),
    ],
)
def test_pods_that_lack_a_variable(changes, words):
    with pytest.raises(UserError, match=words):
        rendezvous.tf_config(POD | changes)


@pytest.fixture
def no_such_name(monkeypatch):
    """A resolver may take seconds to report that a name is missing."""
    resolve = socket.getaddrinfo

    def resolved(host, *others, **options):
        if str(host).endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(host, *others, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)


def test_peers_that_do_not_come_are_named_with_the_reason(no_such_name):
    (port,), waited = free_ports(1), []
    with (
        socket.create_server(("127.0.0.1", 0)) as there,
        pytest.raises(peers.PeersError) as failure,
    ):
        up = f"127.0.0.1:{there.getsockname()[1]}"
        addresses = [up, f"127.0.0.1:{port}", "node-1.invalid:2222"]
        peers.wait_for(addresses, 0.0, sleep=waited.append)
    assert f"127.0.0.1:{port} (Connection refused), node-1.invalid:2222 (no DNS name)" in str(
        failure.value
    )
    assert up not in str(failure.value)


def test_peers_meet_in_any_order():
    """No process leaves before it has seen all others."""
    ports = free_ports(3)
    addresses = [f"127.0.0.1:{port}" for port in ports]
    met, servers = [], []

    def meet(index):
        time.sleep(0.3 * index)
        others = [address for address in addresses if address != addresses[index]]
        peers.wait_for(others, 20.0, own=addresses[index])
        met.append(index)
        # TensorFlow listens there from now on.
        servers.append(socket.create_server(("127.0.0.1", ports[index])))

    threads = [threading.Thread(target=meet, args=(index,)) for index in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for server in servers:
        server.close()
    assert sorted(met) == [0, 1, 2]
