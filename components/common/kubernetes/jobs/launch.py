"""Runs a job on the cluster to its end, exactly once, across retries of the task."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from kfp_tabular.components.common.errors import (
    USER_ERROR_EXIT_CODE,
    UserError,
    find_user_error,
)
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
from kfp_tabular.components.common.kubernetes.client.resource_kinds import POD, Object
from kfp_tabular.components.common.kubernetes.jobs import waiting
from kfp_tabular.components.common.kubernetes.jobs.launch_spec import Launch, Verdict
from kfp_tabular.components.common.process.termination import TERMINATED_EXIT_CODE, termination

__all__ = ["Launch", "Verdict", "run", "run_program"]

_LOOK_SECONDS = 0.5

_logger = logging.getLogger(__name__)


def run(api: Api, launch: Launch) -> Object:
    """Create the job, or adopt the one of an earlier attempt, and wait for its end.

    A job of an earlier attempt that runs or has succeeded is adopted. One that failed is deleted
    and created again, since a retry was asked for. If the wait ends before the job does (deadline,
    SIGTERM, a pod that cannot start, an error), the job is deleted. A job that has ended is kept
    for inspection until its run is deleted.

    Call it in the main thread: signals arrive there.

    Args:
        api: Access to the cluster.
        launch: The job.

    Returns:
        The resource in its last state, after it succeeded.

    Raises:
        JobFailedError: The job failed, or one of its pods can never start.
        DeadlineError: The job missed its deadline.
        DeletedError: The job was deleted by someone else.
        SpecConflictError: Another resource has its name.
        UserError: A permission is missing, or the API server rejects the resource.
        SystemExit: With code 143 after SIGTERM; the job is deleted first.
    """
    with termination() as terminated:
        try:
            return _run(api, launch, terminated)
        except TerminatedError:
            raise SystemExit(TERMINATED_EXIT_CODE) from None


def run_program(api: Api, launch: Launch) -> Object:
    """Run a job as `run` does, whose program reports bad input as this package's programs do.

    Raises:
        UserError: Also where the program ended with a user error; its line is the message.
    """
    try:
        return run(api, launch)
    except JobFailedError as error:
        blamed = find_user_error(str(error).splitlines())
        if not blamed and error.exit_code == USER_ERROR_EXIT_CODE:
            # Its log could not be read.
            blamed = str(error)
        if blamed:
            raise UserError(blamed) from error
        raise


def _run(api: Api, launch: Launch, terminated: threading.Event) -> Object:
    job = _Job(api, launch)
    # A rejected resource was not created, so there is nothing to clean up.
    with job.cleaned_up(sparing=UserError):
        resource = job.create_or_adopt(terminated)
    with job.cleaned_up():
        return waiting.until_ended(
            api, launch, resource, terminated, elapsed_seconds=job.elapsed_seconds
        )


class _Job:
    """The resource of a launch on the cluster, if this launch owns it.

    Attributes:
        elapsed_seconds: The age of the resource when it was adopted; 0 if it was created.
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
        """Return the resource of this launch, created or adopted.

        Raises:
            SpecConflictError: Another resource has its name.
            DeadlineError: A resource of an earlier attempt is not deleted within the deadline.
            TerminatedError: SIGTERM came before the resource was known to exist.
        """
        bound = self._api.bound()
        try:
            with waiting.on_event(terminated, bound.abort):
                resource = self._create_or_adopt(bound)
        except AbortedError:
            raise TerminatedError(f"{self._title}: terminated.") from None
        self._uid = resource["metadata"]["uid"]
        return resource

    def _create_or_adopt(self, api: Api) -> Object:
        wanted = self._wanted(api)
        end = time.monotonic() + api.retry_policy.unreachable_seconds
        # Create first and read only if the name is taken: between a read and a create, another
        # attempt could create the resource.
        while True:
            try:
                created = api.create(self._kind, wanted, self._namespace)
            except ConflictError as error:
                existing = self._find(api)
                if existing is None:
                    if time.monotonic() > end:
                        raise
                    # It was deleted meanwhile, or a quota was being updated.
                    _logger.debug("%s: creating it again: %s", self._title, error)
                    api.pause(api.retry_policy.delay(0))
                    continue
            else:
                _logger.info("%s created.", self._title)
                return created
            if self._adoptable(api, existing):
                self.elapsed_seconds = _age(existing)
                _logger.info(
                    "%s has existed for %.0f s: adopted.", self._title, self.elapsed_seconds
                )
                return existing

    def _adoptable(self, api: Api, existing: Object) -> bool:
        """Return whether a resource can be adopted. If not, return after it was deleted."""
        metadata = existing["metadata"]
        found = (metadata.get("annotations") or {}).get(names.DIGEST_ANNOTATION)
        if found != self._digest:
            whose = "has another spec" if found else "was not created by this project"
            raise SpecConflictError(
                f"{self._title} exists and {whose}; it was not changed. Delete it (kubectl delete "
                f"{self._kind.qualified} {self._name} -n {self._namespace}) or start a new run."
            )
        if not metadata.get("deletionTimestamp"):
            verdict = self._launch.judge(existing)
            if verdict.phase != "failed":
                return True
            _logger.warning(
                "%s of an earlier attempt failed (%s): deleting it to try again.",
                self._title,
                verdict,
            )
        else:
            _logger.info("%s of an earlier attempt is being deleted.", self._title)
        # Even if it is being deleted: its deletion may wait for dependents without an end.
        self._delete(api, metadata["uid"])
        if not self._gone(api, metadata["uid"], self._launch.deadline_seconds):
            raise DeadlineError(f"{self._title} of an earlier attempt is still being deleted.")
        return False

    def _wanted(self, api: Api) -> dict[str, Any]:
        """Return the resource with namespace, digest annotation and owner reference."""
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
        """Delete the resource if the block raises, unless the job has ended by itself.

        Args:
            sparing: The type of exceptions after which there is nothing to delete.
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
        # A task that is stopped on Kubeflow has a second or less, because the container ends with
        # its launcher, which ends on SIGTERM. So send the request first.
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
            _logger.error("Could not delete %s; it may still be running: %s", self._title, error)
        else:
            _logger.info("%s %s.", self._title, "deleted" if gone else "is being deleted")

    def _own_uid(self, api: Api) -> str:
        """Return the uid of a resource that a request created whose response never arrived."""
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
        """Wait for the deletion of the resource and its pods; return whether they are gone."""
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
            # Watching pods is optional: a task without that permission works, too.
            return False


def _age(resource: Object) -> float:
    """Return the age of a resource in seconds, by the clock of this machine."""
    created = datetime.fromisoformat(resource["metadata"]["creationTimestamp"])
    return max(0, (datetime.now(UTC) - created).total_seconds())
