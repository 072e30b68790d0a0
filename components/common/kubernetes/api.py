"""The Kubernetes API: the official client with patience, and with errors one can act on."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kfp_tabular.components.common.kubernetes.kinds import Kind

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

Object = Mapping[str, Any]
"""A resource as JSON has it."""


@dataclass(frozen=True)
class Patience:
    """How to deal with an API server that does not answer.

    Attributes:
        unreachable_seconds: How long the API server may be away before a call fails.
        first_delay_seconds: The wait before the first repetition; doubles with each further one.
        longest_delay_seconds: The longest wait between repetitions.
        answer_seconds: How long to wait for an answer.
        watch_seconds: How long one watch call lasts. A connection that died silently is noticed
            at the end of one.
        poll_seconds: The time between looks where watching is forbidden.
    """

    unreachable_seconds: float = 600
    first_delay_seconds: float = 0.5
    longest_delay_seconds: float = 15
    answer_seconds: float = 30
    watch_seconds: float = 60
    poll_seconds: float = 5


@dataclass(frozen=True)
class Listing:
    """Objects, and the version of the whole list, which a watch starts from."""

    items: Sequence[Object]
    resource_version: str


class Api:
    """Access to one cluster.

    Every call repeats itself through lost connections, 429 and 5xx, until the API server was away
    for `patience.unreachable_seconds`. Thus a `create` may find the object it made itself, and a
    `replace` with a resource version its own change: both raise `ConflictError`.

    Every call may raise `ForbiddenError` (403), `RejectedError` (400, 422, unknown kind),
    `UnreachableError` and `AbortedError`; `ApiError` otherwise.

    Attributes:
        namespace: Where this process works: its pod's namespace, or the kubeconfig's.
        patience: How long to repeat.
    """

    def __init__(
        self, client: "ApiClient", namespace: str, patience: Patience = Patience()
    ) -> None:
        self.namespace = namespace
        self.patience = patience
        self._client = client
        self._aborted = threading.Event()

    def bound(self) -> "Api":
        """Gives the same access for one piece of work, which `abort` ends."""
        raise NotImplementedError

    def abort(self) -> None:
        """Ends waits and streams of this access; they raise `AbortedError`, as later calls do."""
        raise NotImplementedError

    def get(self, kind: Kind, name: str, namespace: str = "") -> Object:
        """Reads an object.

        Raises:
            NotFoundError: There is none.
        """
        raise NotImplementedError

    def create(self, kind: Kind, body: Object, namespace: str = "") -> Object:
        """Creates an object.

        Raises:
            ConflictError: The name is taken.
        """
        raise NotImplementedError

    def replace(self, kind: Kind, body: Object, namespace: str = "") -> Object:
        """Replaces an object; only if it is unchanged, where `body` has its resource version.

        Raises:
            ConflictError: It changed since it was read.
            NotFoundError: There is none.
        """
        raise NotImplementedError

    def patch(self, kind: Kind, name: str, changes: Object, namespace: str = "") -> Object:
        """Applies a JSON merge patch: None removes a field, a list is replaced as a whole.

        Where `changes` has `metadata.resourceVersion`, it is applied only to that version.

        Raises:
            ConflictError: It changed since it was read.
            NotFoundError: There is none.
        """
        raise NotImplementedError

    def delete(
        self,
        kind: Kind,
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        propagation: str = "Foreground",
    ) -> None:
        """Asks for an object's deletion; it may last until its finalizers are done.

        Args:
            kind: Its kind.
            name: Its name.
            namespace: Its namespace; this process's where empty.
            uid: Only the object of this uid is meant, not a later one of the same name.
            propagation: `Foreground` keeps it until what it owns is gone, `Background` does not.

        Raises:
            NotFoundError: There is none (of that uid).
        """
        raise NotImplementedError

    def list(
        self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> Listing:
        """Lists objects by label and field selectors, such as `a=b,c!=d`."""
        raise NotImplementedError

    def watch(
        self, kind: Kind, namespace: str = "", *, name: str = "", labels: str = ""
    ) -> Iterator[Mapping[str, Object]]:
        """Gives all matching objects by name: now, and after every change, without an end.

        Ended calls, lost connections, stale versions and a forbidden `watch` (it polls then) are
        dealt with. An object that is missing from what is given was deleted.

        Args:
            kind: Their kind.
            namespace: Their namespace; this process's where empty.
            name: The one object of this name.
            labels: A label selector.
        """
        raise NotImplementedError

    def logs(
        self,
        pod: str,
        namespace: str = "",
        *,
        container: str = "",
        follow: bool = False,
        timestamps: bool = False,
        since: str = "",
        tail: int = 0,
        previous: bool = False,
    ) -> Iterator[str]:
        """Gives the lines of a container's log, without their ends.

        Args:
            pod: The pod's name.
            namespace: Its namespace; this process's where empty.
            container: Needed where the pod has several.
            follow: Go on until the container ends.
            timestamps: Put an RFC 3339 time with nanoseconds and a space before each line.
            since: Only lines from this RFC 3339 time on; the server cuts it to seconds.
            tail: Only this many last lines; 0 for all.
            previous: The log of the container's previous start.

        Raises:
            NotFoundError: There is no such pod.
            ConnectionError: The stream broke; only once it has begun.
        """
        raise NotImplementedError


def connect(patience: Patience = Patience()) -> Api:
    """Connects with the pod's service account, or else by `KUBECONFIG` or `~/.kube/config`.

    Raises:
        UserError: There is neither.
    """
    raise NotImplementedError
