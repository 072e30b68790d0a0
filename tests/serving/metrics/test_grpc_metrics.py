"""gRPC calls are counted by method and code."""

import asyncio

import grpc

from kfp_tabular.serving.metrics.grpc_metrics import GrpcMetrics
from tests.serving.metrics.metric_samples import SECRET, exposed, of


def test_calls_are_counted_by_status_code(metrics):
    async def infer(message, context):
        if message == b"bad":
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, SECRET)
        if message == b"crash":
            raise RuntimeError(SECRET)
        if message == b"code":
            context.set_code(grpc.StatusCode.NOT_FOUND)
        if message == b"slow":
            await asyncio.sleep(30)
        return message

    class Refusing(grpc.aio.ServerInterceptor):
        async def intercept_service(self, continuation, details):
            async def refuse(_, context):
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no")
                yield

            if dict(details.invocation_metadata).get("x-api-key") == "wrong":
                return grpc.stream_stream_rpc_method_handler(refuse)
            return await continuation(details)

    handlers = {"ModelInfer": grpc.unary_unary_rpc_method_handler(infer)}
    service = "inference.GRPCInferenceService"

    async def main():
        server = grpc.aio.server(interceptors=[GrpcMetrics(metrics), Refusing()])
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, handlers)])
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = channel.unary_unary(f"/{service}/ModelInfer")
            for message in (b"good", b"bad", b"crash", b"code"):
                await asyncio.gather(call(message), return_exceptions=True)
            await asyncio.gather(
                call(b"good", metadata=[("x-api-key", "wrong")]),
                call(b"slow", timeout=0.2),
                channel.unary_unary(f"/{service}/{SECRET}")(b""),
                return_exceptions=True,
            )
            await asyncio.sleep(0.2)
        await server.stop(1)

    asyncio.run(main())
    found = of(metrics)
    counted = {
        key[1:]: value for key, value in found.items() if key[0] == "kfp_tabular_requests_total"
    }
    assert counted == {
        ("grpc", "predict", "OK"): 1,
        ("grpc", "predict", "INVALID_ARGUMENT"): 1,
        ("grpc", "predict", "UNKNOWN"): 1,
        ("grpc", "predict", "NOT_FOUND"): 1,
        ("grpc", "predict", "UNAUTHENTICATED"): 1,
        ("grpc", "predict", "CANCELLED"): 1,
        ("grpc", "other", "UNIMPLEMENTED"): 1,
    }
    assert found["kfp_tabular_requests_in_flight", "grpc"] == 0
    assert SECRET not in exposed(metrics)
