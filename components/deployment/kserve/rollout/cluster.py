"""What a rollout does to the cluster: changes under the lock, and waits that fail fast."""

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from kfp_tabular.components.common.kubernetes import names
from kfp_tabular.components.common.kubernetes.client.api import Api
from kfp_tabular.components.common.kubernetes.client.errors import (
    ApiError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RejectedError,
    SpecConflictError,
)
from kfp_tabular.components.common.kubernetes.client.kinds import (
    INFERENCE_SERVICE,
    POD,
    Kind,
    Object,
)
from kfp_tabular.components.common.kubernetes.pods import logs, pod_status
from kfp_tabular.components.deployment.kserve.resources import (
    inference_service_spec,
    inference_service_status,
)
from kfp_tabular.components.deployment.kserve.resources.inference_service import (
    INSTANCE_LABEL,
    POD_LABEL,
)
from kfp_tabular.components.deployment.kserve.resources.inference_service_status import (
    View,
)
from kfp_tabular.components.deployment.kserve.resources.service_settings import (
    ServiceSettings,
)
from kfp_tabular.components.deployment.kserve.rollout.lock import Lock, LostError, Terms

Blame = Literal["candidate", "previous", "unknown"]
"""Whom a failure is about. One of an unknown cause is believed if it lasts."""

_MOST_RESTARTS = 2
_DECIDED = (
    inference_service_spec.digest,
    inference_service_spec.storage_uri,
    inference_service_spec.share_of,
)

_logger = logging.getLogger(__name__)


class CandidateError(Exception):
    """A candidate cannot serve; the message holds what KServe or its pods say."""


@dataclass(frozen=True)
class Timing:
    """How a rollout keeps time.

    Attributes:
        poll_seconds: How often to look at what is waited for.
        doubt_seconds: How long a failure is doubted that may be an earlier model's, or that KServe
            gives no reason for.
        traffic_seconds: How long routes may take to change.
        terms: How the lock is kept.
    """

    poll_seconds: float = 2.0
    doubt_seconds: float = 30.0
    traffic_seconds: float = 120.0
    terms: Terms = field(default_factory=Terms)


