"""What serving uses of its libraries beyond their documented interfaces."""

import asyncio
import inspect
import re
import signal
import subprocess
import sys
from collections import Counter

from kfp_tabular.serving.http.joined_writes import JoinedWrites
from tests.private_seams import seam

_HTTP = "serving/http/bounded_http1.py"
_GRACEFUL_SERVER = "serving/process/graceful_server.py"
_SERVER = "serving/process/model_server.py"


def test_uvicorns_protocol() -> None:
    with seam("uvicorn", "HttpToolsProtocol, its methods and its attributes", user=_HTTP):
        import uvicorn
        import uvicorn.protocols.http.flow_control
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
        from uvicorn.server import ServerState

        for name in (
            "connection_made",
            "connection_lost",
            "data_received",
            "eof_received",
            "on_message_begin",
            "on_url",
            "on_header",
            "on_body",
            "on_headers_complete",
            "on_message_complete",
            "_unset_keepalive_if_required",
        ):
            assert callable(getattr(HttpToolsProtocol, name)), name
        config = uvicorn.Config(lambda: None, lifespan="off")
        config.load()
        loop = asyncio.new_event_loop()
        protocol = HttpToolsProtocol(config, ServerState(), {}, _loop=loop)
        loop.close()
        protocol.on_message_begin()
        assert {"parser", "cycle", "transport", "flow", "loop", "headers", "url"} <= {
            *vars(protocol)
        }
        source = inspect.getsource(sys.modules[HttpToolsProtocol.__module__])
        for name in ("more_body", "response_complete", "keep_alive"):
            assert f"self.{name} = " in source or f"self.{name}:" in source, name
        assert "self.read_paused = " in inspect.getsource(uvicorn.protocols.http.flow_control)


def test_what_uvicorn_uses_of_a_transport() -> None:
    with seam("uvicorn", "what it uses of a transport", user="serving/http/joined_writes.py"):
        from uvicorn.protocols import utils
        from uvicorn.protocols.http import flow_control, httptools_impl

        used = {
            name
            for module in (httptools_impl, flow_control, utils)
            for name in re.findall(r"transport\.([a-z_]+)\(", inspect.getsource(module))
        }
        # Only an upgrade to WebSocket, which is off, sets another protocol.
        offered = {name for name in vars(JoinedWrites) if not name.startswith("_")}
        assert used - {"set_protocol"} <= offered, used - offered


def test_httptools_parser() -> None:
    with seam(
        "httptools",
        "HttpRequestParser: an offer of another protocol, and data after `connection: close`",
        user=_HTTP,
    ):
        import httptools

        seen: Counter[str] = Counter()

        class Protocol:
            def on_headers_complete(self) -> None:
                seen["upgrade"] += parser.should_upgrade()

        parser = httptools.HttpRequestParser(Protocol())
        head = b"GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"
        try:
            parser.feed_data(head + b"rest")
        except httptools.HttpParserUpgrade as offer:
            assert offer.args[0] == len(head)
        assert seen["upgrade"] == 1
        assert parser.get_method() == b"GET"
        assert parser.get_http_version() == "1.1"
        lenient = httptools.HttpRequestParser(Protocol())
        lenient.set_dangerous_leniencies(lenient_data_after_close=True)


