"""Records why trials failed, because Katib deletes the pods of a trial as soon as it fails."""

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from kfp_tabular.components.common.kubernetes.client.api import Api
from kfp_tabular.components.common.kubernetes.client.errors import (
    AbortedError,
    ApiError,
    ForbiddenError,
    RejectedError,
)
from kfp_tabular.components.common.kubernetes.client.resource_kinds import POD, Object
from kfp_tabular.components.common.kubernetes.pods import logs, pod_status
from kfp_tabular.components.tuning.katib.experiment_status import TRIAL_LABEL
from kfp_tabular.components.tuning.search.trials import telling_line

_logger = logging.getLogger(__name__)


class PodFailures:
    """Why the pods of trials failed, by trial.

    Args:
        api: Access to the cluster.
        container: The container that trains.
    """

    def __init__(self, api: Api, container: str) -> None:
        self._api = api
        self._container = container
        self._lock = threading.Lock()
        self._known: dict[str, pod_status.Failure] = {}
        self._texts: dict[str, str] = {}

    def by_trial(self) -> dict[str, str]:
        """Return the reason for each trial with a failed pod."""
        with self._lock:
            return dict(self._texts)

    def record(self, pod: Object) -> None:
        """Record why a pod failed, if it did."""
        trial = (pod["metadata"].get("labels") or {}).get(TRIAL_LABEL)
        if not trial:
            return
        # Katib's collector, a sidecar, fails because the training did.
        found = [
            failure
            for failure in pod_status.failures(pod)
            if failure.container in ("", self._container) or failure.rank == 0
        ]
        for failure in found:
            known = self._known.get(trial)
            if known is not None and known <= failure:
                continue
            self._known[trial] = failure
            text = self._text(pod, failure)
            with self._lock:
                self._texts[trial] = text

    def _text(self, pod: Object, failure: pod_status.Failure) -> str:
        if failure.rank == 0:
            return str(failure)
        # The exit code comes first: it shows whether the cause is bad input.
        words = logs.tail(self._api, pod, failure.container, previous=failure.previous)
        return f"{failure.message}: {telling_line(words)} (pod {failure.pod})"


@contextmanager
def watched(api: Api, selector: str, container: str) -> Iterator[PodFailures]:
    """Watch the pods of trials during the block.

    Args:
        api: Access to the cluster.
        selector: Label selector of the pods.
        container: The container that trains.

    Yields:
        The failures seen so far.
    """
    bound = api.bound()
    failures = PodFailures(bound, container)

    def watch() -> None:
        try:
            for found in bound.watch(POD, labels=selector):
                _record_all(failures, found)
        except AbortedError:
            return
        except (ApiError, ForbiddenError, RejectedError) as error:
            _logger.warning("cannot watch the pods of trials for causes of failures: %s", error)

    threading.Thread(target=watch, name=f"pods {selector}", daemon=True).start()
    try:
        yield failures
    finally:
        bound.abort()


def _record_all(failures: PodFailures, found: Mapping[str, Object]) -> None:
    for pod in found.values():
        failures.record(pod)
