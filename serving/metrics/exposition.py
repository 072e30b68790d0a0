"""What `/metrics` answers: this process's metrics, or those of all that share a directory."""

from collections.abc import Iterable, Iterator

import prometheus_client
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from kfp_tabular.serving.metrics.sharing import SharedCollector, shared_directory

_INFO = "kfp_tabular_model_info"


def render(registries: Iterable[CollectorRegistry], accept: str) -> tuple[bytes, str]:
    """Gives the metrics in Prometheus' or OpenMetrics' format.

    Reads files where processes share a directory; call it in a thread.

    Args:
        registries: Of this process, such as `Metrics.registry` and the library's own, which holds
            KServe's histograms and the process's memory and CPU. Not used where a directory is
            shared: the files there hold the metrics of every registry.
        accept: The request's `Accept` header, which chooses the format; Prometheus' where it makes
            no sense.

    Returns:
        The body, and its content type.
    """
    directory = shared_directory()
    sources: list[Collector] = (
        list(registries) if directory is None else [SharedCollector(directory)]
    )
    joined = CollectorRegistry(auto_describe=False)
    joined.register(_Joined(sources))
    choose = prometheus_client.exposition.choose_encoder
    try:
        encode, content_type = choose(accept)
    except TypeError:
        # Its version is no number, and the library compares it with one.
        encode, content_type = choose("")
    return encode(joined), content_type


class _Joined(Collector):  # type: ignore[misc]  # not typed here
    """The metrics of several collectors, without versions of models that are served no longer."""

    def __init__(self, sources: Iterable[Collector]) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        for source in self._sources:
            for metric in source.collect():
                if metric.name == _INFO:
                    metric.samples = [sample for sample in metric.samples if sample.value]
                yield metric
