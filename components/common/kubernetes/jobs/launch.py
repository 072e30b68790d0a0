"""Runs a job on the cluster to its end, exactly once, whatever happens on the way."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.kubernetes import names, owner_reference
from kfp_tabular.components.common.kubernetes.client.api import Api
from kfp_tabular.components.common.kubernetes.client.errors import (
    AbortedError,
    ApiError,
    ConflictError,
    DeadlineError,
    ForbiddenError,
    JobFailedError,
    NotFoundError,
    SpecConflictError,
    TerminatedError,
)
from kfp_tabular.components.common.kubernetes.client.kinds import POD, Object
from kfp_tabular.components.common.kubernetes.jobs import waiting
from kfp_tabular.components.common.kubernetes.jobs.launch_spec import Launch, Verdict
from kfp_tabular.components.common.process.termination import TERMINATED_EXIT_CODE, termination

__all__ = ["Launch", "Verdict", "run"]

_LOOK_SECONDS = 0.5

_logger = logging.getLogger(__name__)


def run(api: Api, launch: Launch) -> Object:
    """Creates the job or adopts that of an earlier attempt, and waits for its end.

    An earlier attempt's job that runs or has succeeded is adopted. One that failed is deleted and
    made again: that is what a retry is for. Whatever ends the wait before the job has ended
    (deadline, SIGTERM, a pod that cannot start, an error) deletes the job; one that has ended is
    left for inspection, until its run is deleted.

    Call it in the main thread: signals arrive there.

    Returns:
        The resource as it was when it had succeeded.

    Raises:
        JobFailedError: It failed, or one of its pods can never start.
        DeadlineError: It took too long.
        DeletedError: Somebody else deleted it.
        SpecConflictError: Its name belongs to something else.
        UserError: A permission is missing, or the API server does not accept the resource.
        SystemExit: With 143, after SIGTERM; the job is deleted before.
    """
    with termination() as terminated:
        try:
            return _run(api, launch, terminated)
        except TerminatedError:
            raise SystemExit(TERMINATED_EXIT_CODE) from None


def _run(api: Api, launch: Launch, terminated: threading.Event) -> Object:
    job = _Job(api, launch)
    # What is refused was not made.
    with job.cleaned_up(sparing=UserError):
        resource = job.create_or_adopt(terminated)
    with job.cleaned_up():
        return waiting.until_ended(
            api, launch, resource, terminated, elapsed_seconds=job.elapsed_seconds
        )


class _Job:
    """The resource of a launch on the cluster, as far as it is this launch's own.

    Attributes:
        elapsed_seconds: For how long it had existed when it was adopted.
    """

    def __init__(self, api: Api, launch: Launch) -> None:
        self._api = api
        self._launch = launch
        self._kind, self._name = launch.kind, launch.name
        self._namespace = launch.resource["metadata"].get("namespace") or api.namespace
        self._digest = names.spec_digest(launch.resource)
        self._title = f"{self._kind.kind} {self._namespace}/{self._name}"
        self._uid = ""
        self.elapsed_seconds = 0.0

    def create_or_adopt(self, terminated: threading.Event) -> Object:
        """Gives the one resource of this launch.

        Raises:
            SpecConflictError: The name belongs to something else.
            DeadlineError: An earlier one is not gone within the launch's deadline.
            TerminatedError: Before it was there for sure.
        """
        bound = self._api.bound()
        try:
            with waiting.on_event(terminated, bound.abort):
                resource = self._create_or_adopt(bound)
        except AbortedError:
            raise TerminatedError(f"{self._title}: told to stop.") from None
        self._uid = resource["metadata"]["uid"]
        return resource

    def _create_or_adopt(self, api: Api) -> Object:
        wanted = self._wanted(api)
        end = time.monotonic() + api.retry_policy.unreachable_seconds
        # Creating first, and looking only if the name is taken, leaves no moment in which two
        # attempts could each find nothing and then make one.
        while True:
            try:
                created = api.create(self._kind, wanted, self._namespace)
            except ConflictError as error:
                existing = self._find(api)
                if existing is None:
                    if time.monotonic() > end:
                        raise
                    # It went meanwhile, or a quota was being updated.
                    _logger.debug("%s: once more: %s", self._title, error)
                    api.pause(api.retry_policy.delay(0))
                    continue
            else:
                _logger.info("%s created.", self._title)
                return created
            if self._adoptable(api, existing):
                self.elapsed_seconds = _age(existing)
                _logger.info(
                    "%s is there since %.0f s: adopted.", self._title, self.elapsed_seconds
                )
                return existing

    def _adoptable(self, api: Api, existing: Object) -> bool:
        """Tells whether a resource can be gone on with; if not, returns when it is gone."""
        metadata = existing["metadata"]
        found = (metadata.get("annotations") or {}).get(names.DIGEST_ANNOTATION)
        if found != self._digest:
            whose = "asks for something else" if found else "was not made by this project"
            raise SpecConflictError(
                f"{self._title} exists and {whose}; it was left alone. Delete it (kubectl delete "
                f"{self._kind.qualified} {self._name} -n {self._namespace}) or start a new run."
            )
        if not metadata.get("deletionTimestamp"):
            verdict = self._launch.judge(existing)
            if verdict.phase != "failed":
                return True
            _logger.warning(
                "%s of an earlier attempt failed (%s): deleted, to try again.", self._title, verdict
            )
        else:
            _logger.info("%s of an earlier attempt is being deleted.", self._title)
        # Once more does not hurt, and whoever deleted it may have chosen a way that never ends.
        self._delete(api, metadata["uid"])
        if not self._gone(api, metadata["uid"], self._launch.deadline_seconds):
            raise DeadlineError(f"{self._title} of an earlier attempt is still being deleted.")
        return False

    def _wanted(self, api: Api) -> dict[str, Any]:
        """Completes the resource by what ties it to this launch and to the run."""
        metadata = dict(self._launch.resource["metadata"])
        metadata["namespace"] = self._namespace
        annotations = metadata.get("annotations") or {}
        metadata["annotations"] = {**annotations, names.DIGEST_ANNOTATION: self._digest}
        reference = owner_reference.reference(api, self._namespace)
        if reference and not metadata.get("ownerReferences"):
            metadata["ownerReferences"] = [reference]
        return {**self._launch.resource, "metadata": metadata}

    @contextmanager
    def cleaned_up(self, sparing: type[Exception] | None = None) -> Iterator[None]:
        """Deletes the resource where the block raises, unless it has ended by itself.

        Args:
            sparing: After an exception of this type there is nothing to delete.
        """
        try:
            yield
        except JobFailedError as error:
            if not error.over:
                self._cancel()
            raise
        except BaseException as error:
            if sparing is None or not isinstance(error, sparing):
                self._cancel()
            raise

    def _cancel(self) -> None:
        # A task that is stopped on Kubeflow has a second or less: its launcher ends on SIGTERM,
        # and with it the container. So the request comes first, and then everything else.
        seconds = self._api.retry_policy.cancel_seconds
        api = self._api.bound(
            unreachable_seconds=seconds, answer_seconds=min(seconds, 5), first_delay_seconds=0.1
        )
        try:
            uid = self._uid or self._own_uid(api)
            if not uid:
                return
            self._delete(api, uid)
            gone = self._gone(api, uid, seconds)
        except (ApiError, UserError) as error:
            _logger.error(
                "%s could not be deleted and may still be running: %s", self._title, error
            )
        else:
            _logger.info("%s %s.", self._title, "deleted" if gone else "is being deleted")

    def _own_uid(self, api: Api) -> str:
        """Looks for what a request may have made whose answer never came."""
        existing = self._find(api)
        if existing is None:
            return ""
        metadata = existing["metadata"]
        own = (metadata.get("annotations") or {}).get(names.DIGEST_ANNOTATION) == self._digest
        return str(metadata["uid"]) if own else ""

    def _find(self, api: Api) -> Object | None:
        try:
            return api.get(self._kind, self._name, self._namespace)
        except NotFoundError:
            return None

    def _delete(self, api: Api, uid: str) -> None:
        with suppress(NotFoundError, ConflictError):
            api.delete(self._kind, self._name, self._namespace, uid=uid)

    def _gone(self, api: Api, uid: str, seconds: float) -> bool:
        """Waits until the resource of a uid and its pods are gone, for so many seconds."""
        end = time.monotonic() + seconds
        while True:
            existing = self._find(api)
            if existing is not None and existing["metadata"]["uid"] != uid:
                return True
            if existing is None and not self._remains(api):
                return True
            if time.monotonic() >= end:
                return False
            api.pause(min(_LOOK_SECONDS, seconds))

    def _remains(self, api: Api) -> bool:
        if self._launch.remains:
            return self._launch.remains(api)
        if not self._launch.pod_selector:
            return False
        try:
            return bool(api.list(POD, self._namespace, labels=self._launch.pod_selector).items)
        except ForbiddenError:
            # Pods are only looked after; what may not do that works, too.
            return False


def _age(resource: Object) -> float:
    """Gives for how many seconds a resource has existed, by this machine's clock."""
    created = datetime.fromisoformat(resource["metadata"]["creationTimestamp"])
    return max(0, (datetime.now(UTC) - created).total_seconds())
