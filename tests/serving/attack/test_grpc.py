"""gRPC clients that mean harm: silent calls, huge and compressed messages, floods of frames."""

import socket
import struct
import threading
import time

import grpc
import pytest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from tests.serving.attack.served import wait_until

INFER = "/inference.GRPCInferenceService/ModelInfer"
MODEL_READY = "/inference.GRPCInferenceService/ModelReady"
CHECK = "/grpc.health.v1.Health/Check"
MESSAGE_SECONDS = 4


@pytest.fixture(scope="module")
def server(attacked):
    server = attacked("--grpc-message-seconds", MESSAGE_SECONDS, "--max-body-mib", 8)
    yield server
    assert "Traceback" not in server.log, server.log
    assert server.process.child.poll() is None


def good(rows=1):
    request = messages.ModelInferRequest(model_name="fraud")
    for name, datatype, place, value in (
        ("amount", "FP32", "fp32_contents", 3.25),
        ("商户", "BYTES", "bytes_contents", "店".encode()),
    ):
        tensor = request.inputs.add(name=name, datatype=datatype, shape=[rows])
        getattr(tensor.contents, place).extend([value] * rows)
    return request


class Beside:
    """Good calls and health checks, over a connection of each, while something else happens."""

    def __init__(self, server):
        self.server = server
        self.failures, self.latencies, self.answered = [], [], 0
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self.infer), threading.Thread(target=self.check)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join()
        assert self.latencies
        assert self.answered
        assert self.failures == []
        # A second on a machine of its own.
        assert max(self.latencies) < 10

    def infer(self):
        with grpc.insecure_channel(self.server.grpc) as channel:
            stub = GRPCInferenceServiceStub(channel)
            while not self.ended.is_set():
                try:
                    assert stub.ModelInfer(good(), timeout=60).model_version == "7"
                    self.answered += 1
                except grpc.RpcError as error:
                    self.failures.append((error.code(), error.details()))

    def check(self):
        with grpc.insecure_channel(self.server.grpc) as channel:
            check = channel.unary_unary(CHECK)
            while not self.ended.is_set():
                begin = time.monotonic()
                try:
                    assert check(b"", timeout=60) == b"\x08\x01"
                except grpc.RpcError as error:
                    self.failures.append((error.code(), error.details()))
                self.latencies.append(time.monotonic() - begin)
                time.sleep(0.05)


def silent(channel, method, ended):
    """Open a call that never sends a message."""

    def nothing():
        ended.wait(60)
        yield from ()

    return channel.stream_unary(method).future(nothing())


@pytest.mark.parametrize("method", [INFER, MODEL_READY])
def test_calls_without_a_message_end_and_keep_no_one_waiting(server, method):
    ended = threading.Event()
    channels = [
        grpc.insecure_channel(server.grpc, options=[("grpc.use_local_subchannel_pool", 1)])
        for _ in range(4)
    ]
    with Beside(server):
        calls = [silent(channel, method, ended) for channel in channels for _ in range(50)]
        begin = time.monotonic()
        wait_until(lambda: all(call.done() for call in calls), "the end of the calls", 60)
        seconds = time.monotonic() - begin
        time.sleep(0.5)
    ended.set()
    for channel in channels:
        channel.close()
    assert {call.code() for call in calls} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    words = {call.details() for call in calls}
    assert f"no message came within {MESSAGE_SECONDS} s." in words
    assert "its message did not come while other calls waited." in words
    assert seconds < MESSAGE_SECONDS + 30
    assert "(--grpc-message-seconds)" in server.log
    assert server.metric("kfp_tabular_bounds_reached_total", bound="grpc_message") >= len(calls)
    wait_until(
        lambda: server.metric("kfp_tabular_requests_in_flight", protocol="grpc") == 0, "all ended"
    )


def test_health_waits_for_no_message(server):
    ended = threading.Event()
    with grpc.insecure_channel(server.grpc) as channel:
        assert silent(channel, CHECK, ended).result(30) == b"\x08\x01"
        live = silent(channel, "/inference.GRPCInferenceService/ServerLive", ended)
        assert messages.ServerLiveResponse.FromString(live.result(30)).live
        ended.set()
        empty = channel.stream_unary(INFER).future(iter(()))
        assert empty.exception(30).code() == grpc.StatusCode.INVALID_ARGUMENT


def code_of(call):
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code()


