"""Addresses of an endpoint, and of one candidate of it, as a task reaches them."""

from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from kfp_tabular.components.deployment.kserve.resources.inference_service import TAG
from kfp_tabular.components.deployment.kserve.resources.inference_service_status import (
    EndpointStatus,
)
from kfp_tabular.components.deployment.kserve.resources.verification_settings import EndpointAccess


@dataclass(frozen=True)
class EndpointAddress:
    """Where to send requests.

    Attributes:
        url: Scheme, host and path prefix, without a slash at the end.
        host: The `Host` header; empty for the URL's own.

    Example:
        >>> print(EndpointAddress("http://istio.istio-system", "taxi.example.org"))
        http://istio.istio-system (Host: taxi.example.org)
    """

    url: str
    host: str = ""

    def __str__(self) -> str:
        return f"{self.url} (Host: {self.host})" if self.host else self.url


def predictor(status: EndpointStatus, access: EndpointAccess) -> EndpointAddress | None:
    """Return the predictor's address; None where the status does not hold it yet.

    Example:
        >>> status = EndpointStatus(url="https://taxi.example.org", address="http://taxi.fares.svc")
        >>> print(predictor(status, EndpointAccess()))
        http://taxi.fares.svc
        >>> print(predictor(status, EndpointAccess("gateway", "http://istio.istio-system")))
        http://istio.istio-system (Host: taxi.example.org)
    """
    return _address(
        status.predictor_address or status.address, status.predictor_url or status.url, access
    )


def candidate(status: EndpointStatus, access: EndpointAccess) -> EndpointAddress | None:
    """Return the address of the newest revision alone; None where the status has none yet.

    Knative creates a Service `<tag>-<route>` for every tag, beside `<route>` (`tag-template` of its
    `config-network`; if a cluster changed that, use another `via`).

    Example:
        >>> status = EndpointStatus(
        ...     tag_url="https://latest-taxi-predictor.example.org",
        ...     predictor_address="http://taxi-predictor.fares.svc.cluster.local",
        ... )
        >>> print(candidate(status, EndpointAccess()))
        http://latest-taxi-predictor.fares.svc.cluster.local
    """
    if not status.tag_url:
        return None
    inside = ""
    if status.predictor_address:
        parts = urlsplit(status.predictor_address)
        inside = urlunsplit((parts.scheme, f"{TAG}-{parts.netloc}", parts.path, "", ""))
    return _address(inside, status.tag_url, access)


def entry(name: str, namespace: str, access: EndpointAccess) -> EndpointAddress:
    """Return the address of the Service that selects one of two colors.

    Example:
        >>> print(entry("taxi", "team", EndpointAccess()))
        http://taxi.team.svc.cluster.local
    """
    host = f"{name}.{namespace}.svc.cluster.local"
    if access.via == "gateway":
        return EndpointAddress(access.gateway.rstrip("/"), host)
    return EndpointAddress(f"http://{host}")


def _address(inside: str, outside: str, access: EndpointAccess) -> EndpointAddress | None:
    if access.via == "cluster":
        return EndpointAddress(inside.rstrip("/")) if inside else None
    if not outside:
        return None
    if access.via == "url":
        return EndpointAddress(outside.rstrip("/"))
    parts = urlsplit(outside)
    return EndpointAddress(access.gateway.rstrip("/") + parts.path.rstrip("/"), parts.netloc)
