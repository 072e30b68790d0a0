"""The metrics and the values of their labels.

No label holds anything that a client sent: operations, codes and reasons come from fixed sets,
features and classes from the model's description, key names from the secret.
"""

import time
from collections import Counter as Count
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from kfp_tabular.serving.protocol.routes import Operation, Protocol

LATENCY_BUCKETS = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
"""Seconds. One row takes milliseconds, ten thousand rows take a few hundred milliseconds."""

ROW_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384)

MOST_CLASSES = 100
"""How many classes are counted by name; the remaining ones are counted as `other`."""

OTHER = "other"
NO_CLASS = "value"
"""The class label of a regression model's predictions."""

REASONS = ("unknown", "missing", "type", "range", "domain", "size", "malformed", "graph")

BOUNDS = (
    *("connections", "connections_refused", "slow_request", "unread_response", "unread_bytes"),
    *("grpc_calls", "grpc_message"),
)

_PREFIX = "kfp_tabular"


@dataclass(frozen=True)
class ModelIdentity:
    """What metrics need to know about a loaded model version.

    Attributes:
        name: The name in the endpoint's paths.
        version: The version.
        task: `binary`, `multiclass` or `regression`.
        schema_digest: The digest of the schema that it was trained on.
        features: The names of its features.
        classes: The names of its classes; empty for regression.
    """

    name: str
    version: str
    task: str
    schema_digest: str
    features: Sequence[str]
    classes: Sequence[str]


