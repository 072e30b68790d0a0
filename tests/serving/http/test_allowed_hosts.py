"""The list of allowed hosts, around an application."""

import pytest
from starlette.testclient import TestClient

from kfp_tabular.serving.http.allowed_hosts import AllowedHosts
from tests.serving.echo_application import echo

HOSTS = frozenset({"fraud.example.com", "*.svc.cluster.local", "10.0.0.9", "2001:db8::1"})
MODEL = "/v1/models/fraud"


def status(host, path=MODEL, server="10.0.0.1", hosts=HOSTS):
    """Return the status of a request to a server with an address."""

    async def app(scope, receive, send):
        await AllowedHosts(echo, hosts)({**scope, "server": (server, 8080)}, receive, send)

    answer = TestClient(app).get(path, headers={"host": host})
    if answer.status_code == 421:
        assert "--allowed-hosts" in answer.json()["error"]
    return answer.status_code


@pytest.mark.parametrize(
    "host",
    [
        "fraud.example.com",
        "FRAUD.example.com:8080",
        "fraud.example.com.",
        "fraud.models.svc.cluster.local",
        "10.0.0.9:80",
        "[2001:db8::1]:8080",
    ],
)
def test_a_host_of_the_list_is_answered(host):
    assert status(host) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "example.com",
        "fraud.example.com.evil.example",
        "xfraud.example.com",
        "svc.cluster.local",
        "127.0.0.1",
        "10.0.0.2",
        "[::1]",
        "10.0.0.1.evil.example",
    ],
)
def test_another_host_is_misdirected(host):
    assert status(host) == 421
    # A kubelet sends the pod's address, and other probes whatever they like.
    assert status(host, "/v2/health/ready") == 200
    assert status(host, "/v2/models/fraud/ready") == 200
    assert status(host, "/metrics") == 421


@pytest.mark.parametrize(
    ("host", "server"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("10.0.0.1:8080", "::ffff:10.0.0.1"),
        ("[fd00:0:0::7]:8080", "fd00::7"),
    ],
)
def test_the_own_address_is_answered(host, server):
    assert status(host, server=server) == 200
    assert status(host, "/metrics", server=server) == 200
