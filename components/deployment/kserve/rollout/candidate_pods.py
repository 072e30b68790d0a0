"""The pods of a candidate: whether they can start, and how they failed.

KServe reports on one pod of an InferenceService only, and not on every way to fail.
"""

import logging
import time
from collections.abc import Mapping
from typing import Any

from kfp_tabular.components.common.kubernetes.client.api import Api
from kfp_tabular.components.common.kubernetes.client.errors import (
    ApiError,
    ForbiddenError,
    RejectedError,
)
from kfp_tabular.components.common.kubernetes.client.resource_kinds import POD, Object
from kfp_tabular.components.common.kubernetes.pods import logs, pod_status
from kfp_tabular.components.deployment.kserve.resources import inference_service_spec
from kfp_tabular.components.deployment.kserve.resources.inference_service import POD_LABEL

_MOST_RESTARTS = 2

_logger = logging.getLogger(__name__)


class CandidateError(Exception):
    """A candidate cannot serve; the message holds what KServe or its pods report."""


class CandidatePods:
    """The pods of one InferenceService, told apart by the rollout that created them.

    Args:
        api: Access to the cluster.
        name: The InferenceService's name.
        placed: The InferenceService as this rollout wrote it.
        grace_seconds: How long a pod may be unschedulable.
    """

    def __init__(self, api: Api, name: str, placed: Object, grace_seconds: float) -> None:
        self._api, self._name, self._grace_seconds = api, name, grace_seconds
        self._rollout = inference_service_spec.rollout(placed)
        self._problems: dict[tuple[str, str], float] = {}

    def check(self) -> None:
        """Check that the candidate's pods can start.

        Raises:
            CandidateError: If one cannot.
        """
        now = time.monotonic()
        problems = {}
        for pod in self._candidates():
            name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
            restarts = max((failure.restarts for failure in pod_status.failures(pod)), default=0)
            if restarts >= _MOST_RESTARTS and not _is_ready(pod):
                raise CandidateError(self.explain(f"pod {name} fails again and again"))
            problem = pod_status.cannot_start(pod, self._grace_seconds)
            if problem is None:
                continue
            since = self._problems.get((uid, problem.topic), now)
            problems[uid, problem.topic] = since
            if now - since >= problem.seconds:
                raise CandidateError(self.explain(str(problem)))
        self._problems = problems

    def explain(self, what: str) -> str:
        """Return a message with how a pod failed, and its last log lines, added to it."""
        try:
            for pod in self._candidates():
                for failure in sorted(pod_status.failures(pod)):
                    container = failure.container
                    lines = (
                        logs.tail(self._api, pod, container, previous=failure.previous)
                        if container
                        else []
                    )
                    return "\n  ".join([f"{what}\n{failure}", *lines])
        except (ApiError, ForbiddenError, RejectedError) as error:
            _logger.debug("the pods could not be read: %s", error)
        return what

    def have_replaced_others(self, *, may_be_none: bool) -> bool:
        """Return whether the candidate's pods are ready and those of other rollouts are gone.

        Args:
            may_be_none: Whether the endpoint may scale to no pods at all.
        """
        found = self._all()
        # A pod that is ending gets requests as long as nodes consider it ready.
        serving = [pod for pod in found if _is_ready(pod) or not _is_ending(pod)]
        others = [pod for pod in serving if inference_service_spec.rollout_of(pod) != self._rollout]
        ready = [pod for pod in found if _is_ready(pod) and not _is_ending(pod)]
        return not others and (bool(ready) or may_be_none)

    def _all(self) -> list[Object]:
        labels = f"{POD_LABEL}={self._name},component=predictor"
        return list(self._api.list(POD, labels=labels).items)

    def _candidates(self) -> list[Object]:
        try:
            found = self._all()
        except (ForbiddenError, RejectedError) as error:
            _logger.warning("the pods of %s cannot be checked: %s", self._name, error)
            return []
        return [
            pod
            for pod in found
            if not _is_ending(pod) and inference_service_spec.rollout_of(pod) == self._rollout
        ]


def _is_ending(pod: Object) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def _is_ready(pod: Object) -> bool:
    conditions: list[Mapping[str, Any]] = (pod.get("status") or {}).get("conditions") or []
    return any(
        entry.get("type") == "Ready" and entry.get("status") == "True" for entry in conditions
    )
