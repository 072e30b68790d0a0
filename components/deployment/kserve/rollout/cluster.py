"""The cluster as one rollout may change it: changes under the lock, and waits that fail fast."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from kfp_tabular.components.common.kubernetes import names
from kfp_tabular.components.common.kubernetes.client.api import Api
from kfp_tabular.components.common.kubernetes.client.errors import (
    ConflictError,
    NotFoundError,
    SpecConflictError,
)
from kfp_tabular.components.common.kubernetes.client.resource_kinds import (
    INFERENCE_SERVICE,
    Kind,
    Object,
)
from kfp_tabular.components.deployment.kserve.resources import (
    inference_service_spec,
    inference_service_status,
)
from kfp_tabular.components.deployment.kserve.resources.inference_service import INSTANCE_LABEL
from kfp_tabular.components.deployment.kserve.resources.inference_service_status import (
    EndpointStatus,
)
from kfp_tabular.components.deployment.kserve.resources.service_settings import ServiceSettings
from kfp_tabular.components.deployment.kserve.rollout.candidate_pods import (
    CandidateError,
    CandidatePods,
)
from kfp_tabular.components.deployment.kserve.rollout.endpoint_lock import (
    EndpointLock,
    EndpointLostError,
    LeaseTiming,
)

Blame = Literal["candidate", "previous", "unknown"]
"""Which model a reported failure is about. One of an unknown model counts if it persists."""

_DECIDED_HERE = (
    inference_service_spec.digest,
    inference_service_spec.storage_uri,
    inference_service_spec.traffic_percent,
)

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RolloutTiming:
    """Intervals and time limits of a rollout.

    Attributes:
        poll_seconds: Interval between looks at what is waited for.
        doubt_seconds: How long a failure must persist to count, if it may be an earlier model's
            or KServe gives no reason for it.
        traffic_seconds: How long routes may take to change.
        lease: Timing of the lock.
    """

    poll_seconds: float = 2.0
    doubt_seconds: float = 30.0
    traffic_seconds: float = 120.0
    lease: LeaseTiming = field(default_factory=LeaseTiming)


@dataclass(frozen=True)
class EndpointCluster:
    """The cluster, as one rollout may change it.

    Attributes:
        endpoint: The endpoint's name.
        api: Access that ends with the task.
        lock: The endpoint's lock.
        settings: The endpoint's settings.
        timing: Intervals and time limits.
    """

    endpoint: str
    api: Api
    lock: EndpointLock
    settings: ServiceSettings
    timing: RolloutTiming

    def find(self, kind: Kind, name: str) -> Object | None:
        """Return an object; None where it does not exist."""
        try:
            return self.api.get(kind, name)
        except NotFoundError:
            return None

    def create(self, kind: Kind, resource: Object) -> Object:
        """Create an object, or return the same one where it exists already.

        Raises:
            SpecConflictError: If the name belongs to something else.
            EndpointLostError: If another run holds the lock.
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
                f"{kind.kind} {name} in namespace {self.api.namespace} was created by others in "
                "the meantime; it was left unchanged."
            ) from None
        _logger.info("%s %s created.", kind.kind, name)
        return created

    def change(self, kind: Kind, name: str, changed: Callable[[Object], Object]) -> Object:
        """Change an object as it is now, however often others change it meanwhile.

        Args:
            kind: Its kind.
            name: Its name.
            changed: Takes the object as read and returns it as it should be; the same for no
                change.

        Raises:
            NotFoundError: If it does not exist.
            EndpointLostError: If another run holds the lock.
        """
        end = time.monotonic() + self.api.retry_policy.unreachable_seconds
        while True:
            self.lock.ensure()
            current = self.api.get(kind, name)
            wanted = changed(current)
            if wanted == current:
                return current
            try:
                # With its resource version: a run that lost the lock meanwhile changes nothing.
                return self.api.replace(kind, wanted)
            except ConflictError:
                if time.monotonic() > end:
                    raise
                self.api.pause(self.api.retry_policy.delay(0))

    def check_ours(self, kind: Kind, resource: Object) -> None:
        """Check that an object belongs to the endpoint.

        Raises:
            SpecConflictError: If it does not.
        """
        if self._is_ours(resource):
            return
        name, namespace = str(resource["metadata"]["name"]), self.api.namespace
        what = f"{kind.kind} {name} in namespace {namespace}"
        if inference_service_spec.is_managed(resource):
            raise SpecConflictError(
                f"{what} belongs to the endpoint {_endpoint(resource)}; it was left unchanged. "
                "Choose another model_name."
            )
        raise SpecConflictError(
            f"{what} was not created by this project; it was left unchanged. Choose another "
            f"model_name, or hand it over: kubectl label {kind.qualified} {name} -n {namespace} "
            f"{names.MANAGED_BY_LABEL}={names.MANAGED_BY}"
        )

    def _is_ours(self, resource: Object) -> bool:
        # One that was handed over has no digest, and may have any labels.
        return inference_service_spec.is_managed(resource) and (
            not inference_service_spec.digest(resource) or _endpoint(resource) == self.endpoint
        )

    def delete(self, kind: Kind, name: str, *, wait: bool = True) -> None:
        """Delete an object, if it exists and belongs to the endpoint.

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
        done: Callable[[EndpointStatus], bool],
        *,
        seconds: float,
        what: str,
        blame: Callable[[EndpointStatus], Blame] | None = None,
    ) -> EndpointStatus:
        """Wait for an InferenceService, and fail as soon as waiting is pointless.

        Args:
            name: Its name.
            placed: The object as this rollout wrote it; others may change it.
            done: Returns whether the wait is over.
            seconds: How long it may take.
            what: What is waited for, for messages.
            blame: Returns which model a failure in the status is about; None ignores failures.

        Raises:
            CandidateError: If the candidate failed, or took too long.
            EndpointLostError: If others changed or deleted the InferenceService.
        """
        end = time.monotonic() + seconds
        doubts = _FailureDoubts(self.timing.doubt_seconds)
        pods = CandidatePods(self.api, name, placed, self.settings.grace_seconds)
        told = ""
        while True:
            # Another run that took over has changed the object, too; the lock explains why.
            self.lock.ensure()
            resource = self.find(INFERENCE_SERVICE, name)
            self.check_unchanged(resource, name, placed)
            assert resource is not None  # noqa: S101 - `check_unchanged` has raised otherwise
            status = inference_service_status.read(resource)
            if done(status):
                return status
            if blame is not None:
                failure = doubts.confirmed(status, blame(status))
                if failure:
                    raise CandidateError(pods.explain(f"InferenceService {name}: {failure}"))
                pods.check()
            if status.waiting != told:
                told = status.waiting
                _logger.info("InferenceService %s: waiting for %s (%s)", name, what, told or "-")
            if time.monotonic() > end:
                text = f"InferenceService {name}: no {what} within {seconds:g} s"
                last = status.failure or told or "its status gives no reason"
                raise CandidateError(pods.explain(f"{text}; {last}"))
            self.api.pause(self.timing.poll_seconds)

    def check_unchanged(self, resource: Object | None, name: str, placed: Object) -> None:
        """Check that others have not changed what an InferenceService serves, and to whom.

        Raises:
            EndpointLostError: If they have.
        """
        if resource is None or resource["metadata"].get("deletionTimestamp"):
            raise EndpointLostError(f"InferenceService {name} was deleted by others.")
        if any(read(resource) != read(placed) for read in _DECIDED_HERE):
            raise EndpointLostError(f"InferenceService {name} was changed by others.")

    def has_replaced_pods(self, name: str, placed: Object) -> bool:
        """Return whether all pods of an InferenceService in Standard mode are the new ones.

        Its status cannot tell: until its controller has looked, it is that of the previous pods.
        """
        pods = CandidatePods(self.api, name, placed, self.settings.grace_seconds)
        return pods.have_replaced_others(may_be_none=not self.settings.min_replicas)


@dataclass
class _FailureDoubts:
    """Decides which failure in a status is the candidate's."""

    seconds: float
    _since: dict[Any, float] = field(default_factory=dict)

    def confirmed(self, status: EndpointStatus, blame: Blame) -> str:
        failure = status.failure
        if failure is None or blame == "previous":
            self._since.clear()
            return ""
        since = self._since.setdefault(failure, time.monotonic())
        is_certain = blame == "candidate" and failure.is_explained
        if is_certain or time.monotonic() - since >= self.seconds:
            return str(failure)
        return ""


def _endpoint(resource: Object) -> str:
    return inference_service_spec.label(resource, INSTANCE_LABEL)


__all__ = ["Blame", "CandidateError", "EndpointCluster", "RolloutTiming"]
