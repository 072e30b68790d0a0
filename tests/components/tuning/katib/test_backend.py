"""A tuning task and its Experiment, on a real API server, with a simulated Katib."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.errors import USER_ERROR_EXIT_CODE
from kfp_tabular.components.common.kubernetes.client.errors import (
    DeadlineError,
    DeletedError,
    JobFailedError,
)
from kfp_tabular.components.common.kubernetes.client.resource_kinds import (
    EXPERIMENT,
    NETWORK_POLICY,
    POD,
    TRIAL,
)
from kfp_tabular.components.common.kubernetes.names import DIGEST_ANNOTATION
from kfp_tabular.components.common.kubernetes.owner_reference import POD_NAME_VARIABLE
from kfp_tabular.components.common.process.termination import TERMINATED_EXIT_CODE
from kfp_tabular.components.common.training_job.job_kinds import JOB_KINDS
from tests.cluster.api_server import WORKFLOW
from tests.cluster.clusters import Cluster
from tests.cluster.operators import wait_until
from tests.cluster.scenarios import read_until
from tests.components.tuning.katib.controller import Katib, Script, Search

Tune = Callable[..., dict[str, Any]]

_ROOT = Path(__file__).parents[4]


@pytest.fixture
def katib(cluster: Cluster) -> Iterator[Callable[[Script], Katib]]:
    """Start Katib with a script."""
    opened = []

    def start(script: Script) -> Katib:
        context = Katib(cluster, script).working()
        opened.append(context)
        return context.__enter__()

    yield start
    for context in opened:
        context.__exit__(None, None, None)


def succeed(search: Search) -> None:
    first = search.trial(learning_rate=0.01, hidden_units="64")
    second = search.trial(learning_rate=0.02, hidden_units="128,64")
    search.succeed(first, 0.71)
    search.succeed(second, 0.84)
    third = search.trial(learning_rate=0.03, hidden_units="64")
    search.succeed(third, 0.79)
    search.finish()


def run_on(search: Search) -> None:
    search.trial(learning_rate=0.01, hidden_units="64")


def failed(tune: Tune, **arguments: Any) -> None:
    """Run a task that ends with a user error; return its message."""
    with pytest.raises(SystemExit) as ended:
        tune(**arguments)
    assert ended.value.code == USER_ERROR_EXIT_CODE


def test_success(
    cluster: Cluster,
    katib: Callable[[Script], Katib],
    tune: Tune,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    running = katib(succeed)
    artifacts = tune(model_type="dnn", max_trials=3)
    assert Hyperparameters.load(artifacts["hyperparameters"].path) == Hyperparameters(
        model_type="dnn", learning_rate=0.02, hidden_units="128,64"
    )
    assert artifacts["metrics"].metadata == {
        "eval_auc": 0.84,
        "best_trial": 1.0,
        "trials": 3.0,
        "trials_succeeded": 3.0,
        "trials_early_stopped": 0.0,
        "trials_diverged": 0.0,
        "trials_failed": 0.0,
    }
    lineage = artifacts["hyperparameters"].metadata
    name = running.search().name
    assert lineage["experiment"] == f"team/{name}"
    assert lineage["trial"] == f"{name}-00000001"
    assert lineage["searched"] == {"learning_rate": 0.02, "hidden_units": "128,64"}
    assert lineage["objective"]["value"] == 0.84
    page = Path(artifacts["report"].path).read_text()
    for text in (f"{name}-00000001", "<figure", "ExperimentMaxTrialsReached", "0.84"):
        assert text in page
    progress = [text for text in caplog.messages if " of 3 trials done" in text]
    assert any("1 of 3 trials done, 1 running" in text for text in progress)
    assert any("best eval_auc=0.71 in" in text for text in progress)
    assert any("3 of 3 trials done, 0 running, 0 failed" in text for text in progress)
    # Left for inspection until the run is deleted.
    assert len(cluster.admin.list(EXPERIMENT)) == 1


@pytest.mark.parametrize(("kind", "workers"), [("tfjob", 2), ("trainjob", 2), ("job", 1)])
def test_each_trial_of_several_pods_has_a_policy_of_its_own(
    cluster: Cluster, katib: Callable[[Script], Katib], tune: Tune, kind: str, workers: int
) -> None:
    running = katib(succeed)
    tune(max_trials=3, trial_kind=kind, job={"workers": workers})

    name = running.search().name
    trials = [f"{name}-{number:08x}" for number in range(3)] if workers > 1 else []
    policies = cluster.admin.list(NETWORK_POLICY)
    label = JOB_KINDS[kind].name_label
    selected = [policy["spec"]["podSelector"]["matchLabels"][label] for policy in policies]
    assert sorted(selected) == trials
    owners = [policy["metadata"]["ownerReferences"][0]["name"] for policy in policies]
    assert sorted(owners) == trials


def test_the_experiment_is_the_runs(
    cluster: Cluster,
    katib: Callable[[Script], Katib],
    tune: Tune,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workflow = cluster.admin.create(
        WORKFLOW,
        {
            "apiVersion": WORKFLOW.api_version,
            "kind": WORKFLOW.kind,
            "metadata": {"name": "run"},
            "spec": {},
        },
    )
    owner = {
        "apiVersion": WORKFLOW.api_version,
        "kind": WORKFLOW.kind,
        "name": "run",
        "uid": workflow["metadata"]["uid"],
        "controller": True,
    }
    image = "registry.example.com/ml/tensorflow:7"
    cluster.admin.create(
        POD,
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "task-pod", "ownerReferences": [owner]},
            "spec": {"containers": [{"name": "main", "image": image}]},
        },
    )
    monkeypatch.setenv(POD_NAME_VARIABLE, "task-pod")
    running = katib(succeed)
    tune()
    experiment = running.search().experiment
    assert [entry["name"] for entry in experiment["metadata"]["ownerReferences"]] == ["run"]
    assert experiment["metadata"]["labels"]["kfp-tabular.dev/run-id"] == "run-1"
    chief = experiment["spec"]["trialTemplate"]["trialSpec"]["spec"]["tfReplicaSpecs"]["Chief"]
    assert chief["template"]["spec"]["containers"][0]["image"] == image


def test_early_stopped_trials_and_lost_metrics(
    katib: Callable[[Script], Katib], tune: Tune
) -> None:
    def script(search: Search) -> None:
        good = search.trial(learning_rate=0.01, hidden_units="64")
        search.succeed(good, 0.8, eval_log_loss=0.4)
        stopped = search.trial(learning_rate=0.05, hidden_units="64")
        search.stop_early(stopped, 0.5)
        lost = search.trial(learning_rate=0.1, hidden_units="64")
        search.lose_metrics(lost)
        search.finish("ExperimentSuggestionEndReached")

    katib(script)
    artifacts = tune(max_trials=3, additional_metrics={"eval_log_loss": "min"})
    found = artifacts["metrics"].metadata
    assert found["trials_succeeded"] == found["trials_early_stopped"] == found["trials_failed"] == 1
    assert found["eval_auc"] == 0.8
    page = Path(artifacts["report"].path).read_text()
    assert "ended without a finite value of the objective" in page
    assert "eval_log_loss" in page
    assert "ExperimentSuggestionEndReached" in page


def test_the_goal_is_reached_while_trials_run(katib: Callable[[Script], Katib], tune: Tune) -> None:
    def script(search: Search) -> None:
        assert search.spec["objective"]["goal"] == 0.8
        search.succeed(search.trial(learning_rate=0.01, hidden_units="64"), 0.9)
        search.trial(learning_rate=0.02, hidden_units="64")
        search.finish("ExperimentGoalReached")

    katib(script)
    found = tune(objective_target="0.8")["metrics"].metadata
    assert found["trials"] == 2
    assert found["eval_auc"] == 0.9


def test_too_many_failed_trials(katib: Callable[[Script], Katib], tune: Tune) -> None:
    def script(search: Search) -> None:
        assert search.spec["maxFailedTrialCount"] == 3
        search.succeed(search.trial(learning_rate=0.01, hidden_units="64"), 0.7)
        memory = search.trial(learning_rate=0.02, hidden_units="64")
        search.fail(memory, 137, "OOMKilled")
        crashed = search.trial(learning_rate=0.03, hidden_units="64")
        search.fail(crashed, 1, log=("Traceback", "RuntimeError: no device"))
        wrong = search.trial(learning_rate=0.04, hidden_units="64")
        search.fail(wrong, 2, log=("kfp-tabular: error: l2 is too much", "the end"))
        search.give_up()

    running = katib(script)
    with pytest.raises(RuntimeError) as ended:
        tune(max_failed_trials=2)
    message = str(ended.value)
    name = running.search().name
    assert "failed: ExperimentFailed: Experiment has failed because max failed count" in message
    killed = f"pod {name}-00000001-chief-0, container tensorflow: OOMKilled"
    assert f"trial {name}-00000001: {killed}" in message
    assert "it used more memory than its limit of 512Mi" in message
    assert f"trial {name}-00000002: exit code 1: RuntimeError: no device" in message
    assert f"trial {name}-00000003: exit code 2: l2 is too much" in message
    assert "Job message: TFJob" in message
    assert f"trial {name}-00000000" not in message


def test_trials_that_all_blame_their_input_are_not_retried(
    katib: Callable[[Script], Katib], tune: Tune, caplog: pytest.LogCaptureFixture
) -> None:
    def script(search: Search) -> None:
        for rate in (0.01, 0.02):
            trial = search.trial(learning_rate=rate, hidden_units="64")
            search.fail(trial, 2, log=("kfp-tabular: error: no column 'y'",))
        search.give_up()

    katib(script)
    failed(tune, max_failed_trials=1)
    assert "exit code 2: no column 'y'" in caplog.messages[-1]


def test_success_without_an_optimal_trial_is_failure(
    cluster: Cluster, katib: Callable[[Script], Katib], tune: Tune
) -> None:
    def script(search: Search) -> None:
        if len(running.searches) > 1:
            succeed(search)
            return
        search.lose_metrics(search.trial(learning_rate=0.01, hidden_units="64"))
        search.lose_metrics(search.trial(learning_rate=0.02, hidden_units="64"))
        search.finish()

    running = katib(script)
    with pytest.raises(
        RuntimeError, match="NoOptimalTrial: no trial reported the objective"
    ) as ended:
        tune(max_trials=2)
    assert "trials " in str(ended.value)
    assert "ended without a finite value" in str(ended.value)
    # A retry searches anew, in place of finding the same again.
    assert tune(max_trials=2)["metrics"].metadata["eval_auc"] == 0.84
    assert len(cluster.admin.list(EXPERIMENT)) == 1


def test_what_katibs_service_refuses(
    katib: Callable[[Script], Katib], tune: Tune, caplog: pytest.LogCaptureFixture
) -> None:
    katib(lambda search: search.refuse("Validation failed: unknown setting x for algorithm tpe"))
    failed(tune)
    said = caplog.messages[-1]
    assert "Katib cannot run this search: Validation failed: unknown setting x" in said


def test_a_pod_that_cannot_start_ends_it(
    cluster: Cluster, katib: Callable[[Script], Katib], tune: Tune
) -> None:
    def script(search: Search) -> None:
        trial = search.trial(pod=False, learning_rate=0.01, hidden_units="64")
        waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}
        search.pod(trial, phase="Pending", state=waiting)

    katib(script)
    with pytest.raises(JobFailedError, match="ImagePullBackOff"):
        tune(job={"grace_seconds": 1})
    assert cluster.admin.list(EXPERIMENT) == []


def test_a_trial_may_wait_for_room_while_another_runs(
    katib: Callable[[Script], Katib], tune: Tune
) -> None:
    def script(search: Search) -> None:
        runs = search.trial(learning_rate=0.01, hidden_units="64")
        waits = search.trial(pod=False, learning_rate=0.02, hidden_units="64")
        unschedulable = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/1 nodes are available",
        }
        search.pod(waits, phase="Pending", conditions=[unschedulable])
        time.sleep(1.5)
        search.succeed(runs, 0.7)
        search.succeed(waits, 0.8)
        search.finish()

    katib(script)
    assert tune(job={"grace_seconds": 1})["metrics"].metadata["eval_auc"] == 0.8


def test_deadline(cluster: Cluster, katib: Callable[[Script], Katib], tune: Tune) -> None:
    katib(run_on)
    with pytest.raises(DeadlineError, match="0 of 4 trials done, 1 running"):
        tune(job={"deadline_seconds": 2})
    assert cluster.admin.list(EXPERIMENT) == []
    assert cluster.admin.list(TRIAL) == []
    assert cluster.admin.list(POD) == []


def test_deleted_by_another_client(
    cluster: Cluster, katib: Callable[[Script], Katib], tune: Tune
) -> None:
    def script(search: Search) -> None:
        run_on(search)
        cluster.admin.delete(EXPERIMENT, search.name)

    running = katib(script)
    with pytest.raises(DeletedError, match="deleted"):
        tune()
    assert len(running.searches) == 1


def test_another_experiment_of_that_name_is_left_alone(
    cluster: Cluster,
    katib: Callable[[Script], Katib],
    tune: Tune,
    caplog: pytest.LogCaptureFixture,
) -> None:
    running = katib(succeed)
    tune()
    name = running.search().name
    changed = {"metadata": {"annotations": {DIGEST_ANNOTATION: "of something else"}}}
    cluster.admin.patch(EXPERIMENT, name, changed)
    before = cluster.admin.list(EXPERIMENT)
    failed(tune)
    assert f"{name} exists and has another spec; it was not changed" in caplog.messages[-1]
    assert cluster.admin.list(EXPERIMENT) == before


@pytest.mark.parametrize(
    ("verb", "resource"),
    [("create", "experiments"), ("list", "experiments"), ("list", "trials")],
)
def test_a_missing_right_is_named(
    cluster: Cluster,
    katib: Callable[[Script], Katib],
    tune: Tune,
    caplog: pytest.LogCaptureFixture,
    verb: str,
    resource: str,
) -> None:
    assert cluster.server is not None
    cluster.server.faults.forbidden.add((verb, resource))
    katib(succeed)
    failed(tune)
    assert f"may not {verb} {resource}.kubeflow.org" in caplog.messages[-1]


def test_through_outages_there_is_one_experiment(
    cluster: Cluster, katib: Callable[[Script], Katib], tune: Tune
) -> None:
    server = cluster.server
    assert server is not None
    server.faults.lost_answers.append("create")
    server.faults.answers += [("list", 503, ""), ("watch", 429, "")]

    def script(search: Search) -> None:
        run_on(search)
        server.away(1)
        server.drop_streams()
        search.succeed(search.trial(learning_rate=0.02, hidden_units="64"), 0.8)
        search.finish()

    running = katib(script)
    assert tune()["metrics"].metadata["eval_auc"] == 0.8
    assert len(running.searches) == 1


@contextmanager
def task(cluster: Cluster, root: Path) -> "Iterator[subprocess.Popen[str]]":
    """A task in its own process, which has ended after the test."""
    variables = {
        **os.environ,
        "KUBECONFIG": str(cluster.kubeconfig),
        "PYTHONPATH": str(_ROOT),
        "PYTHONUNBUFFERED": "1",
    }
    program = str(Path(__file__).with_name("task.py"))
    with subprocess.Popen(
        [sys.executable, program, str(root)],
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_restarted_task_continues_to_wait(
    cluster: Cluster, katib: Callable[[Script], Katib], tune: Tune, tmp_path: Path
) -> None:
    def script(search: Search) -> None:
        trial = search.trial(learning_rate=0.03)
        wait_until(lambda: first.returncode is not None, "the kill", 30)
        search.succeed(trial, 0.75)
        search.finish()

    with task(cluster, tmp_path) as first:
        running = katib(script)
        read_until(first, "1 running")
        first.kill()
        first.wait()
    with task(cluster, tmp_path) as second:
        output, _ = second.communicate(timeout=60)
    assert second.returncode == 0, output
    assert "adopted" in output
    assert json.loads(output.partition("result ")[2])["eval_auc"] == 0.75
    assert len(running.searches) == 1
    # And after its end, too.
    with task(cluster, tmp_path) as third:
        output, _ = third.communicate(timeout=60)
    assert third.returncode == 0, output
    assert len(running.searches) == 1


def test_sigterm_deletes_the_experiment(
    cluster: Cluster, katib: Callable[[Script], Katib], tune: Tune, tmp_path: Path
) -> None:
    katib(lambda search: search.trial(learning_rate=0.03) and None)
    with task(cluster, tmp_path) as process:
        read_until(process, "1 running")
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == TERMINATED_EXIT_CODE, output
    assert cluster.admin.list(EXPERIMENT) == []
    assert cluster.admin.list(TRIAL) == []
    assert cluster.admin.list(POD) == []


def test_a_retry_begins_when_all_of_the_failed_search_is_gone(
    cluster: Cluster, katib: Callable[[Script], Katib], tune: Tune
) -> None:
    """Katib finds trials by the Experiment's name, and would count those of the earlier one."""
    found: list[int] = []

    def script(search: Search) -> None:
        found.append(len(cluster.admin.list(TRIAL)) + len(cluster.admin.list(POD)))
        trial = search.trial(learning_rate=0.03)
        if len(found) == 1:
            search.give_up()
        else:
            search.succeed(trial, 0.75)
            search.finish()

    running = katib(script)
    with pytest.raises(RuntimeError, match="max failed count"):
        tune()
    assert tune()["metrics"].metadata["eval_auc"] == 0.75
    assert found == [0, 0]
    assert len(running.searches) == 2


def test_the_rights_of_the_manifests_are_used(
    cluster: Cluster, katib: Callable[[Script], Katib], tune: Tune
) -> None:
    katib(succeed)
    tune()
    assert cluster.server is not None
    asked = {
        (entry.verb, entry.resource)
        for user, entries in cluster.server.asked.items()
        if user.startswith("system:serviceaccount")
        for entry in entries
    }
    assert asked >= {
        ("create", "experiments"),
        ("list", "experiments"),
        ("watch", "experiments"),
        ("list", "trials"),
        ("watch", "pods"),
    }
