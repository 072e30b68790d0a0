"""What serving uses of its libraries beyond their documented interfaces."""

import inspect
import re
import signal
import subprocess
import sys

from kfp_tabular.serving.http.bounded_http1 import BoundedHttp1
from tests.private_seams import seam
from tests.serving.echo_application import echo

_HTTP = "serving/http/bounded_http1.py"
_GRACEFUL_SERVER = "serving/process/graceful_server.py"
_SERVER = "serving/process/model_server.py"


def test_what_uvicorn_uses_of_a_protocol() -> None:
    with seam("uvicorn", "how it creates and ends a connection", user=_HTTP):
        import uvicorn
        from uvicorn.server import Server, ServerState

        state = ServerState()
        assert state.connections == set()
        assert state.tasks == set()
        assert state.default_headers == []
        assert state.total_requests == 0
        config = uvicorn.Config(echo, http=BoundedHttp1, lifespan="off", log_config=None)
        config.load()
        assert config.http_protocol_class is BoundedHttp1
        assert callable(config.loaded_app)
        assert config.asgi_version.startswith("3")
        # A connection is created with these arguments, and closed with `shutdown()`.
        source = inspect.getsource(Server)
        assert re.search(
            r"http_protocol_class\([^)]*config=config,\s+server_state=self.server_state,"
            r"\s+app_state=self.lifespan.state,\s+_loop=_loop,\s+\)",
            source,
        )
        assert set(re.findall(r"connection\.(\w+)\(", source)) == {"shutdown"}


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
        subprocess.run([sys.executable, "-c", _WORKER], check=True, timeout=250)


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
