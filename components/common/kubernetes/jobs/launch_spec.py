"""The description of a job to run, and the verdict on its status."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from kfp_tabular.components.common.kubernetes.client.resource_kinds import Kind, Object

if TYPE_CHECKING:
    from kfp_tabular.components.common.kubernetes.client.api import Api


@dataclass(frozen=True)
class Verdict:
    """The state of a job, read from its resource's status.

    Attributes:
        phase: Whether the job runs, succeeded or failed.
        reason: One word, such as `BackoffLimitExceeded`; may be empty.
        message: A sentence; may be empty.
    """

    phase: Literal["running", "succeeded", "failed"]
    reason: str = ""
    message: str = ""

    def __str__(self) -> str:
        return ": ".join(part for part in (self.reason or self.phase, self.message) if part)


@dataclass(frozen=True)
class Launch:
    """A job to run.

    Attributes:
        kind: The kind of its resource.
        resource: The resource to create, with `metadata.name`. Namespace, digest annotation and
            owner reference are added.
        judge: Returns the verdict on a resource, which may not have a status yet.
        deadline_seconds: The time from the creation of the resource to the end of the job.
        pod_selector: The label selector (`a=b,c=d`) of its pods; empty to ignore pods.
        chief_selector: The label selector, among those pods, of the pod whose log is shown; may be
            empty.
        container: The main container of every pod; empty for the first.
        grace_seconds: How long a pod may be unschedulable. A pod whose image cannot be pulled or
            whose container cannot be configured has a minute of it at most.
        needs_all_pods: Whether one pod that cannot start fails the job, as in distributed training.
            If not (parallel trials), it fails the job only while no other pod runs.
        final_exit_codes: Exit codes of the main container after which a restart does not help. They
            end the job, even if its controller would restart the container.
        remains: Returns whether something of the deleted resource still exists. None to look for
            its pods; in a foreground deletion they disappear first.
        on_change: Called with every new state of the resource, in the thread that waits.
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
    final_exit_codes: frozenset[int] = frozenset()
    remains: Callable[["Api"], bool] | None = None
    on_change: Callable[[Object], None] | None = None

    @property
    def name(self) -> str:
        """The resource's name."""
        return str(self.resource["metadata"]["name"])
