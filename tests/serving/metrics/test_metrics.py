"""What is counted, under which labels, in one process and in several."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading

import grpc
import httpx
import prometheus_client
import pytest
from prometheus_client.parser import text_string_to_metric_families

from kfp_tabular.serving.metrics.exposition import render_metrics
from kfp_tabular.serving.metrics.grpc_metrics import GrpcMetrics
from kfp_tabular.serving.metrics.http_metrics import HttpMetrics
from kfp_tabular.serving.metrics.instruments import MOST_CLASSES, Metrics, ModelIdentity
from kfp_tabular.serving.metrics.sharing import SharedMetrics

SECRET = "4111-1111-geheim"
SERVED = ModelIdentity("fraud", "7", "binary", "sha256:1", ("amount", "商户"), ("no", "ja"))


@pytest.fixture
def metrics():
    return Metrics(prometheus_client.CollectorRegistry())


def exposed(metrics, accept="", more=()):
    return render_metrics([metrics.registry, *more], accept)[0].decode()


ORDER = ["protocol", "operation", "code", "model", "version", "task", "schema_digest"]
ORDER += ["feature", "class", "reason", "outcome", "key", "le"]


def samples(text):
    """Values by the name and the labels' values, in `ORDER`."""
    return {
        (
            sample.name,
            *(sample.labels[label] for label in sorted(sample.labels, key=ORDER.index)),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(metrics):
    return samples(exposed(metrics))


def test_nothing_is_registered_globally():
    before = set(prometheus_client.REGISTRY._collector_to_names)
    Metrics(prometheus_client.CollectorRegistry())
    Metrics(prometheus_client.CollectorRegistry())
    assert set(prometheus_client.REGISTRY._collector_to_names) == before


def asgi(app, method, path):
    async def main():
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
            return await client.request(method, path)

    return asyncio.run(main())


def answering(status):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return app


@pytest.mark.parametrize(
    ("path", "protocol", "operation"),
    [
        ("/v1/models/fraud:predict", "v1", "predict"),
        ("/v1/models/fraud:explain", "v1", "explain"),
        ("/v2/models/fraud/versions/7/infer", "v2", "predict"),
        ("/v2/models/fraud/ready", "v2", "ready"),
        ("/v1/models/fraud", "v1", "status"),
        ("/v2/health/ready", "v2", "health"),
        ("/metrics", "http", "metrics"),
        (f"/v1/{SECRET}", "v1", "other"),
        (f"/{SECRET}", "http", "other"),
        (f"/v1/models/{SECRET}:predict", "v1", "predict"),
    ],
)
def test_requests_are_counted_by_what_they_ask_for_and_never_by_path(
    metrics, path, protocol, operation
):
    for status in (200, 200, 400):
        asgi(HttpMetrics(answering(status), metrics), "POST", path)
    found = of(metrics)
    assert found["kfp_tabular_requests_total", protocol, operation, "200"] == 2
    assert found["kfp_tabular_requests_total", protocol, operation, "400"] == 1
    assert found["kfp_tabular_request_duration_seconds_count", protocol, operation] == 3
    assert found["kfp_tabular_requests_in_flight", protocol] == 0
    assert SECRET not in exposed(metrics)


def test_a_request_is_in_flight_until_it_ends_however_it_ends(metrics):
    async def fail(scope, receive, send):
        assert of(metrics)["kfp_tabular_requests_in_flight", "v1"] == 1
        raise RuntimeError(SECRET)

    async def gone(scope, receive, send):
        return

    asgi(HttpMetrics(fail, metrics), "POST", "/v1/models/fraud:predict")
    scope = {"type": "http", "method": "POST", "path": "/v1/models/fraud:predict"}
    asyncio.run(HttpMetrics(gone, metrics)(scope, None, None))
    found = of(metrics)
    assert found["kfp_tabular_requests_total", "v1", "predict", "500"] == 1
    assert found["kfp_tabular_requests_total", "v1", "predict", "499"] == 1
    assert found["kfp_tabular_requests_in_flight", "v1"] == 0


def test_calls_over_grpc_are_counted_by_code(metrics):
    async def infer(message, context):
        if message == b"bad":
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, SECRET)
        if message == b"crash":
            raise RuntimeError(SECRET)
        if message == b"code":
            context.set_code(grpc.StatusCode.NOT_FOUND)
        if message == b"slow":
            await asyncio.sleep(30)
        return message

    class Refusing(grpc.aio.ServerInterceptor):
        async def intercept_service(self, continuation, details):
            async def refuse(_, context):
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no")
                yield

            if dict(details.invocation_metadata).get("x-api-key") == "wrong":
                return grpc.stream_stream_rpc_method_handler(refuse)
            return await continuation(details)

    handlers = {"ModelInfer": grpc.unary_unary_rpc_method_handler(infer)}
    service = "inference.GRPCInferenceService"

    async def main():
        server = grpc.aio.server(interceptors=[GrpcMetrics(metrics), Refusing()])
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, handlers)])
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = channel.unary_unary(f"/{service}/ModelInfer")
            for message in (b"good", b"bad", b"crash", b"code"):
                await asyncio.gather(call(message), return_exceptions=True)
            await asyncio.gather(
                call(b"good", metadata=[("x-api-key", "wrong")]),
                call(b"slow", timeout=0.2),
                channel.unary_unary(f"/{service}/{SECRET}")(b""),
                return_exceptions=True,
            )
            await asyncio.sleep(0.2)
        await server.stop(1)

    asyncio.run(main())
    found = of(metrics)
    counted = {
        key[1:]: value for key, value in found.items() if key[0] == "kfp_tabular_requests_total"
    }
    assert counted == {
        ("grpc", "predict", "OK"): 1,
        ("grpc", "predict", "INVALID_ARGUMENT"): 1,
        ("grpc", "predict", "UNKNOWN"): 1,
        ("grpc", "predict", "NOT_FOUND"): 1,
        ("grpc", "predict", "UNAUTHENTICATED"): 1,
        ("grpc", "predict", "CANCELLED"): 1,
        ("grpc", "other", "UNIMPLEMENTED"): 1,
    }
    assert found["kfp_tabular_requests_in_flight", "grpc"] == 0
    assert SECRET not in exposed(metrics)


