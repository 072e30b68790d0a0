"""A task and its SparkApplication, with a real API server, but without Spark."""

import json
import logging
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kfp_tabular.components.common import storage
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.kubernetes.client.errors import (
    DeadlineError,
    ForbiddenError,
    JobFailedError,
)
from kfp_tabular.components.common.kubernetes.client.resource_kinds import (
    NETWORK_POLICY,
    POD,
    SPARK_APPLICATION,
)
from kfp_tabular.components.common.spark_task import launcher, plan
from kfp_tabular.components.common.spark_task.task_request import TaskRequest
from tests.cluster import core_models
from tests.cluster.api_server import Rule
from tests.cluster.clusters import LAUNCHER_RULES, Cluster, simulated
from tests.cluster.operators import Job, Operator, Script
from tests.cluster.scenarios import LauncherScenarios, faulty, run_on, shown
from tests.components.common.spark_task.flavours import SPARK_FLAVOUR, runs

RUN = "0b6a3c1e-7f0f-4b53-9e5b-2f1f3f0a9d11"


class TestSparkApplication(LauncherScenarios):
    flavour = SPARK_FLAVOUR


@pytest.fixture
def bucket(s3: str, tmp_path: Path) -> str:
    return f"{s3}/{tmp_path.name}"


class Task:
    """A task that validates data, and what becomes of its outputs."""

    def __init__(self, folder: Path, root: str, **kubernetes: Any) -> None:
        self.folder = folder
        self.root = f"{root}/pipeline/{RUN}"
        document = {"engine": "spark", "master": "k8s", "kubernetes": kubernetes}
        self.request = TaskRequest(
            "kfp_tabular.components.data_validation.component:validate_data",
            {
                "inputs": {
                    "parameterValues": {"label": "tipped", "processing": document},
                    "artifacts": {"examples": self._artifact("ingest-data/1/examples")},
                },
                "outputs": {
                    "outputFile": str(folder / "output.json"),
                    "artifacts": {
                        "schema": self._artifact("validate-data/2/schema"),
                        "report": self._artifact("validate-data/2/report"),
                    },
                },
            },
        )
        self.paths = {name: folder / "kfp" / name for name in self.request.outputs}

    def _artifact(self, path: str) -> dict[str, Any]:
        return {"artifacts": [{"name": path, "uri": f"{self.root}/{path}", "metadata": {}}]}

    def run(self, cluster: Cluster) -> None:
        settings = self.request.spark()
        assert settings is not None
        launcher.run(self.request, settings, self.paths, cluster.connect())

    def output(self) -> Any:
        return json.loads((self.folder / "output.json").read_text())

    def left(self) -> list[str]:
        return sorted(storage.Folder(self.root).list())


def put(uri: str, text: str, folder: Path) -> None:
    path = folder / "put"
    path.write_text(text)
    storage.upload(path, uri)


def drives(task: Task) -> Callable[[Job, str], int]:
    """Return what the driver does, without the component."""

    def program(job: Job, pod: str) -> int:
        (argument,) = job.resource["spec"]["arguments"]
        uri = argument.removeprefix("--request=")
        with storage.local_copy(uri) as path:
            request = TaskRequest.from_json(path.read_text())
        assert request.component == task.request.component
        job.log(pod, "validating")
        prefix = uri.rpartition("/")[0]
        put(f"{prefix}/outputs/schema/schema.pbtxt", "feature {}", task.folder)
        put(f"{prefix}/outputs/report", "<html>", task.folder)
        metadata = {"rows": request.parameters["processing"].get("shards_uri", "")}
        entry = {"artifacts": [{"name": "s", "uri": "/work/schema", "metadata": metadata}]}
        output = {"parameterValues": {"Output": True}, "artifacts": {"schema": entry}}
        put(f"{prefix}/executor_output.json", json.dumps(output), task.folder)
        return 0

    return program


def fails(line: str, code: int) -> Callable[[Job, str], int]:
    def program(job: Job, pod: str) -> int:
        job.log(pod, "validating", line)
        return code

    return program


def working(cluster: Cluster, script: Script) -> Any:
    return Operator(cluster, SPARK_FLAVOUR, script).working()


@pytest.fixture
def task(tmp_path: Path, bucket: str) -> Task:
    return Task(tmp_path, bucket)


