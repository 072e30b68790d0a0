"""The lock of an endpoint, and the journal that an interrupted rollout leaves for the next.

The lock is a Lease, not an annotation of the InferenceService: KServe copies annotations to the
pods, so each renewal would start new pods. It works like Kubernetes' leader election: a run that
wants the lock watches, by its own clock, whether the holder renews it, and takes the lock over if
not. Optimistic locking lets only one of several runs do so.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.kubernetes import names
from kfp_tabular.components.common.kubernetes.client.api import Api
from kfp_tabular.components.common.kubernetes.client.errors import (
    AbortedError,
    ApiError,
    ConflictError,
    NotFoundError,
)
from kfp_tabular.components.common.kubernetes.client.resource_kinds import LEASE, Object
from kfp_tabular.components.deployment.kserve.resources.inference_service import TASK

JOURNAL_ANNOTATION = "kfp-tabular.dev/rollout"

_logger = logging.getLogger(__name__)


class BusyError(Exception):
    """Another run is deploying to the same endpoint."""


class EndpointLostError(Exception):
    """Another run or person has taken the endpoint over; this run must not change it any more."""


@dataclass(frozen=True)
class RolloutJournal:
    """A rollout that has begun and has not ended.

    Attributes:
        digest: Digest of what it deploys.
        strategy: The strategy's name.
        previous: The resource that was there before; None for none. For blue-green, its color.
        base_revision: The newest revision before the candidate's.
        rolled_out: The revision that had all of the traffic before.
        stepped: Whether KServe can split traffic: some revision has had all of it before.
        candidate_revision: The candidate's revision, once it is being replaced by the previous one.
        failure: The failure that KServe reported for what was there before.
        step: How many steps the candidate has passed.
        verdict: Why it is being rolled back; empty if it is not, or was stopped.
        backwards: Whether it is being rolled back.
    """

    digest: str
    strategy: str
    previous: Any = None
    base_revision: str = ""
    rolled_out: str = ""
    stepped: bool = False
    candidate_revision: str = ""
    failure: str = ""
    step: int = 0
    verdict: str = ""
    backwards: bool = False

    @classmethod
    def of(cls, lease: Object) -> "RolloutJournal | None":
        """Read the journal from a Lease; None where the last rollout has ended."""
        text = (lease["metadata"].get("annotations") or {}).get(JOURNAL_ANNOTATION)
        if not text:
            return None
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise UserError(
                f"Lease {lease['metadata']['name']}: its annotation {JOURNAL_ANNOTATION} was "
                f"written by another version ({error}). Check that the endpoint serves what it "
                "should, then delete the Lease."
            ) from error


@dataclass(frozen=True)
class LeaseTiming:
    """Timing of a lock.

    Attributes:
        seconds: Lease duration: a lock that its holder has not renewed for so long may be taken.
        poll_seconds: Interval between checks whether a holder has renewed it.
    """

    seconds: float = 30.0
    poll_seconds: float = 2.0


@dataclass
class EndpointLock:
    """A Lease that this run holds; see `held`.

    Attributes:
        api: Access to the cluster.
        name: The Lease's name.
        holder: The name of this attempt.
        timing: Timing of the lock.
        journal: The unfinished rollout, of this attempt or of an earlier one.
    """

    api: Api
    name: str
    holder: str
    timing: LeaseTiming
    journal: RolloutJournal | None = None
    _lease: Mapping[str, Any] = field(default_factory=dict)
    _renewed: float = 0.0
    _lost: str = ""
    _guard: threading.RLock = field(default_factory=threading.RLock)
    _over: threading.Event = field(default_factory=threading.Event)

    def write(self, **changes: Any) -> None:
        """Change the journal, and renew the lock with it.

        Args:
            changes: Fields of `RolloutJournal`.

        Raises:
            EndpointLostError: If another run holds the lock.
        """
        self._save(replace(self.unfinished(), **changes))

    def unfinished(self) -> RolloutJournal:
        """Return the journal of the unfinished rollout.

        Raises:
            ValueError: If there is none.
        """
        if self.journal is None:
            raise ValueError("no rollout is under way")
        return self.journal

    def begin(self, journal: RolloutJournal) -> None:
        """Write the journal of a rollout that begins, before it changes anything.

        Raises:
            EndpointLostError: If another run holds the lock.
        """
        self._save(journal)

    def finish(self) -> None:
        """Remove the journal of a rollout that has ended.

        Raises:
            EndpointLostError: If another run holds the lock.
        """
        self._save(None)

    def ensure(self) -> None:
        """Check that the lock is held for long enough to change something; renew it if not.

        Raises:
            EndpointLostError: If another run holds the lock.
        """
        with self._guard:
            if self._lost:
                raise EndpointLostError(self._lost)
            if time.monotonic() - self._renewed > self.timing.seconds / 2:
                self._update(self.journal)

    def _save(self, journal: RolloutJournal | None) -> None:
        with self._guard:
            if self._lost:
                raise EndpointLostError(self._lost)
            self._update(journal)

    def _update(self, journal: RolloutJournal | None, *, release: bool = False) -> None:
        body = _changed(self._lease, "" if release else self.holder, journal, self.timing)
        try:
            self._lease = self.api.replace(LEASE, body)
        except (ConflictError, NotFoundError) as error:
            # A repeated request whose first attempt was carried out finds its own change.
            self._lease = self._reclaimed(journal, error)
        self.journal = journal
        self._renewed = time.monotonic()

    def _reclaimed(self, journal: RolloutJournal | None, error: ApiError) -> Object:
        try:
            found = self.api.get(LEASE, self.name)
        except NotFoundError:
            self._lost = f"Lease {self.name} was deleted while it was held: {error}"
            raise EndpointLostError(self._lost) from error
        if (found.get("spec") or {}).get("holderIdentity") != self.holder:
            holder = (found.get("spec") or {}).get("holderIdentity") or "no one"
            self._lost = f"Lease {self.name} was taken over by {holder}."
            raise EndpointLostError(self._lost) from error
        return self.api.replace(LEASE, _changed(found, self.holder, journal, self.timing))

    def keep(self) -> None:
        """Renew the lock periodically, until it is released; runs in a thread."""
        while not self._over.wait(self.timing.seconds / 3):
            with self._guard:
                if self._over.is_set():
                    return
                try:
                    self._update(self.journal)
                except EndpointLostError as error:
                    _logger.error("%s", error)
                    return
                except AbortedError:
                    return
                except (ApiError, UserError) as error:
                    _logger.warning("Lease %s was not renewed: %s", self.name, error)

    def release(self) -> None:
        """Release the lock. If that fails, the lock expires."""
        self._over.set()
        with self._guard:
            if self._lost:
                return
            try:
                self._update(self.journal, release=True)
            except EndpointLostError:
                pass
            except (ApiError, UserError, AbortedError) as error:
                _logger.warning("Lease %s was not released: %s", self.name, error)


@contextmanager
def held(
    api: Api,
    name: str,
    holder: str,
    timing: LeaseTiming = LeaseTiming(),
    pause: Callable[[float], None] | None = None,
) -> Iterator[EndpointLock]:
    """Hold an endpoint's lock for the duration of the block.

    Args:
        api: Access to the cluster. It must outlive what ends the wait for the lock.
        name: The Lease's name.
        holder: The name of this attempt; unique.
        timing: Timing of the lock.
        pause: Waits for some seconds; may raise to end the wait for the lock.

    Raises:
        BusyError: If another holder renews the lock.
    """
    lock = EndpointLock(api.bound(unreachable_seconds=timing.seconds), name, holder, timing)
    lock._lease = _acquired(api, name, holder, timing, pause or api.pause)
    lock._renewed = time.monotonic()
    lock.journal = RolloutJournal.of(lock._lease)
    threading.Thread(target=lock.keep, name=f"lease {name}", daemon=True).start()
    try:
        yield lock
    finally:
        lock.release()


def _acquired(
    api: Api, name: str, holder: str, timing: LeaseTiming, pause: Callable[[float], None]
) -> Object:
    seen, first, since, told = "", "", time.monotonic(), False
    while True:
        try:
            lease = api.get(LEASE, name)
        except NotFoundError:
            try:
                return api.create(LEASE, _new(name, holder, timing))
            except ConflictError:
                continue
        spec = lease.get("spec") or {}
        current = str(spec.get("holderIdentity") or "")
        version = str(lease["metadata"]["resourceVersion"])
        now = time.monotonic()
        if version != seen:
            # The holder's own name is there if the response to taking the lock was lost.
            if current not in ("", holder) and current == first:
                raise BusyError(
                    f"another run is deploying to this endpoint: {current} holds Lease {name} in "
                    f"namespace {api.namespace}. Nothing was changed; try again when it has ended."
                )
            seen, since, first = version, now, current
        # The holder may use a longer lease duration than this run.
        patience = max(timing.seconds, float(spec.get("leaseDurationSeconds") or 0))
        if current in ("", holder) or now - since >= patience:
            if current not in ("", holder):
                _logger.warning("%s did not renew Lease %s: taking it over.", current, name)
            try:
                return api.replace(LEASE, _changed(lease, holder, RolloutJournal.of(lease), timing))
            except (ConflictError, NotFoundError):
                continue
        if not told:
            told = True
            _logger.info("%s holds Lease %s; checking whether it is alive.", current, name)
        pause(timing.poll_seconds)


def _new(name: str, holder: str, timing: LeaseTiming) -> dict[str, Any]:
    empty: dict[str, Any] = {
        "apiVersion": LEASE.api_version,
        "kind": LEASE.kind,
        "metadata": {"name": name, "labels": names.Identity("", TASK, "").labels()},
        "spec": {},
    }
    return _changed(empty, holder, None, timing)


def _changed(
    lease: Mapping[str, Any], holder: str, journal: RolloutJournal | None, timing: LeaseTiming
) -> dict[str, Any]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    metadata = dict(lease["metadata"])
    annotations = dict(metadata.get("annotations") or {})
    annotations.pop(JOURNAL_ANNOTATION, None)
    if journal is not None:
        annotations[JOURNAL_ANNOTATION] = json.dumps(asdict(journal), separators=(",", ":"))
    metadata["annotations"] = annotations
    spec = dict(lease.get("spec") or {})
    if spec.get("holderIdentity") != holder:
        spec["acquireTime"] = now
        spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
    # The API accepts whole seconds only.
    seconds = max(1, round(timing.seconds))
    spec |= {"holderIdentity": holder, "leaseDurationSeconds": seconds, "renewTime": now}
    if not holder:
        # The API rejects an empty name.
        del spec["holderIdentity"]
    return {**lease, "metadata": metadata, "spec": spec}
