"""Metrics of gRPC calls: an interceptor of the asyncio server, before all others."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import grpc

from kfp_tabular.serving.metrics.instruments import Metrics
from kfp_tabular.serving.protocol import routes

PROTOCOL: routes.Protocol = "grpc"

_CODES: Mapping[int, str] = {code.value[0]: code.name for code in grpc.StatusCode}


class GrpcMetrics(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc has no types
    """Counts and times every call.

    Pass it to `grpc.aio.server(interceptors=[...])` before all others.

    Args:
        metrics: Where calls are counted.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def intercept_service(
        self,
        continuation: Callable[[Any], Awaitable[Any]],
        handler_call_details: Any,
    ) -> Any:
        """Return the call's handler, wrapped to be counted and timed."""
        handler = await continuation(handler_call_details)
        if handler is None:
            # The server itself answers UNIMPLEMENTED.
            self._metrics.request_started(PROTOCOL)
            self._metrics.request_ended(PROTOCOL, None, grpc.StatusCode.UNIMPLEMENTED.name, 0.0)
            return None
        operation = routes.operation_of_method(handler_call_details.method)
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(
                self._measured(handler.unary_unary, operation),
                handler.request_deserializer,
                handler.response_serializer,
            )
        if handler.stream_unary is not None:
            return grpc.stream_unary_rpc_method_handler(
                self._measured(handler.stream_unary, operation),
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
            with self._measure(context, operation):
                return await call(request, context)

        return measured

    def _measured_stream(
        self, call: Callable[..., AsyncIterator[Any]], operation: routes.Operation | None
    ) -> Any:
        async def measured(requests: Any, context: Any) -> Any:
            with self._measure(context, operation):
                async for response in call(requests, context):
                    yield response

        return measured

    @contextmanager
    def _measure(self, context: Any, operation: routes.Operation | None) -> Iterator[None]:
        self._metrics.request_started(PROTOCOL)
        begin = time.perf_counter()
        code = grpc.StatusCode.CANCELLED.name
        try:
            yield
            code = _code(context, grpc.StatusCode.OK)
        except Exception:
            code = _code(context, grpc.StatusCode.UNKNOWN)
            raise
        finally:
            seconds = time.perf_counter() - begin
            self._metrics.request_ended(PROTOCOL, operation, code, seconds)


def _code(context: Any, default: grpc.StatusCode) -> str:
    """Return the name of the status code that the handler or `abort` set."""
    code = context.code()
    number = code.value[0] if isinstance(code, grpc.StatusCode) else code
    return _CODES[number] if number in _CODES and number else default.name
