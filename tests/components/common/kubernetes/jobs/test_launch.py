import dataclasses
import logging
import threading
import time

import pytest

from kfp_tabular.components.common.kubernetes import owner_reference
from kfp_tabular.components.common.kubernetes.client import errors
from kfp_tabular.components.common.kubernetes.client.resource_kinds import POD, TFJOB
from kfp_tabular.components.common.kubernetes.client.retries import RetryPolicy
from kfp_tabular.components.common.kubernetes.jobs import launch, waiting
from tests.cluster.api_server import WORKFLOW
from tests.cluster.clusters import Cluster
from tests.cluster.operators import Job, Operator
from tests.cluster.scenarios import LauncherScenarios, faulty, run_on, succeed
from tests.components.common.kubernetes.flavours import JOB_FLAVOUR, NAME, TFJOB_FLAVOUR


class TestTFJob(LauncherScenarios):
    flavour = TFJOB_FLAVOUR


class TestJob(LauncherScenarios):
    flavour = JOB_FLAVOUR


def test_a_server_that_is_away_for_half_a_minute(cluster: Cluster) -> None:
    """The production settings: 30 s, and the launchers' default waits."""
    server = faulty(cluster)

    def outage(job: Job) -> None:
        run_on(job)
        time.sleep(0.5)
        server.away(30, starting_seconds=3)
        job.end(f"{job.name}-chief")
        job.status("succeeded")

    with Operator(cluster, TFJOB_FLAVOUR, outage).working() as operator:
        result = waiting_run(cluster)
    assert [job.uid for job in operator.jobs] == [result]


def waiting_run(cluster: Cluster) -> str:
    api = cluster.connect(RetryPolicy())
    uid: str = launch.run(api, TFJOB_FLAVOUR.launch(deadline_seconds=120))["metadata"]["uid"]
    return uid


def test_deleting_the_run_deletes_the_job(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty(cluster)
    monkeypatch.setenv(owner_reference.POD_NAME_VARIABLE, "task")
    workflow = {"apiVersion": WORKFLOW.api_version, "kind": WORKFLOW.kind}
    run = cluster.admin.create(WORKFLOW, {**workflow, "metadata": {"name": "run"}})
    reference = {**workflow, "name": "run", "uid": run["metadata"]["uid"], "controller": True}
    task = {"name": "task", "ownerReferences": [reference]}
    spec = {"containers": [{"name": "main", "image": "i"}]}
    cluster.admin.create(POD, {"apiVersion": "v1", "kind": "Pod", "metadata": task, "spec": spec})
    with Operator(cluster, TFJOB_FLAVOUR, succeed).working():
        waiting_run(cluster)
    assert cluster.admin.get(TFJOB, NAME)
    cluster.admin.delete(WORKFLOW, "run")
    assert cluster.admin.list(TFJOB) == cluster.admin.list(POD) == []


def test_a_kind_whose_controller_makes_again_what_is_deleted(cluster: Cluster) -> None:
    """Foreground deletion would never end; background deletion ends its pods afterwards."""
    kind = dataclasses.replace(TFJOB, propagation="Background")
    wanted = dataclasses.replace(TFJOB_FLAVOUR.launch(deadline_seconds=1), kind=kind)
    at_the_end = []

    def again(job: Job) -> None:
        run_on(job)
        pod = f"{job.name}-chief"
        slow = {"metadata": {"finalizers": ["example.com/container-ends"]}}
        cluster.admin.patch(POD, pod, slow)
        while not cluster.admin.get(POD, pod)["metadata"].get("deletionTimestamp"):
            time.sleep(0.02)
        time.sleep(0.5)
        if cluster.admin.get(TFJOB, job.name):
            job.pod("worker")
        at_the_end.append(cluster.admin.get(TFJOB, job.name))
        cluster.admin.patch(POD, pod, {"metadata": {"finalizers": None}})

    with Operator(cluster, TFJOB_FLAVOUR, again).working():
        with pytest.raises(errors.DeadlineError):
            launch.run(cluster.connect(), wanted)
        assert at_the_end == [None]
        assert cluster.admin.list(POD) == []


def test_a_wait_alone_changes_nothing(cluster: Cluster) -> None:
    """What a rollout of an endpoint uses: it cleans up in its own way."""
    made = cluster.admin.create(TFJOB, TFJOB_FLAVOUR.launch().resource)
    wanted, terminated = TFJOB_FLAVOUR.launch(deadline_seconds=0.5), threading.Event()
    with pytest.raises(errors.DeadlineError):
        waiting.until_ended(cluster.connect(), wanted, made, terminated)
    threading.Timer(0.5, terminated.set).start()
    began = time.monotonic()
    with pytest.raises(errors.TerminatedError):
        waiting.until_ended(cluster.connect(), TFJOB_FLAVOUR.launch(), made, terminated)
    assert time.monotonic() - began < 20
    assert cluster.admin.list(TFJOB) == [made]


def test_a_job_without_pods_is_reported(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    def no_quota(job: Job) -> None:
        job.event(job.name, "FailedCreatePod", "exceeded quota: cpu")
        job.event(f"{job.name}-search-7f9", "FailedScheduling", "0/3 nodes are available")
        job.event(f"{job.name}0-chief-0", "BackOff", "of another job")
        time.sleep(1)
        job.status("succeeded")

    with Operator(cluster, TFJOB_FLAVOUR, no_quota).working():
        launch.run(cluster.connect(), TFJOB_FLAVOUR.launch(grace_seconds=0.5))
    assert "has no pods yet" in caplog.text
    assert "FailedCreatePod: exceeded quota: cpu" in caplog.text
    assert "FailedScheduling: 0/3 nodes are available" in caplog.text
    assert "of another job" not in caplog.text


def test_no_threads_stay_behind(cluster: Cluster) -> None:
    with Operator(cluster, TFJOB_FLAVOUR, succeed).working():
        launch.run(cluster.connect(), TFJOB_FLAVOUR.launch())
    names = ("watch", "pods", "log", "termination")
    end = time.monotonic() + 30
    while time.monotonic() < end:
        left = [thread for thread in threading.enumerate() if thread.name.startswith(names)]
        if not left:
            break
        time.sleep(0.05)
    assert not left
