"""What a path or a gRPC method asks for, in words from a fixed set, and in which protocol.

The HTTP interface finds its handlers by the routes here, authentication decides by the operations
what stays open, and metrics are labelled with them.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal, NamedTuple

Operation = Literal["predict", "explain", "status", "ready", "metadata", "health", "metrics"]
"""`status` is v1's description of a model; `ready` is a model's, `health` the server's."""

Protocol = Literal["v1", "v2", "grpc", "http"]
"""`http` is what belongs to neither version of the protocol, such as `/metrics`."""

Route = Literal[
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
"""The paths there are, those with a version among those without."""


class Place(NamedTuple):
    """Where a path leads.

    Attributes:
        route: Which of the paths it is.
        operation: What it asks for.
        name: The model's name, where the path has one.
        version: The model's version, where the path has one.
    """

    route: Route
    operation: Operation
    name: str = ""
    version: str | None = None


_V1 = "/v1/models/(?P<name>[^/]+)"
_V2 = "/v2/models/(?P<name>[^/]+)(?:/versions/(?P<version>[^/]+))?"
_OF_MODELS: tuple[tuple[re.Pattern[str], Route, Operation], ...] = (
    (re.compile(f"{_V1}:predict"), "v1 predict", "predict"),
    (re.compile(f"{_V2}/infer"), "v2 infer", "predict"),
    (re.compile(f"{_V1}:explain"), "v1 explain", "explain"),
    (re.compile(f"{_V2}/ready"), "v2 model ready", "ready"),
    (re.compile("/v1/models/(?P<name>[^/:]+)"), "v1 model", "status"),
    (re.compile(_V2), "v2 model", "metadata"),
)
_OF_THE_SERVER: Mapping[str, Place] = {
    "/": Place("live", "health"),
    "/v2/health/live": Place("v2 live", "health"),
    "/v2/health/ready": Place("v2 ready", "health"),
    "/v2": Place("v2 server", "metadata"),
    "/v1/models": Place("v1 models", "metadata"),
    "/v2/models": Place("v2 models", "metadata"),
    "/metrics": Place("metrics", "metrics"),
}

_INFERENCE = "/inference.GRPCInferenceService"
_METHODS: Mapping[str, Operation] = {
    f"{_INFERENCE}/ModelInfer": "predict",
    f"{_INFERENCE}/ModelReady": "ready",
    f"{_INFERENCE}/ModelMetadata": "metadata",
    f"{_INFERENCE}/ServerMetadata": "metadata",
    f"{_INFERENCE}/ServerLive": "health",
    f"{_INFERENCE}/ServerReady": "health",
    "/grpc.health.v1.Health/Check": "health",
    "/grpc.health.v1.Health/Watch": "health",
}


def at(path: str) -> Place | None:
    """Gives where an HTTP path leads; None where there is nothing.

    Args:
        path: The path, decoded, without the query.
    """
    return _known(path) if len(path) <= _LONGEST_KNOWN else _at(path)


def _at(path: str) -> Place | None:
    for pattern, route, operation in _OF_MODELS:
        found = pattern.fullmatch(path)
        if found is not None:
            return Place(route, operation, **found.groupdict())
    return _OF_THE_SERVER.get(path)


# Clients ask for a few paths again and again. What they make up takes no more room than this.
_LONGEST_KNOWN = 200
_known = lru_cache(maxsize=200)(_at)


def of_path(path: str) -> Operation | None:
    """Gives what an HTTP path asks for; None where there is nothing.

    Args:
        path: The path, decoded, without the query.
    """
    place = at(path)
    return None if place is None else place.operation


def of_method(method: str) -> Operation | None:
    """Gives what a gRPC method asks for; None where there is nothing.

    Args:
        method: Its full name, `/<package>.<service>/<method>`.
    """
    return _METHODS.get(method)


def protocol(path: str) -> Protocol:
    """Gives an HTTP path's protocol.

    Args:
        path: The path, decoded, without the query.
    """
    if path.startswith("/v1/") or path == "/v1":
        return "v1"
    return "v2" if path.startswith("/v2/") or path == "/v2" else "http"