def test_messages_are_bounded_before_and_after_decompression(server):
    before = server.memory_mb()
    exhausted = grpc.StatusCode.RESOURCE_EXHAUSTED
    with Beside(server), grpc.insecure_channel(server.grpc) as channel:
        for method in (INFER, MODEL_READY):
            for size in (9 * 2**20, 200 * 2**20):
                call = channel.unary_unary(method)
                for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
                    assert code_of(
                        lambda c=call, s=size, p=compression: c(bytes(s), timeout=60, compression=p)
                    ) in (exhausted, grpc.StatusCode.INVALID_ARGUMENT)
    assert server.memory_mb() < before * 1.3 + 50


def test_unknown_methods_and_metadata_are_refused(server):
    with Beside(server), grpc.insecure_channel(server.grpc) as channel:
        for method in (
            "/inference.GRPCInferenceService/RepositoryModelLoad",
            "/inference.GRPCInferenceService/",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "/x",
        ):
            call = channel.unary_unary(method)
            assert code_of(lambda c=call: c(b"", timeout=30)) == grpc.StatusCode.UNIMPLEMENTED
        stub = GRPCInferenceServiceStub(channel)
        large = [("x-large", "a" * 100_000)]
        assert code_of(lambda: stub.ModelInfer(good(), metadata=large, timeout=30)) in (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            grpc.StatusCode.INTERNAL,
        )
        for request in (messages.ModelInferRequest(), messages.ModelInferRequest(model_name="x")):
            assert code_of(lambda r=request: stub.ModelInfer(r, timeout=30)) in (
                grpc.StatusCode.NOT_FOUND,
                grpc.StatusCode.INVALID_ARGUMENT,
            )
        many = channel.stream_unary(INFER)
        wire = good().SerializeToString()
        answer = many(iter([wire] * 50), timeout=30)
        assert messages.ModelInferResponse.FromString(answer).model_version == "7"
        # No label holds a client's text.
        text = server.get("/metrics")[1].decode()
        assert "RepositoryModelLoad" not in text
        assert "Reflection" not in text


def frame(kind, flags, stream, content=b""):
    return struct.pack(">I", len(content))[1:] + struct.pack(">BBI", kind, flags, stream) + content


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = frame(4, 0, 0)


def head(path):
    """Return a block of header fields that are not in any table."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "t",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    block = b""
    for name, value in fields.items():
        block += b"\x00" + bytes([len(name)]) + name.encode()
        block += bytes([len(value)]) + value.encode()
    return block


def connect(server):
    host, _, port = server.grpc.rpartition(":")
    connection = socket.create_connection((host, int(port)), 30)
    connection.sendall(PREFACE + SETTINGS)
    return connection


BROKEN = {
    "nothing": b"",
    "no preface": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "pings": frame(6, 0, 0, b"12345678") * 10_000,
    "settings": SETTINGS * 10_000,
    "resets": b"".join(
        frame(1, 4, stream, head(INFER)) + frame(3, 0, stream, bytes(4))
        for stream in range(1, 4001, 2)
    ),
    "heads without an end": frame(1, 0, 1, head(INFER))
    + frame(9, 0, 1, b"\x00\x01a\x01b") * 20_000,
    "a huge frame": struct.pack(">I", 2**24 - 1)[1:] + b"\x00\x00\x00\x00\x00\x01",
    "data of no stream": frame(0, 0, 77, bytes(16_000)) * 20,
    "window overflow": frame(8, 0, 0, struct.pack(">I", 2**31 - 1)) * 10,
    "a part of a message": frame(1, 4, 1, head(INFER))
    + frame(0, 0, 1, b"\x00" + struct.pack(">I", 7 * 2**20) + bytes(16_000))
    + frame(0, 0, 1, bytes(16_000)) * 2,
    "a message that is said to be huge": frame(1, 4, 1, head(INFER))
    + frame(0, 0, 1, b"\x00" + struct.pack(">I", 2**32 - 1) + bytes(1000)),
}


def test_broken_frames_and_floods_harm_no_other_client(server):
    before = server.memory_mb()
    with Beside(server):
        connections = []
        for content in BROKEN.values():
            for _ in range(3):
                connection = connect(server)
                connections.append(connection)
                connection.setblocking(True)
                connection.settimeout(5)
                try:
                    connection.sendall(content)
                except OSError:
                    # Closed by the server.
                    continue
        time.sleep(1)
    for connection in connections:
        connection.close()
    assert server.memory_mb() < before * 1.3 + 50


def test_connections_are_bounded_and_come_back(server):
    descriptors = server.descriptors()
    connections = []
    with Beside(server):
        for _ in range(300):
            connections.append(connect(server))
        time.sleep(1)
    for connection in connections:
        connection.close()
    wait_until(lambda: server.descriptors() < descriptors + 20, "the end of the connections", 60)