class Metrics:
    """The metrics of a serving process. The methods may be called from any thread.

    Nothing is registered with the library's global registry. If several processes serve one port,
    `sharing` sums their metrics.

    Args:
        registry: Where the metrics are registered.

    Example:
        >>> metrics = Metrics(CollectorRegistry())
        >>> metrics.observe_call(rows=7, requests=2)
        >>> metrics.registry.get_sample_value("kfp_tabular_batch_rows_sum")
        7.0
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"{_PREFIX}_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str, mode: str) -> Gauge:
            return Gauge(
                f"{_PREFIX}_{name}", text, labels, registry=registry, multiprocess_mode=mode
            )

        def histogram(
            name: str, text: str, *labels: str, buckets: Iterable[float] = LATENCY_BUCKETS
        ) -> Histogram:
            return Histogram(
                f"{_PREFIX}_{name}", text, labels, registry=registry, buckets=tuple(buckets)
            )

        self._requests = counter(
            "requests",
            "Requests answered, by HTTP status or gRPC code.",
            *("protocol", "operation", "code"),
        )
        self._seconds = histogram(
            "request_duration_seconds",
            "From a request's head to the end of its response.",
            *("protocol", "operation"),
        )
        self._in_flight = gauge(
            "requests_in_flight", "Requests in progress.", "protocol", mode="livesum"
        )
        self._request_rows = histogram(
            "request_rows", "Rows per prediction request.", "protocol", buckets=ROW_BUCKETS
        )
        self._batch_rows = histogram(
            "batch_rows", "Rows per call of the model.", buckets=ROW_BUCKETS
        )
        self._batch_requests = histogram(
            "batch_requests", "Requests per call of the model.", buckets=ROW_BUCKETS
        )
        self._overloads = counter(
            "overloads",
            "Requests rejected because too many rows were queued, or too many bytes in memory.",
            "bound",
        )
        for bound in ("rows", "bytes"):
            self._overloads.labels(bound)
        self._pending_bytes = gauge(
            "pending_bytes",
            "Bytes of bodies and responses in memory, beyond the first 64 KiB of each.",
            mode="livesum",
        )
        self._predictions = counter("predictions", "Rows predicted.", "model", "class")
        self._rejections = counter(
            "rejections",
            "Requests rejected for their content; feature is empty where no feature is at fault.",
            *("model", "feature", "reason"),
        )
        self._out_of_domain = counter(
            "out_of_domain", "Values outside of their domain in the schema.", "model", "feature"
        )
        self._unreadable = counter(
            "unreadable_values",
            "Values that were taken as missing because they could not be read.",
            *("model", "feature"),
        )
        self._model = gauge(
            "model_info",
            "1 for the served version.",
            *("model", "version", "task", "schema_digest"),
            mode="livemax",
        )
        self._loaded_at = gauge(
            "model_loaded_timestamp_seconds",
            "When the served version was loaded, in Unix time.",
            "model",
            mode="livemin",
        )
        self._load_seconds = gauge(
            "model_load_seconds", "Seconds that loading and warm-up took.", "model", mode="livemax"
        )
        self._reloads = counter("model_loads", "Loads of a version.", "model", "outcome")
        self._admitted = counter(
            "authenticated_requests", "Requests admitted, by the key's name.", "protocol", "key"
        )
        self._denied = counter(
            "authentication_failures",
            "Requests denied for lack of a valid key.",
            "protocol",
            "reason",
        )
        self._bounds = counter(
            "bounds_reached",
            "How often a bound of connections, memory or time made the server close or refuse.",
            "bound",
        )
        # A counter that starts at 0 shows its first increase in a rate.
        for bound in BOUNDS:
            self._bounds.labels(bound)
        # Looking up a labeled metric takes a lock and 1 µs, and a request needs ten of them.
        self._in_progress = cache(self._in_flight.labels)
        self._rows_by_protocol = cache(self._request_rows.labels)
        self._admissions_by_key = cache(self._admitted.labels)
        self._predictions_by_class = cache(self._predictions.labels)
        self._finished = cache(self._finished_metrics)
        self._served: dict[str, ModelIdentity] = {}
        self._features: dict[str, frozenset[str]] = {}
        self._classes: dict[str, frozenset[str]] = {}

    def request_started(self, protocol: Protocol) -> None:
        """Count a request in progress. `request_ended` must follow in every case."""
        self._in_progress(protocol).inc()

    def request_ended(
        self, protocol: Protocol, operation: Operation | None, code: str, seconds: float
    ) -> None:
        """Count a finished request.

        Args:
            protocol: The request's protocol.
            operation: The request's operation; None counts as `other`.
            code: The HTTP status or the name of the gRPC code.
            seconds: How long the request took.
        """
        self._in_progress(protocol).dec()
        count, duration = self._finished(protocol, operation or OTHER, code)
        count.inc()
        duration.observe(seconds)

    def observe_rows(self, protocol: Protocol, rows: int) -> None:
        """Record the rows of a decoded prediction request."""
        self._rows_by_protocol(protocol).observe(rows)

    def observe_call(self, rows: int, requests: int) -> None:
        """Record the size of a call of the model; for `Batcher`."""
        self._batch_rows.observe(rows)
        self._batch_requests.observe(requests)

    def count_overload(self, bound: str = "rows") -> None:
        """Count a request rejected with 503 because a bound over all requests was reached.

        Args:
            bound: `rows` that wait for the model, or `bytes` in memory.
        """
        self._overloads.labels(bound).inc()

    def observe_pending_bytes(self, size: int) -> None:
        """Record the bytes of large bodies and responses in memory; for `LargeRequests`."""
        self._pending_bytes.set(size)

    def count_predictions(
        self, model: str, classes: Sequence[bytes | str] | None, rows: int
    ) -> None:
        """Count predictions by class.

        Args:
            model: The model's name.
            classes: The class of each row; None for regression.
            rows: The number of rows.
        """
        if classes is None:
            self._predictions_by_class(model, NO_CLASS).inc(rows)
            return
        known = self._classes.get(model, frozenset())
        # Most requests have one row, for which a dictionary is faster than a Counter.
        counts = Count(classes) if rows > 1 else {classes[0]: 1}
        for found, times in counts.items():
            name = found.decode("utf-8", "replace") if isinstance(found, bytes) else found
            self._predictions_by_class(model, name if name in known else OTHER).inc(times)

    def count_rejection(self, model: str, feature: str | None, reason: str) -> None:
        """Count a request that was rejected for its content.

        Args:
            model: The model's name.
            feature: The feature at fault; None if none is. A name that the model does not know
                counts as `other`, because the client chose it.
            reason: One of `REASONS`; anything else counts as `other`.
        """
        self._rejections.labels(
            model if model in self._served else OTHER,
            self._feature(model, feature) if feature is not None else "",
            reason if reason in REASONS else OTHER,
        ).inc()

    def count_out_of_domain(self, model: str, feature: str, values: int) -> None:
        """Count values outside of a feature's domain, whether accepted or rejected."""
        self._out_of_domain.labels(model, self._feature(model, feature)).inc(values)

    def count_unreadable(self, model: str, feature: str, values: int) -> None:
        """Count values that were taken as missing because they could not be read."""
        self._unreadable.labels(model, self._feature(model, feature)).inc(values)

    def set_served_version(self, model: ModelIdentity, seconds: float) -> None:
        """Record that a version is served from now on, instead of the one before it.

        Args:
            model: The model version.
            seconds: How long loading and warm-up took.
        """
        before = self._served.get(model.name)
        if before is not None:
            self._model.labels(*_identity(before)).set(0)
        self._served[model.name] = model
        self._features[model.name] = frozenset(model.features)
        self._classes[model.name] = frozenset(model.classes[:MOST_CLASSES])
        self._model.labels(*_identity(model)).set(1)
        self._loaded_at.labels(model.name).set(time.time())
        self._load_seconds.labels(model.name).set(seconds)
        self._reloads.labels(model.name, "success").inc()
        # A counter that starts at 0 shows its first increase in a rate.
        self._reloads.labels(model.name, "failure")
        for name in [*self._classes[model.name]] or [NO_CLASS]:
            self._predictions_by_class(model.name, name)

    def count_failed_load(self, model: str) -> None:
        """Count a version that could not be loaded.

        Args:
            model: The model's name.
        """
        self._reloads.labels(model, "failure").inc()

    def count_admission(self, key: str, protocol: Protocol) -> None:
        """Count an admitted request by its key's name; for `AccessPolicy`."""
        self._admissions_by_key(protocol, key).inc()

    def count_denial(self, reason: str, protocol: Protocol) -> None:
        """Count a denied request; for `AccessPolicy`."""
        self._denied.labels(protocol, reason).inc()

    def count_bound(self, bound: str) -> None:
        """Count that a bound was reached; for `BoundReports`.

        Args:
            bound: One of `BOUNDS`.
        """
        self._bounds.labels(bound).inc()

    def _finished_metrics(
        self, protocol: str, operation: str, code: str
    ) -> tuple[Counter, Histogram]:
        return (
            self._requests.labels(protocol, operation, code),
            self._seconds.labels(protocol, operation),
        )

    def _feature(self, model: str, feature: str) -> str:
        return feature if feature in self._features.get(model, frozenset()) else OTHER


def _identity(model: ModelIdentity) -> tuple[str, str, str, str]:
    return model.name, model.version, model.task, model.schema_digest
