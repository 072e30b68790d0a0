"""What a person reads at the end of runs that a real Kubeflow Pipelines 2.17.0 recorded."""

import json
import os
from pathlib import Path

import pytest

from kfp_tabular.pipelines.kubeflow.workflow_nodes import WorkflowNodes
from tests.pipelines.kubeflow.commands import RUN, TASKS, follow
from tests.pipelines.kubeflow.pipelines_server import PipelinesServer
from tests.pipelines.kubeflow.recorded_runs import DRIVER_LOG, user_error_log

RECORDINGS = Path(os.environ.get("KFP_TABULAR_KFP_RECORDINGS") or "/nonexistent")

pytestmark = pytest.mark.skipif(
    not RECORDINGS.is_dir(), reason="KFP_TABULAR_KFP_RECORDINGS names no folder of recorded runs"
)

CACHED, SKIPPED, NOT_RUN, UNKNOWN = "cached", "skipped", "not run", "unknown"
WRONG_LABEL = (
    "ingest-data: label: there is no column 'churned'; there are 'transaction_id', 'card_id', "
    "'timestamp', 'amount', 'merchant', 'merchant_category', 'country', 'card_country', "
    "'entry_mode', 'device' and 8 more."
)
TWICE = (
    'Kubeflow\'s driver failed: driver.Container(pipelineName=churn, task="transform-features") '
    'failed: failed to resolve inputs: two tasks have the same task name "validate-data", id1=12 '
    "id2=13. A driver before it was started twice, after which Kubeflow Pipelines cannot continue "
    "a run: submit it again."
)
COMPRESSED = (
    "Kubeflow Pipelines does not read the tasks of a Workflow that grew beyond 1 MiB, since Argo "
    "compresses them; 'kubectl get workflow kfp-tabular-training-{} -o yaml' has them for as long "
    "as the Workflow is kept."
)
READ_ONLY = "model_repository /models: not writable by user 65532."


def failed(seconds: float) -> str:
    return f"FAILED  {seconds:6.1f} s"


def done(seconds: float) -> str:
    return f"done    {seconds:6.1f} s"


def stopped(seconds: float) -> str:
    return f"stopped {seconds:6.1f} s"


def error(line: str) -> list[str]:
    return [f"kfp-tabular: error: {line}"]


