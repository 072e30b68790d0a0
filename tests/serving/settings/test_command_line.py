import pytest

from kfp_tabular.components.common.errors import UserError, reported_to_user
from kfp_tabular.serving.settings.command_line import _fields, parse
from kfp_tabular.serving.settings.server_settings import (
    AuthenticationSettings,
    BatchSettings,
    ModelSettings,
    RequestLimits,
    ServerSettings,
    ValuePolicies,
)

MODEL = ["--model", "m"]


def test_only_the_model_is_required():
    assert parse(MODEL, {"PATH": "x"}) == ServerSettings(model="m")
    assert parse([], {"KFP_TABULAR_SERVING_MODEL": "m"}) == ServerSettings(model="m")


def test_every_setting_is_a_flag_and_an_environment_variable():
    words = {
        "model": "m",
        "name": "n",
        "host": "::",
        "port": "1",
        "grpc_port": "2",
        "workers": "3",
        "worker_timeout_seconds": "16",
        "max_connections": "19",
        "allowed_hosts": "a.example.com,*.b",
        "grpc_calls": "19",
        "grpc_message_seconds": "20",
        "digests": "require",
        "max_model_mib": "17",
        "load_seconds": "18",
        "max_rows": "4",
        "explain_rows": "21",
        "max_body_mib": "5",
        "max_values": "14",
        "max_pending_mib": "15",
        "unseen_values": "reject",
        "out_of_range": "count",
        "auth_keys": "/keys",
        "auth_open": "metrics",
        "batch_rows": "6",
        "batch_wait_ms": "1.5",
        "queued_rows": "7",
        "reload_seconds": "0",
        "drain_seconds": "8.5",
        "grace_seconds": "9",
        "access_log": "true",
    }
    wanted = ServerSettings(
        model="m",
        name="n",
        host="::",
        port=1,
        grpc_port=2,
        workers=3,
        worker_timeout_seconds=16.0,
        max_connections=19,
        allowed_hosts=frozenset({"a.example.com", "*.b"}),
        models=ModelSettings(digests="require", max_model_mib=17, load_seconds=18.0),
        limits=RequestLimits(
            max_rows=4,
            explain_rows=21,
            max_body_mib=5,
            max_values=14,
            max_pending_mib=15,
            grpc_calls=19,
            grpc_message_seconds=20.0,
        ),
        policies=ValuePolicies(unseen_values="reject", out_of_range="count"),
        authentication=AuthenticationSettings(auth_keys="/keys", auth_open=frozenset({"metrics"})),
        batches=BatchSettings(batch_rows=6, batch_wait_ms=1.5, queued_rows=7),
        reload_seconds=0.0,
        drain_seconds=8.5,
        grace_seconds=9.0,
        access_log=True,
    )
    flags = [f"--{name.replace('_', '-')}={word}" for name, word in words.items()]
    variables = {f"KFP_TABULAR_SERVING_{name.upper()}": word for name, word in words.items()}
    assert parse(flags, {}) == wanted
    assert parse([], variables) == wanted


@pytest.mark.parametrize(
    ("words", "opened"),
    [("health, metrics", {"health", "metrics"}), ("none", set()), (",", set())],
)
def test_auth_open_is_a_list_of_words(words, opened):
    settings = parse([*MODEL, "--auth-open", words], {})
    assert settings.authentication.auth_open == opened


def test_a_flag_wins_and_an_empty_variable_is_ignored():
    variables = {"KFP_TABULAR_SERVING_PORT": "1", "KFP_TABULAR_SERVING_HOST": ""}
    settings = parse([*MODEL, "--port", "2", "--access-log"], variables)
    assert (settings.port, settings.host, settings.access_log) == (2, "127.0.0.1", True)


def test_variables_of_a_service_with_this_name_are_ignored():
    variables = {
        "KFP_TABULAR_SERVING_SERVICE_HOST": "10.0.0.1",
        "KFP_TABULAR_SERVING_SERVICE_PORT": "80",
        "KFP_TABULAR_SERVING_SERVICE_PORT_HTTP": "80",
        "KFP_TABULAR_SERVING_PORT": "tcp://10.0.0.1:80",
        "KFP_TABULAR_SERVING_PORT_80_TCP": "tcp://10.0.0.1:80",
        "KFP_TABULAR_SERVING_PORT_80_TCP_PROTO": "tcp",
        "KFP_TABULAR_SERVING_PORT_80_TCP_ADDR": "10.0.0.1",
    }
    assert parse(MODEL, variables) == ServerSettings(model="m")


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        ([], {}, "--model .* is missing"),
        (["--port", "70000"], {}, r"--port: expected a whole number from 0 to 65535, found '70000"),
        (["--port", "-1"], {}, "--port: expected"),
        (["--port", "\uff11"], {}, "--port: expected"),
        (["--grpc-port", "on"], {}, "--grpc-port: expected a whole number .*, or off"),
        (["--workers", "0"], {}, "--workers: expected a whole number from 1,"),
        (["--max-body-mib", "4096"], {}, "--max-body-mib"),
        (["--unseen-values", "ignore"], {}, "--unseen-values: expected reject or count"),
        (["--grace-seconds", "nan"], {}, "--grace-seconds: expected seconds, 0 or more"),
        (["--grace-seconds", "-1"], {}, "--grace-seconds"),
        (["--access-log=maybe"], {}, "--access-log: expected true or false"),
        (["--auth-open", "all"], {}, "--auth-open: expected some of health"),
        (["--auth-open", "health,metric"], {}, "--auth-open: expected some of health, metrics"),
        ([], {"KFP_TABULAR_SERVING_PORT": "x"}, "variable KFP_TABULAR_SERVING_PORT: expected"),
        ([], {"KFP_TABULAR_SERVING_POTR": "1"}, "Did you mean 'KFP_TABULAR_SERVING_PORT'"),
    ],
)
def test_errors_name_the_setting_and_what_is_expected(arguments, variables, message):
    with pytest.raises(UserError, match=message):
        parse([*MODEL, *arguments] if arguments or variables else [], variables)


@pytest.mark.parametrize("arguments", [["--unknown"], ["--max", "3"]])
def test_unknown_flags_end_with_code_2_and_one_line(arguments, caplog):
    with pytest.raises(SystemExit) as caught, reported_to_user():
        parse([*MODEL, *arguments], {})
    assert caught.value.code == 2
    assert f"unknown argument '{arguments[0]}'" in caplog.messages[0]
    assert len(caplog.messages) == 1


def test_help_names_every_flag_and_default(capsys):
    with pytest.raises(SystemExit):
        parse(["--help"], {})
    text = " ".join(capsys.readouterr().out.split())
    assert "--grpc-port PORT|off" in text
    assert "the most rows in a request (default: 10000)" in text
    assert "--auth-open LIST" in text
    assert text.count("(default: ") == len(_fields(ServerSettings))
