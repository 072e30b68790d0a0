"""One rollout at a time to an endpoint, and what an interrupted one leaves for the next.

The lock is a Lease, not an annotation of the InferenceService: KServe copies annotations to the
pods, so every renewal would start new ones. It is kept as Kubernetes' own leader election does:
whoever wants it watches whether its holder renews it, by the watcher's own clock only, and takes it
where the holder does not. Optimistic locking lets one of several do so.
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
from kfp_tabular.components.common.kubernetes.client.kinds import LEASE, Object
from kfp_tabular.components.deployment.kserve.resources.inference_service import TASK

JOURNAL_ANNOTATION = "kfp-tabular.dev/rollout"

_logger = logging.getLogger(__name__)


class BusyError(Exception):
    """Another run is deploying to the same endpoint."""


class LostError(Exception):
    """Another run has taken the endpoint over; nothing may be changed any more."""


@dataclass(frozen=True)
class Journal:
    """A rollout that has begun and is not over.

    Attributes:
        digest: Of what it deploys.
        strategy: How.
        previous: The resource that was there before; None for none. Of blue-green, its color.
        base_revision: The newest revision before the candidate's.
        rolled_out: The revision that had all of the traffic before.
        stepped: Whether KServe can share traffic: some revision has had all of it before.
        candidate_revision: The candidate's, once it is being replaced by the previous one again.
        failure: What KServe said against what was there before.
        step: How many steps the candidate has passed.
        verdict: Why it is being rolled back; empty while it is not, or was told to stop.
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
    def of(cls, lease: Object) -> "Journal | None":
        """Reads it from a Lease; None where the last rollout is over."""
        text = (lease["metadata"].get("annotations") or {}).get(JOURNAL_ANNOTATION)
        if not text:
            return None
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise UserError(
                f"Lease {lease['metadata']['name']}: its annotation {JOURNAL_ANNOTATION} was "
                f"written by another version ({error}). See that the endpoint serves what it "
                "should, then delete the Lease."
            ) from error


@dataclass(frozen=True)
class Terms:
    """How the lock is kept.

    Attributes:
        seconds: How long a holder may be silent before the lock may be taken from it.
        poll_seconds: How often to look whether a holder has renewed it.
    """

    seconds: float = 30.0
    poll_seconds: float = 2.0


@dataclass
class Lock:
    """A Lease that is held; see `held`.

    Attributes:
        journal: The unfinished rollout, of this holder or of one before.
    """

    api: Api
    name: str
    holder: str
    terms: Terms
    journal: Journal | None = None
    _lease: Mapping[str, Any] = field(default_factory=dict)
    _renewed: float = 0.0
    _lost: str = ""
    _guard: threading.RLock = field(default_factory=threading.RLock)
    _over: threading.Event = field(default_factory=threading.Event)

    def write(self, **changes: Any) -> None:
        """Changes the journal, and with it renews the lock.

        Args:
            changes: Fields of `Journal`.

        Raises:
            LostError: The lock belongs to another.
        """
        if self.journal is None:
            raise ValueError("there is no journal to change")
        self._save(replace(self.journal, **changes))

    def begin(self, journal: Journal) -> None:
        """Notes that a rollout begins, before it changes anything.

        Raises:
            LostError: The lock belongs to another.
        """
        self._save(journal)

    def finish(self) -> None:
        """Notes that a rollout is over.

        Raises:
            LostError: The lock belongs to another.
        """
        self._save(None)

    def ensure(self) -> None:
        """Sees that the lock is held for long enough to change something.

        Raises:
            LostError: The lock belongs to another.
        """
        with self._guard:
            if self._lost:
                raise LostError(self._lost)
            if time.monotonic() - self._renewed > self.terms.seconds / 2:
                self._update(self.journal)

    def _save(self, journal: Journal | None) -> None:
        with self._guard:
            if self._lost:
                raise LostError(self._lost)
            self._update(journal)

    def _update(self, journal: Journal | None, *, release: bool = False) -> None:
        body = _changed(self._lease, "" if release else self.holder, journal, self.terms)
        try:
            self._lease = self.api.replace(LEASE, body)
        except (ConflictError, NotFoundError) as error:
            # A repetition of a request that had been carried out finds its own change.
            self._lease = self._own(journal, error)
        self.journal = journal
        self._renewed = time.monotonic()

    def _own(self, journal: Journal | None, error: ApiError) -> Object:
        try:
            found = self.api.get(LEASE, self.name)
        except NotFoundError:
            self._lost = f"Lease {self.name} was deleted while it was held: {error}"
            raise LostError(self._lost) from error
        if (found.get("spec") or {}).get("holderIdentity") != self.holder:
            holder = (found.get("spec") or {}).get("holderIdentity") or "nobody"
            self._lost = f"Lease {self.name} was taken over by {holder}."
            raise LostError(self._lost) from error
        return self.api.replace(LEASE, _changed(found, self.holder, journal, self.terms))

    def keep(self) -> None:
        """Renews the lock again and again, in a thread."""
        while not self._over.wait(self.terms.seconds / 3):
            with self._guard:
                if self._over.is_set():
                    return
                try:
                    self._update(self.journal)
                except LostError as error:
                    _logger.error("%s", error)
                    return
                except AbortedError:
                    return
                except (ApiError, UserError) as error:
                    _logger.warning("the lock is not renewed: %s", error)

    def release(self) -> None:
        """Lets the lock go. What cannot be released is free a little later."""
        self._over.set()
        with self._guard:
            if self._lost:
                return
            try:
                self._update(self.journal, release=True)
            except LostError:
                pass
            except (ApiError, UserError, AbortedError) as error:
                _logger.warning("Lease %s was not released: %s", self.name, error)