def test_uvicorns_server() -> None:
    with seam("uvicorn", "Server, its steps and `_captured_signals`", user=_GRACEFUL_SERVER):
        import uvicorn

        expected = {
            "handle_exit": ["self", "sig", "frame"],
            "on_tick": ["self", "counter"],
            "startup": ["self", "sockets"],
            "shutdown": ["self", "sockets"],
        }
        for name, arguments in expected.items():
            function = getattr(uvicorn.Server, name)
            assert list(inspect.signature(function).parameters) == arguments, name
        config = uvicorn.Config(lambda: None, ws="none", lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        server._captured_signals.append(signal.SIGTERM)
        assert server.should_exit is False
        assert callable(config.get_loop_factory)


def test_kserves_server() -> None:
    with seam("kserve", "ModelServer: its settings and its registry of models", user=_SERVER):
        import kserve

        parameters = inspect.signature(kserve.ModelServer.__init__).parameters
        assert {
            "http_port",
            "grpc_port",
            "workers",
            "enable_grpc",
            "enable_latency_logging",
            "grace_period",
            "ssl_certfile",
            "ssl_keyfile",
        } <= {*parameters}
        assert callable(kserve.ModelServer.register_model)
        source = inspect.getsource(kserve.ModelServer)
        for name in ("self.registered_models", "self.dataplane", "self.timeout_keep_alive"):
            assert name in source, name


def test_kserves_models_and_data_plane() -> None:
    with seam(
        "kserve",
        "BaseKServeModel, DataPlane and ModelRepository",
        user="serving/model/data_plane.py and served_model.py",
    ):
        from kserve.model import BaseKServeModel
        from kserve.model_repository import ModelRepository
        from kserve.protocol.dataplane import DataPlane

        class Model(BaseKServeModel):  # type: ignore[misc]
            def __init__(self, name: str) -> None:
                super().__init__(name)

        registry = ModelRepository()
        model = Model("a")
        registry.update(model)
        plane = DataPlane(model_registry=registry)
        assert plane.model_registry.get_models() == {"a": model}
        assert plane.model_registry.get_model("a") is model
        assert plane.model_registry.get_model("b") is None
        assert inspect.iscoroutinefunction(DataPlane.ready)
        assert inspect.iscoroutinefunction(BaseKServeModel.healthy)


def test_kserves_histogram() -> None:
    with seam(
        "kserve", "metrics.PREDICT_HIST_TIME and get_labels", user="serving/model/served_model.py"
    ):
        from kserve.metrics import PREDICT_HIST_TIME, get_labels

        PREDICT_HIST_TIME.labels(**get_labels("a")).observe(0.1)


def test_kserves_messages() -> None:
    with seam("kserve", "the messages of the v2 protocol", user="serving/protocol/v2_messages.py"):
        from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages

        request = messages.ModelInferRequest(model_name="a")
        request.inputs.add(name="x", datatype="FP32", shape=[1]).contents.fp32_contents.append(1)
        request.raw_input_contents.append(b"")
        assert messages.ModelInferRequest.FromString(request.SerializeToString()) == request


_WORKER = """
import prometheus_client.values

made = []

class Value:
    def __init__(self, typ, metric_name, name, labelnames, labelvalues, help_text, **more):
        made.append((typ, metric_name, name, labelnames, labelvalues, help_text, more))

    def inc(self, amount): pass
    def set(self, value, timestamp=None): pass
    def get(self): return 0.0

prometheus_client.values.ValueClass = Value
prometheus_client.Counter("a", "Text.", ["b"]).labels(b="c").inc(2)
prometheus_client.Histogram("h", "Text.", buckets=[1]).observe(1)
prometheus_client.Gauge("g", "Text.", multiprocess_mode="livesum").set(1)
names = [(typ, metric, name, *labels) for typ, metric, name, *labels, _, _ in made]
assert names == [
    ("counter", "a", "a_total", ("b",), ("c",)),
    ("histogram", "h", "h_sum", (), ()),
    ("histogram", "h", "h_bucket", ("le",), ("1.0",)),
    ("histogram", "h", "h_bucket", ("le",), ("+Inf",)),
    ("gauge", "g", "g", (), ()),
], names
assert made[-1][-1] == {"multiprocess_mode": "livesum"}
prometheus_client.values.MutexValue
"""


def test_the_values_of_metrics() -> None:
    with seam(
        "prometheus-client",
        "values.ValueClass and MutexValue",
        user="serving/metrics/sharing.py",
    ):
        subprocess.run([sys.executable, "-c", _WORKER], check=True, timeout=60)


def test_the_encoder_of_a_scrape() -> None:
    with seam(
        "prometheus-client",
        "exposition.choose_encoder(accept)",
        user="serving/metrics/exposition.py",
    ):
        import prometheus_client

        encode, content_type = prometheus_client.exposition.choose_encoder("")
        assert content_type.startswith("text/plain")
        assert encode(prometheus_client.CollectorRegistry()) == b""
