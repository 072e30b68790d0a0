"""Everything that can happen to a launcher, for every kind of job that it can launch.

A test module makes a class of `LauncherScenarios` with its own `flavour`; pytest runs all of them.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.kubernetes.client import errors
from kfp_tabular.components.common.kubernetes.client.resource_kinds import POD
from kfp_tabular.components.common.kubernetes.jobs import launch
from kfp_tabular.components.common.process.termination import TERMINATED_EXIT_CODE
from tests.cluster import launcher_process
from tests.cluster.clusters import Cluster
from tests.cluster.operators import Flavour, Job, Operator, Script, wait_until

ROOT = Path(__file__).parents[2]


def succeed(job: Job) -> None:
    """The chief runs, logs something and ends."""
    job.status("running")
    pod = job.pod()
    job.set_pod(pod, **job.running())
    job.log(pod, "step 1", "step 2")
    job.log(pod, "done")
    job.end(pod)
    job.status("succeeded")


def run_on(job: Job) -> None:
    """The chief runs and does not end."""
    job.status("running")
    pod = job.pod()
    job.set_pod(pod, **job.running())
    job.log(pod, "step 1")


class LauncherScenarios:
    """The tests of a launcher. `cluster` is a fixture of `tests.cluster.fixtures`."""

    flavour: Flavour

    # What the tests are written with.

    @contextmanager
    def operator(self, cluster: Cluster, script: Script) -> Iterator[Operator]:
        """Let an operator work on each job that is created."""
        with Operator(cluster, self.flavour, script).working() as operator:
            yield operator

    def run(self, cluster: Cluster, **changes: Any) -> Any:
        """Run a launch in this process."""
        return launch.run(cluster.connect(), self.flavour.launch(**changes))

    def left(self, cluster: Cluster) -> tuple[int, int]:
        """Return how many jobs and pods there are."""
        return len(cluster.admin.list(self.flavour.kind)), len(cluster.admin.list(POD))

    @contextmanager
    def process(self, cluster: Cluster, **changes: str) -> "Iterator[subprocess.Popen[str]]":
        """Run a launch in a process of its own."""
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                launcher_process.__name__,
                self.flavour.path,
                *(f"{name}={value}" for name, value in changes.items()),
            ],
            cwd=ROOT,
            env={**os.environ, "KUBECONFIG": str(cluster.kubeconfig)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    # How jobs end.

    def test_success_shows_the_log_and_leaves_the_job(
        self, cluster: Cluster, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        with self.operator(cluster, succeed) as operator:
            result = self.run(cluster)
        assert result["metadata"]["uid"] == operator.jobs[0].uid
        assert shown(caplog) == ["step 1", "step 2", "done"]
        assert len(operator.jobs) == 1
        assert self.left(cluster)[0] == 1

    def test_every_state_is_reported(self, cluster: Cluster) -> None:
        seen: list[Any] = []
        with self.operator(cluster, succeed):
            self.run(cluster, on_change=seen.append)
        assert len(seen) >= 2
        assert seen[-1]["status"]

    def test_failure_tells_the_cause_and_the_last_words(self, cluster: Cluster) -> None:
        def fail(job: Job) -> None:
            job.status("running")
            chief, worker = job.pod(), job.pod("worker")
            job.set_pod(chief, **job.running())
            job.set_pod(worker, **job.running())
            job.log(worker, "loading", "ValueError: column 'fare' is missing")
            job.end(worker, 1)
            job.event(worker, "BackOff", "Back-off restarting failed container")
            # The chief ends because its worker is gone: the consequence, not the cause.
            job.log(chief, "connection lost")
            time.sleep(1.1)
            job.end(chief, 143)
            job.status("failed", "2 replicas failed")

        with self.operator(cluster, fail) as operator, pytest.raises(errors.JobFailedError) as got:
            self.run(cluster)
        message = str(got.value)
        name = operator.jobs[0].name
        assert message.splitlines()[0].startswith(f"{self.flavour.kind.kind} {cluster.namespace}/")
        assert "2 replicas failed" in message.splitlines()[0]
        assert (
            f"pod {name}-worker, container {self.flavour.container}: Error: exit code 1" in message
        )
        assert "ValueError: column 'fare' is missing" in message
        assert "BackOff: Back-off restarting failed container" in message
        assert f"pod {name}-chief" in message
        assert len(operator.jobs) == 1

    def test_a_pod_that_needed_too_much_memory(self, cluster: Cluster) -> None:
        def out_of_memory(job: Job) -> None:
            pod = job.pod()
            job.set_pod(pod, **job.running())
            job.log(pod, "step 1")
            job.end(pod, 137, "OOMKilled")
            job.status("failed")

        with self.operator(cluster, out_of_memory), pytest.raises(errors.JobFailedError) as got:
            self.run(cluster)
        assert "OOMKilled: it used more memory than its limit of 512Mi" in str(got.value)
        assert "step 1" in str(got.value)

    def test_failed_pods_are_remembered_when_the_operator_deletes_them(
        self, cluster: Cluster
    ) -> None:
        def clean_up(job: Job) -> None:
            pod = job.pod("worker")
            job.set_pod(pod, **job.running())
            job.log(pod, "last words")
            job.end(pod, 3)
            time.sleep(0.5)
            cluster.admin.delete(POD, pod, gracePeriodSeconds=0)
            job.status("failed")

        with self.operator(cluster, clean_up), pytest.raises(errors.JobFailedError) as got:
            self.run(cluster)
        assert "exit code 3" in str(got.value)
        assert "last words" in str(got.value)

    def test_an_evicted_pod(self, cluster: Cluster) -> None:
        def evict(job: Job) -> None:
            pod = job.pod()
            text = "The node was low on resource: ephemeral-storage."
            job.set_pod(pod, phase="Failed", reason="Evicted", message=text)
            job.status("failed")

        with self.operator(cluster, evict), pytest.raises(errors.JobFailedError) as got:
            self.run(cluster)
        assert "Evicted: The node was low on resource: ephemeral-storage." in str(got.value)

    def test_an_exit_code_after_which_no_restart_helps(self, cluster: Cluster) -> None:
        """Meanwhile the operator has already restarted the container."""

        def restart(job: Job) -> None:
            run_on(job)
            worker = job.pod("worker")
            job.set_pod(worker, **job.running())
            job.log(worker, "error: column 'fare' is missing")
            cluster.logs.restart(cluster.namespace, worker, self.flavour.container)
            last = {"exitCode": 2, "reason": "Error"}
            job.set_pod(worker, **job.running(restarts=1, last=last))

        with self.operator(cluster, restart) as operator:
            with pytest.raises(errors.JobFailedError) as got:
                self.run(cluster, final_exit_codes=frozenset({2, 3}))
            assert (got.value.exit_code, got.value.over) == (2, False)
            assert f"container {self.flavour.container}: Error: exit code 2" in str(got.value)
            assert "column 'fare' is missing" in str(got.value)
            assert self.left(cluster) == (0, 0)
            assert len(operator.jobs) == 1

    def test_an_exit_code_of_another_container_is_ignored(self, cluster: Cluster) -> None:
        def sidecar(job: Job) -> None:
            pod = job.pod()
            status = job.running()
            ended = {"exitCode": 2, "reason": "Error"}
            beside = {**status["containerStatuses"][0], "name": "proxy", "lastState": {}}
            beside["state"] = {"terminated": ended}
            job.set_pod(
                pod, phase="Running", containerStatuses=[*status["containerStatuses"], beside]
            )
            time.sleep(0.5)
            job.end(pod)
            job.status("succeeded")

        with self.operator(cluster, sidecar):
            self.run(cluster, final_exit_codes=frozenset({2}))

    def test_a_final_exit_code_explains_a_failure(self, cluster: Cluster) -> None:
        """Another worker failed earlier, with a worse exit code, but was not the cause."""

        def fail(job: Job) -> None:
            job.status("running")
            chief, worker = job.pod(), job.pod("worker")
            job.end(chief, 137, "OOMKilled")
            job.log(worker, "error: column 'fare' is missing")
            job.end(worker, 2)
            job.status("failed")

        with self.operator(cluster, fail), pytest.raises(errors.JobFailedError) as got:
            self.run(cluster, final_exit_codes=frozenset({2}))
        assert got.value.exit_code == 2
        assert "column 'fare' is missing" in str(got.value)

    # Jobs that cannot start.

    def test_an_image_that_cannot_be_pulled(self, cluster: Cluster) -> None:
        def no_image(job: Job) -> None:
            pod = job.pod()
            job.event(pod, "Failed", "manifest unknown")
            while True:
                for reason in ("ErrImagePull", "ImagePullBackOff"):
                    job.set_pod(pod, **job.waiting(reason, "Back-off pulling image"))
                    time.sleep(0.1)

        began = time.monotonic()
        with self.operator(cluster, no_image) as operator:
            with pytest.raises(
                errors.JobFailedError, match="registry.example.com/trainer:1"
            ) as got:
                self.run(cluster, grace_seconds=1.0)
            assert 1 <= time.monotonic() - began < 30
            assert "manifest unknown" in str(got.value)
            assert self.left(cluster) == (0, 0)
            assert len(operator.jobs) == 1

    def test_a_container_that_cannot_be_configured(self, cluster: Cluster) -> None:
        def no_secret(job: Job) -> None:
            text = 'secret "credentials" not found'
            job.set_pod(job.pod(), **job.waiting("CreateContainerConfigError", text))

        with self.operator(cluster, no_secret):
            with pytest.raises(errors.JobFailedError, match='secret "credentials" not found'):
                self.run(cluster, grace_seconds=0.5)
            assert self.left(cluster) == (0, 0)

    def test_no_place_for_a_pod(self, cluster: Cluster) -> None:
        def no_place(job: Job) -> None:
            run_on(job)
            job.set_pod(job.pod("worker"), **job.unschedulable("0/3 nodes: insufficient memory"))

        with self.operator(cluster, no_place):
            with pytest.raises(errors.JobFailedError, match="0/3 nodes: insufficient memory"):
                self.run(cluster, grace_seconds=0.5)
            assert self.left(cluster) == (0, 0)

    def test_no_place_for_now(self, cluster: Cluster) -> None:
        def wait_for_a_node(job: Job) -> None:
            pod = job.pod()
            job.set_pod(pod, **job.unschedulable("0/3 nodes"))
            time.sleep(0.5)
            job.set_pod(pod, **job.running(), conditions=[])
            time.sleep(2)
            job.end(pod)
            job.status("succeeded")

        with self.operator(cluster, wait_for_a_node):
            self.run(cluster, grace_seconds=1.5)

    def test_one_waiting_trial_is_not_a_failure_while_another_runs(self, cluster: Cluster) -> None:
        def full(job: Job) -> None:
            run_on(job)
            worker = job.pod("worker")
            job.set_pod(worker, **job.unschedulable("0/3 nodes"))
            time.sleep(1)
            job.status("succeeded")

        with self.operator(cluster, full):
            self.run(cluster, grace_seconds=0.2, needs_all_pods=False)

    def test_the_deadline(self, cluster: Cluster) -> None:
        with self.operator(cluster, run_on) as operator:
            with pytest.raises(errors.DeadlineError, match=r"did not end within 1 s"):
                self.run(cluster, deadline_seconds=1.0)
            assert self.left(cluster) == (0, 0)
            assert len(operator.jobs) == 1

    # An API server with troubles.

    def test_a_watch_that_breaks(self, cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        server = faulty(cluster)

        def slow(job: Job) -> None:
            job.status("running")
            pod = job.pod()
            job.set_pod(pod, **job.running())
            for step in range(12):
                job.log(pod, f"step {step}")
                server.drop_streams()
                time.sleep(0.1)
            job.end(pod)
            server.drop_streams()
            job.status("succeeded")
            server.drop_streams()

        with self.operator(cluster, slow) as operator:
            self.run(cluster)
        assert shown(caplog) == [f"step {step}" for step in range(12)]
        assert len(operator.jobs) == 1

    @pytest.mark.parametrize("in_stream", [True, False])
    def test_a_version_that_is_too_old(self, cluster: Cluster, in_stream: bool) -> None:
        server = faulty(cluster)
        server.faults.gone_in_stream = in_stream
        server.faults.without_bookmarks = True

        def forgetful(job: Job) -> None:
            job.status("running")
            wait_until(lambda: server.streams() >= 1, "a watch")
            for _ in range(3):
                server.store.compact()
                server.drop_streams()
                time.sleep(0.2)
            job.status("succeeded")

        with self.operator(cluster, forgetful):
            self.run(cluster)
        assert sum("watch=true" not in request for request in lists(server, self.flavour)) >= 2

    def test_a_server_that_goes_away(self, cluster: Cluster) -> None:
        server = faulty(cluster)

        def outage(job: Job) -> None:
            run_on(job)
            wait_until(lambda: server.streams() >= 1, "a watch")
            # A real one refuses everything at first: it does not know of any Role yet.
            server.away(2, starting_seconds=1)
            job.end(f"{job.name}-chief")
            job.status("succeeded")

        with self.operator(cluster, outage) as operator:
            self.run(cluster)
        assert len(operator.jobs) == 1

    def test_a_server_that_stays_away(self, cluster: Cluster) -> None:
        server = faulty(cluster)
        with self.operator(cluster, run_on) as operator:
            threading.Timer(1, server.go_away).start()
            api = cluster.connect().bound(unreachable_seconds=1, cancel_seconds=1)
            with pytest.raises(errors.UnreachableError):
                launch.run(api, self.flavour.launch())
            server.come_back()
            assert len(operator.jobs) == 1

    @pytest.mark.parametrize("status", [429, 500, 503])
    def test_a_server_under_load(self, cluster: Cluster, status: int) -> None:
        server = faulty(cluster)
        verbs = ("create", "list", "watch", "watch", "list", "get")
        server.faults.answers += [(verb, status, "1" if status == 429 else "") for verb in verbs]
        with self.operator(cluster, succeed) as operator:
            self.run(cluster)
        assert len(operator.jobs) == 1

    def test_an_answer_that_never_comes(self, cluster: Cluster) -> None:
        server = faulty(cluster)
        server.faults.lost_answers.append("create")
        with self.operator(cluster, succeed) as operator:
            result = self.run(cluster)
        assert [job.uid for job in operator.jobs] == [result["metadata"]["uid"]]

    def test_without_the_right_to_watch(self, cluster: Cluster) -> None:
        server = faulty(cluster)
        server.faults.forbidden |= {("watch", self.flavour.kind.plural), ("watch", "pods")}
        with self.operator(cluster, succeed):
            self.run(cluster)

    # Names and attempts.

    def test_a_job_of_an_earlier_attempt_is_adopted(self, cluster: Cluster) -> None:
        with self.operator(cluster, run_on) as operator:
            with self.process(cluster) as first:
                operator.job()
                wait_until(lambda: self.left(cluster)[1] == 1, "a pod")
                first.send_signal(signal.SIGKILL)
                assert first.wait(10) == -signal.SIGKILL
            assert self.left(cluster) == (1, 1)
            with self.process(cluster) as second:
                assert "adopted" in read_until(second, "adopted")
                job = operator.jobs[0]
                job.end(f"{job.name}-chief")
                job.status("succeeded")
                output, _ = second.communicate(timeout=20)
            assert second.returncode == 0, output
            assert f"result {job.uid}" in output
            assert "step 1" in output
            assert len(operator.jobs) == 1

    def test_a_finished_job_of_an_earlier_attempt_is_the_result(self, cluster: Cluster) -> None:
        with self.operator(cluster, succeed) as operator:
            first = self.run(cluster)
            second = self.run(cluster)
        assert first["metadata"]["uid"] == second["metadata"]["uid"]
        assert len(operator.jobs) == 1

    def test_a_failed_job_of_an_earlier_attempt_is_tried_again(self, cluster: Cluster) -> None:
        attempts: list[str] = []

        def fail_once(job: Job) -> None:
            attempts.append(job.uid)
            if len(attempts) == 1:
                job.end(job.pod(), 1)
                job.status("failed")
            else:
                wait_until(
                    lambda: cluster.admin.get(POD, f"{job.name}-chief") is None, "old pod's end"
                )
                succeed(job)

        with self.operator(cluster, fail_once):
            with pytest.raises(errors.JobFailedError):
                self.run(cluster)
            result = self.run(cluster)
            assert result["metadata"]["uid"] == attempts[1]
            assert self.left(cluster)[0] == 1

    def test_a_job_that_is_being_deleted_is_waited_for(self, cluster: Cluster) -> None:
        finalizer = "example.com/slow"
        with self.operator(cluster, run_on) as operator:
            with self.process(cluster) as first:
                job = operator.job()
                cluster.admin.patch(
                    self.flavour.kind, job.name, {"metadata": {"finalizers": [finalizer]}}
                )
                first.kill()
                first.wait()
            cluster.admin.delete(self.flavour.kind, job.name)
            release = threading.Timer(
                1,
                cluster.admin.patch,
                (self.flavour.kind, job.name, {"metadata": {"finalizers": None}}),
            )
            release.start()
            with self.process(cluster) as second:
                wait_until(lambda: len(operator.jobs) == 2, "the new job")
                operator.jobs[1].status("succeeded")
                output, _ = second.communicate(timeout=20)
            assert second.returncode == 0, output

    def test_another_spec_is_left_alone(self, cluster: Cluster) -> None:
        with self.operator(cluster, succeed) as operator:
            self.run(cluster)
            before = cluster.admin.list(self.flavour.kind)
            with pytest.raises(errors.SpecConflictError, match="has another spec"):
                self.run(cluster, variant=1)
            assert cluster.admin.list(self.flavour.kind) == before
            assert len(operator.jobs) == 1

    def test_a_stranger_of_the_same_name_is_left_alone(self, cluster: Cluster) -> None:
        wanted = self.flavour.launch()
        cluster.admin.create(wanted.kind, wanted.resource)
        with pytest.raises(errors.SpecConflictError, match="was not created by this project"):
            self.run(cluster)
        assert self.left(cluster)[0] == 1

    # Rights.

    @pytest.mark.parametrize("verb", ["create", "list"])
    def test_a_missing_right_is_named(self, cluster: Cluster, verb: str) -> None:
        faulty(cluster).faults.forbidden.add((verb, self.flavour.kind.plural))
        with self.operator(cluster, run_on), pytest.raises(UserError) as got:
            self.run(cluster)
        message = str(got.value)
        assert f"may not {verb} {self.flavour.kind.qualified}" in message
        assert f'"verbs": ["{verb}"]' in message
        assert self.left(cluster) == (0, 0)

    def test_without_rights_on_pods_the_job_still_runs(
        self, cluster: Cluster, caplog: pytest.LogCaptureFixture
    ) -> None:
        faulty(cluster).faults.forbidden |= {("list", "pods"), ("list", "events")}
        with self.operator(cluster, succeed):
            self.run(cluster)
        assert "may not list pods" in caplog.text

    # Ends from outside.

    def test_sigterm_deletes_the_job(self, cluster: Cluster) -> None:
        with self.operator(cluster, run_on) as operator:
            with self.process(cluster) as process:
                read_until(process, "step 1")
                began = time.monotonic()
                process.send_signal(signal.SIGTERM)
                wait_until(lambda: self.left(cluster) == (0, 0), "end of the job")
                assert time.monotonic() - began < 20
                output, _ = process.communicate(timeout=20)
            assert process.returncode == TERMINATED_EXIT_CODE, output
            assert "deleted" in output
            assert len(operator.jobs) == 1

    def test_sigterm_during_an_outage(self, cluster: Cluster) -> None:
        server = faulty(cluster)
        with self.operator(cluster, run_on), self.process(cluster) as process:
            read_until(process, "step 1")
            server.go_away()
            process.send_signal(signal.SIGTERM)
            time.sleep(1)
            server.come_back()
            output, _ = process.communicate(timeout=20)
            assert process.returncode == TERMINATED_EXIT_CODE, output
            assert self.left(cluster) == (0, 0)

    def test_sigterm_before_the_job_is_there(self, cluster: Cluster) -> None:
        server = faulty(cluster)
        server.faults.answers += [("create", 503, "")] * 1000
        with self.process(cluster) as process:
            read_until(process, "retrying")
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=20)
        assert process.returncode == TERMINATED_EXIT_CODE, output
        assert self.left(cluster) == (0, 0)

    def test_a_job_deleted_by_another_client(self, cluster: Cluster) -> None:
        def delete(job: Job) -> None:
            run_on(job)
            cluster.admin.delete(self.flavour.kind, job.name)

        with self.operator(cluster, delete) as operator:
            with pytest.raises(errors.DeletedError, match="deleted"):
                self.run(cluster)
            wait_until(lambda: self.left(cluster) == (0, 0), "end of the job")
            assert len(operator.jobs) == 1

    def test_a_job_replaced_by_another_client(self, cluster: Cluster) -> None:
        kind, server = self.flavour.kind, faulty(cluster)

        def swap(job: Job) -> None:
            if len(operator.jobs) > 1:
                return
            server.go_away()
            server.store.delete(kind, cluster.namespace, job.name, {})
            server.store.create(kind, cluster.namespace, dict(self.flavour.launch().resource))
            server.come_back()

        with self.operator(cluster, swap) as operator:
            with pytest.raises(errors.DeletedError):
                self.run(cluster)
            # It is not ours to delete.
            assert self.left(cluster)[0] == 1

    # The chief's log.

    def test_the_log_of_a_container_that_is_started_again(
        self, cluster: Cluster, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)

        def restart(job: Job) -> None:
            pod = job.pod()
            for start in range(3):
                job.log(pod, f"start {start}")
                last = job.terminated(1)["containerStatuses"][0]["state"]["terminated"]
                cluster.logs.restart(cluster.namespace, pod, self.flavour.container)
                job.set_pod(pod, **job.running(start + 1, last))
                time.sleep(0.5)
            job.log(pod, "last start")
            job.end(pod)
            job.status("succeeded")

        with self.operator(cluster, restart):
            self.run(cluster)
        assert shown(caplog) == ["start 0", "start 1", "start 2", "last start"]


def shown(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the lines of the chief's log that the task has shown."""
    return [
        record.getMessage().partition(" | ")[2]
        for record in caplog.records
        if record.name.endswith("waiting.log")
    ]


def lists(server: Any, flavour: Flavour) -> list[str]:
    """Return the requests for collections of the flavour's kind."""
    return [text for text in server.requests if f"/{flavour.kind.plural}?" in text]


def faulty(cluster: Cluster) -> Any:
    """Return the server, which can be made to fail; the test is skipped on a real one."""
    if cluster.server is None:
        pytest.skip("needs a server that fails on demand")
    return cluster.server


def read_until(process: "subprocess.Popen[str]", text: str) -> str:
    """Read a process's output up to a line with a text; return that line."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if text in line:
            return line
    raise AssertionError(f"no {text!r} in:\n{''.join(seen)}")
