"""What the client of the Kubernetes API uses beyond documented interfaces."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.private_seams import seam

_USER = "components/common/kubernetes/client/api.py"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith("/refused"):
            self.send_error(403)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"line\n")

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_call_that_hands_out_the_response(address: str) -> None:
    with seam(
        "kubernetes",
        "ApiClient.call_api with _preload_content, _return_http_data_only and _request_timeout",
        user=_USER,
    ):
        from kubernetes.client import ApiClient, ApiException, Configuration

        configuration = Configuration(host=f"http://{address}")
        configuration.retries = False
        client = ApiClient(configuration)

        def get(path: str) -> Any:
            return client.call_api(
                path,
                "GET",
                query_params=[("a", 1)],
                header_params={"Accept": "application/json"},
                body=None,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _return_http_data_only=True,
                _request_timeout=(1, 5),
            )

        assert b"".join(get("/api/v1").stream(16, decode_content=True)) == b"line\n"
        with pytest.raises(ApiException) as caught:
            get("/refused")
        assert caught.value.status == 403
        assert isinstance(caught.value.body, bytes)


def test_a_stream_that_another_thread_ends(address: str) -> None:
    with seam("urllib3", "HTTPResponse.shutdown, which ends a read in another thread", user=_USER):
        import urllib3

        response = urllib3.PoolManager().request("GET", f"http://{address}", preload_content=False)
        assert callable(response.shutdown)
        response.release_conn()


def test_a_failed_handshake_has_no_status(address: str) -> None:
    with seam(
        "kubernetes",
        "ApiException with status 0 and the handshake's error as its reason",
        user=_USER,
    ):
        from kubernetes.client import ApiClient, ApiException, Configuration

        configuration = Configuration(host=f"https://{address}")
        configuration.retries = False
        with pytest.raises(ApiException) as caught:
            ApiClient(configuration).call_api(
                "/", "GET", _preload_content=False, _return_http_data_only=True
            )
        assert caught.value.status == 0
        assert "SSL" in str(caught.value.reason)


def test_where_a_pods_own_credentials_are() -> None:
    with seam(
        "kubernetes",
        "the constants of kubernetes.config.incluster_config",
        user=_USER,
    ):
        from kubernetes.config.incluster_config import (
            SERVICE_HOST_ENV_NAME,
            SERVICE_TOKEN_FILENAME,
        )

        assert SERVICE_HOST_ENV_NAME == "KUBERNETES_SERVICE_HOST"
        assert SERVICE_TOKEN_FILENAME.endswith("/serviceaccount/token")


def test_the_options_of_the_connections() -> None:
    with seam(
        "kubernetes",
        "ApiClient.rest_client.pool_manager and urllib3's connection_pool_kw",
        user="components/common/certificates.py",
    ):
        from kubernetes.client import ApiClient, Configuration

        configuration = Configuration(host="https://127.0.0.1:9")
        configuration.ssl_ca_cert = "ca.pem"
        configuration.cert_file, configuration.key_file = "client.pem", "client.key"
        options = ApiClient(configuration).rest_client.pool_manager.connection_pool_kw

        assert (options["ca_certs"], options["cert_file"], options["key_file"]) == (
            "ca.pem",
            "client.pem",
            "client.key",
        )
        assert "ssl_context" not in options