def test_a_task_gets_what_its_driver_made(
    cluster: Cluster, task: Task, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with working(cluster, runs(drives(task))) as operator:
        task.run(cluster)

    assert (task.paths["schema"] / "schema.pbtxt").read_text() == "feature {}"
    assert task.paths["report"].read_text() == "<html>"
    output = task.output()
    assert output["parameterValues"] == {"Output": True}
    (schema,) = output["artifacts"]["schema"]["artifacts"]
    assert schema["uri"] == task.request.outputs["schema"]
    # Shards stay in the store, beside what the run's tasks make.
    (job,) = operator.jobs
    assert schema["metadata"]["rows"] == f"{task.root}/kfp-tabular-shards/{job.name}"
    assert shown(caplog) == ["validating"]
    assert task.left() == []
    labels = job.resource["metadata"]["labels"]
    assert labels["kfp-tabular.dev/run-id"] == RUN
    assert labels["kfp-tabular.dev/task"] == "validate-data"


def test_driver_and_executors_reach_each_other_and_nothing_else_does(task: Task) -> None:
    may = Rule(("networking.k8s.io",), ("networkpolicies",), ("create",))
    with simulated([*LAUNCHER_RULES, may]) as cluster:
        with working(cluster, runs(drives(task))) as operator:
            task.run(cluster)
        (policy,) = cluster.admin.list(NETWORK_POLICY)
        (pod,) = cluster.admin.list(POD)

    (job,) = operator.jobs
    assert core_models.problems(policy) == []
    assert policy["metadata"]["ownerReferences"][0]["uid"] == job.uid
    wanted = policy["spec"]["podSelector"]["matchLabels"]
    assert wanted.items() <= pod["metadata"]["labels"].items()
    assert wanted["sparkoperator.k8s.io/app-name"] == job.name
    (rule,) = policy["spec"]["ingress"]
    assert rule["from"] == [{"podSelector": {"matchLabels": wanted}}]
    conf = job.resource["spec"]["sparkConf"]
    assert {str(entry["port"]) for entry in rule["ports"]} == {
        value for name, value in conf.items() if name.endswith(".port")
    }


def test_bad_input_is_the_tasks_one_line(cluster: Cluster, task: Task) -> None:
    line = "kfp-tabular: error: taxi.csv line 3: found 2 columns, expected 19."
    with working(cluster, runs(fails(line, 2))), pytest.raises(UserError) as got:
        task.run(cluster)

    assert str(got.value) == "taxi.csv line 3: found 2 columns, expected 19."
    assert not (task.folder / "output.json").exists()


def test_what_explains_bad_input_is_fetched(cluster: Cluster, task: Task) -> None:
    def finds_anomalies(job: Job, pod: str) -> int:
        prefix = job.resource["spec"]["arguments"][0].removeprefix("--request=").rpartition("/")[0]
        put(f"{prefix}/outputs/report", "<html>anomalies", task.folder)
        return fails("kfp-tabular: error: 3 anomalies.", 2)(job, pod)

    with working(cluster, runs(finds_anomalies)), pytest.raises(UserError, match="3 anomalies"):
        task.run(cluster)

    assert task.paths["report"].read_text() == "<html>anomalies"
    assert not task.paths["schema"].exists()


def test_a_driver_that_fails_is_explained_and_tried_again_by_the_next_attempt(
    cluster: Cluster, task: Task
) -> None:
    def first_fails(job: Job, pod: str) -> int:
        if len(operator.jobs) == 1:
            return fails("RuntimeError: Spark: no disk", 1)(job, pod)
        return drives(task)(job, pod)

    with working(cluster, runs(first_fails)) as operator:
        with pytest.raises(JobFailedError) as got:
            task.run(cluster)
        task.run(cluster)
    message = str(got.value)
    assert "driver container failed with ExitCode: 1, Reason: Error" in message
    assert "RuntimeError: Spark: no disk" in message
    (made,) = cluster.admin.list(SPARK_APPLICATION)
    assert [job.uid for job in operator.jobs[1:]] == [made["metadata"]["uid"]]


def test_executors_that_run_out_of_memory_are_the_cause(cluster: Cluster, task: Task) -> None:
    """The driver gives up after the fourth; its own exit code tells nothing."""

    def loses_executors(job: Job, pod: str) -> int:
        executor = job.pod("executor")
        job.set_pod(executor, **job.running())
        job.end(executor, 137, "OOMKilled")
        job.log(pod, "Job aborted due to stage failure: ExecutorLostFailure")
        return 1

    with working(cluster, runs(loses_executors)), pytest.raises(JobFailedError) as got:
        task.run(cluster)
    assert "OOMKilled: it used more memory than its limit of 512Mi" in str(got.value)
    assert "-executor, container" in str(got.value)


def test_a_lost_executor_is_no_failure(cluster: Cluster, task: Task) -> None:
    def loses_one(job: Job, pod: str) -> int:
        executor = job.pod("executor")
        job.set_pod(executor, **job.running())
        job.end(executor, 137, "OOMKilled")
        return drives(task)(job, pod)

    with working(cluster, runs(loses_one)):
        task.run(cluster)
    assert task.output()["parameterValues"] == {"Output": True}


def test_an_image_that_cannot_be_pulled(cluster: Cluster, tmp_path: Path, bucket: str) -> None:
    task = Task(tmp_path, bucket, grace_seconds=0, image="registry.example.com/spark:missing")

    def no_image(job: Job) -> None:
        job.status("SUBMITTED")
        job.set_pod(job.pod(), **job.waiting("ImagePullBackOff", "Back-off pulling image"))

    with working(cluster, no_image):
        with pytest.raises(JobFailedError, match="ImagePullBackOff"):
            task.run(cluster)
        assert cluster.admin.list(SPARK_APPLICATION) == cluster.admin.list(POD) == []


def test_the_deadline(cluster: Cluster, tmp_path: Path, bucket: str) -> None:
    task = Task(tmp_path, bucket, deadline_seconds=1)
    with working(cluster, run_on):
        with pytest.raises(DeadlineError, match="did not end within 1 s"):
            task.run(cluster)
        assert cluster.admin.list(SPARK_APPLICATION) == []


def test_sigterm_deletes_the_application(cluster: Cluster, task: Task) -> None:
    def is_stopped(job: Job) -> None:
        run_on(job)
        os.kill(os.getpid(), signal.SIGTERM)

    with working(cluster, is_stopped):
        with pytest.raises(SystemExit) as stopped:
            task.run(cluster)
        assert stopped.value.code == 143
        assert cluster.admin.list(SPARK_APPLICATION) == cluster.admin.list(POD) == []


def test_a_task_that_starts_again_adopts_its_application(
    cluster: Cluster, task: Task, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    settings = task.request.spark()
    assert settings is not None
    made = plan.make(task.request, settings)
    from kfp_tabular.components.common.kubernetes import names

    annotations = {names.DIGEST_ANNOTATION: names.spec_digest(made.resource)}
    metadata = {**made.resource["metadata"], "annotations": annotations}
    launcher._announce(made)
    cluster.admin.create(SPARK_APPLICATION, {**made.resource, "metadata": metadata})

    with working(cluster, runs(drives(task))) as operator:
        task.run(cluster)

    assert len(operator.jobs) == 1
    assert "adopted" in caplog.text
    assert task.output()["parameterValues"] == {"Output": True}


def test_results_that_are_gone_are_made_again(
    cluster: Cluster, task: Task, caplog: pytest.LogCaptureFixture
) -> None:
    """An attempt fetched them, and died before KFP had stored them."""
    with working(cluster, runs(drives(task))):
        task.run(cluster)
        (task.folder / "output.json").unlink()
        task.run(cluster)
    assert "its results are gone" in caplog.text
    assert task.output()["parameterValues"] == {"Output": True}


def test_an_account_without_rights(cluster: Cluster, task: Task) -> None:
    faulty(cluster).faults.forbidden.add(("create", "sparkapplications"))
    with pytest.raises(ForbiddenError, match="sparkapplications") as got:
        task.run(cluster)
    assert isinstance(got.value, UserError)


def test_a_policy_that_is_required_and_may_not_be_made(
    cluster: Cluster, tmp_path: Path, bucket: str
) -> None:
    task = Task(tmp_path, bucket, network_policy="required")
    with working(cluster, run_on), pytest.raises(ForbiddenError, match="networkpolicies"):
        task.run(cluster)
    assert cluster.admin.list(SPARK_APPLICATION) == []


def test_iterations_and_inputs_have_applications_of_their_own(tmp_path: Path) -> None:
    task = Task(tmp_path, "s3://bucket")
    settings = task.request.spark()
    assert settings is not None
    first = plan.make(task.request, settings)

    assert plan.make(task.request, settings).resource == first.resource
    given = task.request.executor_input
    inputs = {**given["inputs"], "parameterValues": {**task.request.parameters, "label": "fare"}}
    other = replace(task.request, executor_input={**given, "inputs": inputs})
    assert plan.make(other, settings).application.name != first.application.name


@pytest.mark.parametrize(
    ("of_task", "image"),
    [
        ("", "ghcr.io/kfp-tabular/spark:"),
        ("registry.example.com/ml/tfdv:7", "registry.example.com/ml/spark:7"),
        ("registry.example.com/ml/spark@sha256:" + "a" * 64, "spark@sha256:aaa"),
    ],
)
def test_the_image_is_beside_that_of_the_task(tmp_path: Path, of_task: str, image: str) -> None:
    task = Task(tmp_path, "s3://bucket")
    settings = task.request.spark()
    assert settings is not None
    assert image in plan.make(task.request, settings, image=of_task).resource["spec"]["image"]


def test_an_image_that_does_not_follow_is_asked_for(tmp_path: Path) -> None:
    task = Task(tmp_path, "s3://bucket")
    settings = task.request.spark()
    assert settings is not None
    with pytest.raises(UserError, match=r"processing\.kubernetes\.image is missing"):
        plan.make(task.request, settings, image="registry.example.com/tfdv@sha256:" + "a" * 64)


def test_a_path_of_the_tasks_own_pod_is_refused(tmp_path: Path) -> None:
    task = Task(tmp_path, "/tmp/artifacts")
    settings = task.request.spark()
    assert settings is not None
    with pytest.raises(UserError, match=r"a volume that processing\.kubernetes\.volumes mounts"):
        plan.make(task.request, settings)
