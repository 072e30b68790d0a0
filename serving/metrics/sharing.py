"""Metrics shared by the worker processes behind one port.

Usage in the process that starts them, which maps nothing:

    shared = SharedMetrics.create(workers=2)
    subprocess.Popen(..., pass_fds=[shared.descriptor])  # and tell it the descriptor and its number
    shared.worker_ended(number, "ended")                 # after it has ended in any way

and in a worker, before anything imports KServe or makes a metric:

    share(descriptor, number)

A worker that takes the place of another continues its counters, which must not decrease; gauges
start anew. The worker that is scraped adds up those of all workers, and what the first process
counts. Without the memory for it, a worker has no metrics to show: `no_sharing` gives the reason.
"""

import json
import logging
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import prometheus_client.values
from prometheus_client.metrics_core import Metric

from kfp_tabular.serving.metrics import shared_memory

LIBRARY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Lets prometheus_client keep values in sparse files; a full disk turns a write into a SIGBUS."""

EndReason = str
END_REASONS: Sequence[EndReason] = ("ended", "killed", "unresponsive")

_RESTARTS = "kfp_tabular_worker_restarts"
_RESTARTS_TEXT = "Workers that ended while the server ran; unresponsive ones were killed by it."

_logger = logging.getLogger(__name__)

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class SharedMetrics:
    """The workers' metrics, as the process that starts them uses them.

    Attributes:
        descriptor: The memory; workers inherit it.
        workers: How many workers there are.
    """

    descriptor: int
    workers: int

    @classmethod
    def create(cls, workers: int) -> "SharedMetrics":
        """Allocate the memory.

        Raises:
            OSError: If the system has no such memory or not enough of it.
        """
        shared = cls(shared_memory.allocate(workers + 1), workers)
        for reason in END_REASONS:
            # A counter that starts at 0 shows its first increase in a rate.
            shared._count(reason, 0.0)
        return shared

    def worker_ended(self, number: int, reason: EndReason) -> None:
        """Forget a worker's gauges, and count its end.

        Args:
            number: The worker's number, from 0.
            reason: One of `END_REASONS`.
        """
        shared_memory.gauges(self.descriptor, number).clear()
        self._count(reason, 1.0)

    def close(self) -> None:
        """Free the memory, once no worker uses it any more."""
        os.close(self.descriptor)

    def _count(self, reason: EndReason, times: float) -> None:
        region = shared_memory.totals(self.descriptor, self.workers)
        key = _key(
            "counter", "", _RESTARTS, _RESTARTS_TEXT, f"{_RESTARTS}_total", {"reason": reason}
        )
        place = region.place(key)
        if place is not None:
            region.write(place, region.read(place) + times)


class SharedCollector:
    """Collects the metrics of all processes.

    Args:
        descriptor: The memory.
        workers: How many workers there are.
    """

    def __init__(self, descriptor: int, workers: int) -> None:
        self._descriptor = descriptor
        self._workers = workers

    def collect(self) -> Iterable[Metric]:
        """Return the sums over the processes."""
        found: dict[tuple[str, str, str, str], dict[tuple[str, Labels], float]] = {}
        for number in range(self._workers + 1):
            regions = (
                shared_memory.totals(self._descriptor, number),
                shared_memory.gauges(self._descriptor, number),
            )
            for region in regions:
                for key, value in region.entries():
                    kind, mode, metric, text, sample, labels = json.loads(key)
                    samples = found.setdefault((kind, mode, metric, text), {})
                    place = sample, tuple(map(tuple, labels))
                    samples[place] = _joined(mode, samples.get(place), value)
        return [_metric(*about, samples) for about, samples in found.items()]


_collector: SharedCollector | None = None
_problem = ""


def share(descriptor: int, number: int, workers: int) -> None:
    """Let all metrics that this process will make be shared.

    Args:
        descriptor: The memory that the first process allocated.
        number: This worker's number, from 0.
        workers: How many workers there are.
    """
    global _collector  # noqa: PLW0603  the library's own choice is global, too
    _collector = SharedCollector(descriptor, workers)
    _use(
        _shared_value(
            shared_memory.mapped(shared_memory.totals(descriptor, number)),
            shared_memory.mapped(shared_memory.gauges(descriptor, number)),
        )
    )


def no_sharing(problem: str = "") -> None:
    """Let all metrics that this process will make be its own.

    Args:
        problem: Why the metrics of several workers cannot be added up, for those who ask for them;
            empty for the only process of a server.
    """
    global _problem  # noqa: PLW0603  see above
    _problem = problem
    if os.environ.pop(LIBRARY_VARIABLE, None) is not None:
        _logger.warning("%s is ignored: no files are needed for metrics", LIBRARY_VARIABLE)
    _use(prometheus_client.values.MutexValue)


def shared_collector() -> SharedCollector | None:
    """Return what collects the metrics of all workers; None if this process shares none."""
    return _collector


def sharing_problem() -> str:
    """Return why there are no metrics to show; empty if there are."""
    return _problem


def _use(value_class: Any) -> None:
    os.environ.pop(LIBRARY_VARIABLE, None)
    # The library chooses at its import, by an environment variable.
    prometheus_client.values.ValueClass = value_class


def _shared_value(totals: shared_memory.Region, gauges: shared_memory.Region) -> type:
    """Return the class of a value in shared memory, in the form that the library needs."""
    lock = threading.Lock()
    gauges.clear()
    full = False

    class SharedValue:
        _multiprocess = True

        def __init__(
            self,
            typ: str,
            metric_name: str,
            name: str,
            labelnames: Sequence[str],
            labelvalues: Sequence[str],
            help_text: str,
            multiprocess_mode: str = "",
            **_: object,
        ) -> None:
            nonlocal full
            labels = dict(zip(labelnames, labelvalues, strict=True))
            key = _key(typ, multiprocess_mode, metric_name, help_text, name, labels)
            self._region = gauges if typ == "gauge" else totals
            with lock:
                self._place = self._region.place(key)
                self._value = 0.0 if self._place is None else self._region.read(self._place)
            if self._place is None and not full:
                full = True
                _logger.error("no room for more metrics: %s and others are not counted", name)

        def inc(self, amount: float) -> None:
            with lock:
                self._value += amount
                self._region.write(self._place, self._value)

        def set(self, value: float, timestamp: float | None = None) -> None:  # noqa: ARG002
            with lock:
                self._value = value
                self._region.write(self._place, value)

        def get(self) -> float:
            with lock:
                return self._value

        def set_exemplar(self, exemplar: object) -> None:
            """Do nothing: exemplars are not shared."""

        def get_exemplar(self) -> None:
            """Return None: exemplars are not shared."""

    return SharedValue


def _key(
    kind: str, mode: str, metric: str, text: str, sample: str, labels: Mapping[str, str]
) -> str:
    return json.dumps([kind, mode, metric, text, sample, sorted(labels.items())])


def _joined(mode: str, before: float | None, value: float) -> float:
    if before is None:
        return value
    if mode.endswith("max"):
        return max(before, value)
    return min(before, value) if mode.endswith("min") else before + value


def _metric(
    kind: str, mode: str, name: str, text: str, samples: Mapping[tuple[str, Labels], float]
) -> Metric:
    del mode
    metric = Metric(name, text, kind)
    if kind != "histogram":
        for (sample, labels), value in samples.items():
            metric.add_sample(sample, dict(labels), value)
        return metric
    buckets: dict[Labels, dict[str, float]] = {}
    for (_, labels), value in samples.items():
        bound = dict(labels).get("le")
        rest = tuple(label for label in labels if label[0] != "le")
        buckets.setdefault(rest, {})["" if bound is None else bound] = value
    for rest, values in buckets.items():
        total = values.pop("", 0.0)
        count = 0.0
        for bound in sorted(values, key=float):
            count += values[bound]
            metric.add_sample(f"{name}_bucket", {**dict(rest), "le": bound}, count)
        metric.add_sample(f"{name}_count", dict(rest), count)
        metric.add_sample(f"{name}_sum", dict(rest), total)
    return metric