@dataclass(frozen=True)
class Cluster:
    """The cluster, as one rollout may change it.

    Attributes:
        endpoint: The endpoint's name.
        api: Access that ends with the task.
        lock: The endpoint's lock.
        settings: The endpoint's settings.
        timing: How to keep time.
    """

    endpoint: str
    api: Api
    lock: Lock
    settings: ServiceSettings
    timing: Timing

    def find(self, kind: Kind, name: str) -> Object | None:
        """Reads an object; None where there is none."""
        try:
            return self.api.get(kind, name)
        except NotFoundError:
            return None

    def create(self, kind: Kind, resource: Object) -> Object:
        """Makes an object, or gives the same that is there already.

        Raises:
            SpecConflictError: The name belongs to something else.
            LostError: The lock belongs to another.
        """
        self.lock.ensure()
        name = str(resource["metadata"]["name"])
        try:
            created = self.api.create(kind, resource)
        except ConflictError:
            existing = self.api.get(kind, name)
            self.check_ours(kind, existing)
            if inference_service_spec.digest(existing) == inference_service_spec.digest(resource):
                return existing
            raise SpecConflictError(
                f"{kind.kind} {name} in namespace {self.api.namespace} was made by somebody else "
                "meanwhile; it was left alone."
            ) from None
        _logger.info("%s %s created.", kind.kind, name)
        return created

    def change(self, kind: Kind, name: str, changed: Callable[[Object], Object]) -> Object:
        """Changes an object as it is now, however often others change it meanwhile.

        Args:
            kind: Its kind.
            name: Its name.
            changed: Gives the object that is wanted in place of one that was read; the same one
                for no change.

        Raises:
            NotFoundError: There is none.
            LostError: The lock belongs to another.
        """
        end = time.monotonic() + self.api.retry_policy.unreachable_seconds
        while True:
            self.lock.ensure()
            current = self.api.get(kind, name)
            wanted = changed(current)
            if wanted == current:
                return current
            try:
                # With its resource version: whoever lost the lock meanwhile changes nothing.
                return self.api.replace(kind, wanted)
            except ConflictError:
                if time.monotonic() > end:
                    raise
                self.api.pause(self.api.retry_policy.delay(0))

    def check_ours(self, kind: Kind, resource: Object) -> None:
        """Refuses to touch what is not the endpoint's.

        Raises:
            SpecConflictError: It is not.
        """
        if self._is_ours(resource):
            return
        name, namespace = str(resource["metadata"]["name"]), self.api.namespace
        what = f"{kind.kind} {name} in namespace {namespace}"
        if inference_service_spec.is_managed(resource):
            raise SpecConflictError(
                f"{what} belongs to the endpoint {_endpoint(resource)}; it was left alone. Choose "
                "another model_name."
            )
        raise SpecConflictError(
            f"{what} was not made by this project; it was left alone. Choose another model_name, "
            f"or hand it over: kubectl label {kind.qualified} {name} -n {namespace} "
            f"{names.MANAGED_BY_LABEL}={names.MANAGED_BY}"
        )

    def _is_ours(self, resource: Object) -> bool:
        # One that was handed over has no digest, and may have any labels.
        return inference_service_spec.is_managed(resource) and (
            not inference_service_spec.digest(resource) or _endpoint(resource) == self.endpoint
        )

    def delete(self, kind: Kind, name: str, *, wait: bool = True) -> None:
        """Deletes an object, where it is there and the endpoint's.

        Args:
            kind: Its kind.
            name: Its name.
            wait: Whether to wait until it is gone.
        """
        found = self.find(kind, name)
        if found is None or not self._is_ours(found):
            return
        self.lock.ensure()
        uid = str(found["metadata"]["uid"])
        with suppress(NotFoundError, ConflictError):
            self.api.delete(kind, name, uid=uid)
        _logger.info("%s %s deleted.", kind.kind, name)
        end = time.monotonic() + self.settings.ready_seconds
        while wait and (found := self.find(kind, name)) and found["metadata"]["uid"] == uid:
            if time.monotonic() > end:
                raise CandidateError(f"{kind.kind} {name} is still being deleted.")
            self.api.pause(self.timing.poll_seconds)

    def wait(
        self,
        name: str,
        placed: Object,
        done: Callable[[View], bool],
        *,
        seconds: float,
        what: str,
        blame: Callable[[View], Blame] | None = None,
    ) -> View:
        """Waits for an InferenceService, and no longer than there is hope.

        Args:
            name: Its name.
            placed: What it should be; somebody else may change it.
            done: Tells whether it has got there.
            seconds: How long it may take.
            what: What is waited for, for messages.
            blame: Tells whom a failure in the status is about; None where it does not matter.

        Raises:
            CandidateError: It failed, or took too long.
            LostError: Somebody else has changed or deleted it.
        """
        end = time.monotonic() + seconds
        doubts, watcher = _Doubts(self.timing.doubt_seconds), _Pods(self, name, placed)
        told = ""
        while True:
            # Whoever has taken over has changed it, too: that is the reason to tell.
            self.lock.ensure()
            resource = self.find(INFERENCE_SERVICE, name)
            self.unchanged(resource, name, placed)
            assert resource is not None  # noqa: S101 - `unchanged` has seen it
            view = inference_service_status.read(resource)
            if done(view):
                return view
            if blame is not None:
                failure = doubts.believed(view, blame(view))
                if failure:
                    raise CandidateError(watcher.explain(f"InferenceService {name}: {failure}"))
                watcher.look()
            if view.waiting != told:
                told = view.waiting
                _logger.info("InferenceService %s: waiting for %s (%s)", name, what, told or "-")
            if time.monotonic() > end:
                text = f"InferenceService {name}: no {what} within {seconds:g} s"
                last = view.failure or told or "its status says nothing"
                raise CandidateError(watcher.explain(f"{text}; {last}"))
            self.api.pause(self.timing.poll_seconds)

    def unchanged(self, resource: Object | None, name: str, placed: Object) -> None:
        """Sees that nobody else has changed what an InferenceService serves, and to whom.

        Raises:
            LostError: Somebody has.
        """
        if resource is None or resource["metadata"].get("deletionTimestamp"):
            raise LostError(f"InferenceService {name} was deleted by somebody else.")
        if any(read(resource) != read(placed) for read in _DECIDED):
            raise LostError(f"InferenceService {name} was changed by somebody else.")

    def pods_of(self, name: str) -> list[Object]:
        """Gives the pods of an InferenceService that are not ending."""
        return [pod for pod in self._all_pods_of(name) if not _is_ending(pod)]

    def _all_pods_of(self, name: str) -> list[Object]:
        return list(self.api.list(POD, labels=f"{POD_LABEL}={name},component=predictor").items)

    def pods_changed(self, name: str, wanted: Object) -> bool:
        """Tells whether an InferenceService in Standard mode has all of its pods changed.

        Its status cannot tell: until its controller has looked, it is that of the pods before.
        """
        label = inference_service_spec.rollout(wanted)
        found = self._all_pods_of(name)
        # One that ends gets requests as long as nodes take it for ready.
        serving = [pod for pod in found if _is_ready(pod) or not _is_ending(pod)]
        others = [pod for pod in serving if inference_service_spec.rollout_of(pod) != label]
        ready = [pod for pod in found if _is_ready(pod) and not _is_ending(pod)]
        return not others and (bool(ready) or not self.settings.min_replicas)


