"""Which HTTP requests are admitted."""

import asyncio

import httpx
import pytest

from kfp_tabular.serving.auth.http_authentication import HttpAuthentication
from tests.serving.auth.mounted_secret import KEY, OTHER_KEY, Counted
from tests.serving.echo_application import echo


def request(app, method, path, **options):
    async def main():
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
            return await client.request(method, path, **options)

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("headers", "status", "challenge", "reason"),
    [
        ({"authorization": f"Bearer {KEY}"}, 200, None, None),
        ({"x-api-key": OTHER_KEY}, 200, None, None),
        ({}, 401, 'Bearer realm="kfp-tabular"', "missing"),
        ({"x-api-key": KEY + "x"}, 401, 'error="invalid_token"', "unknown"),
        ({"x-api-key": KEY[:-1]}, 401, 'error="invalid_token"', "unknown"),
        ({"authorization": f"Basic {KEY}"}, 401, 'error="invalid_request"', "malformed"),
    ],
)
def test_requests_with_a_valid_key_are_admitted(ring, headers, status, challenge, reason):
    counted = Counted()
    app = HttpAuthentication(echo, counted.policy(ring))
    answer = request(app, "POST", "/v1/models/m:predict", headers=headers, content=b"abc")
    assert answer.status_code == status
    if status == 200:
        assert answer.text == "3"
        assert counted.admitted == [("web" if "authorization" in headers else "batch", "v1")]
        assert not counted.denied
    else:
        assert challenge in answer.headers["www-authenticate"]
        assert answer.json()["error"]
        assert KEY[:10] not in answer.text + str(answer.headers)
        assert counted.denied == [(reason, "v1")]


HEALTH = ["/", "/v2/health/live", "/v2/health/ready", "/v2/models/m/ready"]
METADATA = ["/v1/models", "/v2/models", "/v1/models/m", "/v2/models/m", "/v2"]


@pytest.mark.parametrize(
    ("opened", "paths"), [("health", HEALTH), ("metrics", ["/metrics"]), ("metadata", METADATA)]
)
def test_only_configured_operations_need_no_key(ring, opened, paths):
    counted = Counted()
    app = HttpAuthentication(echo, counted.policy(ring, opened))
    closed = HttpAuthentication(echo, counted.policy(ring, ""))
    for path in paths:
        assert request(app, "GET", path).status_code == 200
        assert request(app, "HEAD", path).status_code == 200
        assert request(app, "POST", path).status_code == 401
        assert request(app, "GET", path + "x").status_code == (200 if path[-1] == "m" else 401)
        assert request(closed, "GET", path).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/m:predict",
        "/v2/models/m/infer",
        "/v2/models/m/versions/3/infer",
        "/metrics",
        "/v1/models/m",
        "/v2/health/live/",
        "//v2/health/live",
        "/v2/health/live/../../models/m/infer",
        "/v2/models/a/b/ready",
        "/anything",
    ],
)
def test_everything_else_needs_a_key(ring, path):
    app = HttpAuthentication(echo, Counted().policy(ring))
    for method in ("GET", "POST", "OPTIONS", "PUT"):
        assert request(app, method, path).status_code == 401


def test_the_body_of_a_denied_request_is_not_read(ring):
    async def body():
        raise AssertionError("was read")

    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/models/m:predict", "headers": []}
    asyncio.run(HttpAuthentication(echo, Counted().policy(ring))(scope, body, send))
    assert sent[0]["status"] == 401


def test_websockets_are_closed_and_the_lifespan_is_passed_on(ring):
    reached, sent = [], []

    async def app(scope, receive, send):
        reached.append(scope["type"])

    async def send(message):
        sent.append(message)

    guarded = HttpAuthentication(app, Counted().policy(ring))
    for kind in ("websocket", "lifespan"):
        asyncio.run(guarded({"type": kind, "path": "/", "headers": []}, None, send))
    assert reached == ["lifespan"]
    assert sent == [{"type": "websocket.close", "code": 1008}]
