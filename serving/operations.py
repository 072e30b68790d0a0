"""What a path or a gRPC method asks for, in words from a fixed set, and in which protocol.

Authentication decides by these words what stays open, and metrics are labelled with them.
"""

import re
from collections.abc import Mapping
from typing import Literal

Operation = Literal["predict", "explain", "status", "ready", "metadata", "health", "metrics"]
"""`status` is v1's description of a model; `ready` is a model's, `health` the server's."""

Protocol = Literal["v1", "v2", "grpc", "http"]
"""`http` is what belongs to neither version of the protocol, such as `/metrics`."""

_MODEL = r"/v2/models/[^/]+(?:/versions/[^/]+)?"
_PATHS: tuple[tuple[re.Pattern[str], Operation], ...] = (
    (re.compile(rf"/v1/models/[^/]+:predict|{_MODEL}/infer"), "predict"),
    (re.compile(r"/v1/models/[^/]+:explain"), "explain"),
    (re.compile(r"/|/v2/health/(?:live|ready)"), "health"),
    (re.compile(rf"{_MODEL}/ready"), "ready"),
    (re.compile(r"/v1/models/[^/:]+"), "status"),
    (re.compile(rf"/v2|/v[12]/models|{_MODEL}"), "metadata"),
    (re.compile(r"/metrics"), "metrics"),
)
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


def of_path(path: str) -> Operation | None:
    """Gives what an HTTP path asks for; None where there is nothing.

    Args:
        path: The path, decoded, without the query.
    """
    return next((operation for pattern, operation in _PATHS if pattern.fullmatch(path)), None)


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
