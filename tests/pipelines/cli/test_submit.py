"""Submitting, scheduling and following, by command, against a server over HTTP."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.cli import cli
from kfp_tabular.pipelines.kubeflow import following
from kfp_tabular.pipelines.kubeflow.connection import TOKEN_VARIABLE, Server
from tests.pipelines.kubeflow.commands import WHAT, call, submit
from tests.pipelines.kubeflow.pipelines_server import EPOCH, PipelinesServer, task

LONG = f'{{"{"x" * 40_000}": {{}}}}'
"""A parameter that makes the Workflow too large."""


def test_a_run_is_submitted(server: PipelinesServer, tmp_path: Path) -> None:
    config = tmp_path / "cluster.yaml"
    config.write_text("service_account: trainer\ntasks: {train-model: {memory: 8G}}\n")

    result = submit(server, "--config", str(config), "--param", "epochs=3", "--no-cache")

    assert result.exception is None
    (identifier,) = server.runs
    run = server.runs[identifier]
    assert f"run:  {identifier}\npage: {server.url}/#/runs/details/{identifier}\n" == result.output
    assert run["runtime_config"]["parameters"] == {
        "data_uri": "gs://bucket/churn.csv",
        "label": "churned",
        "epochs": 3,
    }
    assert run["service_account"] == "trainer"
    tasks = run["pipeline_spec"]["pipeline_spec"]["root"]["dag"]["tasks"]
    assert not tasks["ingest-data"].get("cachingOptions", {}).get("enableCache")
    (experiment,) = server.experiments.values()
    assert experiment["display_name"] == "kfp-tabular"


@pytest.mark.parametrize(
    ("repository", "is_checked"), [("s3://models", True), ("/models", False), ("", False)]
)
def test_a_bucket_that_only_the_run_names_is_checked_early(
    server: PipelinesServer, repository: str, is_checked: bool
) -> None:
    result = submit(server, "--param", f"model_repository={repository}")

    assert result.exception is None
    (run,) = server.runs.values()
    tasks = run["pipeline_spec"]["pipeline_spec"]["root"]["dag"]["tasks"]
    assert ("check-destinations" in tasks) == is_checked


def test_a_second_run_joins_the_experiment(server: PipelinesServer) -> None:
    submit(server, "--experiment", "churn")
    submit(server, "--experiment", "churn")

    assert len(server.experiments) == 1
    assert len(server.runs) == 2


def test_a_run_is_followed_to_its_end(server: PipelinesServer) -> None:
    server.states = [
        {"state": "PENDING"},
        {
            "state": "RUNNING",
            "run_details": {
                "task_details": [task("ingest-data", "RUNNING"), task("root-driver", "SUCCEEDED")]
            },
        },
        {
            "state": "SUCCEEDED",
            "run_details": {
                "task_details": [
                    task("ingest-data", "SUCCEEDED", 12),
                    task("train-model", "SKIPPED"),
                ]
            },
        },
    ]

    result = submit(server, "--wait")

    assert result.exception is None
    assert "ingest-data              done      12.0 s" in result.output
    assert "train-model              skipped\n" in result.output
    assert "root-driver" not in result.output
    assert "ended: succeeded\n" in result.output


def test_a_failed_run_is_a_failed_command(server: PipelinesServer) -> None:
    failed = [task("validate-data", "FAILED", 3, "exit code 2")]
    server.states = [
        {
            "state": "FAILED",
            "error": {"code": 13, "message": "run failed"},
            "run_details": {"task_details": failed},
        }
    ]

    result = submit(server, "--wait")

    assert isinstance(result.exception, SystemExit)
    assert result.exception.code == 1
    assert "validate-data            FAILED" in result.output
    assert "kfp-tabular: error: run failed\n" in result.output
    assert "kfp-tabular: error: validate-data: exit code 2\n" in result.output


def test_a_run_stopped_in_the_interface_is_not_waited_for(server: PipelinesServer) -> None:
    server.states = [{"state": "CANCELED"}]

    result = submit(server, "--wait")

    assert isinstance(result.exception, SystemExit)
    assert result.exception.code == 1
    assert "ended: stopped\n" in result.output


def test_time_is_up(server: PipelinesServer) -> None:
    server.states = [{"state": "RUNNING"}]

    result = submit(server, "--wait", "--timeout", "1s")

    assert "has not ended after 1 s; it continues" in str(result.exception)


def test_a_server_that_is_away_is_waited_for(
    server: PipelinesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following.time, "sleep", lambda _: None)
    server.states = [{"state": "RUNNING"}, {"state": "SUCCEEDED"}]

    def stumble() -> None:
        server.looked = lambda: None
        server.failing = [503, 503, 429]

    server.looked = stumble
    result = submit(server, "--wait")

    assert result.exception is None
    assert "ended: succeeded" in result.output


def test_an_expired_token_is_read_again(server: PipelinesServer, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    server.token = "first"
    server.states = [{"state": "RUNNING"}, {"state": "SUCCEEDED"}]

    def rotate() -> None:
        server.looked = lambda: None
        server.token = "second"
        file.write_text("second\n")

    server.looked = rotate
    result = submit(server, "--wait", "--token-file", str(file))

    assert result.exception is None
    assert "ended: succeeded" in result.output


def test_an_unknown_caller_gets_an_error(
    server: PipelinesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.token = "right"
    monkeypatch.setenv(TOKEN_VARIABLE, "wrong-secret")

    result = submit(server)

    assert isinstance(result.exception, UserError)
    assert "401" in str(result.exception)
    assert "wrong-secret" not in str(result.exception)
    assert not server.runs


def test_a_server_that_is_not_there() -> None:
    result = CliRunner().invoke(
        cli, ["submit", "--host", "http://127.0.0.1:9", *WHAT], standalone_mode=False
    )

    assert isinstance(result.exception, UserError)
    assert "http://127.0.0.1:9 cannot be reached" in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--label", "y"], "parameter 'data_uri' is required"),
        (["--data", "", "--label", "y"], "--data: the value is empty"),
        (["--data", "churn.csv", "--label", "y"], "a path on this machine"),
        (
            ["--param", "data_uri=churn.csv", "--label", "y"],
            "--param data_uri 'churn.csv' is a path",
        ),
        (
            ["--data", "gs://b/a", "--param", "data_uri=a/b.csv"],
            "--param data_uri 'a/b.csv' is a path",
        ),
        ([*WHAT, "--param", "epoch=3"], "Did you mean 'epochs'"),
        ([*WHAT, "--param", "epochs"], "expected KEY=VALUE"),
        ([*WHAT, "--param", f"feature_config={LONG}"], "and the run's parameters"),
        ([*WHAT, "--timeout", "soon"], "--timeout 'soon': expected a duration"),
        ([*WHAT, "--ca-file", "nowhere.pem"], "nowhere.pem: no such file"),
        ([*WHAT, "--token-file", "nowhere"], "nowhere: cannot be read: No such file or directory."),
    ],
)
def test_what_cannot_be_submitted_is_said(
    server: PipelinesServer, arguments: list[str], message: str
) -> None:
    result = call(server, "submit", *arguments)

    assert isinstance(result.exception, UserError)
    assert message in str(result.exception)
    assert not server.runs


def test_a_schedule_has_safe_defaults(server: PipelinesServer) -> None:
    result = call(server, "schedule", *WHAT, "--cron", "0 2 * * *")

    assert result.exception is None
    (made,) = server.recurring.values()
    assert made["trigger"]["cron_schedule"]["cron"] == "0 0 2 * * *"
    assert int(made["max_concurrency"]) == 1
    assert made["no_catchup"] is True
    assert made["mode"] == "ENABLE"
    assert f"/#/recurringrun/details/{made['recurring_run_id']}" in result.output


def test_a_schedule_of_the_same_name_is_not_made_twice(server: PipelinesServer) -> None:
    for name in ("other", "nightly"):
        call(server, "schedule", *WHAT, "--cron", "0 2 * * *", "--name", name)
    nightly = list(server.recurring)[1]

    refused = call(server, "schedule", *WHAT, "--cron", "0 3 * * *", "--name", "nightly")
    assert isinstance(refused.exception, UserError)
    assert "--replace" in str(refused.exception)
    assert len(server.recurring) == 2

    replaced = call(
        server, "schedule", *WHAT, "--cron", "0 3 * * *", "--name", "nightly", "--replace"
    )
    assert replaced.exception is None
    assert f"replaced: {nightly}" in replaced.output
    crons = [entry["trigger"]["cron_schedule"]["cron"] for entry in server.recurring.values()]
    assert crons == ["0 0 2 * * *", "0 0 3 * * *"]
    assert [entry["mode"] for entry in server.recurring.values()] == ["ENABLE", "ENABLE"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cron", "2 am"], "expected five fields"),
        (["--cron", "0 2 * * *", "--param", f"feature_config={LONG}"], "Workflow would take"),
        (["--cron", "0 2 * * *", "--max-concurrency", "11"], "expected 1 to 10, found 11"),
        (["--cron", "0 2 * * *", "--start", "tomorrow"], "expected a time such as"),
        (["--cron", "0 2 * * *", "--end", "2030-01-01T00:00:00"], "has no zone"),
        (
            ["--cron", "0 2 * * *", "--start", "2030-01-01T00:00Z", "--end", "2029-12-31T00:00Z"],
            "expected a time after --start",
        ),
    ],
)
def test_what_cannot_be_scheduled_is_said(
    server: PipelinesServer, arguments: list[str], message: str
) -> None:
    result = call(server, "schedule", *WHAT, *arguments)

    assert isinstance(result.exception, UserError)
    assert message in str(result.exception)
    assert not server.recurring


def test_a_task_without_times_took_no_time(server: PipelinesServer) -> None:
    submit(server)
    (identifier,) = server.runs
    server.states = [
        {
            "state": "SUCCEEDED",
            "run_details": {"task_details": [{**task("a", "SKIPPED"), "start_time": EPOCH}]},
        }
    ]
    heard = []

    class Ear:
        def started(self, name: str) -> None:
            heard.append(name)

        def finished(self, result: following.KubeflowTaskOutcome) -> None:
            heard.append(result)

    outcome = following.follow(Server(host=server.url), identifier, ["a"], Ear())

    assert outcome == following.RunOutcome("succeeded")
    assert heard == [following.KubeflowTaskOutcome("a", "skipped", 0.0)]


def test_a_pipeline_with_an_importer_and_pipelines_inside_is_submitted(
    server: PipelinesServer, tmp_path: Path
) -> None:
    file = tmp_path / "nightly.py"
    file.write_text(
        "from kfp import dsl\nfrom kfp_tabular.components import check_destinations, ingest_data\n"
        '@dsl.component(base_image="registry.example.com/ml/look:1")\n'
        "def look(data: dsl.Input[dsl.Dataset]):\n    print(data.uri)\n"
        "@dsl.pipeline\ndef inner(repository: str):\n"
        "    check_destinations(model_repository=repository)\n"
        "@dsl.pipeline\ndef nightly(repository: str):\n"
        '    data = dsl.importer(artifact_uri="gs://b/d", artifact_class=dsl.Dataset)\n'
        "    look(data=data.output)\n    ingest_data(data_uri=repository)\n"
        "    inner(repository=repository)\n    inner(repository=repository)\n"
    )

    result = call(
        server,
        *("submit", "--pipeline", f"{file}:nightly", "--param", "repository=s3://models"),
    )

    assert result.exception is None
    assert len(server.runs) == 1


def test_any_pipeline_is_scheduled_under_its_own_name(server: PipelinesServer) -> None:
    result = call(
        server,
        *("schedule", "--pipeline", "validation", "--cron", "0 2 * * *"),
        *("--data", "gs://bucket/day/*.csv", "--param", "schema_uri=gs://bucket/schema.pbtxt"),
    )

    assert result.exception is None
    (made,) = server.recurring.values()
    assert made["display_name"] == "validation"
    spec = made["pipeline_spec"]["pipeline_spec"]
    assert set(spec["root"]["dag"]["tasks"]) == {"ingest-data", "validate-data"}


def test_a_pipeline_of_ones_own_is_submitted(server: PipelinesServer, tmp_path: Path) -> None:
    file = tmp_path / "nightly.py"
    file.write_text(
        "from kfp import dsl\nfrom kfp_tabular.components import ingest_data\n"
        "@dsl.pipeline\ndef nightly(source: str):\n    ingest_data(data_uri=source)\n"
    )
    own = ["submit", "--pipeline", f"{file}:nightly"]

    refused = call(server, *own, "--data", "gs://bucket/churn.csv")
    assert isinstance(refused.exception, UserError)
    assert str(refused.exception) == (
        "--data: the pipeline 'nightly' has no parameter 'data_uri'. Its parameters: source."
    )
    missing = call(server, *own)
    assert isinstance(missing.exception, UserError)
    assert "parameter 'source' is required" in str(missing.exception)
    result = call(server, *own, "--param", "source=gs://bucket/churn.csv")

    assert result.exception is None
    (run,) = server.runs.values()
    assert run["display_name"].startswith("nightly 20")


@pytest.mark.parametrize("key", ["parameters", "locked"])
def test_a_configuration_cannot_name_data_on_this_machine(key: str, tmp_path: Path) -> None:
    config = tmp_path / "cluster.yaml"
    config.write_text(f"{key}: {{data_uri: churn.csv, label: churned}}")
    arguments = ["submit", "--host", "http://127.0.0.1:9", "--config", str(config)]

    result = CliRunner().invoke(cli, arguments, standalone_mode=False)

    message = str(result.exception)
    assert message.startswith(f"{config}: {key}: data_uri 'churn.csv' is a path on this machine")