@pytest.mark.parametrize(
    ("name", "states", "logs", "end", "code"),
    [
        (
            "failed-bad-input",
            [failed(51), *[NOT_RUN] * 6],
            {"4tnzl-3719174068": "failed-bad-input.log"},
            ["ended: failed", *error(WRONG_LABEL)],
            2,
        ),
        (
            "failed-dag-error",
            [NOT_RUN] * 7,
            # The third attempt of the root's driver.
            {"k7jvh-2379085311": DRIVER_LOG},
            ["ended: failed", *error(f"the run did not start: {TWICE}")],
            1,
        ),
        (
            "failed-deploy-unreported",
            [CACHED, CACHED, done(49), done(37), done(84), done(52), UNKNOWN],
            {},
            [
                "ended: failed",
                "kfp-tabular: warning: the server knows no end of deploy-model. "
                + COMPRESSED.format("wqc94"),
                *error("the run failed; the server does not say where."),
            ],
            1,
        ),
        (
            "failed-deploy-unreported",
            [CACHED, CACHED, done(49), done(37), done(84), done(52), failed(0)],
            # A pod that the server does not list.
            {"wqc94-1049601416": user_error_log(READ_ONLY)},
            ["ended: failed", *error(f"deploy-model: {READ_ONLY}")],
            2,
        ),
        (
            "failed-driver-retried",
            [done(21), done(36), failed(10), *[NOT_RUN] * 4],
            {"thkwg-3250795143": DRIVER_LOG},
            ["ended: failed", *error(f"transform-features: {TWICE}")],
            1,
        ),
        (
            "failed-tfjob",
            [CACHED, CACHED, CACHED, CACHED, failed(10), NOT_RUN, NOT_RUN],
            {"9nn5q-3238203282": 404},
            [
                "ended: failed",
                *error(
                    "train-model: failed, and the log of its pod, "
                    "kfp-tabular-training-9nn5q-3238203282, cannot be read: 404 Not Found. See the "
                    "task's executor-logs on the run's page, or 'kubectl describe pod' if it never "
                    "started."
                ),
            ],
            1,
        ),
        (
            "stopped",
            [CACHED, CACHED, CACHED, done(10), stopped(112), NOT_RUN, NOT_RUN],
            {},
            ["ended: stopped", *error("the run was stopped while train-model ran.")],
            1,
        ),
        (
            "stopped-tfjob",
            [CACHED, CACHED, CACHED, CACHED, stopped(21), NOT_RUN, NOT_RUN],
            {},
            ["ended: stopped", *error("the run was stopped while train-model ran.")],
            1,
        ),
        ("succeeded-cached", [*[CACHED] * 6, done(21)], {}, ["ended: succeeded"], 0),
        (
            "succeeded-small-spec",
            [done(10), done(20), done(21), done(10), done(53), done(21), done(32)],
            {},
            ["ended: succeeded"],
            0,
        ),
        (
            "succeeded-uncached",
            [CACHED, CACHED, CACHED, done(10), done(32), done(21), done(21)],
            {},
            ["ended: succeeded"],
            0,
        ),
        (
            "succeeded-unreported",
            [done(10), done(35), done(38), done(10), done(40), UNKNOWN, UNKNOWN],
            {},
            [
                "ended: succeeded",
                "kfp-tabular: warning: the server knows no end of evaluate-model, deploy-model. "
                + COMPRESSED.format("7hwb4"),
            ],
            0,
        ),
    ],
)
def test_a_recorded_run_reads_well(
    server: PipelinesServer,
    name: str,
    states: list[str],
    logs: dict[str, str | int],
    end: list[str],
    code: int,
) -> None:
    server.states = [_recorded(name)]
    for pod, log in logs.items():
        is_file = isinstance(log, str) and log.endswith(".log")
        text = (RECORDINGS / str(log)).read_text(encoding="utf-8") if is_file else log
        server.logs[f"kfp-tabular-training-{pod}"] = text

    result = follow(server)

    tasks = [f"  {task:<24} {state}" for task, state in zip(TASKS, states, strict=True)]
    assert result.output.splitlines() == [*tasks, *end]
    assert getattr(result.exception, "code", 0) == code


def test_a_recorded_run_whose_pods_are_gone(server: PipelinesServer) -> None:
    server.states = [_recorded("running-orphaned")]

    result = follow(server, timeout=1)

    pod = "every-minute4l7sc-1-2466746292-2436161989"
    assert result.output.splitlines() == [
        "  ingest-data              cached",
        "  validate-data            cached",
    ]
    assert str(result.exception) == (
        f"run {RUN} has not ended after 1 s; the driver of transform-features is listed as "
        f"running, but the log of its pod, {pod}, cannot be read: Failed to read logs for run "
        f"{RUN}: object not found. The pod has not started, or is gone. If 'kubectl get workflow "
        "every-minute4l7sc-1-2466746292' does not find the Workflow, it was deleted, and the run "
        "will never end."
    )


@pytest.mark.parametrize("file", sorted(RECORDINGS.glob("*.json")), ids=lambda file: file.stem)
def test_every_node_of_a_recorded_run_has_a_path(file: Path) -> None:
    entries = json.loads(file.read_text(encoding="utf-8"))["run_details"]["task_details"]
    children = {child["pod_name"] for entry in entries for child in entry.get("child_tasks", ())}

    nodes = WorkflowNodes([entry.get("display_name", "") for entry in entries], children)

    assert len(nodes.paths) == len(children) + 1


def _recorded(name: str) -> dict[str, object]:
    answer = json.loads((RECORDINGS / f"{name}.json").read_text(encoding="utf-8"))
    return {key: value for key, value in answer.items() if key not in ("run_id", "experiment_id")}