@dataclass
class _Doubts:
    """Which failure in a status is one of the candidate."""

    seconds: float
    _since: dict[Any, float] = field(default_factory=dict)

    def believed(self, view: View, blame: Blame) -> str:
        failure = view.failure
        if failure is None or blame == "previous":
            self._since.clear()
            return ""
        since = self._since.setdefault(failure, time.monotonic())
        sure = blame == "candidate" and failure.explained
        if sure or time.monotonic() - since >= self.seconds:
            return str(failure)
        return ""


class _Pods:
    """Looks after the pods of a candidate, as KServe does after one of them only."""

    def __init__(self, cluster: Cluster, name: str, wanted: Object) -> None:
        self._cluster, self._name, self._label = (
            cluster,
            name,
            inference_service_spec.rollout(wanted),
        )
        self._problems: dict[tuple[str, str], float] = {}

    def look(self) -> None:
        """Raises `CandidateError` where a pod cannot start."""
        now = time.monotonic()
        problems = {}
        for pod in self._found():
            name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
            restarts = max((failure.restarts for failure in pod_status.failures(pod)), default=0)
            if restarts >= _MOST_RESTARTS and not _is_ready(pod):
                raise CandidateError(self.explain(f"pod {name} fails again and again"))
            problem = pod_status.cannot_start(pod, self._cluster.settings.grace_seconds)
            if problem is None:
                continue
            since = self._problems.get((uid, problem.topic), now)
            problems[uid, problem.topic] = since
            if now - since >= problem.seconds:
                raise CandidateError(self.explain(str(problem)))
        self._problems = problems

    def explain(self, what: str) -> str:
        """Adds how a pod failed, and its last words."""
        try:
            for pod in self._found():
                for failure in sorted(pod_status.failures(pod)):
                    container = failure.container
                    lines = (
                        logs.tail(self._cluster.api, pod, container, previous=failure.previous)
                        if container
                        else []
                    )
                    return "\n  ".join([f"{what}\n{failure}", *lines])
        except (ApiError, ForbiddenError, RejectedError) as error:
            _logger.debug("no last look at the pods: %s", error)
        return what

    def _found(self) -> list[Object]:
        try:
            found = self._cluster.pods_of(self._name)
        except (ForbiddenError, RejectedError) as error:
            _logger.warning("the pods of %s are not looked after: %s", self._name, error)
            return []
        return [pod for pod in found if inference_service_spec.rollout_of(pod) == self._label]


def _endpoint(resource: Object) -> str:
    return inference_service_spec.label(resource, INSTANCE_LABEL)


def _is_ending(pod: Object) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def _is_ready(pod: Object) -> bool:
    conditions: list[Mapping[str, Any]] = (pod.get("status") or {}).get("conditions") or []
    return any(
        entry.get("type") == "Ready" and entry.get("status") == "True" for entry in conditions
    )
