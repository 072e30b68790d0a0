"""What a person reads at the end of a run, for each way in which runs end."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from kfp_tabular.pipelines.kubeflow import failures, following, pod_logs, run_watcher
from tests.pipelines.kubeflow.commands import RUN, follow
from tests.pipelines.kubeflow.pipelines_server import PipelinesServer
from tests.pipelines.kubeflow.recorded_runs import (
    DRIVER_LOG,
    WORKFLOW,
    RecordedRun,
    launcher_log,
    user_error_log,
)

WRONG_LABEL = "label: there is no column 'churned'; there are 'amount' and 8 more."
LATER = ("transform-features", "tune-hyperparameters", "train-model", "evaluate-model")
RETRIED = pytest.mark.parametrize("retried", [True, False], ids=["retry-strategy", "plain"])


def wait(server: PipelinesServer, run: RecordedRun, timeout: int = 0, **options: Any) -> Result:
    server.states = [run.answer()]
    return follow(server, timeout, **options)


def lines(result: Result) -> list[str]:
    return result.output.splitlines()


def errors(result: Result) -> list[str]:
    return [line for line in lines(result) if line.startswith("kfp-tabular: ")]


def code(result: Result) -> int:
    if result.exception is None:
        return 0
    assert isinstance(result.exception, SystemExit), result.exception
    return int(result.exception.code or 0)


@RETRIED
def test_bad_input_is_said_and_ends_with_2(server: PipelinesServer, *, retried: bool) -> None:
    run = RecordedRun("FAILED", retried=retried)
    run.task("ingest-data", "FAILED", executor=["FAILED"], seconds=51)
    run.omitted("validate-data", *LATER).group("condition-1", None)
    server.logs[run.pod("ingest-data")] = user_error_log(WRONG_LABEL)

    result = wait(server, run)

    assert lines(result) == [
        "  ingest-data              FAILED    51.0 s",
        "  validate-data            not run",
        "  transform-features       not run",
        "  tune-hyperparameters     not run",
        "  train-model              not run",
        "  evaluate-model           not run",
        "  deploy-model             not run",
        "ended: failed",
        f"kfp-tabular: error: ingest-data: {WRONG_LABEL}",
    ]
    assert code(result) == 2


def failing(end: str, *log: str, attempts: int = 1) -> tuple[RecordedRun, str]:
    run = RecordedRun("FAILED")
    run.task("ingest-data", "FAILED", executor=["FAILED"] * attempts)
    return run, launcher_log(*log, end=end)


@pytest.mark.parametrize(
    ("end", "log", "reason"),
    [
        (
            "exit status 1",
            ["Traceback (most recent call last):", '  File "x.py"', "    read()", "OSError: full"],
            "OSError: full",
        ),
        (
            "exit status 1",
            # The task quotes a worker's log; the fault is its own.
            [
                "worker-0: kfp-tabular: error: no rows.",
                "Traceback (most recent call last):",
                "  raise",
                "RuntimeError: worker-0 vanished",
            ],
            "RuntimeError: worker-0 vanished",
        ),
        (
            "signal: killed",
            ["epoch 3"],
            "the process was killed (signal: killed), most often because it ran out of memory: "
            "give the task more 'memory' in the configuration.",
        ),
        (
            "exit status 1",
            [
                "[worker-1]: Traceback (most recent call last):",
                '[worker-1]:   File "x.py"',
                "[worker-1]:     fit()",
                "[worker-1]: ValueError: nan",
                "[worker-0]: epoch 3",
            ],
            "ValueError: nan",
        ),
        (
            "exit status 1",
            [
                "  + Exception Group Traceback (most recent call last):",
                '  |   File "x.py"',
                "  | ExceptionGroup: two (2 sub-exceptions)",
                "  +-+---------------- 1 ----------------",
                "    | Traceback (most recent call last):",
                '    |   File "x.py"',
                "    | ValueError: nan",
                "    +------------------------------------",
            ],
            "ValueError: nan",
        ),
        (
            "exit status 1",
            ["Traceback (most recent call last):", '  File "x.py"'],
            'exit status 1; its last line is: File "x.py"',
        ),
        (
            "signal: illegal instruction (core dumped)",
            ["importing tensorflow"],
            "the process ended by a signal, illegal instruction (core dumped); its last line is: "
            "importing tensorflow",
        ),
        ("exit status 1", ["cannot go on"], "exit status 1; its last line is: cannot go on"),
        (
            'failed to download input artifact "examples": no such bucket',
            [],
            'Kubeflow\'s launcher failed: failed to download input artifact "examples": no such '
            "bucket",
        ),
    ],
    ids=[
        "traceback",
        "quoted",
        "killed",
        "prefixed",
        "group",
        "cut",
        "signal",
        "silent",
        "launcher",
    ],
)
def test_a_failure_of_the_system_ends_with_1(
    server: PipelinesServer, end: str, log: list[str], reason: str
) -> None:
    run, text = failing(end, *log)
    server.logs[run.pod("ingest-data")] = text

    result = wait(server, run)

    assert errors(result)[-1] == f"kfp-tabular: error: ingest-data: {reason}"
    assert code(result) == 1


def test_the_last_attempt_tells_the_reason(server: PipelinesServer) -> None:
    run, _ = failing("exit status 2", attempts=3)
    server.logs[run.pod("ingest-data", 0)] = launcher_log("first", end="exit status 1")
    server.logs[run.pod("ingest-data", 2)] = user_error_log("the last one.")

    result = wait(server, run)

    assert errors(result) == ["kfp-tabular: error: ingest-data: the last one."]
    assert code(result) == 2


def test_control_characters_of_a_log_do_not_reach_the_terminal(server: PipelinesServer) -> None:
    run, _ = failing("")
    server.logs[run.pod("ingest-data")] = user_error_log(
        "\x1b[2J\x1b]0;x\x07\u009b31mred\u009b\u202e\x1b]8;;http://x.example\x1b\\ " + "y" * 5000
    )

    (line,) = errors(wait(server, run))

    assert line.startswith("kfp-tabular: error: ingest-data: red yyy")
    assert line.endswith("y...")
    assert len(line) < 2100


@pytest.mark.parametrize(
    ("log", "problem"),
    [
        (None, "cannot be read: Failed to read logs for run {run}: object not found."),
        (404, "cannot be read: 404 Not Found."),
        (403, "cannot be read: 403 Forbidden."),
        (500, "cannot be read: 500 Internal Server Error."),
        ("x" * 80 + "\n", "gives no reason; it ends with: " + "x" * 80),
        ("", "gives no reason; it is empty."),
        (("x" * 100 + "\n") * 40_000, "was read to 2 MiB only, since it is longer."),
    ],
    ids=["collected", "404", "403", "500", "no-reason", "empty", "huge"],
)
def test_a_log_that_tells_nothing_is_said_in_one_line(
    server: PipelinesServer,
    monkeypatch: pytest.MonkeyPatch,
    log: str | int | None,
    problem: str,
) -> None:
    monkeypatch.setattr(pod_logs, "_MOST_BYTES", 2**21)
    monkeypatch.setattr(run_watcher, "_LOG_WAIT_SECONDS", 0.0)
    run, _ = failing("")
    if log is not None:
        server.logs[run.pod("ingest-data")] = log

    result = wait(server, run)

    (line,) = errors(result)
    pod = run.pod("ingest-data")
    start = f"kfp-tabular: error: ingest-data: failed, and the log of its pod, {pod}, "
    assert line.startswith(start + problem.format(run=RUN))
    assert len(line) < 500
    assert code(result) == 1


def test_a_log_is_asked_for_again(
    server: PipelinesServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    token = tmp_path / "token"
    token.write_text("first")
    server.token = "first"
    run, _ = failing("")
    pod = run.pod("ingest-data")
    server.logs[pod] = 503

    def recover(seconds: float) -> None:
        # The server is back, and the token has expired meanwhile.
        server.logs[pod] = user_error_log("houses.csv has no rows.")
        if server.token == "first":
            server.token = "second"
        else:
            token.write_text("second")

    monkeypatch.setattr(run_watcher.time, "sleep", recover)

    result = wait(server, run, token_file=token)

    assert errors(result)[-1] == "kfp-tabular: error: ingest-data: houses.csv has no rows."
    assert code(result) == 2
    assert f"the log of {pod} cannot be read: 503 Service Unavailable. Trying again." in caplog.text


def test_the_iteration_of_a_loop_that_failed_tells_the_reason(server: PipelinesServer) -> None:
    run = RecordedRun("FAILED")
    loop = ["iteration-iterations(0:0)", "iteration-iterations(1:1)"]
    for iteration, state in zip(loop, ("FAILED", "SUCCEEDED"), strict=True):
        run.group(iteration, state).task("ingest-data", state, executor=[state], within=[iteration])
    server.logs[run.pod("ingest-data", within=loop[:1])] = user_error_log("houses.csv has no rows.")
    server.logs[run.pod("ingest-data", within=loop[1:])] = "done\n"

    result = wait(server, run)

    assert errors(result) == ["kfp-tabular: error: ingest-data: houses.csv has no rows."]
    assert code(result) == 2


def test_so_many_iterations_and_no_more(server: PipelinesServer) -> None:
    run = RecordedRun("FAILED")
    loop = [f"iteration-iterations({number}:{number})" for number in range(5)]
    for iteration in loop:
        run.group(iteration, "FAILED")
        run.task("ingest-data", "FAILED", executor=["FAILED"], within=[iteration])

    (line,) = errors(wait(server, run))

    assert line.endswith("Of its 5 failed pods, the logs of 3 were looked at.")
    assert len(server.read) == 3


def test_the_failed_driver_of_a_condition_is_named(server: PipelinesServer) -> None:
    run = RecordedRun("FAILED").task("ingest-data")
    run.task("condition-1", driver="FAILED", listed=False)
    server.logs[run.pod("condition-1-driver")] = "F1129 main.go:106] KFP driver: no such output\n"

    result = wait(server, run)

    assert errors(result) == [
        "kfp-tabular: error: condition-1: Kubeflow's driver failed: no such output"
    ]
    assert code(result) == 1


def test_a_log_that_breaks_off_is_read_as_far_as_it_goes(server: PipelinesServer) -> None:
    run, _ = failing("")
    refusal = '{"error_message":"error in streaming the log","error_details":"stack"}'
    server.logs[run.pod("ingest-data")] = user_error_log("houses.csv has no rows.") + refusal

    assert errors(wait(server, run)) == ["kfp-tabular: error: ingest-data: houses.csv has no rows."]


def test_so_many_logs_and_no_more(server: PipelinesServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "_MOST_LOGS", 1)
    run = RecordedRun("FAILED")
    for name in ("ingest-data", "validate-data"):
        run.task(name, "FAILED", executor=["FAILED"])
        server.logs[run.pod(name)] = user_error_log(f"{name} is wrong.")

    result = wait(server, run)

    first, second = errors(result)
    assert first == "kfp-tabular: error: ingest-data: ingest-data is wrong."
    assert "was not read: at most 1 logs are. See the task's executor-logs" in second
    assert len(server.read) == 1


@RETRIED
def test_a_failed_driver_is_named_as_its_task(server: PipelinesServer, *, retried: bool) -> None:
    run = RecordedRun("FAILED", retried=retried)
    run.task("ingest-data").task("validate-data")
    run.task("transform-features", driver="FAILED", listed=False)
    run.omitted("transform-features-x", *LATER[1:]).group("condition-1", None)
    server.logs[run.pod("transform-features-driver")] = DRIVER_LOG

    result = wait(server, run)

    assert "  transform-features       FAILED     3.0 s" in lines(result)
    assert "  tune-hyperparameters     not run" in lines(result)
    assert errors(result) == [
        "kfp-tabular: error: transform-features: Kubeflow's driver failed: "
        'driver.Container(pipelineName=churn, task="transform-features") failed: failed to resolve '
        'inputs: two tasks have the same task name "validate-data", id1=12 id2=13. A driver before '
        "it was started twice, after which Kubeflow Pipelines cannot continue a run: submit it "
        "again."
    ]
    assert code(result) == 1


def test_a_stopped_run_is_no_failed_one(server: PipelinesServer) -> None:
    run = RecordedRun("FAILED", history=("PENDING", "RUNNING", "CANCELING"))
    run.task("ingest-data", executor=(), seconds=0)
    run.task("validate-data", "FAILED", executor=["FAILED"], seconds=40)
    run.omitted(*LATER)

    result = wait(server, run)

    assert lines(result)[:2] == [
        "  ingest-data              cached",
        "  validate-data            stopped   40.0 s",
    ]
    assert lines(result)[-2:] == [
        "ended: stopped",
        "kfp-tabular: error: the run was stopped while validate-data ran.",
    ]
    assert code(result) == 1
    assert not server.read


def test_a_stop_that_is_only_seen_in_passing_is_one(server: PipelinesServer) -> None:
    stopping = RecordedRun("CANCELING").task("ingest-data").answer()
    run = RecordedRun("FAILED").task("ingest-data")
    run.clock = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=5)
    run.task("validate-data", "FAILED", executor=["FAILED"])
    server.states = [stopping, run.answer()]

    result = follow(server)

    assert lines(result)[-2:] == [
        "ended: stopped",
        "kfp-tabular: error: the run was stopped while validate-data ran.",
    ]


def test_a_run_that_ends_before_it_is_stopped_has_succeeded(server: PipelinesServer) -> None:
    run = RecordedRun(history=("RUNNING", "CANCELING")).task("ingest-data")

    result = wait(server, run)

    assert "ended: succeeded" in lines(result)
    assert code(result) == 0


@RETRIED
def test_cached_and_skipped_tasks_are_told_apart(server: PipelinesServer, *, retried: bool) -> None:
    run = RecordedRun(retried=retried)
    run.task("ingest-data", executor=(), seconds=0)
    for name in ("validate-data", *LATER):
        run.task(name)
    run.group("condition-1", "SKIPPED")

    result = wait(server, run)

    assert lines(result) == [
        "  ingest-data              cached",
        *(f"  {name:<24} done      10.0 s" for name in ("validate-data", *LATER)),
        "  deploy-model             skipped",
        "ended: succeeded",
    ]
    assert code(result) == 0


def test_errors_and_warnings_of_tasks_that_succeed_are_printed(server: PipelinesServer) -> None:
    run = RecordedRun().task("ingest-data", executor=(), seconds=0)
    for name in ("validate-data", *LATER):
        run.task(name)
    run.group("condition-1", "SKIPPED")
    prefix = "[KFP Executor 2026-11-30 12:00:00,123"
    server.logs[run.pod("validate-data")] = "\n".join(
        [
            f"{prefix} INFO]: note [day-first]: 'when' is read day first.",
            f"{prefix} WARNING]: warning [no-values]: Column 'x\x1b[2J': no values.",
            f"{prefix} ERROR]: error [leak]: 'refund' alone predicts. Option: exclude.",
            f"{prefix} WARNING]: a warning of some library",
        ]
    )

    result = wait(server, run)

    assert lines(result)[:4] == [
        "  ingest-data              cached",
        "  validate-data            done      10.0 s",
        "    error: 'refund' alone predicts. Option: exclude.",
        r"    warning: Column 'x\x1b[2J': no values.",
    ]
    assert lines(result)[4].split()[:2] == ["transform-features", "done"]
    assert code(result) == 0


def unreported(state: str, *, retried: bool = True) -> RecordedRun:
    run = RecordedRun(state, root="RUNNING", retried=retried)
    for name in ("ingest-data", "validate-data", *LATER):
        run.task(name)
    run.group("condition-1", "RUNNING")
    return run.task("deploy-model", driver="RUNNING", within=["condition-1"], listed=False)


def test_tasks_that_the_server_never_reported_are_listed(server: PipelinesServer) -> None:
    result = wait(server, unreported("SUCCEEDED"))

    assert "  deploy-model             unknown" in lines(result)
    assert lines(result)[-2:] == [
        "ended: succeeded",
        "kfp-tabular: warning: the server knows no end of deploy-model. Kubeflow Pipelines does "
        "not read the tasks of a Workflow that grew beyond 1 MiB, since Argo compresses them; "
        f"'kubectl get workflow {WORKFLOW} -o yaml' has them for as long as the Workflow is kept.",
    ]
    assert code(result) == 0


@RETRIED
def test_a_failure_that_the_server_never_reported_is_found(
    server: PipelinesServer, *, retried: bool
) -> None:
    run = unreported("FAILED", retried=retried)
    message = "model_repository /models: not writable by user 65532."
    server.logs[run.pod("deploy-model", within=["condition-1"])] = user_error_log(message)

    result = wait(server, run)

    assert "  deploy-model             FAILED     0.0 s" in lines(result)
    assert errors(result) == [f"kfp-tabular: error: deploy-model: {message}"]
    assert code(result) == 2


def test_a_failure_that_nothing_tells(server: PipelinesServer) -> None:
    result = wait(server, unreported("FAILED"))

    assert lines(result)[-4:-2] == ["  deploy-model             unknown", "ended: failed"]
    warning, error = errors(result)
    assert warning.startswith("kfp-tabular: warning: the server knows no end of deploy-model.")
    assert error == "kfp-tabular: error: the run failed; the server does not say where."
    assert code(result) == 1


def test_the_ends_of_tasks_may_come_after_that_of_the_run(server: PipelinesServer) -> None:
    late = unreported("SUCCEEDED").answer()
    run = RecordedRun()
    for name in ("ingest-data", "validate-data", *LATER):
        run.task(name)
    run.group("condition-1").task("deploy-model", within=["condition-1"])
    server.states = [late, run.answer()]

    result = follow(server)

    assert "  deploy-model             done      10.0 s" in lines(result)
    assert lines(result)[-1] == "ended: succeeded"


def orphan() -> RecordedRun:
    run = RecordedRun("RUNNING", history=("PENDING",))
    run.task("ingest-data", executor=(), seconds=0)
    return run.task("validate-data", driver="RUNNING", listed=False)


def test_a_run_whose_pods_are_gone_is_noticed(
    server: PipelinesServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(following, "_SILENT_SECONDS", 0.0)
    run = orphan()
    pod = run.pod("validate-data-driver")
    server.states = [*[run.answer()] * 3, RecordedRun("CANCELED").answer()]

    follow(server)

    known = f"the driver of validate-data is listed as running, but the log of its pod, {pod}, "
    assert known in caplog.text
    assert f"'kubectl get workflow {WORKFLOW}'" in caplog.text


def test_a_run_that_works_for_long_is_left_alone(
    server: PipelinesServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(following, "_SILENT_SECONDS", 0.0)
    run = orphan()
    server.logs[run.pod("validate-data-driver")] = "I1129 main.go:96] Setting log level\n"
    server.states = [*[run.answer()] * 3, RecordedRun("CANCELED").answer()]

    follow(server)

    assert server.read
    assert "nothing has changed" not in caplog.text


@pytest.mark.parametrize("exists", [True, False])
def test_a_wait_that_is_over_says_what_is_known(server: PipelinesServer, *, exists: bool) -> None:
    run = orphan()
    if exists:
        server.logs[run.pod("validate-data-driver")] = "I1129 main.go:96] Setting log level\n"

    message = str(wait(server, run, timeout=1).exception)

    start = f"run {RUN} has not ended after 1 s; "
    assert message.startswith(start + ("it continues." if exists else "the driver of validate"))
