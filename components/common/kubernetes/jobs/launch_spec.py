"""What is to be run on the cluster, and how to tell how it goes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from kfp_tabular.components.common.kubernetes.client.kinds import Kind, Object

if TYPE_CHECKING:
    from kfp_tabular.components.common.kubernetes.client.api import Api


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

    def __str__(self) -> str:
        return ": ".join(part for part in (self.reason or self.phase, self.message) if part)


@dataclass(frozen=True)
class Launch:
    """A job to be run.

    Attributes:
        kind: Its kind.
        resource: The wanted object, with `metadata.name`; namespace, digest annotation and owner
            reference are added.
        judge: Reads an object's status. It must cope with an object that has none yet.
        deadline_seconds: From its creation to its end.
        pod_selector: Label selector (`a=b,c=d`) of its pods. Where empty, nobody looks after
            them.
        chief_selector: Label selector of the one whose log is shown, among those; may be empty.
        container: The container that works, in every pod; the first where empty.
        grace_seconds: How long a pod may be unschedulable. An image that cannot be pulled or a
            container that cannot be configured gets at most a minute of it.
        needs_all_pods: Whether one pod that cannot start is the end, as in distributed training.
            If not (parallel trials), it is only while no other pod runs.
        final_exit_codes: With these the container says that starting it again is of no use. The job
            is ended then, whatever its controller makes of it.
        remains: Tells whether something of the deleted resource is still there. None for its pods;
            where it is deleted in the foreground they go first.
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