def test_predictions_are_counted_by_the_classes_of_the_model_only(metrics):
    metrics.set_served_version(SERVED, 1.5)
    assert of(metrics)["kfp_tabular_predictions_total", "fraud", "ja"] == 0
    metrics.count_predictions("fraud", [b"ja", b"no", b"ja", b"\xff\xfe", SECRET.encode()], 5)
    found = of(metrics)
    assert found["kfp_tabular_predictions_total", "fraud", "ja"] == 2
    assert found["kfp_tabular_predictions_total", "fraud", "no"] == 1
    assert found["kfp_tabular_predictions_total", "fraud", "other"] == 2
    assert SECRET not in exposed(metrics)


def test_a_model_of_many_classes_does_not_make_as_many_series(metrics):
    classes = tuple(f"c{n}" for n in range(5000))
    metrics.set_served_version(ModelIdentity("m", "1", "multiclass", "", (), classes), 1)
    metrics.count_predictions("m", [name.encode() for name in classes], 5000)
    counted = [key for key in of(metrics) if key[0] == "kfp_tabular_predictions_total"]
    assert len(counted) == MOST_CLASSES + 1
    assert of(metrics)["kfp_tabular_predictions_total", "m", "other"] == 5000 - MOST_CLASSES


def test_predictions_of_a_regression_model_are_counted_together(metrics):
    metrics.set_served_version(ModelIdentity("m", "", "regression", "", ("a",), ()), 1)
    metrics.count_predictions("m", None, 12)
    assert of(metrics)["kfp_tabular_predictions_total", "m", "value"] == 12


def test_rejections_name_features_of_the_model_only(metrics):
    metrics.set_served_version(SERVED, 1)
    metrics.count_rejection("fraud", "商户", "missing")
    metrics.count_rejection("fraud", SECRET, "unknown")
    metrics.count_rejection("fraud", None, "malformed")
    metrics.count_rejection(SECRET, None, SECRET)
    metrics.count_out_of_domain("fraud", "amount", 3)
    metrics.count_out_of_domain("fraud", SECRET, 1)
    found = of(metrics)
    assert found["kfp_tabular_rejections_total", "fraud", "商户", "missing"] == 1
    assert found["kfp_tabular_rejections_total", "fraud", "other", "unknown"] == 1
    assert found["kfp_tabular_rejections_total", "fraud", "", "malformed"] == 1
    assert found["kfp_tabular_rejections_total", "other", "", "other"] == 1
    assert found["kfp_tabular_out_of_domain_total", "fraud", "amount"] == 3
    assert SECRET not in exposed(metrics)


