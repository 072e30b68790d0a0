"""Authentication for gRPC: an interceptor of the asyncio server, by the same rules as REST."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import grpc

from kfp_tabular.serving.auth.access_policy import AccessPolicy, Denial
from kfp_tabular.serving.protocol import routes

_MESSAGES: Mapping[Denial, str] = {
    "missing": (
        "this server asks for a key: send it as metadata 'authorization: Bearer <key>' or "
        "'x-api-key: <key>'."
    ),
    "malformed": "there is no key that could be one in 'authorization' or 'x-api-key'.",
    "unknown": "this key is not in force here.",
}


class GrpcAuthentication(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc has no types
    """Lets calls through that present a key in force; ends others with UNAUTHENTICATED.

    Give it to `grpc.aio.server(interceptors=[...])` after what measures calls.

    Args:
        policy: Who is let in.
    """

    def __init__(self, policy: AccessPolicy) -> None:
        self._policy = policy

    async def intercept_service(
        self,
        continuation: Callable[[Any], Awaitable[Any]],
        handler_call_details: Any,
    ) -> Any:
        """Gives the call's handler, or one that ends it."""
        # Metadata that ends in -bin is bytes; all else, and thus a key, is text.
        headers = (
            (name.encode("ascii"), value.encode("utf-8"))
            for name, value in handler_call_details.invocation_metadata
            if isinstance(value, str)
        )
        denial = self._policy.judge(
            routes.operation_of_method(handler_call_details.method), headers, "grpc"
        )
        return await continuation(handler_call_details) if denial is None else _refusal(denial)


def _refusal(denial: Denial) -> Any:
    async def refuse(_: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, _MESSAGES[denial])
        yield  # abort raises; this makes it the generator that a handler of streams is

    # As a handler of streams it ends the call without waiting for its message.
    return grpc.stream_stream_rpc_method_handler(refuse)
