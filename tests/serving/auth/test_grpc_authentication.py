"""Which gRPC calls are admitted."""

import asyncio

import grpc
import pytest

from kfp_tabular.serving.auth.grpc_authentication import GrpcAuthentication
from tests.serving.auth.mounted_secret import KEY, Counted

SERVICE = "/inference.GRPCInferenceService"


def call(policy, method, metadata=(), message=b"abc", read=None):
    """Call a gRPC server that responds with the length of the message."""

    async def length(message, context):
        if read is not None:
            read.append(len(message))
        return str(len(message)).encode()

    class Everything(grpc.GenericRpcHandler):
        def service(self, details):
            return grpc.unary_unary_rpc_method_handler(length)

    async def main():
        server = grpc.aio.server(interceptors=[GrpcAuthentication(policy)])
        server.add_generic_rpc_handlers([Everything()])
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                answer = await channel.unary_unary(method)(message, metadata=metadata, timeout=10)
                return answer, None
        except grpc.aio.AioRpcError as error:
            return error.code().name, error.details()
        finally:
            await server.stop(None)

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ([("authorization", f"Bearer {KEY}")], None),
        ([("x-api-key", KEY)], None),
        ([], "missing"),
        ([("x-api-key", KEY + "x")], "unknown"),
        ([("x-api-key", KEY), ("x-api-key", KEY)], "malformed"),
        ([("authorization", f"Basic {KEY}")], "malformed"),
        ([("x-api-key-bin", KEY.encode())], "missing"),
        ([("x-api-key", "k" * 5000)], "malformed"),
    ],
)
def test_calls_with_a_valid_key_are_admitted(ring, metadata, reason):
    counted = Counted()
    answer, details = call(counted.policy(ring), f"{SERVICE}/ModelInfer", metadata)
    if reason is None:
        assert answer == b"3"
        assert counted.admitted == [("web", "grpc")]
    else:
        assert answer == "UNAUTHENTICATED"
        assert KEY[:10] not in details
        assert counted.denied == [(reason, "grpc")]


@pytest.mark.parametrize(
    ("opened", "methods"),
    [
        ("health", ["ServerLive", "ServerReady", "ModelReady"]),
        ("metadata", ["ServerMetadata", "ModelMetadata"]),
    ],
)
def test_only_configured_methods_need_no_key(ring, opened, methods):
    counted = Counted()
    for method in methods:
        assert call(counted.policy(ring, opened), f"{SERVICE}/{method}")[0] == b"3"
        assert call(counted.policy(ring, ""), f"{SERVICE}/{method}")[0] == "UNAUTHENTICATED"
    assert call(counted.policy(ring, opened), f"{SERVICE}/Other")[0] == "UNAUTHENTICATED"


def test_the_message_of_a_denied_call_is_not_read(ring):
    read = []
    policy = Counted().policy(ring)
    answer = call(policy, f"{SERVICE}/ModelInfer", message=b"x" * 3_000_000, read=read)
    assert answer[0] == "UNAUTHENTICATED"
    assert not read
