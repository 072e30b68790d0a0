"""HTTP requests are counted by operation and status, never by path."""

import asyncio

import httpx
import pytest

from kfp_tabular.serving.metrics.http_metrics import HttpMetrics
from tests.serving.metrics.metric_samples import SECRET, exposed, of


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
def test_requests_are_counted_by_operation_and_never_by_path(metrics, path, protocol, operation):
    for status in (200, 200, 400):
        asgi(HttpMetrics(answering(status), metrics), "POST", path)
    found = of(metrics)
    assert found["kfp_tabular_requests_total", protocol, operation, "200"] == 2
    assert found["kfp_tabular_requests_total", protocol, operation, "400"] == 1
    assert found["kfp_tabular_request_duration_seconds_count", protocol, operation] == 3
    assert found["kfp_tabular_requests_in_flight", protocol] == 0
    assert SECRET not in exposed(metrics)


def test_a_request_is_in_flight_until_it_ends_in_any_way(metrics):
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
