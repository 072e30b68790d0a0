"""Runs a job on the cluster to its end, exactly once, whatever happens on the way."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kfp_tabular.components.common.kubernetes.api import Api, Object
from kfp_tabular.components.common.kubernetes.kinds import Kind


@dataclass(frozen=True)
class Verdict:
    """What a resource's status says about it.

    Attributes:
        phase: Whether it goes on.
        reason: One word, such as `BackoffLimitExceeded`; may be empty.
        message: A sentence; may be empty.
    """

    phase: Literal["running", "succeeded", "failed"]
    reason: str = ""
    message: str = ""


@dataclass(frozen=True)
class Launch:
    """A job to be run.

    Attributes:
        kind: Its kind.
        resource: The wanted object, with `metadata.name`; namespace, digest annotation and owner
            reference are added.
        judge: Reads an object's status.
        deadline_seconds: From its creation to its end.
        pod_selector: Label selector of its pods. Where empty, nobody looks after them.
        chief_selector: Label selector (`a=b,c=d`) of the one whose log is shown; may be empty.
        container: The container that works, in every pod; the first where empty.
        grace_seconds: How long a pod may be unschedulable. An image that cannot be pulled or a
            container that cannot be configured gets at most a minute of it.
        needs_all_pods: Whether one pod that cannot start is the end, as in distributed training.
            If not (parallel trials), it is only while no other pod runs.
        on_change: Called with every new state of the resource, from one thread at a time.
    """

    kind: Kind
    resource: Mapping[str, Any]
    judge: Callable[[Object], Verdict]
    deadline_seconds: float
    pod_selector: str = ""
    chief_selector: str = ""
    container: str = ""
    grace_seconds: float = 300
    needs_all_pods: bool = True
    on_change: Callable[[Object], None] | None = None


def run(api: Api, launch: Launch) -> Object:
    """Creates the job or adopts that of an earlier attempt, and waits for its end.

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
    raise NotImplementedError