def test_only_the_version_that_is_served_is_shown(metrics):
    metrics.set_served_version(SERVED, 1.5)
    metrics.count_failed_load("fraud")
    metrics.set_served_version(
        ModelIdentity("fraud", "8", "binary", "sha256:2", (), ("no", "ja")), 2.5
    )
    text = exposed(metrics)
    found = samples(text)
    assert re.findall(r'model_info\{.*version="(.*?)"', text) == ["8"]
    assert found["kfp_tabular_model_load_seconds", "fraud"] == 2.5
    assert found["kfp_tabular_model_loaded_timestamp_seconds", "fraud"] > 1.7e9
    assert found["kfp_tabular_model_loads_total", "fraud", "success"] == 2
    assert found["kfp_tabular_model_loads_total", "fraud", "failure"] == 1


def test_a_version_that_comes_back_is_shown_again(metrics):
    other = ModelIdentity("fraud", "8", "binary", "", (), ())
    for served in (SERVED, other, SERVED, SERVED):
        metrics.set_served_version(served, 1)
    assert re.findall(r'model_info\{.*version="(.*?)"', exposed(metrics)) == ["7"]


def test_batches_requests_and_keys_are_counted(metrics):
    metrics.observe_rows("v1", 3)
    metrics.observe_call(7, 2)
    metrics.count_overload()
    metrics.count_admission("web", "grpc")
    metrics.count_denial("missing", "v2")
    found = of(metrics)
    assert found["kfp_tabular_request_rows_sum", "v1"] == 3
    assert found["kfp_tabular_batch_rows_sum",] == 7
    assert found["kfp_tabular_batch_requests_sum",] == 2
    assert found["kfp_tabular_overloads_total",] == 1
    assert found["kfp_tabular_authenticated_requests_total", "grpc", "web"] == 1
    assert found["kfp_tabular_authentication_failures_total", "v2", "missing"] == 1


def test_the_librarys_own_metrics_are_given_too_in_both_formats(metrics):
    registries = [metrics.registry, prometheus_client.REGISTRY]
    body, content_type = render_metrics(registries, "")
    assert "process_resident_memory_bytes" in body.decode()
    assert content_type.startswith("text/plain")
    body, content_type = render_metrics(registries, "application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.decode().count("# EOF") == 1


@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text; version=abc",
        "application/openmetrics-text; version=1.0.0a",
        "application/openmetrics-text; version=1.0.0.a",
        "application/openmetrics-text; version=2.b",
        f"application/openmetrics-text; version={'9' * 5000}",
        "text/plain; version=x",
        "text/plain; version=1.0.0.é; escaping=é",
        ";=;,,=",
    ],
)
def test_a_format_that_is_none_is_passed_over(metrics, accept):
    body, content_type = render_metrics([metrics.registry], accept)
    assert b"kfp_tabular_overloads_total 0.0" in body
    assert content_type.startswith(("text/plain", "application/openmetrics-text"))


WORKER = """
import prometheus_client, sys
from kfp_tabular.serving.metrics.instruments import Metrics, ModelIdentity
metrics = Metrics(prometheus_client.CollectorRegistry())
version = sys.argv[1]
metrics.set_served_version(ModelIdentity("fraud", version, "binary", "", ("a",), ("no", "ja")), 1)
for line in sys.stdin:
    if line.strip() == "reload":
        served = ModelIdentity("fraud", "9", "binary", "", ("a",), ("no", "ja"))
        metrics.set_served_version(served, 1)
    else:
        metrics.request_started("v1")
        metrics.count_predictions("fraud", [b"ja"], 1)
        if line.strip() == "whole":
            metrics.request_ended("v1", "predict", "200", 0.02)
    print("done", flush=True)
"""

