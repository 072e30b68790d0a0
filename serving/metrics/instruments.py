"""The metrics, and what may be counted under which label.

No label takes anything that a client sent: operations, codes and reasons are from fixed sets,
features and classes from the model's description, names of keys from the secret.
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
"""Seconds. A row takes milliseconds, a request of ten thousand a few hundred of them."""

ROW_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384)

MOST_CLASSES = 100
"""Classes that are counted by name; those behind them together, as `other`."""

OTHER = "other"
NO_CLASS = "value"
"""The class under which a regression model's predictions are counted."""

REASONS = ("unknown", "missing", "type", "range", "domain", "size", "malformed", "graph")

_PREFIX = "kfp_tabular"


@dataclass(frozen=True)
class ModelIdentity:
    """What metrics know of a loaded model.

    Attributes:
        name: The name in the endpoint's paths.
        version: The version.
        task: `binary`, `multiclass` or `regression`.
        schema_digest: The digest of the schema it was trained on.
        features: The features' names.
        classes: The classes' names; none for regression.
    """

    name: str
    version: str
    task: str
    schema_digest: str
    features: Sequence[str]
    classes: Sequence[str]


class Metrics:
    """What a serving process counts and measures. Its methods may be called from any thread.

    Nothing is registered with the library's global registry. Where several processes serve one
    port, `sharing.py` says how they are counted together.

    Args:
        registry: Where to register.
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
            "From a request's head to the end of its answer.",
            *("protocol", "operation"),
        )
        self._in_flight = gauge(
            "requests_in_flight", "Requests under way.", "protocol", mode="livesum"
        )
        self._request_rows = histogram(
            "request_rows", "Rows of a request for predictions.", "protocol", buckets=ROW_BUCKETS
        )
        self._batch_rows = histogram(
            "batch_rows", "Rows of a call of the model.", buckets=ROW_BUCKETS
        )
        self._batch_requests = histogram(
            "batch_requests", "Requests that shared a call of the model.", buckets=ROW_BUCKETS
        )
        self._overloads = counter("overloads", "Requests refused because too many rows waited.")
        self._predictions = counter("predictions", "Rows predicted.", "model", "class")
        self._rejections = counter(
            "rejections",
            "Requests refused for what a feature held; feature is empty where none is at fault.",
            *("model", "feature", "reason"),
        )
        self._unexpected = counter(
            "out_of_domain", "Values outside the schema's domain.", "model", "feature"
        )
        self._model = gauge(
            "model_info",
            "1 for the version that is served.",
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
            "model_load_seconds", "How long loading and warming up took.", "model", mode="livemax"
        )
        self._reloads = counter("model_loads", "Loads of a version.", "model", "outcome")
        self._admitted = counter(
            "authenticated_requests", "Requests let in, by the key's name.", "protocol", "key"
        )
        self._denied = counter(
            "authentication_failures", "Requests not let in.", "protocol", "reason"
        )
        # The library finds a labelled metric under a lock, in a microsecond; a request needs ten.
        self._under_way = cache(self._in_flight.labels)
        self._asked_rows = cache(self._request_rows.labels)
        self._admissions = cache(self._admitted.labels)
        self._predicted_rows = cache(self._predictions.labels)
        self._answers = cache(self._answer_metrics)
        self._served: dict[str, ModelIdentity] = {}
        self._features: dict[str, frozenset[str]] = {}
        self._classes: dict[str, frozenset[str]] = {}

    def began(self, protocol: Protocol) -> None:
        """Counts a request as under way; `ended` follows, however it ends."""
        self._under_way(protocol).inc()

    def ended(
        self, protocol: Protocol, operation: Operation | None, code: str, seconds: float
    ) -> None:
        """Counts a request that has ended.

        Args:
            protocol: The protocol it came in.
            operation: What it asked for; None counts as `other`.
            code: The HTTP status, or the gRPC code's name.
            seconds: How long it took.
        """
        self._under_way(protocol).dec()
        count, duration = self._answers(protocol, operation or OTHER, code)
        count.inc()
        duration.observe(seconds)

    def asked(self, protocol: Protocol, rows: int) -> None:
        """Measures a request for predictions that was decoded."""
        self._asked_rows(protocol).observe(rows)

    def called(self, rows: int, requests: int) -> None:
        """Measures a call of the model; to be given to `Batcher` as `observed`."""
        self._batch_rows.observe(rows)
        self._batch_requests.observe(requests)

    def overloaded(self) -> None:
        """Counts a request refused with 503 because too many rows waited."""
        self._overloads.inc()

    def predicted(self, model: str, classes: Sequence[bytes | str] | None, rows: int) -> None:
        """Counts predictions by class.

        Args:
            model: The model's name.
            classes: A class per row; None for regression.
            rows: How many rows.
        """
        if classes is None:
            self._predicted_rows(model, NO_CLASS).inc(rows)
            return
        known = self._classes.get(model, frozenset())
        # Most requests are of one row, for which a dictionary does.
        counts = Count(classes) if rows > 1 else {classes[0]: 1}
        for found, times in counts.items():
            name = found.decode("utf-8", "replace") if isinstance(found, bytes) else found
            self._predicted_rows(model, name if name in known else OTHER).inc(times)

    def rejected(self, model: str, feature: str | None, reason: str) -> None:
        """Counts a request that was refused for what it holds.

        Args:
            model: The model's name.
            feature: The feature at fault, None where none is. One that is not the model's counts
                as `other`: its name is the client's.
            reason: One of `REASONS`; anything else counts as `other`.
        """
        self._rejections.labels(
            model if model in self._served else OTHER,
            self._feature(model, feature) if feature is not None else "",
            reason if reason in REASONS else OTHER,
        ).inc()

    def out_of_domain(self, model: str, feature: str, values: int) -> None:
        """Counts values outside of a feature's domain that were let through or refused."""
        self._unexpected.labels(model, self._feature(model, feature)).inc(values)

    def loaded(self, model: ModelIdentity, seconds: float) -> None:
        """Notes that a version is served from now on, in place of another of the same name.

        Args:
            model: The model.
            seconds: How long loading and warming up took.
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
        # Counters that begin at 0 have a first increase.
        self._reloads.labels(model.name, "failure")
        for name in [*self._classes[model.name]] or [NO_CLASS]:
            self._predicted_rows(model.name, name)

    def load_failed(self, model: str) -> None:
        """Counts a version that could not be loaded; the one before it stays.

        Args:
            model: The name it would have been served under, as the server was told.
        """
        self._reloads.labels(model, "failure").inc()

    def admitted(self, key: str, protocol: Protocol) -> None:
        """Counts a request by its key's name; for `ValuePolicy.admitted`."""
        self._admissions(protocol, key).inc()

    def denied(self, reason: str, protocol: Protocol) -> None:
        """Counts a request that was not let in; for `ValuePolicy.denied`."""
        self._denied.labels(protocol, reason).inc()

    def _answer_metrics(
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
