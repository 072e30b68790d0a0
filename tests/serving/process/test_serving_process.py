"""The server as a separate process, called over HTTP."""

import asyncio
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import requests

STARTING = 120
SECRET = "4111-1111-geheim"
ROW = {"amount": 3.25, "商户": "店", "hour": 7}


@pytest.fixture(scope="module")
def repository(tmp_path_factory, model_directory):
    root = tmp_path_factory.mktemp("repository")
    shutil.copytree(model_directory("regression"), root / "fraud" / "9")
    shutil.copytree(model_directory("binary"), root / "fraud" / "10")
    return root


@pytest.fixture(scope="module")
def server(repository, start_for_module):
    """A process that serves the newest version, and its addresses."""
    return start_for_module(
        *("--model", repository / "fraud", "--access-log"), *("--port", 0, "--grpc-port", 0)
    ).ready()


def predict(url, *rows, timeout=30):
    return requests.post(
        f"{url}/v1/models/fraud:predict", json={"instances": list(rows)}, timeout=timeout
    )


def test_the_newest_version_answers(server):
    answer = predict(server.url, ROW).json()
    assert answer["model_version"] == "10"
    assert set(answer["predictions"][0]) == {"class", "probabilities"}


def test_the_log_has_one_format_and_no_values(server):
    predict(server.url, ROW | {"amount": SECRET})
    predict(server.url, ROW | {"商户": SECRET})
    requests.post(f"{server.url}/v2/models/fraud/infer", data=SECRET, timeout=10)
    server.wait_for(r"infer HTTP/1.1\" 400")
    assert SECRET not in server.log
    for line in server.lines:
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ INFO [\w.]+: ", line)


@pytest.mark.parametrize("kind", ["v1", "v2", "v2 json", "v2 binary", "grpc raw", "grpc typed"])
def test_kserves_own_clients_work_unmodified(server, kind):
    from kserve import (
        InferenceGRPCClient,
        InferenceRESTClient,
        InferInput,
        InferRequest,
        RESTConfig,
    )

    names = [("amount", "FP32", np.float32), ("商户", "BYTES", object), ("hour", "INT64", np.int64)]

    def request():
        if kind == "v1":
            return {"instances": [ROW]}
        if kind == "v2":
            return {
                "inputs": [
                    {"name": name, "datatype": datatype, "shape": [1], "data": [ROW[name]]}
                    for name, datatype, _ in names
                ]
            }
        inputs = []
        for name, datatype, dtype in names:
            tensor = InferInput(name=name, datatype=datatype, shape=[1])
            tensor.set_data_from_numpy(
                np.array([ROW[name]], dtype=dtype), binary_data=kind in ("v2 binary", "grpc raw")
            )
            inputs.append(tensor)
        return InferRequest(model_name="fraud", infer_inputs=inputs)

    async def ask():
        if kind.startswith("grpc"):
            async with InferenceGRPCClient(server.grpc) as client:
                assert await client.is_server_live()
                assert await client.is_server_ready()
                assert await client.is_model_ready("fraud")
                return await client.infer(request())
        async with InferenceRESTClient(RESTConfig(protocol=kind[:2])) as client:
            assert await client.is_server_live(server.url)
            assert await client.is_model_ready(server.url, "fraud")
            if kind != "v1":
                assert await client.is_server_ready(server.url)
            return await client.infer(server.url, request(), model_name="fraud")

    answer = asyncio.run(ask())
    expected = predict(server.url, ROW).json()["predictions"][0]
    if kind == "v1":
        assert answer["predictions"] == [expected]
    else:
        probabilities, classes = (output.as_numpy() for output in answer.outputs)
        assert probabilities.tolist() == [pytest.approx(expected["probabilities"], abs=1e-6)]
        (label,) = classes.tolist()
        assert expected["class"] == (label.decode() if isinstance(label, bytes) else label)
        if kind.startswith("grpc"):
            # KServe's own type drops it from an HTTP response.
            assert answer.model_version == "10"


