"""nginx and Envoy in front of an endpoint, and a relay behind them that counts its answers."""

import json
import re
import shutil
import socket
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})[^\r\n]*\r\n")
# Envoy's detail of an answer from upstream, or nginx's status of it; a retry has one more.
_FORWARDED = re.compile(r"\b(?:via_upstream|websocket_handshake_unsuccessful|[1-5]\d\d)\b")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def answers(stream: bytes) -> list[tuple[int, bytes]]:
    """Return status and body of each complete final answer in a stream, in order.

    An answer to HEAD has a length and no body: the next answer follows at once.
    """
    found = []
    at = 0
    while match := _STATUS.match(stream, at):
        end = stream.find(b"\r\n\r\n", at)
        if end < 0:
            break
        length = _LENGTH.search(stream, at, end + 2)
        begin = end + 4
        size = int(length[1]) if length and not stream.startswith(b"HTTP/1.", begin) else 0
        if begin + size > len(stream) and begin < len(stream):
            break
        at = begin + size
        if int(match[1]) >= 200:
            found.append((int(match[1]), stream[begin:at]))
    return found


class Relay:
    """Passes connections on to the endpoint, byte by byte, and records what it answers."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._streams: list[bytearray] = []
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    @property
    def connections(self) -> int:
        """How many connections the proxy has opened."""
        return len(self._streams)

    def answered(self) -> int:
        """Return how many final answers the endpoint has sent."""
        return sum(len(answers(bytes(stream))) for stream in self._streams)

    def close(self) -> None:
        """End all threads."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(30)
        for each in self._sockets:
            each.close()

    def _start(self, target: Any, *arguments: Any) -> None:
        self._threads.append(threading.Thread(target=target, args=arguments))
        self._threads[-1].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets += [client, server]
            self._streams.append(bytearray())
            self._start(self._pump, client, server, None)
            self._start(self._pump, server, client, self._streams[-1])

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket, record: bytearray | None) -> None:
        with suppress(OSError):
            while part := source.recv(2**16):
                if record is not None:
                    record += part
                sink.sendall(part)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


class Proxy:
    """A running proxy.

    Args:
        name: `nginx` or `envoy`.
        folder: Where its configuration and its log go.
        upstream: The port that it passes requests to.
        port: The port that it listens on.
    """

    def __init__(self, name: str, folder: Path, upstream: int, port: int) -> None:
        self.address = ("127.0.0.1", port)
        self._log = folder / "access.log"
        command = {"nginx": _nginx, "envoy": _envoy}[name](folder, self._log, upstream, port)
        self._errors = (folder / "errors.log").open("wb")
        self._process = subprocess.Popen(command, stdout=self._errors, stderr=self._errors)
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(self.address).close()
                return
            except OSError:
                assert self._process.poll() is None, (folder / "errors.log").read_text()
                assert time.monotonic() < end, "the proxy does not listen"
                time.sleep(0.05)

    def forwarded(self) -> int:
        """Return for how many requests it has got an answer from upstream."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return sum(len(_FORWARDED.findall(line)) for line in lines)

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(30)
        self._errors.close()


def _nginx(folder: Path, log: Path, upstream: int, port: int) -> list[str]:
    """Configure nginx to let through as much as it can."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip("nginx is not installed: apt-get install nginx-light")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"""daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
        events {{ worker_connections 512; }}
        http {{
          {temporary}
          log_format count '$upstream_status';
          access_log {log} count;
          underscores_in_headers on; ignore_invalid_headers off;
          large_client_header_buffers 8 256k; client_max_body_size 0;
          upstream endpoint {{ server 127.0.0.1:{upstream}; keepalive 1; }}
          server {{
            listen 127.0.0.1:{port} default_server;
            location = /metrics {{ return 403; }}
            location / {{
              proxy_pass http://endpoint;
              proxy_http_version 1.1;
              proxy_set_header Connection "";
              proxy_set_header Host $http_host;
              proxy_request_buffering off;
              proxy_next_upstream off;
            }}
          }}
        }}"""
    )
    return [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]


def _envoy(folder: Path, log: Path, upstream: int, port: int) -> list[str]:
    """Configure Envoy to let through as much as it can, over one connection."""
    found = sorted(ROOT.glob(".venvs/test-servers/lib/python3*/site-packages/envoy/_bin/envoy"))
    if not found:
        pytest.skip("Envoy is not in the environment test-servers: make setup")
    typed = "type.googleapis.com/envoy.extensions"
    one = {"enable_trailers": True, "allow_chunked_length": True}
    manager = {
        "@type": f"{typed}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "codec_type": "HTTP1",
        "normalize_path": True,
        "merge_slashes": True,
        "http_protocol_options": {
            **one,
            "accept_http_10": True,
            "default_host_for_http_10": "t",
            "allow_absolute_url": True,
            "allow_custom_methods": True,
        },
        "max_request_headers_kb": 256,
        "common_http_protocol_options": {
            "headers_with_underscores_action": "ALLOW",
            "max_headers_count": 1000,
        },
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "access_log": [
            {
                "name": "file",
                "typed_config": {
                    "@type": f"{typed}.access_loggers.file.v3.FileAccessLog",
                    "path": str(log),
                    "log_format": {
                        "text_format_source": {"inline_string": "%RESPONSE_CODE_DETAILS%\n"}
                    },
                },
            }
        ],
        "http_filters": [
            {"name": "router", "typed_config": {"@type": f"{typed}.filters.http.router.v3.Router"}}
        ],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [
                        {"match": {"path": "/metrics"}, "direct_response": {"status": 403}},
                        {
                            "match": {"prefix": "/"},
                            "route": {"cluster": "endpoint", "timeout": "5s"},
                        },
                    ],
                }
            ]
        },
    }
    endpoint = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": upstream}}}
    cluster = {
        "name": "endpoint",
        "type": "STATIC",
        "connect_timeout": "30s",
        "circuit_breakers": {"thresholds": [{"max_connections": 1}]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{typed}.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http_protocol_options": one},
            }
        },
        "load_assignment": {
            "cluster_name": "endpoint",
            "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}],
        },
    }
    listener = {
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    configuration = {"static_resources": {"listeners": [listener], "clusters": [cluster]}}
    (folder / "envoy.json").write_text(json.dumps(configuration))
    quiet = ["--log-level", "error", "--disable-hot-restart", "--file-flush-interval-msec", "20"]
    return [str(found[0]), "-c", str(folder / "envoy.json"), "--concurrency", "1", *quiet]
