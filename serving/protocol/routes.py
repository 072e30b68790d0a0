"""Routes: which operation of which protocol a URL path or gRPC method addresses.

The HTTP interface looks up its handlers by route. Authentication decides by operation what needs a
key, and metrics use operations and protocols as labels, so both come from fixed sets.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal, NamedTuple

Operation = Literal["predict", "explain", "status", "ready", "metadata", "health", "metrics"]
"""`status` is v1's description of a model. `ready` concerns a model, `health` the server."""

Protocol = Literal["v1", "v2", "grpc", "http"]
"""`http` covers paths outside of the inference protocols, such as `/metrics`."""

RouteName = Literal[
    "v1 predict",
    "v1 explain",
    "v1 model",
    "v1 models",
    "v2 infer",
    "v2 model ready",
    "v2 model",
    "v2 models",
    "v2 live",
    "v2 ready",
    "v2 server",
    "live",
    "metrics",
]
"""One name per path. A path with a model version has the name of the path without it."""


class Route(NamedTuple):
    """What a URL path addresses.

    Attributes:
        name: The route's name.
        operation: The operation that it performs.
        model_name: The model's name; empty where the path has none.
        model_version: The model's version; None where the path has none.
    """

    name: RouteName
    operation: Operation
    model_name: str = ""
    model_version: str | None = None


_V1_MODEL = "/v1/models/(?P<model_name>[^/]+)"
_V2_MODEL = "/v2/models/(?P<model_name>[^/]+)(?:/versions/(?P<model_version>[^/]+))?"
_MODEL_PATHS: tuple[tuple[re.Pattern[str], RouteName, Operation], ...] = (
    (re.compile(f"{_V1_MODEL}:predict"), "v1 predict", "predict"),
    (re.compile(f"{_V2_MODEL}/infer"), "v2 infer", "predict"),
    (re.compile(f"{_V1_MODEL}:explain"), "v1 explain", "explain"),
    (re.compile(f"{_V2_MODEL}/ready"), "v2 model ready", "ready"),
    (re.compile("/v1/models/(?P<model_name>[^/:]+)"), "v1 model", "status"),
    (re.compile(_V2_MODEL), "v2 model", "metadata"),
)
_SERVER_PATHS: Mapping[str, Route] = {
    "/": Route("live", "health"),
    "/v2/health/live": Route("v2 live", "health"),
    "/v2/health/ready": Route("v2 ready", "health"),
    "/v2": Route("v2 server", "metadata"),
    "/v1/models": Route("v1 models", "metadata"),
    "/v2/models": Route("v2 models", "metadata"),
    "/metrics": Route("metrics", "metrics"),
}

_INFERENCE_SERVICE = "/inference.GRPCInferenceService"
_METHODS: Mapping[str, Operation] = {
    f"{_INFERENCE_SERVICE}/ModelInfer": "predict",
    f"{_INFERENCE_SERVICE}/ModelReady": "ready",
    f"{_INFERENCE_SERVICE}/ModelMetadata": "metadata",
    f"{_INFERENCE_SERVICE}/ServerMetadata": "metadata",
    f"{_INFERENCE_SERVICE}/ServerLive": "health",
    f"{_INFERENCE_SERVICE}/ServerReady": "health",
    "/grpc.health.v1.Health/Check": "health",
    "/grpc.health.v1.Health/Watch": "health",
}


def find_route(path: str) -> Route | None:
    """Return the route of a URL path, or None where the server has no such path.

    Args:
        path: The path, decoded, without the query.

    Example:
        >>> find_route("/v2/models/fraud/versions/7/infer")
        Route(name='v2 infer', operation='predict', model_name='fraud', model_version='7')
        >>> find_route("/v3/models")
    """
    return _cached_route(path) if len(path) <= _LONGEST_CACHED_PATH else _match(path)


def _match(path: str) -> Route | None:
    for pattern, name, operation in _MODEL_PATHS:
        match = pattern.fullmatch(path)
        if match is not None:
            return Route(name, operation, **match.groupdict())
    return _SERVER_PATHS.get(path)


# Clients repeat a few paths. The limits keep made-up paths from filling memory.
_LONGEST_CACHED_PATH = 200
_cached_route = lru_cache(maxsize=200)(_match)


def operation_of_path(path: str) -> Operation | None:
    """Return the operation of a URL path, or None where the server has no such path.

    Args:
        path: The path, decoded, without the query.

    Example:
        >>> operation_of_path("/v1/models/fraud:predict")
        'predict'
    """
    route = find_route(path)
    return None if route is None else route.operation


def operation_of_method(method: str) -> Operation | None:
    """Return the operation of a gRPC method, or None where the server has no such method.

    Args:
        method: The full name, `/<package>.<service>/<method>`.

    Example:
        >>> operation_of_method("/grpc.health.v1.Health/Check")
        'health'
    """
    return _METHODS.get(method)


def protocol_of_path(path: str) -> Protocol:
    """Return the protocol that a URL path belongs to.

    Args:
        path: The path, decoded, without the query.

    Example:
        >>> protocol_of_path("/v1/models"), protocol_of_path("/metrics")
        ('v1', 'http')
    """
    if path.startswith("/v1/") or path == "/v1":
        return "v1"
    return "v2" if path.startswith("/v2/") or path == "/v2" else "http"
