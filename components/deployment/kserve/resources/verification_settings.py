"""The parts of the `service` argument about verification: bounds, and access to the endpoint."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common import documents
from kfp_tabular.components.common.documents import between, checked, mapping

_PERCENTILE = re.compile(r"p?([0-9]{1,2}(\.[0-9]+)?)")


def check_url(value: str) -> None:
    """Check an HTTP URL.

    Raises:
        ValueError: If it is not one.

    Example:
        >>> check_url("http://istio-ingressgateway.istio-system")
        >>> check_url("istio-ingressgateway:80")
        Traceback (most recent call last):
        ValueError: expected a URL such as http://istio-ingressgateway.istio-system
    """
    if not re.fullmatch(r"https?://[^/\s]+(/[^\s]*)?", value):
        raise ValueError("expected a URL such as http://istio-ingressgateway.istio-system")


def _percentiles(values: Mapping[str, Any]) -> None:
    for name, bound in values.items():
        percentile(name)
        number = isinstance(bound, int | float) and not isinstance(bound, bool)
        if not number or not bound > 0:
            raise ValueError(f"{name}: expected milliseconds greater than 0")


def percentile(name: str) -> float:
    """Return the number in the name of a percentile.

    Args:
        name: Such as `p95`, `99` or `p99.9`.

    Returns:
        A number in (0, 100).

    Raises:
        ValueError: If the name is not of this form.

    Example:
        >>> percentile("p99.9")
        99.9
    """
    match = _PERCENTILE.fullmatch(name)
    if match is None or not float(match.group(1)):
        raise ValueError(f"{name!r} is not a percentile; use one such as p50, p95 or p99.9")
    return float(match.group(1))


@dataclass(frozen=True)
class EndpointAccess:
    """How this task reaches the endpoint, to verify it.

    Attributes:
        via: `cluster` uses the addresses inside the cluster, `url` those that clients use,
            `gateway` connects to `gateway` and names the endpoint in the `Host` header.
        gateway: URL of an ingress gateway.
        token_file: A file in this task's pod with the bearer token that the endpoint requires.
        ca_file: A file in this task's pod with the certificates to trust, for https.
        timeout_seconds: Time limit of one request; a slower one counts as failed.
    """

    via: str = checked(documents.one_of("cluster", "url", "gateway"), "cluster")
    gateway: str = checked(check_url)
    token_file: str = ""
    ca_file: str = ""
    timeout_seconds: float = checked(between(0.05, 600), 10.0)

    def __post_init__(self) -> None:
        if (self.via == "gateway") != bool(self.gateway):
            raise ValueError("via: gateway and the URL in gateway go together")


@dataclass(frozen=True)
class VerificationBounds:
    """The bounds that a candidate must keep at each step; its answers must match in any case.

    Attributes:
        requests: The fewest requests of a step. Each golden example is sent at least once.
        requests_per_second: Rate of requests during a step.
        concurrency: The most concurrent requests.
        max_error_rate: The share of requests that may fail, 0 to 1: no connection, a timeout, or a
            status other than 200.
        max_latency_ms: Upper bounds of latency percentiles in milliseconds, such as
            `{p50: 50, p99: 500}`; empty for none. Each request holds one row.
        startup_seconds: How long the candidate may not answer at first, until routes have changed
            and a first pod is ready.
    """

    requests: int = checked(between(1, 1_000_000), 100)
    requests_per_second: float = checked(between(0.01, 10_000), 20.0)
    concurrency: int = checked(between(1, 256), 2)
    max_error_rate: float = checked(between(0, 1), 0.0)
    max_latency_ms: Mapping[str, Any] = mapping(_percentiles)
    startup_seconds: float = checked(between(0, 3600), 120.0)
