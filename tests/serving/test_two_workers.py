"""Two worker processes with authentication, batching and shared metrics, over HTTP and gRPC."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import grpc
import numpy as np
import pytest
import requests
from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub
from prometheus_client.parser import text_string_to_metric_families

KEY = "geheim-0123456789-abcdef"
NEW_KEY = "neuer-0123456789-abcdef"
ROW = {"amount": 3.25, "商户": "店", "hour": 7}
PREDICT = "v1/models/fraud:predict"


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    directory = tmp_path_factory.mktemp("keys")
    (directory / "web").write_text(f"{KEY}\n")
    return directory


@pytest.fixture(scope="module")
def server(tmp_path_factory, model_directory, keys, start_for_module):
    repository = tmp_path_factory.mktemp("repository") / "fraud"
    shutil.copytree(model_directory("binary"), repository / "7")
    return start_for_module(
        *("--model", repository, "--port", 0, "--grpc-port", 0, "--workers", 2),
        *("--auth-keys", keys, "--batch-rows", 64),
    ).ready(times=2)


def ask(server, *rows, key=KEY):
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return requests.post(
        f"{server.url}/{PREDICT}", json={"instances": rows}, headers=headers, timeout=30
    )


def call(server, *metadata):
    request = messages.ModelInferRequest(model_name="fraud")
    for name, datatype, place, value in (
        ("amount", "FP32", "fp32_contents", 3.25),
        ("商户", "BYTES", "bytes_contents", "店".encode()),
    ):
        tensor = request.inputs.add(name=name, datatype=datatype, shape=[1])
        getattr(tensor.contents, place).append(value)
    with grpc.insecure_channel(server.grpc) as channel:
        stub = GRPCInferenceServiceStub(channel)
        assert stub.ServerLive(messages.ServerLiveRequest()).live
        try:
            return stub.ModelInfer(request, metadata=metadata, timeout=30).model_version
        except grpc.RpcError as error:
            return error.code().name


def metrics(server):
    answer = requests.get(f"{server.url}/metrics", headers={"x-api-key": KEY}, timeout=30)
    assert answer.status_code == 200
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_http_and_grpc_need_a_key_and_probes_do_not(server):
    refused = ask(server, ROW, key="")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert ask(server, ROW, key=KEY[:-1]).status_code == 401
    assert ask(server, ROW).status_code == 200
    assert call(server) == "UNAUTHENTICATED"
    assert call(server, ("x-api-key", "x" * 20)) == "UNAUTHENTICATED"
    assert call(server, ("x-api-key", KEY)) == "7"
    assert call(server, ("authorization", f"Bearer {KEY}")) == "7"
    for path in ("", "v2/health/live", "v2/health/ready", "v2/models/fraud/ready"):
        assert requests.get(f"{server.url}/{path}", timeout=30).status_code == 200
    for path in ("metrics", "v1/models", "v1/models/fraud", "v2/models/fraud", "x"):
        assert requests.get(f"{server.url}/{path}", timeout=30).status_code == 401


def test_a_large_body_without_a_key_is_denied_and_the_connection_survives(server):
    with requests.Session() as session:
        for _ in range(3):
            large = session.post(f"{server.url}/{PREDICT}", data=b" " * 3_000_000, timeout=30)
            assert large.status_code == 401
        headers = {"x-api-key": KEY}
        answer = session.post(
            f"{server.url}/{PREDICT}", json={"instances": [ROW]}, headers=headers, timeout=30
        )
        assert answer.status_code == 200


def test_an_endless_head_is_cut_off(server):
    headers = {"a": "a" * 100_000}
    assert requests.get(f"{server.url}/metrics", headers=headers, timeout=30).status_code == 431


def test_rows_in_a_batch_get_the_predictions_of_single_rows(server):
    rows = [{"amount": float(n) / 7, "商户": f"shop {n}", "hour": n % 24} for n in range(120)]
    alone = ask(server, *rows).json()["predictions"]
    found = {}

    def client(first):
        for place in range(first, len(rows), 12):
            found[place] = ask(server, rows[place]).json()["predictions"][0]

    # A worker combines what arrives while it computes, which the clients must bring about.
    for _ in range(20):
        found.clear()
        before = metrics(server)
        threads = [threading.Thread(target=client, args=(first,)) for first in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for place, expected in enumerate(alone):
            assert found[place]["class"] == expected["class"]
            np.testing.assert_allclose(
                found[place]["probabilities"], expected["probabilities"], atol=1e-6
            )
        after = metrics(server)
        calls, together = (
            after[f"kfp_tabular_batch_requests_{part}",]
            - before[f"kfp_tabular_batch_requests_{part}",]
            for part in ("count", "sum")
        )
        assert together == 120
        if calls < 120:
            return
    raise AssertionError("no two requests were combined")


def test_metrics_are_the_sum_of_both_workers_and_survive_a_death(server):
    for _ in range(20):
        ask(server, ROW, ROW)
        call(server, ("x-api-key", KEY))
    ask(server, ROW | {"amount": None})
    ask(server, ROW | {f"{KEY}-as-a-feature": 1})
    before = metrics(server)
    answered = ("kfp_tabular_requests_total", "200", "predict", "v1")
    predicted = sum(v for k, v in before.items() if k[0] == "kfp_tabular_predictions_total")
    assert before[answered] >= 20
    assert before["kfp_tabular_requests_total", "OK", "predict", "grpc"] >= 20
    assert before["kfp_tabular_requests_total", "UNAUTHENTICATED", "predict", "grpc"] >= 1
    assert before["kfp_tabular_requests_total", "401", "predict", "v1"] >= 1
    assert before["kfp_tabular_rejections_total", "amount", "fraud", "missing"] == 1
    assert before["kfp_tabular_rejections_total", "other", "fraud", "unknown"] == 1
    assert before["kfp_tabular_authenticated_requests_total", "web", "grpc"] >= 20
    assert before["kfp_tabular_authentication_failures_total", "v1", "missing"] >= 1
    assert before["kfp_tabular_model_loads_total", "fraud", "success"] == 2
    (info,) = (key for key in before if key[0] == "kfp_tabular_model_info")
    assert "7" in info

    victim = int(re.findall(r"started worker (\d+)", server.log)[0])
    os.kill(victim, signal.SIGKILL)
    server.wait_for(rf"worker {victim} ended")
    deadline = time.monotonic() + 30
    while True:
        try:
            after = metrics(server)
            break
        except requests.ConnectionError:
            assert time.monotonic() < deadline
    assert after[answered] == before[answered]
    now = sum(v for k, v in after.items() if k[0] == "kfp_tabular_predictions_total")
    assert now == predicted
    # Only this scrape is in progress; requests of the dead worker are not counted.
    under_way = [v for k, v in after.items() if k[0] == "kfp_tabular_requests_in_flight"]
    assert sum(under_way) == 1


def test_all_workers_follow_a_rotated_secret(server, keys):
    server.ready(times=3)
    (keys / "new").write_text(NEW_KEY)
    (keys / "web").unlink()
    # The files are not Kubernetes' own, so two looks must agree.
    time.sleep(5)
    for _ in range(10):
        assert ask(server, ROW, key=NEW_KEY).status_code == 200
    time.sleep(1)
    for _ in range(10):
        assert ask(server, ROW, key=KEY).status_code == 401


def test_no_key_is_logged(server):
    code, _ = server.stop()
    assert code == 0
    assert KEY[:12] not in server.log
    assert NEW_KEY[:12] not in server.log


@pytest.mark.parametrize("workers", [1, 2])
def test_without_valid_keys_the_server_does_not_start(tmp_path, model_directory, start, workers):
    (tmp_path / "keys").mkdir()
    process = start(
        *("--model", model_directory("binary"), "--port", 0),
        *("--auth-keys", tmp_path / "keys", "--workers", workers),
    )
    assert process.ended() == 2
    assert "holds no key" in process.log
    # The error comes before the model is loaded.
    assert len(process.lines) == 1


def test_the_queue_is_bounded(model_directory, start):
    server = start("--model", model_directory("binary"), "--port", 0, "--queued-rows", 1).ready()
    (name,) = requests.get(f"{server.url}/v1/models", timeout=30).json()["models"]
    body = json.dumps({"instances": [ROW] * 5000})
    answers = []

    def client():
        for _ in range(3):
            answers.append(
                requests.post(f"{server.url}/v1/models/{name}:predict", data=body, timeout=60)
            )

    threads = [threading.Thread(target=client) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {200, 503}
    refused = [answer for answer in answers if answer.status_code == 503]
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    text = requests.get(f"{server.url}/metrics", timeout=30).text
    assert f'kfp_tabular_overloads_total{{bound="rows"}} {len(refused)}.0' in text


SERVING = """
import gc, sys
from kfp_tabular.serving.__main__ import main
from kfp_tabular.serving.process.model_server import ModelServer

def load(self, source):
    sys.exit(0 if gc.get_freeze_count() > 100_000 else 1)

ModelServer.load = load
main(sys.argv[1:])
"""


def test_imported_objects_are_excluded_from_garbage_collection(model_directory):
    command = [sys.executable, "-c", SERVING, "--model", model_directory("binary"), "--port", "0"]
    subprocess.run(command, check=True, timeout=120)
