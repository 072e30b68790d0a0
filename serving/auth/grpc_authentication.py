"""Authentication of gRPC calls: an interceptor of the asyncio server, with the rules of HTTP."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import grpc

from kfp_tabular.serving.auth.access_policy import AccessPolicy, Denial
from kfp_tabular.serving.protocol import routes

_MESSAGES: Mapping[Denial, str] = {
    "missing": (
        "this server requires a key: send metadata 'authorization: Bearer <key>' or "
        "'x-api-key: <key>'."
    ),
    "malformed": (
        "malformed key: send it once, as metadata 'authorization: Bearer <key>' or "
        "'x-api-key: <key>'."
    ),
    "unknown": "this key is not valid here.",
}


class GrpcAuthentication(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc has no types
    """Admits calls with a valid key, and those that need none; ends others as UNAUTHENTICATED.

    Pass it to `grpc.aio.server(interceptors=[...])` after the metrics.

    Args:
        policy: Decides who is admitted.
    """

    def __init__(self, policy: AccessPolicy) -> None:
        self._policy = policy

    async def intercept_service(
        self,
        continuation: Callable[[Any], Awaitable[Any]],
        handler_call_details: Any,
    ) -> Any:
        """Return the call's handler, or one that ends the call."""
        # Metadata with a name in -bin is bytes; all other metadata, and thus a key, is text.
        headers = (
            (name.encode("ascii"), value.encode("utf-8"))
            for name, value in handler_call_details.invocation_metadata
            if isinstance(value, str)
        )
        denial = self._policy.judge(
            routes.operation_of_method(handler_call_details.method), headers, "grpc"
        )
        return await continuation(handler_call_details) if denial is None else _denying(denial)


def _denying(denial: Denial) -> Any:
    async def deny(_: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, _MESSAGES[denial])
        yield  # abort raises; this makes it the generator that a stream handler is

    # A stream handler ends the call without waiting for its message.
    return grpc.stream_stream_rpc_method_handler(deny)