SCRAPE = """
import sys
from kfp_tabular.serving.metrics.exposition import render_metrics
sys.stdout.buffer.write(render_metrics([], "")[0])
"""


class Worker:
    """A process that counts what it is told to, and shares it."""

    def __init__(self, shared, version="7"):
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WORKER), version],
            env=os.environ | shared.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def count(self, *requests):
        for request in requests:
            self.process.stdin.write(request + "\n")
            self.process.stdin.flush()
            assert self.process.stdout.readline() == "done\n"

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def shared(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = SharedMetrics.create()
    assert found.directory.parent == tmp_path
    yield found
    found.remove()
    assert not found.directory.exists()


@pytest.fixture
def start(shared):
    workers = []

    def begin(*arguments):
        workers.append(Worker(shared, *arguments))
        return workers[-1]

    yield begin
    for worker in workers:
        worker.end()


def scrape(shared):
    ended = subprocess.run(
        [sys.executable, "-c", SCRAPE],
        env=os.environ | shared.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return samples(ended.stdout)


PREDICTED = ("kfp_tabular_predictions_total", "fraud", "ja")
ANSWERED = ("kfp_tabular_requests_total", "v1", "predict", "200")
IN_FLIGHT = ("kfp_tabular_requests_in_flight", "v1")
MEASURED = ("kfp_tabular_request_duration_seconds_count", "v1", "predict")
BELOW = ("kfp_tabular_request_duration_seconds_bucket", "v1", "predict", "0.025")


def test_several_workers_are_counted_together_and_the_dead_stay_counted(shared, start):
    first, second = start(), start("8")
    first.count("whole", "whole", "half")
    second.count("whole", "half", "half")
    before = scrape(shared)
    assert (before[PREDICTED], before[ANSWERED], before[IN_FLIGHT]) == (6, 3, 3)
    assert (before[MEASURED], before[BELOW]) == (3, 3)
    assert {key[2] for key in before if key[0] == "kfp_tabular_model_info"} == {"7", "8"}

    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    shared.retire(first.process.pid)
    after = scrape(shared)
    assert (after[PREDICTED], after[ANSWERED], after[IN_FLIGHT]) == (6, 3, 2)
    assert (after[MEASURED], after[BELOW]) == (3, 3)
    assert {key[2] for key in after if key[0] == "kfp_tabular_model_info"} == {"8"}

    second.count("reload")
    assert {key[2] for key in scrape(shared) if key[0] == "kfp_tabular_model_info"} == {"9"}


def test_workers_that_die_again_and_again_leave_no_files(shared, start):
    sizes = []
    for times in range(1, 5):
        worker = start()
        worker.count("whole", "half")
        worker.end()
        shared.retire(worker.process.pid)
        shared.retire(worker.process.pid)
        found = scrape(shared)
        assert (found[PREDICTED], found[ANSWERED], found[MEASURED]) == (2 * times, times, times)
        assert IN_FLIGHT not in found
        sizes.append(sum(file.stat().st_size for file in shared.directory.iterdir()))
    assert len(list(shared.directory.glob("*.db"))) == 2
    assert sizes[0] == sizes[-1]


def test_a_worker_killed_while_it_made_its_file_spoils_no_scrape(shared, start):
    start().count("whole")
    (shared.directory / "counter_99999.db").touch()
    (shared.directory / "gauge_livesum_99999.db").touch()
    assert scrape(shared)[PREDICTED] == 1
    shared.retire(99999)
    assert scrape(shared)[PREDICTED] == 1


def test_a_scrape_never_sees_a_count_fall_or_twice(shared, start, monkeypatch):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(shared.directory))
    workers = [start() for _ in range(4)]
    for worker in workers:
        worker.count(*["whole"] * 5)
        worker.end()
    seen, stop = [], threading.Event()

    def scrape_on():
        while not stop.is_set():
            seen.append(samples(render_metrics([], "")[0].decode())[PREDICTED])

    thread = threading.Thread(target=scrape_on)
    thread.start()
    for worker in workers:
        enough = len(seen) + 3
        while thread.is_alive() and len(seen) < enough:
            pass
        shared.retire(worker.process.pid)
    stop.set()
    thread.join()
    assert set(seen) == {20}
