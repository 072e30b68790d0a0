"""The text at `/metrics`: the metrics of this process, or of all processes that share them."""

from collections.abc import Iterable, Iterator

import prometheus_client
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from kfp_tabular.serving.metrics.sharing import shared_collector, sharing_problem
from kfp_tabular.serving.protocol.request_error import RequestError

_INFO = "kfp_tabular_model_info"


def render_metrics(registries: Iterable[CollectorRegistry], accept: str) -> tuple[bytes, str]:
    """Return the metrics in the format of Prometheus or OpenMetrics.

    Takes milliseconds, more if processes share their metrics, so call it in a thread.

    Args:
        registries: The registries of this process, such as `Metrics.registry` and the library's
            own, which holds KServe's histograms and the process's memory and CPU. Not used if
            processes share their metrics: the shared memory holds those of every registry.
        accept: The request's `Accept` header, which selects the format. Prometheus' own format is
            the default.

    Returns:
        The body and its content type.

    Raises:
        RequestError: If there are several processes and they cannot share their metrics.

    Example:
        >>> registry = CollectorRegistry()
        >>> prometheus_client.Counter("requests", "Requests.", registry=registry).inc()
        >>> body, _ = render_metrics([registry], accept="")
        >>> print(body.decode())
        # HELP requests_total Requests.
        # TYPE requests_total counter
        requests_total 1.0
        ...
    """
    if sharing_problem():
        raise RequestError(f"no metrics: {sharing_problem()}.", status=503, reason=None)
    shared = shared_collector()
    sources: list[Collector] = list(registries) if shared is None else [shared]
    joined = CollectorRegistry(auto_describe=False)
    joined.register(_JoinedCollector(sources))
    choose = prometheus_client.exposition.choose_encoder
    try:
        encode, content_type = choose(accept)
    except TypeError:
        # The library compares the header's version with a number, even if it is not one.
        encode, content_type = choose("")
    return encode(joined), content_type


class _JoinedCollector(Collector):  # type: ignore[misc]  # not typed here
    """The metrics of several collectors, without model versions that are no longer served."""

    def __init__(self, sources: Iterable[Collector]) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        for source in self._sources:
            for metric in source.collect():
                if metric.name == _INFO:
                    metric.samples = [sample for sample in metric.samples if sample.value]
                yield metric
