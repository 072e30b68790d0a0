"""Small models in the export format, and an application for each."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kfp_tabular.components.common.artifacts import file_digests
from kfp_tabular.components.common.artifacts.lineage import digest_file
from kfp_tabular.components.common.artifacts.model_document import (
    EXAMPLES_SIGNATURE,
    SERVING_SIGNATURE,
    ModelInput,
    ModelSpec,
)
from kfp_tabular.components.common.artifacts.raw_features import MISSING_INT
from kfp_tabular.components.common.artifacts.supervised_task import TaskKind
from kfp_tabular.components.common.process.tensorflow import import_tensorflow
from kfp_tabular.components.common.values.column_format import ColumnFormat, NumberFormat
from kfp_tabular.serving.settings.server_settings import RequestLimits, ValuePolicies

RATE = ColumnFormat("number", NumberFormat(decimal=",", percent=True))

INPUTS = (
    ModelInput(name="amount", dtype="float32", required=True, input="amount"),
    ModelInput(name="Straße & Nr.", dtype="string", required=False, input="Strae__Nr"),
    ModelInput(name="hour", dtype="int64", required=False, input="hour"),
    ModelInput(name="商户", dtype="string", required=True, input="feature_3"),
    ModelInput(name="rate", dtype="float32", required=False, input="rate", format=RATE),
)

CLASSES: dict[TaskKind, tuple[str, ...]] = {
    "binary": ("no", "ja"),
    "multiclass": ("a", "ß", "c d"),
    "regression": (),
}

SCHEMA = """
feature { name: "amount" type: FLOAT float_domain { min: -2000000 max: 2000000 } }
feature { name: "hour" type: INT int_domain { min: -100000 max: 100000 is_categorical: true } }
feature { name: "Straße & Nr." type: BYTES domain: "streets" }
feature { name: "customer" type: BYTES }
feature { name: "fraud" type: INT }
string_domain { name: "streets" value: "Große Allee 5" value: "Weg 1" }
"""


def score(tf, raw):
    """Every feature, and every missing one, changes the score by a different amount."""
    number = tf.where(tf.math.is_nan(raw["amount"]), 1000.0, raw["amount"])
    rate = tf.where(tf.math.is_nan(raw["rate"]), 0.125, raw["rate"])
    hour = tf.where(raw["hour"] == MISSING_INT, 0.5, tf.cast(raw["hour"], tf.float32))
    street = raw["Strae__Nr"]
    length = tf.where(street == "", 0.25, tf.cast(tf.strings.length(street), tf.float32))
    shop = tf.cast(tf.strings.to_hash_bucket_fast(raw["feature_3"], 7), tf.float32)
    return number + rate + 2.0 * hour + 3.0 * length + 5.0 * shop


def build(directory: Path, task: TaskKind) -> Path:
    """Write a model for a task into a directory, without TensorFlow Transform or training."""
    tf = import_tensorflow()
    types = {"float32": tf.float32, "int64": tf.int64, "string": tf.string}

    def outputs(raw):
        value = score(tf, raw)
        if task == "regression":
            return {"prediction": value}
        logits = tf.stack(
            [tf.zeros_like(value), value / 50.0 - 1.0, tf.sin(value)][: len(CLASSES[task])], axis=1
        )
        probabilities = tf.nn.softmax(logits)
        labels = tf.constant(CLASSES[task])
        return {
            "probabilities": probabilities,
            "classes": tf.gather(labels, tf.argmax(probabilities, axis=1)),
        }

    features = {i.input: tf.TensorSpec([None], types[i.dtype], name=i.input) for i in INPUTS}
    module = tf.Module()
    module.raw = tf.function(outputs, input_signature=[features])
    parsing = {
        i.input: tf.io.FixedLenFeature([], types[i.dtype], default_value=i.missing) for i in INPUTS
    }
    module.parsed = tf.function(
        lambda examples: outputs(tf.io.parse_example(examples, parsing)),
        input_signature=[tf.TensorSpec([None], tf.string, name="examples")],
    )
    tf.saved_model.save(
        module,
        str(directory),
        signatures={SERVING_SIGNATURE: module.raw, EXAMPLES_SIGNATURE: module.parsed},
    )
    schema = directory / "schema.pbtxt"
    schema.write_text(SCHEMA, encoding="utf-8")
    ModelSpec(
        task=task,
        label="fraud",
        classes=CLASSES[task],
        decision_threshold=0.5 if task == "binary" else None,
        inputs=INPUTS,
        schema_digest=digest_file(schema),
        typical_row={"amount": 2, "商户": "x"} if task == "binary" else None,
    ).save(directory)
    file_digests.write(directory)
    return directory


@pytest.fixture(scope="session")
def model_directory(tmp_path_factory: pytest.TempPathFactory) -> Callable[[TaskKind], Path]:
    """Return the directory of a model for a task, which is built once."""
    built: dict[TaskKind, Path] = {}

    def get(task: TaskKind) -> Path:
        if task not in built:
            built[task] = build(tmp_path_factory.mktemp(task) / "7", task)
        return built[task]

    return get


@pytest.fixture(scope="session")
def endpoint(model_directory) -> Iterator[Callable]:
    """Return a KServe data plane with a model for a task, served as `fraud`, and its metrics."""
    from concurrent.futures import ThreadPoolExecutor

    from kserve import ModelRepository
    from prometheus_client import CollectorRegistry

    from kfp_tabular.serving.metrics.instruments import Metrics
    from kfp_tabular.serving.model.data_plane import ReadyDataPlane
    from kfp_tabular.serving.model.loaded_version import VersionLoader
    from kfp_tabular.serving.model.model_repository import find_model_source
    from kfp_tabular.serving.model.served_model import ServedModel
    from kfp_tabular.serving.settings.server_settings import BatchSettings, ValuePolicies

    executor = ThreadPoolExecutor(2)

    def make(task: TaskKind, loaded: bool, policies: ValuePolicies, rows: int, explains=False):
        metrics = Metrics(CollectorRegistry())
        model = ServedModel("fraud", policies, executor, metrics)
        if loaded:
            (found,) = find_model_source(model_directory(task), "fraud").versions()
            batches = BatchSettings(batch_rows=rows)
            loader = VersionLoader(executor, batches, 2, metrics.observe_call, explains=explains)
            model.switch_to(loader.load(found))
        models = ModelRepository()
        models.update(model)
        return ReadyDataPlane(model_registry=models), metrics

    yield make
    executor.shutdown()


LIMITS = RequestLimits(max_rows=50, max_body_mib=20_000 / 2**20)


@pytest.fixture(scope="session")
def client(endpoint) -> Iterator[Callable]:
    """Return an HTTP client of an application that serves a model for a task as `fraud`."""
    import prometheus_client
    from starlette.testclient import TestClient

    from kfp_tabular.serving.http.application import Application
    from kfp_tabular.serving.http.request_handlers import RequestHandlers

    clients = {}

    def get(
        task: TaskKind = "binary",
        *,
        loaded: bool = True,
        policies: ValuePolicies = ValuePolicies(),  # noqa: B008  frozen
        rows: int = 1,
        explains: bool = False,
    ) -> TestClient:
        key = (task, loaded, policies, rows, explains)
        if key not in clients:
            plane, metrics = endpoint(task, loaded, policies, rows, explains)
            registries = [metrics.registry, prometheus_client.REGISTRY]
            app = Application(RequestHandlers(plane, LIMITS, registries))
            # One event loop for all requests, as in the server.
            clients[key] = TestClient(_with_lifespan(app)).__enter__()
        return clients[key]

    yield get
    for entered in clients.values():
        entered.__exit__(None, None, None)


def _with_lifespan(app):
    """Answer the messages that only a TestClient sends."""

    async def answered(scope, receive, send):
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        for step in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{step}"
            await send({"type": f"lifespan.{step}.complete"})

    return answered


@pytest.fixture(scope="session")
def grpc_endpoint(endpoint) -> Iterator[Callable]:
    """Return a gRPC channel over loopback to a server of a model for a task, named `fraud`."""
    import grpc

    from kfp_tabular.serving.grpc.grpc_server import GrpcServer

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    running = {}

    async def start(task, loaded, policies):
        plane, _ = endpoint(task, loaded, policies, 1)
        server = GrpcServer(plane, LIMITS)
        return server, await server.start("127.0.0.1", 0)

    def get(
        task: TaskKind = "binary",
        *,
        loaded: bool = True,
        policies: ValuePolicies = ValuePolicies(),  # noqa: B008  frozen
    ) -> grpc.Channel:
        key = (task, loaded, policies)
        if key not in running:
            server, port = asyncio.run_coroutine_threadsafe(start(*key), loop).result(60)
            running[key] = server, grpc.insecure_channel(f"127.0.0.1:{port}")
        return running[key][1]

    yield get
    for server, channel in running.values():
        channel.close()
        asyncio.run_coroutine_threadsafe(server.stop(0), loop).result(60)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def _free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Process:
    """A serving process and its log."""

    def __init__(self, *arguments, **environment):
        self.child = subprocess.Popen(
            [sys.executable, "-m", "kfp_tabular.serving", *map(str, arguments)],
            env=os.environ | environment,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.lines = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        self.lines.extend(iter(self.child.stderr.readline, ""))

    @property
    def log(self):
        return "".join(self.lines)

    def wait_for(self, pattern, times=1):
        """Wait until a number of matching lines are logged, and return the last match."""
        end = time.monotonic() + 120
        while time.monotonic() < end:
            found = list(re.finditer(pattern, self.log))
            if len(found) >= times or self.child.poll() is not None:
                assert len(found) >= times, self.log
                return found[-1]
            time.sleep(0.05)
        raise AssertionError(self.log)

    def ready(self, times=1):
        """Wait until a number of processes are ready, and record their addresses."""
        found = self.wait_for(
            r"ready: (http://\S+)/v1/models/\S+ and \S+?(?:; gRPC on (\S+))?\n", times
        )
        self.url, self.grpc = found[1], found[2]
        return self

    def stop(self, number=signal.SIGTERM):
        """Send a signal, and return the exit code and the seconds until the end."""
        begin = time.monotonic()
        self.child.send_signal(number)
        return self.ended(), time.monotonic() - begin

    def ended(self):
        code = self.child.wait(60)
        self._reader.join(10)
        assert self.child.stdout.read() == ""
        return code

    def close(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        self._reader.join()
        self.child.stderr.close()
        self.child.stdout.close()


def _started() -> Iterator[Callable]:
    processes = []

    def start(*arguments, **environment):
        processes.append(Process(*arguments, **environment))
        return processes[-1]

    yield start
    for process in processes:
        process.close()


start = pytest.fixture(name="start")(_started)
start_for_module = pytest.fixture(scope="module", name="start_for_module")(_started)


@pytest.fixture
def free_port():
    return _free_port()
