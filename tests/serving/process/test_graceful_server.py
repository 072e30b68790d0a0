"""Real processes under load: reloads, dying workers and shutdown."""

import http.client
import json
import os
import re
import shutil
import signal
import threading
import time
from collections import Counter
from urllib.parse import urlsplit

import grpc
import pytest
import requests
from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

ROW = {"amount": 3.25, "商户": "店", "hour": 7}
# Clients pause, so that the machine has time to start a worker.
PAUSE = 0.02
BODY = json.dumps({"instances": [ROW]})


def rpc_request():
    request = messages.ModelInferRequest(model_name="fraud")
    for name, datatype, place, value in (
        ("amount", "FP32", "fp32_contents", 3.25),
        ("商户", "BYTES", "bytes_contents", "店".encode()),
        ("hour", "INT64", "int64_contents", 7),
    ):
        tensor = request.inputs.add(name=name, datatype=datatype, shape=[1])
        getattr(tensor.contents, place).append(value)
    return request


class Load:
    """Clients that send one request after another until the server accepts no more.

    A connection that is refused is the end of the story. So is a call that no connection could be
    had for. Everything else that is not an answer is a failure.
    """

    def __init__(self, url, grpc_address=None, *, clients=4, forgiving=False):
        self.versions = Counter()
        self.failures = []
        # These clients continue after a failure.
        self._forgiving = forgiving
        self._stop = threading.Event()
        self._address = urlsplit(url).netloc
        self._threads = [threading.Thread(target=self._rest, daemon=True) for _ in range(clients)]
        if grpc_address:
            self._grpc_address = grpc_address
            self._threads += [
                threading.Thread(target=self._rpc, daemon=True) for _ in range(clients)
            ]
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        assert self.versions

    def _failed(self, error):
        self.failures.append(f"{type(error).__name__}: {error}")
        return not self._forgiving

    def _rest(self):
        connection = http.client.HTTPConnection(self._address, timeout=30)
        while not self._stop.is_set():
            try:
                if connection.sock is None:
                    connection.connect()
            except ConnectionRefusedError:
                return
            try:
                connection.request("POST", "/v1/models/fraud:predict", BODY)
                response = connection.getresponse()
                content = response.read()
                if response.status != 200:
                    raise RuntimeError(f"{response.status} {content}")
                self.versions[json.loads(content)["model_version"]] += 1
                # http.client closes the connection if the response has the header.
                time.sleep(PAUSE)
            except (OSError, http.client.HTTPException, RuntimeError) as error:
                connection.close()
                if self._failed(error):
                    return
        connection.close()

    def _rpc(self):
        request = rpc_request()
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
        with grpc.insecure_channel(self._grpc_address, options=options) as channel:
            stub = GRPCInferenceServiceStub(channel)
            while not self._stop.is_set():
                try:
                    # After a worker has died, the library waits a second before it reconnects.
                    answer = stub.ModelInfer(request, timeout=30, wait_for_ready=self._forgiving)
                    self.versions[answer.model_version] += 1
                    time.sleep(PAUSE)
                except grpc.RpcError as error:
                    refused = "failed to connect" in (error.details() or "").lower()
                    if refused or self._failed(error):
                        return


def publish(model, repository, version):
    """Publish like the deployment component: write beside, then rename."""
    shutil.copytree(model, repository / f".{version}.partial")
    (repository / f".{version}.partial").rename(repository / str(version))


def wait_until(condition, what, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError(f"{what} did not happen in {seconds} s")


@pytest.fixture
def repository(tmp_path, model_directory):
    publish(model_directory("binary"), tmp_path / "fraud", 1)
    return tmp_path / "fraud"


def asked(url):
    answer = requests.post(f"{url}/v1/models/fraud:predict", data=BODY, timeout=30)
    return answer.status_code, answer.json().get("model_version")


def test_reloads_and_shutdown_lose_no_request(repository, model_directory, start):
    server = start(
        *("--model", repository, "--port", 0, "--grpc-port", 0),
        *("--reload-seconds", 0.2, "--drain-seconds", 10),
    ).ready()
    load = Load(server.url, server.grpc)
    wait_until(lambda: load.versions["1"] > 50, "an answer of version 1")

    publish(model_directory("binary"), repository, 2)
    wait_until(lambda: load.versions["2"] > 50, "an answer of version 2")

    (repository / "3").mkdir()
    (repository / "3" / "saved_model.pb").write_bytes(b"cut off")
    server.wait_for("version 3 failed to load, still serving version 2")
    time.sleep(1)
    assert server.log.count("version 3 failed to load") == 1
    metrics = requests.get(f"{server.url}/metrics", timeout=10).text
    assert 'kfp_tabular_model_loads_total{model="fraud",outcome="failure"} 1.0' in metrics
    assert re.search(r'kfp_tabular_model_info{.*version="2"} 1.0', metrics)
    assert 'version="1"' not in metrics

    # After version 2 is removed, version 1 is served again.
    shutil.rmtree(repository / "3")
    shutil.rmtree(repository / "2")
    server.wait_for("serving version 1 instead of 2")
    assert asked(server.url) == (200, "1")
    assert load.failures == []

    server.child.send_signal(signal.SIGTERM)
    # All of this while the server drains: afterwards it does not answer.
    health = f"{server.url}/v2/health/ready"
    wait_until(lambda: requests.get(health, timeout=10).status_code == 503, "not being ready")
    with grpc.insecure_channel(server.grpc) as channel:
        stub = GRPCInferenceServiceStub(channel)
        assert not stub.ServerReady(messages.ServerReadyRequest(), timeout=10).ready
        assert stub.ServerLive(messages.ServerLiveRequest(), timeout=10).live
    answer = requests.post(f"{server.url}/v1/models/fraud:predict", data=BODY, timeout=10)
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    assert server.ended() == 0
    load.stop()
    assert load.failures == []
    assert "Traceback" not in server.log


def test_a_dead_worker_and_shutdown_lose_no_accepted_request(repository, start):
    server = start(
        *("--model", repository, "--port", 0, "--grpc-port", 0, "--workers", 2),
    ).ready(times=2)
    first, _ = map(int, re.findall(r"started worker (\d+)", server.log))

    load = Load(server.url, server.grpc, forgiving=True)
    wait_until(lambda: load.versions["1"] > 50, "answers")
    os.kill(first, signal.SIGKILL)
    server.wait_for(rf"worker {first} ended by SIGKILL.*; restarting it")
    third = int(server.wait_for(r"started worker (\d+)", times=3)[1])
    # Each client had at most one request in progress, and continues with a new connection.
    lost = len(load.failures)
    assert lost <= 8, load.failures
    answered = load.versions["1"]
    wait_until(lambda: load.versions["1"] > answered + 50, "answers of the other worker")
    ready = f"server[{third}]: ready:"
    assert ready not in server.log
    server.wait_for(re.escape(ready))
    load.stop()
    assert len(load.failures) == lost

    # The metrics include those of the dead worker.
    metrics = requests.get(f"{server.url}/metrics", timeout=10).text
    counted = sum(
        float(value)
        for value in re.findall(r"^kfp_tabular_predictions_total.* (\S+)$", metrics, re.M)
    )
    assert load.versions["1"] <= counted <= load.versions["1"] + lost

    load = Load(server.url, server.grpc)
    wait_until(lambda: load.versions["1"] > 100, "answers")
    code, seconds = server.stop(signal.SIGTERM)
    load.stop()
    assert code == 0, server.log
    assert seconds < 40
    assert load.failures == []
    assert server.lines[-1].endswith("stopped\n")
    assert "Traceback" not in server.log