@contextmanager
def held(
    api: Api,
    name: str,
    holder: str,
    terms: Terms = Terms(),
    pause: Callable[[float], None] | None = None,
) -> Iterator[Lock]:
    """Holds an endpoint's lock.

    Args:
        api: Access to the cluster, not ended by what ends the wait for the lock.
        name: The Lease's name.
        holder: Who holds it; another text in every attempt.
        terms: How it is kept.
        pause: Waits for some seconds; may raise to end the wait for the lock.

    Raises:
        BusyError: Another holder renews it.
    """
    lock = Lock(api.bound(unreachable_seconds=terms.seconds), name, holder, terms)
    lock._lease = _acquired(api, name, holder, terms, pause or api.pause)
    lock._renewed = time.monotonic()
    lock.journal = Journal.of(lock._lease)
    threading.Thread(target=lock.keep, name=f"lease {name}", daemon=True).start()
    try:
        yield lock
    finally:
        lock.release()


def _acquired(
    api: Api, name: str, holder: str, terms: Terms, pause: Callable[[float], None]
) -> Object:
    seen, first, since, told = "", "", time.monotonic(), False
    while True:
        try:
            lease = api.get(LEASE, name)
        except NotFoundError:
            try:
                return api.create(LEASE, _new(name, holder, terms))
            except ConflictError:
                continue
        spec = lease.get("spec") or {}
        current = str(spec.get("holderIdentity") or "")
        version = str(lease["metadata"]["resourceVersion"])
        now = time.monotonic()
        if version != seen:
            # One's own name is there where the answer to taking it was lost.
            if current not in ("", holder) and current == first:
                raise BusyError(
                    f"another run is deploying to this endpoint: {current} holds Lease {name} in "
                    f"namespace {api.namespace}. Nothing was changed; try again when it is done."
                )
            seen, since, first = version, now, current
        # A holder may have agreed upon a longer time than this one would.
        patience = max(terms.seconds, float(spec.get("leaseDurationSeconds") or 0))
        if current in ("", holder) or now - since >= patience:
            if current not in ("", holder):
                _logger.warning("%s did not renew Lease %s: taken over.", current, name)
            try:
                return api.replace(LEASE, _changed(lease, holder, Journal.of(lease), terms))
            except (ConflictError, NotFoundError):
                continue
        if not told:
            told = True
            _logger.info("%s holds Lease %s; looking whether it is alive.", current, name)
        pause(terms.poll_seconds)


def _new(name: str, holder: str, terms: Terms) -> dict[str, Any]:
    empty: dict[str, Any] = {
        "apiVersion": LEASE.api_version,
        "kind": LEASE.kind,
        "metadata": {"name": name, "labels": names.Identity("", TASK, "").labels()},
        "spec": {},
    }
    return _changed(empty, holder, None, terms)


def _changed(
    lease: Mapping[str, Any], holder: str, journal: Journal | None, terms: Terms
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
    # The API takes whole seconds only.
    seconds = max(1, round(terms.seconds))
    spec |= {"holderIdentity": holder, "leaseDurationSeconds": seconds, "renewTime": now}
    if not holder:
        # The API takes no empty one.
        del spec["holderIdentity"]
    return {**lease, "metadata": metadata, "spec": spec}
