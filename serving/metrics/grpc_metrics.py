"""Measures gRPC calls: an interceptor of the asyncio server, before all others."""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc

from kfp_tabular.serving.metrics.instruments import Metrics
from kfp_tabular.serving.protocol import routes

PROTOCOL: routes.Protocol = "grpc"

_CODES: Mapping[int, str] = {code.value[0]: code.name for code in grpc.StatusCode}


class GrpcMetrics(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc has no types
    """Counts and measures every call of a single message.

    Give it to `grpc.aio.server(interceptors=[...])` before all others.

    Args:
        metrics: Where to count.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def intercept_service(
        self,
        continuation: Callable[[Any], Awaitable[Any]],
        handler_call_details: Any,
    ) -> Any:
        """Gives the call's handler, measured."""
        handler = await continuation(handler_call_details)
        if handler is None:
            # The server answers UNIMPLEMENTED itself.
            self._metrics.began(PROTOCOL)
            self._metrics.ended(PROTOCOL, None, grpc.StatusCode.UNIMPLEMENTED.name, 0.0)
            return None
        operation = routes.operation_of_method(handler_call_details.method)
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(
                self._measured(handler.unary_unary, operation),
                handler.request_deserializer,
                handler.response_serializer,
            )
        if handler.stream_stream is not None:
            return grpc.stream_stream_rpc_method_handler(
                self._measured_stream(handler.stream_stream, operation),
                handler.request_deserializer,
                handler.response_serializer,
            )
        return handler

    def _measured(
        self, call: Callable[..., Awaitable[Any]], operation: routes.Operation | None
    ) -> Any:
        async def measured(request: Any, context: Any) -> Any:
            self._metrics.began(PROTOCOL)
            begin = time.perf_counter()
            code = grpc.StatusCode.CANCELLED.name
            try:
                answer = await call(request, context)
                code = _code(context, grpc.StatusCode.OK)
            except Exception:
                code = _code(context, grpc.StatusCode.UNKNOWN)
                raise
            finally:
                self._metrics.ended(PROTOCOL, operation, code, time.perf_counter() - begin)
            return answer

        return measured

    def _measured_stream(self, call: Callable[..., Any], operation: routes.Operation | None) -> Any:
        async def measured(requests: Any, context: Any) -> Any:
            self._metrics.began(PROTOCOL)
            begin = time.perf_counter()
            code = grpc.StatusCode.CANCELLED.name
            try:
                async for answer in call(requests, context):
                    yield answer
                code = _code(context, grpc.StatusCode.OK)
            except Exception:
                code = _code(context, grpc.StatusCode.UNKNOWN)
                raise
            finally:
                self._metrics.ended(PROTOCOL, operation, code, time.perf_counter() - begin)

        return measured


def _code(context: Any, otherwise: grpc.StatusCode) -> str:
    """Names the code that a handler set, or that `abort` did."""
    code = context.code()
    number = code.value[0] if isinstance(code, grpc.StatusCode) else code
    return _CODES[number] if number in _CODES and number else otherwise.name