def test_concurrent_clients_get_their_own_predictions(server):
    rows = [{"amount": float(n), "商户": "x"} for n in range(40)]
    together = predict(server.url, *rows).json()["predictions"]
    answers = {}

    def ask(place):
        answers[place] = predict(server.url, rows[place]).json()["predictions"][0]

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(len(rows))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for place, expected in enumerate(together):
        assert answers[place]["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-6)


def test_a_port_in_use_is_a_user_error(server, repository, start):
    port = server.url.rpartition(":")[2]
    process = start("--model", repository / "fraud", "--port", port)
    assert process.ended() == 2
    assert (
        f"kfp-tabular: error: cannot listen on 127.0.0.1 port {port}: the port is in use"
        in process.log
    )
    assert len(process.lines) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "nowhere"], "nowhere: not found"),
        (["--model", "."], "no model found"),
        (["--model", "{model}", "--name", "a/b"], "--name 'a/b'"),
        (["--model", "{model}", "--port", "70000"], "--port"),
        (["--model", "{model}", "--host", "no such host"], "--host"),
        (["--model", "{model}", "--host", "203.0.113.1"], "does not have the address"),
        (["--model", "{model}", "--max-rows", "0"], "--max-rows"),
        ([], "--model"),
    ],
)
def test_invalid_arguments_are_user_errors(
    repository, tmp_path, monkeypatch, capfd, caplog, arguments, message
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["serving"])
    assert exit_code([text.format(model=repository / "fraud") for text in arguments]) == 2
    assert message in capfd.readouterr().err + caplog.text


def exit_code(arguments):
    from kfp_tabular.serving.__main__ import main

    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with pytest.raises(SystemExit) as caught:
            main(arguments)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return caught.value.code


def test_no_connection_before_the_model_is_ready_and_no_request_lost_at_sigterm(
    repository, start, free_port
):
    port = free_port
    url = f"http://127.0.0.1:{port}"
    process = start("--model", repository / "fraud" / "9", "--port", port, "--name", "fraud")
    process.wait_for("loading")

    refused = 0
    end = time.monotonic() + STARTING
    while time.monotonic() < end:
        try:
            first = predict(url, ROW)
            break
        except requests.ConnectionError:
            refused += 1
            time.sleep(0.05)
    assert refused
    assert first.status_code == 200
    assert first.json()["model_version"] == "9"
    assert requests.get(f"{url}/v2/models/fraud/ready", timeout=10).status_code == 200

    # A request in progress when the signal arrives gets its response.
    body = json.dumps({"instances": [ROW]}).encode()
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        head = f"POST /v1/models/fraud:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}"
        connection.sendall(head.encode() + b"\r\n\r\n" + body[:10])
        time.sleep(0.3)
        process.child.terminate()
        time.sleep(0.7)
        connection.sendall(body[10:])
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"prediction":' in answer
    assert process.ended() == 0
    assert process.lines[-1].endswith("stopped\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_loading_ends_the_process_cleanly(repository, start, number):
    process = start("--model", repository / "fraud", "--port", 0)
    process.wait_for("loading")
    code, seconds = process.stop(number)
    assert code == 0, process.log
    assert seconds < 30
    assert "Traceback" not in process.log


IMPORTING = """
import os, signal
from kfp_tabular.serving.process import serving_process

serving_process.end_cleanly_on_signals()
try:
    os.kill(os.getpid(), signal.SIGTERM)
    "a signal is handled before the next instruction".split()
except BaseException as error:
    raise ImportError("as a C extension reports whatever stops its import") from error
"""


def test_a_signal_in_the_middle_of_an_import_ends_the_process_cleanly():
    command = [sys.executable, "-c", IMPORTING]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


EARLY = """
import asyncio, os, signal, sys
from kfp_tabular.serving.__main__ import main

class Runner(asyncio.Runner):
    def __enter__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        return super().__enter__()

asyncio.Runner = Runner
main(sys.argv[1:])
"""


def test_a_signal_just_before_serving_is_handled(repository):
    command = [sys.executable, "-c", EARLY]
    command += ["--model", str(repository / "fraud"), "--port", "0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=250, check=True)
    assert ended.stderr.endswith("stopped\n")


def test_sigint_ends_a_ready_server_cleanly(server):
    """Runs last, because it ends the server that the tests above share."""
    predict(server.url, ROW)
    code, seconds = server.stop(signal.SIGINT)
    assert code == 0, server.log
    assert seconds < 30
    assert "Traceback" not in server.log
